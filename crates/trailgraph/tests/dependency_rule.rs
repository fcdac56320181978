//! The libraries stand alone: what each must not know, its manifest must not name.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

use std::path::{Path, PathBuf};

/// The names under `[dependencies]`.
fn dependencies(library: &str) -> Vec<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(library).join("Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap().to_owned();
    section.lines().filter(|line| !line.trim().is_empty()).map(name).collect()
}

#[test]
fn the_libraries_do_not_depend_on_each_other_except_the_emitter_on_the_state() {
    let libraries = ["bucket-state", "emitter", "shard-consumer", "trailgraph"];
    let known = |library: &str| -> Vec<String> {
        dependencies(library).into_iter().filter(|name| libraries.contains(&name.as_str())).collect()
    };
    assert_eq!(known("bucket-state"), [""; 0]);
    assert_eq!(known("emitter"), ["bucket-state"]);
    assert_eq!(known("shard-consumer"), [""; 0]);
}

#[test]
fn the_state_of_a_bucket_does_no_input_or_output_and_reads_no_clock() {
    let outside = ["tokio", "rusqlite", "reqwest", "fastrand", "futures"];
    let named = dependencies("bucket-state");
    assert!(named.iter().all(|name| !outside.contains(&name.as_str()) && !name.starts_with("aws-")), "{named:?}");
    let files = files_under(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../bucket-state/src"));
    assert!(files.len() > 20, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        for forbidden in
            ["std::fs", "Socket", "TcpStream", "std::env", "SystemTime", "Instant", "now_utc", "std::thread"]
        {
            assert!(!text.contains(forbidden), "{} uses {forbidden}", path.display());
        }
    }
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}
