//! What a failed call means, and what is said about it.

use std::fmt;
use std::time::Duration;

use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use crate::denied::is_denied;

/// A failed call, by what its caller can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The stream, or the shard, is not there.
    NotFound(String),
    /// An argument is refused: an iterator that is none, or a sequence number that the shard does not hold.
    Invalid(String),
    /// The iterator is too old.
    Expired(String),
    /// The credentials are missing, wrong, or not enough.
    Denied(String),
    /// Throttled, unreachable, out of order: it may go well later.
    Passing(String),
}

impl Fault {
    pub(super) fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: fmt::Debug,
    {
        let text = match error {
            SdkError::ServiceError(answer) => {
                let meta = answer.err().meta();
                match meta.code() {
                    Some(code) => format!("{code}: {}", meta.message().unwrap_or("no message")),
                    // Errors within a stream of events have a type only.
                    None => one_line(&answer.err().to_string()),
                }
            }
            _ => one_line(&DisplayErrorContext(error).to_string()),
        };
        classify(error.code(), &text)(text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(text)
            | Self::Invalid(text)
            | Self::Expired(text)
            | Self::Denied(text)
            | Self::Passing(text) => f.write_str(text),
        }
    }
}

fn classify(code: Option<&str>, text: &str) -> fn(String) -> Fault {
    match code {
        Some("ResourceNotFoundException") => Fault::NotFound,
        Some("InvalidArgumentException") => Fault::Invalid,
        Some("ExpiredIteratorException") => Fault::Expired,
        code if is_denied(code, text) => Fault::Denied,
        _ => Fault::Passing,
    }
}

fn one_line(text: &str) -> String {
    // What follows repeats the causes as a data structure, or lists every place that has no credentials.
    let ends = [" (Dispatch", " (Timeout", ". Attempted:"];
    let text = ends.iter().fold(text, |text, end| text.split_once(end).map_or(text, |(head, _)| head));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says that something fails: at once, then at most every half minute, also where attempts go well in between.
#[derive(Debug, Default)]
pub(crate) struct Complaint(Option<Instant>);

impl Complaint {
    const EVERY: Duration = Duration::from_secs(30);

    /// Whether now is a time to say it.
    pub(crate) fn due(&mut self) -> bool {
        let due = self.0.is_none_or(|said| said.elapsed() >= Self::EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttles_and_what_nobody_knows_are_passing() {
        for code in
            ["ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException", "New"]
        {
            assert_eq!(classify(Some(code), "")(String::new()), Fault::Passing(String::new()), "{code}");
        }
        assert_eq!(classify(None, "io error")(String::new()), Fault::Passing(String::new()));
    }

    #[test]
    fn missing_and_refused_credentials_are_denied() {
        let denied = Fault::Denied(String::new());
        assert_eq!(classify(None, "no providers in chain provided credentials")(String::new()), denied);
        assert_eq!(classify(Some("AccessDeniedException"), "")(String::new()), denied);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_at_once_and_then_every_half_minute_however_often_it_passes() {
        let mut complaint = Complaint::default();
        let mut told = Vec::new();
        for second in 0..70 {
            if complaint.due() {
                told.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, [0, 30, 60]);
    }
}
