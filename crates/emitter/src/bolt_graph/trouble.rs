//! What can go wrong with a graph server, by what helps.

use std::time::Duration;

use neo4rs::Error;

/// A server's words are cut to this many characters: some repeat the whole statement.
const WORDS_MAX: usize = 300;

/// Why a transaction did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// The server is away, or was silent for too long: a new connection may help.
    #[error("{0}")]
    Away(String),
    /// A person must mend it: the credentials, or the name of the database.
    #[error("{0}")]
    Denied(String),
    /// Another transaction was in the way, or the server was busy: trying again helps.
    #[error("{0}")]
    Busy(String),
    /// The server failed, or what it was to write contradicts what it holds. Trying again helps if another
    /// transaction was in the way; else it may be the data.
    #[error("{0}")]
    Failed(String),
    /// The server does not take the statement, or the data.
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    /// The server did not answer in time.
    pub(super) fn silent(doing: &str, waited: Duration) -> Self {
        Self::Away(format!("no answer within {waited:?} to {doing}"))
    }

    /// By a status of Neo4j's form, `Neo.CLASS.CATEGORY.TITLE`, which other servers use too.
    /// <https://neo4j.com/docs/status-codes/5/errors/all-errors/>
    fn of(code: &str, words: &str) -> Self {
        let said = cut(&format!("{code}: {words}"));
        let mut parts = code.split('.').skip(1);
        match [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default) {
            ["ClientError", "Security", _] => {
                Self::Denied(format!("{said}: check --bolt-user, TRAILGRAPH_BOLT_PASSWORD and what the user may do"))
            }
            ["ClientError", "Database", _] => Self::Denied(format!("{said}: check --bolt-database")),
            ["ClientError", "Cluster", _] | ["ClientError", "General", "ForbiddenOnReadOnlyDatabase"] => {
                Self::Away(format!("{said}: name the server that takes writes"))
            }
            ["ClientError", "Request", _] => Self::Away(said),
            ["TransientError", ..]
            | ["ClientError", "Transaction", "Terminated" | "TransactionTimedOut" | "LockClientStopped"] => {
                Self::Busy(said)
            }
            // ArcadeDB says of any commit that failed that there was no such transaction; Memgraph has one status for all.
            ["ClientError", "Transaction" | "MemgraphError", _]
            | ["ClientError", "Schema", "ConstraintValidationFailed"]
            | ["ClientError", "Statement", "EntityNotFound"] => Self::Failed(said),
            ["ClientError", ..] => Self::Refused(said),
            _ => Self::Failed(said),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::AuthenticationError(words) => Self::Denied(cut(&format!(
                "the server does not let this user in: {words}: check --bolt-user and TRAILGRAPH_BOLT_PASSWORD"
            ))),
            Error::IOError { detail } => Self::Away(cut(&detail.to_string())),
            Error::Neo4j(error) => Self::of(error.code(), error.message()),
            Error::StringTooLong | Error::MapTooBig | Error::BytesTooBig | Error::ListTooLong => {
                Self::Refused(error.to_string())
            }
            // The driver hands over failures of BEGIN, PULL and COMMIT only as text.
            Error::UnexpectedMessage(text) => match status_in(&text) {
                Some(code) => Self::of(code, words_in(&text)),
                None => Self::Away(cut(&text)),
            },
            other => Self::Away(cut(&other.to_string())),
        }
    }
}

fn status_in(text: &str) -> Option<&str> {
    let class = ["ClientError.", "TransientError.", "DatabaseError."].iter().find_map(|class| text.find(class))?;
    let is_outside = |character: char| !character.is_ascii_alphanumeric() && character != '.';
    let begin = text[..class].rfind(is_outside).map_or(0, |before| before + 1);
    let end = text[class..].find(is_outside).map_or(text.len(), |length| class + length);
    Some(&text[begin..end])
}

/// The server's message in the debug text of a failure, as far as it can be told; else all of it.
fn words_in(text: &str) -> &str {
    let message = text.split_once(r#""message""#).and_then(|(_, rest)| rest.split_once(r#"value: ""#));
    message.and_then(|(_, rest)| rest.split_once('"')).map_or(text, |(words, _)| words)
}

fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_the_driver_tells_only_as_text_is_understood() {
        let text = r#"unexpected response for COMMIT: Ok(Failure(Failure { metadata: BoltMap { value: {BoltString { value: "message" }: String(BoltString { value: "page 5 was changed" }), BoltString { value: "code" }: String(BoltString { value: "Neo.TransientError.Transaction.DeadlockDetected" })} } }))"#;
        let understood = Trouble::from(Error::UnexpectedMessage(text.to_owned()));
        let words = "Neo.TransientError.Transaction.DeadlockDetected: page 5 was changed";
        assert_eq!(understood, Trouble::Busy(words.to_owned()));
        assert_eq!(Trouble::from(Error::UnexpectedMessage("eof".to_owned())), Trouble::Away("eof".to_owned()));
    }

    #[test]
    fn what_helps_follows_from_the_status() {
        let of = |code| Trouble::of(code, "words");
        assert!(matches!(of("Neo.ClientError.Security.Unauthorized"), Trouble::Denied(_)));
        assert!(matches!(of("Neo.ClientError.Database.DatabaseNotFound"), Trouble::Denied(_)));
        assert!(matches!(of("Memgraph.TransientError.MemgraphError.MemgraphError"), Trouble::Busy(_)));
        assert!(matches!(of("Memgraph.ClientError.MemgraphError.MemgraphError"), Trouble::Failed(_)));
        assert!(matches!(of("Neo.ClientError.Transaction.TransactionTimedOut"), Trouble::Busy(_)));
        assert!(matches!(of("Neo.ClientError.Transaction.TransactionNotFound"), Trouble::Failed(_)));
        assert!(matches!(of("Neo.ClientError.Schema.ConstraintValidationFailed"), Trouble::Failed(_)));
        assert!(matches!(of("Neo.DatabaseError.General.UnknownError"), Trouble::Failed(_)));
        assert!(matches!(of("Neo.ClientError.Statement.TypeError"), Trouble::Refused(_)));
        assert!(matches!(of("Neo.ClientError.Cluster.NotALeader"), Trouble::Away(_)));
    }

    #[test]
    fn words_are_one_line_and_not_endless() {
        let Trouble::Refused(words) = Trouble::of("Neo.ClientError.Statement.X", &format!("{}\nmore", "x".repeat(999)))
        else {
            panic!("refused")
        };
        assert_eq!(words.len(), WORDS_MAX);
    }
}
