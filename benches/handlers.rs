//! The same job as others would write it, `baselines/`: run on a corpus in a folder, and held to our own answer.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use bucket_state::{Event, Kind, supported};
use serde::Deserialize;
use tempfile::TempDir;
use trailgraph::generate::Generated;

/// A corpus as the handlers read it.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
}

/// What a handler prints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Answer {
    /// Records that it was given.
    pub events: usize,
    /// The names of the buckets that were changed.
    pub buckets: BTreeSet<String>,
    /// Processor time of the second pass over the records.
    pub cpu_seconds: f64,
}

impl Folder {
    /// Writes the records, one a line, and beside them what each call changes.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write<'a>(records: impl IntoIterator<Item = &'a Generated>) -> Result<Self, Box<dyn Error>> {
        let folder = TempDir::new()?;
        let mut lines = BufWriter::new(File::create(folder.path().join("records.jsonl"))?);
        for record in records {
            lines.write_all(&record.body)?;
            lines.write_all(b"\n")?;
        }
        lines.flush()?;
        serde_json::to_writer(File::create(folder.path().join("calls.json"))?, &calls())?;
        Ok(Self { folder })
    }

    /// Runs `program` on one of the scripts in `baselines/`.
    ///
    /// # Errors
    /// When the program is missing, or says that it failed.
    pub fn run(&self, program: &Path, script: &str, more: &[&str]) -> Result<Answer, Box<dyn Error>> {
        let mut command = Command::new(program);
        command.arg(scripts().join(script)).arg(self.folder.path().join("records.jsonl")).args(more);
        let done = command.output().map_err(|error| format!("{}: {error}; install it", program.display()))?;
        if !done.status.success() {
            return Err(format!("{script}: {}", String::from_utf8_lossy(&done.stderr)).into());
        }
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}

/// The names of the buckets that these events change: what every handler must come to.
#[must_use]
pub fn buckets<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeSet<String> {
    let of_bucket = events.into_iter().filter(|event| event.resource.kind() == Kind::Bucket);
    of_bucket.map(|event| event.resource.name().to_owned()).collect()
}

/// The calls that change a bucket, by every spelling, with what they change of it.
fn calls() -> BTreeMap<&'static str, &'static str> {
    let of_bucket =
        supported().iter().filter(|call| !call.name.contains("AccessPoint") && !call.name.contains("Account"));
    let spellings = |call: &'static bucket_state::Call| {
        std::iter::once(call.name).chain(call.aliases.iter().copied()).map(|name| (name, call.facet()))
    };
    of_bucket.flat_map(spellings).collect()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("baselines")
}
