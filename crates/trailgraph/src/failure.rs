//! How a command fails: in one line, with an exit code.

use std::fmt;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use emitter::StoreError;
use shard_consumer::SourceError;

/// Why a command ended.
#[derive(Debug)]
pub enum Failure {
    /// The command line or what it names is wrong: exit code 2. No record was read.
    Usage(String),
    /// Something failed or did not answer, or findings were made: exit code 1.
    Running(anyhow::Error),
}

impl Failure {
    /// A fault of the flag `flag`, whose value was `value`; `message` says why and what would mend it.
    #[must_use]
    pub fn flag(flag: &str, value: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self::Usage(format!("{flag} {value}: {message}"))
    }

    /// 1 or 2.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Running(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => f.write_str(message),
            // The alternate form is the whole chain of causes in one line.
            Self::Running(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Running(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Running(error.into())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Configuration(message) => Self::Usage(message),
            other => Self::Running(other.into()),
        }
    }
}

/// What a service of AWS said, or why it said nothing, in one line.
pub(crate) fn told<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug,
{
    match error.as_service_error() {
        Some(refusal) => {
            let code = refusal.code().unwrap_or("refused without a code");
            refusal.message().map_or_else(|| code.to_owned(), |message| format!("{code}: {message}"))
        }
        None => {
            let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
            causes.by_ref().map(ToString::to_string).collect::<Vec<_>>().join(": ")
        }
    }
}
