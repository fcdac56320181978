//! A folder of its own for each test, and the program run in it as a user runs it.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod buckets;
pub(crate) mod graphs;
pub(crate) mod proxy;
pub(crate) mod stream;
pub(crate) mod worker;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::read::GzDecoder;
use serde_json::Value;

/// The program under test.
pub(crate) const TRAILGRAPH: &str = env!("CARGO_BIN_EXE_trailgraph");

/// The records of the committed fixture, one each.
pub(crate) fn events_of_the_fixture() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/events-5000.jsonl.gz");
    let file = std::fs::File::open(path).expect("the fixture is committed");
    BufReader::new(GzDecoder::new(file)).split(b'\n').map(|line| line.expect("the fixture is whole")).collect()
}

/// A temporary folder with one database in it.
pub(crate) struct Sandbox(tempfile::TempDir);

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, in this folder: its defaults are files here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(TRAILGRAPH);
        command.current_dir(self.0.path()).args(arguments).stdin(Stdio::null());
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("TRAILGRAPH_") || name.starts_with("AWS_"))
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs the program, which must succeed, and returns what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "trailgraph {arguments:?}: {} {said}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// Replays records from standard input into this folder's graph.
    pub(crate) fn replay(&self, records: &[Vec<u8>], flags: &[&str]) -> String {
        let mut child = self
            .command(&[&["replay", "-"], flags].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("piped");
        let text: Vec<u8> = records.iter().flat_map(|record| record.iter().copied().chain([b'\n'])).collect();
        let writing = std::thread::spawn(move || input.write_all(&text));
        let output = child.wait_with_output().expect("the program ends");
        writing.join().expect("no panic").expect("all input is read");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "replay {flags:?}: {} {said}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// The graph as it is printed.
    pub(crate) fn export(&self) -> String {
        self.succeed(&["graph", "export", "--format", "json"])
    }

    /// The graph.
    pub(crate) fn graph(&self) -> Value {
        serde_json::from_str(&self.export()).expect("JSON")
    }
}
