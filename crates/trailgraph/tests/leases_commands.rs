//! `leases show` and `leases rewind` on leases that are written by hand.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use shard_consumer::{Change, Checkpoint, Lease, LeaseStore, Position, ShardId, SqliteLeases, Written};
use support::Sandbox;
use support::stream::after;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

const NOON: i64 = 1_772_366_400_000;
const SHORT: [&str; 2] = ["--failover-after", "500ms"];

async fn leases(sandbox: &Sandbox) -> SqliteLeases {
    SqliteLeases::open(sandbox.path("trailgraph.db"), "trailgraph", "cloudtrail").await.unwrap()
}

async fn update(leases: &SqliteLeases, seen: &mut Lease, change: Change) {
    assert_eq!(leases.update(seen, &change).await.unwrap(), Written::Landed);
    seen.apply(&change);
}

/// A parent that is read to its end, and two children of it: one that `worker-a` reads, and one that nobody reads.
async fn split(sandbox: &Sandbox) -> SqliteLeases {
    let leases = leases(sandbox).await;
    let [parent, child, other] = ["shard-0", "shard-1", "shard-2"].map(ShardId::from);
    let owned = async |shard: &ShardId, parents: Vec<ShardId>, position: Position| {
        let mut lease = Lease::unowned(shard.clone(), Position::TrimHorizon, parents);
        assert!(leases.create(&lease).await.unwrap());
        update(&leases, &mut lease, Change::Take { owner: "worker-a".into() }).await;
        let checkpoint = Some(Checkpoint { position, children: Vec::new() });
        update(&leases, &mut lease, Change::Renew { checkpoint, throughput_kbps: None }).await;
    };
    owned(&parent, Vec::new(), Position::ShardEnd).await;
    owned(&child, vec![parent.clone()], after("4959")).await;
    assert!(leases.create(&Lease::unowned(other, Position::AtTimestamp(NOON), vec![parent])).await.unwrap());
    leases
}

fn command(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    sandbox.run(&[&["leases"], arguments, &["--stream", "cloudtrail"]].concat())
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

async fn positions(leases: &SqliteLeases) -> Vec<Position> {
    leases.list().await.unwrap().leases.into_iter().map(|lease| lease.checkpoint).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_shown_with_state_owner_and_position() {
    let sandbox = Sandbox::new();
    split(&sandbox).await;
    let (code, table, summary) = said(&command(&sandbox, &["show"]));
    let expected = "\
shard    state     owner     position              counter  parents
shard-0  finished  worker-a  shard-end             2        -
shard-1  reading   worker-a  4959                  2        shard-0
shard-2  unowned   -         2026-03-01T12:00:00Z  0        shard-0
";
    assert_eq!((code, table.as_str()), (Some(0), expected));
    assert_eq!(summary, "3 leases, 1 finished, 1 unowned, worker-a holds 1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_one_document_for_other_programs() {
    let sandbox = Sandbox::new();
    split(&sandbox).await;
    let (code, text, _) = said(&command(&sandbox, &["show", "--json"]));
    assert_eq!(code, Some(0));
    let document: Value = serde_json::from_str(&text).unwrap();
    let expected = json!({
        "stream": "cloudtrail", "appName": "trailgraph", "leasesUrl": "sqlite:trailgraph.db",
        "unreadable": [], "leader": null,
        "leases": [
            {
                "shard": "shard-0", "state": "finished", "owner": "worker-a", "checkpointOwner": null, "counter": 2,
                "position": {"kind": "shard-end"}, "startedAt": null, "parents": [], "children": [], "hashKeys": null,
            },
            {
                "shard": "shard-1", "state": "reading", "owner": "worker-a", "checkpointOwner": null, "counter": 2,
                "position": {"kind": "after", "sequenceNumber": "4959", "subSequenceNumber": 0}, "startedAt": null,
                "parents": ["shard-0"], "children": [], "hashKeys": null,
            },
            {
                "shard": "shard-2", "state": "unowned", "owner": null, "checkpointOwner": null, "counter": 0,
                "position": {"kind": "at-timestamp", "time": "2026-03-01T12:00:00Z"},
                "startedAt": "2026-03-01T12:00:00Z", "parents": ["shard-0"], "children": [], "hashKeys": null,
            },
        ],
    });
    assert_eq!(document, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_leases_are_said_to_be_none_and_nothing_is_made() {
    let sandbox = Sandbox::new();
    for (flags, named) in [
        (&["show"][..], "--leases sqlite:trailgraph.db of --app-name trailgraph on --stream cloudtrail"),
        (&["show", "--app-name", "other"], "--app-name other"),
    ] {
        let (code, table, said) = said(&command(&sandbox, flags));
        assert_eq!((code, table.as_str()), (Some(0), ""));
        assert!(said.starts_with("no leases in ") && said.contains(named), "{said}");
    }
    let (code, _, refusal) = said(&command(&sandbox, &["rewind", "--to", "trim-horizon"]));
    assert_eq!(code, Some(1));
    assert!(refusal.contains("no leases in --leases sqlite:trailgraph.db"), "{refusal}");
    assert!(!sandbox.path("trailgraph.db").exists());
    leases(&sandbox).await;
    let (code, _, summary) = said(&command(&sandbox, &["show"]));
    assert_eq!(code, Some(0), "an empty file is as good as none");
    assert!(summary.starts_with("no leases in "), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_lease_is_rewound_and_the_finished_one_too() {
    let sandbox = Sandbox::new();
    let leases = split(&sandbox).await;
    let (code, table, summary) =
        said(&command(&sandbox, &[&["rewind", "--to", "2026-03-01T11:00:00.5Z"], &SHORT[..]].concat()));
    assert_eq!(code, Some(0), "{summary}");
    let expected = "\
shard    was at                is at                    was owned by
shard-0  shard-end             2026-03-01T11:00:00.5Z  worker-a
shard-1  4959                  2026-03-01T11:00:00.5Z  worker-a
shard-2  2026-03-01T12:00:00Z  2026-03-01T11:00:00.5Z  -
";
    assert_eq!(words(&table), words(expected));
    assert!(summary.contains("3 leases rewound to 2026-03-01T11:00:00.5Z"), "{summary}");
    assert!(summary.contains("warning: a sequence number does not tell its time: where shard-1 had"), "{summary}");
    let rows = leases.list().await.unwrap().leases;
    assert!(rows.iter().all(|lease| lease.checkpoint == Position::AtTimestamp(NOON - 3_599_500)), "{rows:?}");
    assert!(rows.iter().all(|lease| lease.owner.is_none()), "{rows:?}");
    assert_eq!(rows.iter().map(|lease| lease.counter).collect::<Vec<_>>(), [3, 3, 1]);

    let (code, _, summary) = said(&command(&sandbox, &["rewind", "--to", "trim-horizon"]));
    assert_eq!(
        (code, summary.as_str()),
        (Some(0), "3 leases rewound to trim-horizon\n"),
        "without owners, nothing to wait for"
    );
    assert_eq!(positions(&leases).await, vec![Position::TrimHorizon; 3]);
}

fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// Renews the lease of shard-1 as a worker does, until it is not the worker's any more.
fn renew(leases: &SqliteLeases, lost: &CancellationToken) -> AbortOnDropHandle<()> {
    let (leases, lost) = (leases.clone(), lost.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut row = leases.list().await.unwrap().leases.remove(1);
        let change = Change::Renew { checkpoint: None, throughput_kbps: None };
        while leases.update(&row, &change).await.unwrap() == Written::Landed {
            row.apply(&change);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        lost.cancel();
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewind_is_refused_while_a_worker_renews_its_lease() {
    let sandbox = Sandbox::new();
    let leases = split(&sandbox).await;
    let before = positions(&leases).await;
    let lost = CancellationToken::new();
    let worker = renew(&leases, &lost);
    let (code, table, refusal) =
        said(&command(&sandbox, &["rewind", "--to", "trim-horizon", "--failover-after", "30s"]));
    assert_eq!((code, table.as_str()), (Some(1), ""));
    assert!(
        refusal.starts_with("trailgraph: worker worker-a is alive: it has written the lease of shard-1."),
        "{refusal}"
    );
    assert!(refusal.contains("--force"), "{refusal}");
    assert_eq!(positions(&leases).await, before);
    assert!(!lost.is_cancelled());

    let (code, _, summary) = said(&command(&sandbox, &["rewind", "--to", "trim-horizon", "--force"]));
    assert_eq!((code, summary.as_str()), (Some(0), "3 leases rewound to trim-horizon\n"));
    tokio::time::timeout(Duration::from_secs(60), lost.cancelled()).await.expect("the worker finds out when it renews");
    assert_eq!(positions(&leases).await, vec![Position::TrimHorizon; 3]);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_flags_are_answered_with_their_mend() {
    let sandbox = Sandbox::new();
    split(&sandbox).await;
    for (flags, mend) in [
        (&["rewind", "--to", "2126-03-01T12:00:00Z"][..], "--to 2126-03-01T12:00:00Z: is later than now"),
        (&["rewind", "--to", "yesterday"], "expected trim-horizon, or a time such as 2026-03-01T12:00:00Z"),
        (&["rewind"], "--to <RFC3339|trim-horizon>"),
        (&["show", "--leases", "dynamodb:"], "names no table: expected dynamodb:TABLE"),
        (&["show", "--leases", "postgres:leases"], "expected sqlite:PATH or dynamodb:TABLE"),
        (&["show", "--leases", "dynamodb:leases"], "no AWS region is set: set AWS_REGION"),
    ] {
        let (code, table, refusal) = said(&command(&sandbox, flags));
        assert_eq!((code, table.as_str()), (Some(2), ""), "{flags:?}");
        assert!(refusal.contains(mend), "{flags:?}: {refusal}");
    }
    let output = sandbox.run(&["run", "--stream", "cloudtrail", "--permit-any", "--fan-out", "--app-name", "my app"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("--app-name my app: with --fan-out it names the consumer")
    );
    let output = sandbox.run(&["leases", "show"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--stream <NAME|ARN>"));
}
