//! What a failed call means, and what is said about it.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::denied::is_denied;
use crate::source::SourceError;

/// A failed call.
pub(super) struct Fault {
    code: Option<String>,
    text: String,
}

impl Fault {
    pub(super) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let code = error.code().map(str::to_owned);
        let text = match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                format!("{}: {}", meta.code().unwrap_or("error"), meta.message().unwrap_or("no message"))
            }
            _ => chain(error),
        };
        Self { code, text }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether the credentials are missing, wrong, or not enough.
    pub(super) fn is_denied(&self) -> bool {
        is_denied(self.code.as_deref(), &self.text)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// That `what` failed in `table`, with the permission to ask for where that is the reason.
    pub(super) fn failed(self, what: &str, operation: &str, table: &str) -> SourceError {
        let mend = match self.is_denied() {
            true => format!(": check the credentials, and that they allow dynamodb:{operation} on this table"),
            false => String::new(),
        };
        SourceError::Failed { what: format!("{what} in DynamoDB table {table}{mend}"), source: self.text.into() }
    }

    /// That the table cannot be opened without a person's help.
    pub(super) fn refused(self, operation: &str, table: &str) -> SourceError {
        let mend = match self.is_denied() {
            true => format!("check the credentials, and that they allow dynamodb:{operation} on it"),
            false => "name another table".into(),
        };
        SourceError::Configuration(format!("DynamoDB table {table} cannot be used: {mend} ({})", self.text))
    }
}

fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
