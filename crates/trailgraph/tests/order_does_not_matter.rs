//! The graph of 5,000 generated events is the same however they come, and equals a plain fold of them.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod oracle;
mod support;

use support::{Sandbox, events_of_the_fixture, graphs};

#[test]
fn the_graph_equals_a_plain_fold_of_the_same_events() {
    let events = events_of_the_fixture();
    let sandbox = Sandbox::new();
    sandbox.replay(&events, &[]);
    graphs::assert_same(&sandbox.graph(), &oracle::expected_export(events.into_iter()), "a plain fold");
}

/// Byte by byte; told by its first differences where it is not.
fn assert_identical(sandbox: &Sandbox, expected: &str, why: &str) {
    let export = sandbox.export();
    let parsed = |text: &str| serde_json::from_str(text).unwrap();
    graphs::assert_same(&parsed(&export), &parsed(expected), why);
    assert!(export == expected, "{why}: other bytes for the same graph");
}

#[test]
fn shuffled_doubled_one_by_one_and_replayed_the_graph_is_byte_identical() {
    let events = events_of_the_fixture();
    let straight = Sandbox::new();
    straight.replay(&events, &[]);
    let expected = straight.export();

    let mut rng = fastrand::Rng::with_seed(11);
    let mut shuffled = events.clone();
    rng.shuffle(&mut shuffled);
    let doubled: Vec<Vec<u8>> = shuffled.iter().chain(&events).cloned().collect();

    let sandbox = Sandbox::new();
    sandbox.replay(&shuffled, &[]);
    assert_identical(&sandbox, &expected, "shuffled");
    sandbox.replay(&events, &[]);
    assert_identical(&sandbox, &expected, "replayed on top");
    sandbox.replay(&doubled, &[]);
    assert_identical(&sandbox, &expected, "replayed on top again, doubled and shuffled");

    let sandbox = Sandbox::new();
    sandbox.replay(&doubled, &["--flush-at", "1"]);
    assert_identical(&sandbox, &expected, "doubled, and each event a window of its own");
}
