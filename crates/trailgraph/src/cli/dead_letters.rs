//! Where dead letters go, as the command line says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `file:PATH` or `sqs:QUEUE_URL`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetterUrl {
    /// A file, one letter a line.
    File(PathBuf),
    /// The URL of an SQS queue, one letter a message.
    Sqs(String),
}

impl FromStr for DeadLetterUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_url = |url: &str| {
            ["https://", "http://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        };
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("sqs", url)) if is_url(url) => Ok(Self::Sqs(url.into())),
            Some(("sqs", _)) => Err("sqs: needs the URL of a queue, such as \
                                     sqs:https://sqs.eu-west-1.amazonaws.com/111122223333/dead-letters"
                .into()),
            _ => Err("expected file:PATH or sqs:QUEUE_URL, such as file:./dead-letters.jsonl".into()),
        }
    }
}

impl fmt::Display for DeadLetterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Sqs(url) => write!(f, "sqs:{url}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_go_to_a_file_or_to_the_url_of_a_queue() {
        let queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/dead-letters";
        let parse = |text: &str| text.parse::<DeadLetterUrl>();
        assert_eq!(parse(&format!("sqs:{queue}")), Ok(DeadLetterUrl::Sqs(queue.into())));
        assert_eq!(parse("file:a:b"), Ok(DeadLetterUrl::File("a:b".into())));
        for queue in ["sqs:", "sqs:dead-letters", "sqs:https://", "sqs:arn:aws:sqs:eu-west-1:111122223333:dead-letters"]
        {
            assert!(parse(queue).unwrap_err().starts_with("sqs: needs the URL of a queue"), "{queue}");
        }
        for other in ["", "dead-letters.jsonl", "file:", "sns:https://x", "https://x"] {
            assert!(parse(other).unwrap_err().starts_with("expected file:PATH or sqs:QUEUE_URL"), "{other}");
        }
    }
}
