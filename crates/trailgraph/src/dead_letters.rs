//! Records that cannot be understood: kept whole, so that they can be replayed after a fix.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::clock;

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
}

impl DeadLetter {
    /// The letter's bytes and time, in the form in which they are written.
    #[must_use]
    pub fn encode(data: &[u8], arrived_ms: i64) -> (String, String) {
        (STANDARD.encode(data), clock::rfc3339(arrived_ms))
    }
}

/// A file of dead letters, one JSON object a line. Made with the first letter.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl DeadLetters {
    /// The file at `path`, which is tried, so that a wrong path is known before the first letter.
    ///
    /// # Errors
    /// One line that names the path.
    pub fn open(path: &Path) -> Result<Self, String> {
        let existed = path.exists();
        append(path).map_err(|error| format!("{}: {error}; name a file that can be written", path.display()))?;
        if !existed {
            // An empty file would look like a finding.
            let _removed = std::fs::remove_file(path);
        }
        Ok(Self { path: path.into(), file: Mutex::new(None) })
    }

    /// Writes letters to the disk, all or none. Blocks.
    ///
    /// # Errors
    /// One line that names the path.
    pub fn write(&self, letters: &[DeadLetter]) -> Result<(), String> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        let mut lines = Vec::new();
        for letter in letters {
            serde_json::to_writer(&mut lines, letter).map_err(|error| named(&error))?;
            lines.push(b'\n');
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *file {
            Some(open) => open,
            none => none.insert(append(&self.path).map_err(|error| named(&error))?),
        };
        // Other workers may write to the same file: what is taken back must not be theirs.
        open.lock().map_err(|error| named(&error))?;
        let before = open.metadata().map_err(|error| named(&error))?.len();
        let written = open.write_all(&lines).and_then(|()| open.sync_data());
        if written.is_err() {
            // A part of a line would spoil the next one. What cannot be taken back is at least ended.
            let _taken_back = open.set_len(before).or_else(|_| open.write_all(b"\n"));
        }
        let unlocked = open.unlock();
        if written.is_err() || unlocked.is_err() {
            // Closing the file gives up its lock, too.
            *file = None;
        }
        written.map_err(|error| named(&error))
    }
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
