//! What a failed call means, and what is said about it.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::store::StoreError;

/// Errors that mean that credentials are missing, wrong, or not enough.
const DENIED: [&str; 10] = [
    "AccessDeniedException",
    "KMSAccessDeniedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
    "OptInRequired",
];

/// Errors that the same call may not meet again (DynamoDB developer guide, "Error handling": those to be retried).
const PASSING: [&str; 11] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
    "LimitExceededException",
    "InternalServerError",
    "InternalFailure",
    "ServiceUnavailable",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
];

/// A failed call.
pub(super) struct Fault {
    code: Option<String>,
    text: String,
    status: Option<u16>,
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
        Self { code, text, status: error.raw_response().map(|response| response.status().as_u16()) }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Whether the credentials are missing, wrong, or not enough.
    pub(super) fn is_denied(&self) -> bool {
        match &self.code {
            Some(code) => DENIED.contains(&code.as_str()),
            // The SDK has no kind of its own for "no credentials"; the provider's words are part of the chain.
            None => self.text.contains("credentials"),
        }
    }

    /// Whether the same call may succeed soon: throttled, failed within DynamoDB, or not answered at all.
    pub(super) fn is_passing(&self) -> bool {
        match &self.code {
            Some(code) if is_passing(code) => true,
            Some(_) => self.status.is_some_and(|status| status >= 500),
            None => !self.is_denied(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// That `what` failed in `table`, with the permission to ask for where that is the reason. A denial may pass: a
    /// policy is being mended, or credentials are renewed. What DynamoDB will never take cannot be used.
    pub(super) fn failed(&self, what: &str, operation: &str, table: &str) -> StoreError {
        let (store, text) = (format!("dynamodb:{table}"), &self.text);
        if self.is_denied() {
            let mend = format!("check the credentials, and that they allow dynamodb:{operation} on this table");
            return StoreError::Unavailable { store, message: format!("{what}: {mend} ({text})") };
        }
        if self.is_passing() {
            return StoreError::Unavailable { store, message: format!("{what}: {text}") };
        }
        let mend = match self.is("ResourceNotFoundException") {
            true => {
                "the table or its index is gone: restore it from a backup, or start again and replay the trail's files"
            }
            false => "DynamoDB does not take the request",
        };
        StoreError::Unusable(format!("state store {store}: {what}: {mend} ({text})"))
    }
}

/// Whether an error of this code, of a call or of one action in a transaction, may not come again.
pub(super) fn is_passing(code: &str) -> bool {
    PASSING.contains(&code)
}

fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
