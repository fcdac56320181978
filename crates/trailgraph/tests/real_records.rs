//! Real CloudTrail records of an intrusion in July 2023: read where they lie, and not kept here.
//!
//! `TRAILGRAPH_REAL_RECORDS` names the folder with `invictus-ir-aws_dataset.jsonl.gz` (public repository
//! invictus-ir/aws_dataset). Where it is set, `cargo xtask test` turns on the feature that builds this file.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod oracle;
mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;
use support::Sandbox;

const UNTIL: &str = "2023-07-10T12:27:00Z";

fn file() -> PathBuf {
    let folder =
        std::env::var_os("TRAILGRAPH_REAL_RECORDS").expect("TRAILGRAPH_REAL_RECORDS names the records' folder");
    let folder = PathBuf::from(folder);
    let file = folder.join("invictus-ir-aws_dataset.jsonl.gz");
    assert!(file.is_file(), "TRAILGRAPH_REAL_RECORDS: {} is not there", file.display());
    file
}

fn lines(file: &PathBuf) -> Vec<Vec<u8>> {
    let reader = BufReader::new(GzDecoder::new(std::fs::File::open(file).unwrap()));
    reader.split(b'\n').map(Result::unwrap).filter(|line| !line.is_empty()).collect()
}

fn of_type<'a>(graph: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = graph["entities"].as_array().unwrap().iter();
    all.filter(|entity| entity["_type"] == kind && entity["placeholder"] != true).collect()
}

/// The counts of the lines that begin so, added up.
fn counted(summary: &str, name: &str) -> usize {
    let counts = summary.lines().filter_map(|line| line.trim_start().strip_prefix(name));
    counts.map(|rest| rest.split_whitespace().next().unwrap().parse::<usize>().unwrap()).sum()
}

#[test]
fn the_graph_of_a_moment_shows_the_three_buckets_that_stood_then() {
    let file = file();
    let sandbox = Sandbox::new();
    let summary = sandbox.succeed(&["replay", file.to_str().unwrap(), "--until", UNTIL]);
    let graph = sandbox.graph();
    let early = lines(&file).into_iter().filter(|line| {
        let record: Value = serde_json::from_slice(line).unwrap();
        record["eventTime"].as_str().unwrap() <= UNTIL
    });
    support::graphs::assert_same(&graph, &oracle::expected_export(early), "a plain fold of the records");

    let buckets = of_type(&graph, "aws_s3_bucket");
    assert_eq!(buckets.len(), 3);
    assert!(buckets.iter().all(|bucket| bucket["tags"].as_array().is_some_and(|tags| tags.len() == 1)));
    assert_eq!(of_type(&graph, "aws_s3_bucket_policy").len(), 1);
    assert_eq!(counted(&summary, "events applied") + counted(&summary, "ignored"), lines(&file).len());
}

#[test]
fn in_the_end_every_bucket_was_deleted() {
    let file = file();
    let sandbox = Sandbox::new();
    let summary = sandbox.succeed(&["replay", file.to_str().unwrap()]);
    assert_eq!(sandbox.graph(), serde_json::json!({"entities": [], "relationships": []}));
    assert_eq!(counted(&summary, "events applied") + counted(&summary, "ignored"), lines(&file).len());
}
