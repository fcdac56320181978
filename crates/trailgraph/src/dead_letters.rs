//! Records that cannot be understood: kept whole, so that they can be replayed after a fix.

mod file;
mod sqs;

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use bucket_state::REJECTED_SNAPSHOT;

use crate::cli::DeadLetterUrl;
use crate::clock;
use file::LetterFile;
use sqs::LetterQueue;

/// One record with what is wrong with it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The kind of fault.
    pub reason: &'static str,
    /// The fault in words.
    pub message: String,
    /// Where it came from; a file's path in a replay.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// The record in the shard.
    pub sequence_number: String,
    /// The user record in an aggregated one.
    pub sub_sequence_number: u64,
    /// RFC 3339.
    pub arrived_at: String,
    /// As the producer gave it.
    pub partition_key: Option<String>,
    /// The bytes, in base64.
    pub data: String,
    /// Whether `data` is only the beginning, as much as its destination takes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub data_truncated: bool,
}

impl DeadLetter {
    /// About a snapshot that a graph rejects for good. What it was made of is in the state store, under the key that is
    /// its `data`: replaying the letter changes nothing.
    #[must_use]
    pub fn of_rejected(stream: &str, sink: &str, resource: &str, version: u64, why: &str, now_ms: i64) -> Self {
        let (data, arrived_at) = Self::encode(resource.as_bytes(), now_ms);
        Self {
            reason: REJECTED_SNAPSHOT,
            message: format!("{sink} rejects version {version} of {resource}: {why}"),
            stream: stream.to_owned(),
            shard: String::new(),
            sequence_number: version.to_string(),
            sub_sequence_number: 0,
            arrived_at,
            partition_key: Some(resource.to_owned()),
            data,
            data_truncated: false,
        }
    }

    /// The letter's bytes and time, in the form in which they are written.
    #[must_use]
    pub fn encode(data: &[u8], arrived_ms: i64) -> (String, String) {
        (STANDARD.encode(data), clock::rfc3339(arrived_ms))
    }
}

/// Where dead letters go.
#[derive(Debug)]
pub struct DeadLetters(Destination);

#[derive(Debug)]
enum Destination {
    Nowhere,
    File(LetterFile),
    Queue(LetterQueue),
}

/// Letters that are not written yet: to be written again, by themselves.
#[derive(Debug)]
pub struct Unwritten<'a> {
    /// One line that names the destination and, where one is known, the mend.
    pub error: String,
    /// Some of them may have been written, the answer being lost: then they come twice.
    pub letters: Vec<&'a DeadLetter>,
}

impl DeadLetters {
    /// What the flag names, tried without a letter, so that a mistake is known before the first one.
    ///
    /// # Errors
    /// One line that names the destination and the mend.
    pub async fn open(url: &DeadLetterUrl) -> Result<Self, String> {
        match url {
            DeadLetterUrl::File(path) => Self::file(path),
            DeadLetterUrl::Sqs(url) => Ok(Self(Destination::Queue(LetterQueue::open(url).await?))),
        }
    }

    /// Written nowhere: of a run that writes nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self(Destination::Nowhere)
    }

    /// The file at `path`, one JSON object a line. Made with the first letter.
    ///
    /// # Errors
    /// One line that names the path.
    pub fn file(path: &Path) -> Result<Self, String> {
        Ok(Self(Destination::File(LetterFile::open(path)?)))
    }

    /// Writes letters so that they last.
    ///
    /// # Errors
    /// Those that were not written.
    pub async fn write<'a>(&self, letters: Vec<&'a DeadLetter>) -> Result<(), Unwritten<'a>> {
        match &self.0 {
            Destination::Nowhere => Ok(()),
            Destination::File(file) => file.write(&letters).await.map_err(|error| Unwritten { error, letters }),
            Destination::Queue(queue) => queue.write(letters).await,
        }
    }
}
