//! Dead letters in a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::DeadLetter;

/// A file of dead letters, one JSON object a line.
#[derive(Debug)]
pub(super) struct LetterFile {
    path: Arc<Path>,
}

impl LetterFile {
    /// Tries the path.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let existed = path.exists();
        append(path).map_err(|error| format!("{}: {error}; name a file that can be written", path.display()))?;
        if !existed {
            // An empty file would look like a finding.
            let _removed = std::fs::remove_file(path);
        }
        Ok(Self { path: path.into() })
    }

    /// Writes letters to the disk, all or none.
    pub(super) async fn write(&self, letters: &[&DeadLetter]) -> Result<(), String> {
        let mut lines = Vec::new();
        for letter in letters {
            serde_json::to_writer(&mut lines, letter).map_err(|error| named(&self.path, &error))?;
            lines.push(b'\n');
        }
        let path = Arc::clone(&self.path);
        let written =
            tokio::task::spawn_blocking(move || write_lines(&path, &lines).map_err(|error| named(&path, &error)));
        written.await.unwrap_or_else(|error| Err(named(&self.path, &error)))
    }
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// The file is opened for each write: a person may have moved it away to replay it, and what is written to a file
/// without a name is lost.
fn write_lines(path: &Path, lines: &[u8]) -> std::io::Result<()> {
    let mut file = append(path)?;
    // Other workers, and other shards, may write to the same file: what is taken back must not be theirs.
    file.lock()?;
    let before = file.metadata()?.len();
    let written = file.write_all(lines).and_then(|()| file.sync_data());
    if written.is_err() {
        // A part of a line would spoil the next one. What cannot be taken back is at least ended.
        let _taken_back = file.set_len(before).or_else(|_| file.write_all(b"\n"));
    }
    written
}

fn append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_come_after_the_file_was_moved_away_are_in_a_file_of_that_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("letters"), dir.path().join("moved"));
        write_lines(&path, b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        write_lines(&path, b"two\n").unwrap();
        write_lines(&path, b"three\n").unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&moved), read(&path)), ("one\n".into(), "two\nthree\n".into()));
    }
}
