use std::time::Duration;

use clap::Parser;
use shard_consumer::{Leader, ShardId, UnreadableLease};

use super::*;
use crate::cli::{Cli, Command, LeasesCommand};

fn args(flags: &[&str]) -> LeaseArgs {
    let cli = Cli::try_parse_from([&["trailgraph", "leases", "show", "--stream", "cloudtrail"], flags].concat());
    match cli.unwrap().command {
        Command::Leases(leases) => match leases.command {
            LeasesCommand::Show { leases, .. } => leases,
            LeasesCommand::Rewind { .. } => panic!("not a rewind"),
        },
        other => panic!("{other:?}"),
    }
}

fn lease(shard: &str, owner: Option<&str>, checkpoint: Position) -> Lease {
    let mut lease = Lease::unowned(ShardId::from(shard), checkpoint, Vec::new());
    lease.owner = owner.map(String::from);
    lease
}

fn after(sequence: &str, sub_sequence: u64) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence }
}

fn table() -> LeaseTable {
    let mut leaving = lease("shard-1", Some("new"), after("4959", 7));
    leaving.checkpoint_owner = Some("old".into());
    leaving.counter = 12;
    let mut child = lease("shard-3", None, Position::AtTimestamp(1_772_366_400_250));
    child.parents = vec![ShardId::from("shard-0"), ShardId::from("shard-1")];
    LeaseTable {
        leases: vec![
            lease("shard-0", Some("new"), Position::ShardEnd),
            leaving,
            child,
            lease("shard-4", Some("w\u{1b}[2J"), Position::Latest),
        ],
        unreadable: vec![UnreadableLease {
            shard: ShardId::from("shard-2"),
            why: "checkpoint \"x\" is no position".into(),
        }],
        leader: Some(Leader { name: "kcl-1".into(), beat: "b7".into(), lasts: Duration::from_secs(120) }),
    }
}

#[test]
fn each_shard_is_a_line_with_its_state_holder_and_position() {
    let expected = r#"shard    state                owner        position                  counter  parents
shard-0  finished             new          shard-end                 0        -
shard-1  handing over to new  old          4959.7                    12       -
shard-2  unreadable           -            -                         -        -
shard-3  unowned              -            2026-03-01T12:00:00.25Z   0        shard-0 shard-1
shard-4  reading              w\u{1b}[2J  latest                    0        -
shard-2 is unreadable: checkpoint "x" is no position
"#;
    let words = |text: &str| {
        text.lines().map(|line| line.split_whitespace().map(String::from).collect()).collect::<Vec<Vec<_>>>()
    };
    assert_eq!(words(&as_text(&table())), words(expected));
}

#[test]
fn the_summary_counts_leases_by_owner_and_names_a_leader() {
    assert_eq!(
        summary(&args(&[]), &table()),
        "4 leases, 1 finished, 1 unowned, 1 unreadable, old holds 1, w\\u{1b}[2J holds 1, \
         a leader of the Kinesis Client Library has been here: kcl-1"
    );
}

#[test]
fn an_empty_table_is_said_to_be_empty_with_the_flags_that_name_it() {
    for (flags, named) in [
        (&["--app-name", "other"][..], "--leases sqlite:trailgraph.db of --app-name other on --stream cloudtrail"),
        (&["--leases", "dynamodb:leases"], "--leases dynamodb:leases:"),
    ] {
        let said = summary(&args(flags), &LeaseTable::default());
        assert!(said.starts_with(&format!("no leases in {named}")), "{said}");
    }
    assert_eq!(as_text(&LeaseTable::default()), "");
}

#[test]
fn the_document_holds_everything_that_the_table_tells() {
    let document: Value = serde_json::from_str(&as_json(&args(&[]), &table()).unwrap()).unwrap();
    assert_eq!(document["leases"][1]["state"], "handing_over");
    assert_eq!(
        (&document["leases"][1]["owner"], &document["leases"][1]["checkpointOwner"]),
        (&json!("new"), &json!("old"))
    );
    assert_eq!(
        document["leases"][1]["position"],
        json!({"kind": "after", "sequenceNumber": "4959", "subSequenceNumber": 7})
    );
    assert_eq!(document["leases"][2]["position"], json!({"kind": "at-timestamp", "time": "2026-03-01T12:00:00.25Z"}));
    assert_eq!(document["unreadable"][0]["shard"], "shard-2");
    assert_eq!(document["leader"], json!({"name": "kcl-1", "beat": "b7", "lastsSeconds": 120.0}));
}
