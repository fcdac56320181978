//! Graphs as a person handles them: several at once, shown anew, forgotten, checked.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::process::Output;

use support::{Sandbox, events_of_the_fixture, graphs};

const TWO_GRAPHS: [&str; 4] = ["--graph", "sqlite:one.db", "--graph", "sqlite:two.db"];

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn name_of(sandbox: &Sandbox, file: &str) -> String {
    format!("sqlite:{}", sandbox.path(file).canonicalize().unwrap().display())
}

fn pending(sandbox: &Sandbox) -> Vec<(String, i64)> {
    let connection = rusqlite::Connection::open(sandbox.path("trailgraph.db")).unwrap();
    let sql = "SELECT name, (SELECT count(*) FROM marks WHERE sink = name AND since IS NOT NULL) FROM sinks ORDER BY 1";
    let mut query = connection.prepare(sql).unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    rows.map(|row| row.unwrap()).map(|(name, rows)| (name.rsplit('/').next().unwrap().to_owned(), rows)).collect()
}

fn export(sandbox: &Sandbox, file: &str) -> serde_json::Value {
    let text = sandbox.succeed(&["graph", "export", "--graph", &format!("sqlite:{file}")]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn two_graphs_show_the_same_and_a_third_that_comes_later_gets_everything() {
    let (sandbox, events) = (Sandbox::new(), events_of_the_fixture());
    sandbox.replay(&events[..500], &TWO_GRAPHS);
    sandbox.replay(&events[500..600], &[&TWO_GRAPHS[..], &["--graph", "sqlite:three.db"]].concat());
    let one = export(&sandbox, "one.db");
    graphs::assert_same(&export(&sandbox, "two.db"), &one, "the second graph");
    graphs::assert_same(&export(&sandbox, "three.db"), &one, "the third graph");
}

#[test]
fn everything_is_shown_anew_when_asked_for_and_a_forgotten_graph_is_waited_for_no_more() {
    let (sandbox, events) = (Sandbox::new(), events_of_the_fixture());
    sandbox.replay(&events[..200], &TWO_GRAPHS);
    assert_eq!(pending(&sandbox), [("one.db".into(), 0), ("two.db".into(), 0)]);
    let text = sandbox.succeed(&["republish", "--graph", "sqlite:two.db"]);
    let rows: i64 = text.split(' ').next().unwrap().parse().unwrap();
    assert!(rows > 10 && text.contains("rows are pending for sqlite:"), "{text}");
    assert_eq!(pending(&sandbox), [("one.db".into(), 0), ("two.db".into(), rows)]);
    assert!(sandbox.succeed(&["republish"]).contains("rows are pending for all of 2 graphs"));
    assert_eq!(pending(&sandbox), [("one.db".into(), rows), ("two.db".into(), rows)]);

    // One more window, and what was marked is emitted with it.
    sandbox.replay(&events[200..201], &TWO_GRAPHS);
    assert_eq!(pending(&sandbox), [("one.db".into(), 0), ("two.db".into(), 0)]);

    let two = name_of(&sandbox, "two.db");
    assert!(sandbox.succeed(&["republish", "--forget", &two]).contains("is forgotten"));
    sandbox.replay(&events[201..300], &TWO_GRAPHS[..2]);
    assert_eq!(pending(&sandbox), [("one.db".into(), 0)]);

    let output = sandbox.run(&["republish", "--forget", &two]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not on the list of sqlite:trailgraph.db, which has: sqlite:"), "{}", said(&output));
}
