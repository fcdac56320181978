use std::fs;
use std::path::Path;

use super::*;
use crate::record::{Epoch, Position};

async fn open(path: &Path) -> SqliteLeases {
    SqliteLeases::open(path, "app", "stream").await.unwrap()
}

fn lease(shard: &str) -> Lease {
    Lease::unowned(ShardId::from(shard), Position::TrimHorizon, vec![])
}

fn after(sequence: &str) -> Position {
    Position::After { sequence: sequence.into(), sub_sequence: 3 }
}

fn take(owner: &str) -> Change {
    Change::Take { owner: owner.into() }
}

fn checkpoint(sequence: &str, children: &[&str]) -> Change {
    Change::Checkpoint { position: after(sequence), children: children.iter().map(|child| (*child).into()).collect() }
}

async fn the_one(leases: &SqliteLeases) -> Lease {
    leases.list().await.unwrap().remove(0)
}

/// Makes the row and takes it.
async fn taken(leases: &SqliteLeases, owner: &str) -> Lease {
    assert!(leases.create(&lease("shard-0")).await.unwrap());
    let seen = the_one(leases).await;
    assert_eq!(leases.update(&seen, &take(owner)).await.unwrap(), Written::Landed);
    the_one(leases).await
}

async fn refusal(path: &Path) -> String {
    let error = SqliteLeases::open(path, "app", "stream").await.err().expect("the file should be refused");
    assert!(matches!(error, SourceError::Configuration(_)), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn a_row_is_read_as_it_was_written_and_created_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let leases = open(&dir.path().join("leases.db")).await;
    let mut row = Lease::unowned(ShardId::from("shard-2"), Position::AtTimestamp(-5), vec!["shard-0".into()]);
    row.parents.push("shard-1".into());
    row.hash_keys = Some(("0".into(), "340282366920938463463374607431768211455".into()));

    assert!(leases.create(&row).await.unwrap());
    assert!(!leases.create(&lease("shard-2")).await.unwrap());
    assert_eq!(leases.list().await.unwrap(), [row.clone()]);

    leases.delete(&row.shard).await.unwrap();
    assert_eq!(leases.list().await.unwrap(), []);
    assert_eq!(leases.update(&row, &Change::Renew).await.unwrap(), Written::Refused(None));
}

#[tokio::test]
async fn the_file_is_shared_by_a_log_and_every_commit_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let leases = open(&dir.path().join("leases.db")).await;
    let sqlite = leases.shared.connection.lock().unwrap();
    let pragma = |name: &str| sqlite.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
    assert_eq!(pragma("synchronous"), Ok(2));
    assert_eq!(sqlite.query_row("PRAGMA journal_mode", [], |row| row.get(0)), Ok("wal".to_owned()));
}

#[tokio::test]
async fn every_write_moves_the_counter_and_a_checkpoint_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let leases = open(&dir.path().join("leases.db")).await;
    let held = taken(&leases, "me").await;
    assert_eq!((held.counter, held.owner.as_deref()), (1 as Epoch, Some("me")));

    assert_eq!(leases.update(&held, &Change::Renew).await.unwrap(), Written::Landed);
    let held = the_one(&leases).await;
    let end = checkpoint("495", &["shard-7", "shard-8"]);
    assert_eq!(leases.update(&held, &end).await.unwrap(), Written::Landed);
    let held = the_one(&leases).await;
    let written = Lease { owner: Some("me".into()), counter: 3, checkpoint: after("495"), ..lease("shard-0") };
    assert_eq!(held, Lease { children: vec!["shard-7".into(), "shard-8".into()], ..written });

    assert_eq!(leases.update(&held, &Change::Release).await.unwrap(), Written::Landed);
    assert_eq!((the_one(&leases).await.owner, the_one(&leases).await.counter), (None, 4));
}

#[tokio::test]
async fn whoever_names_a_former_counter_or_owner_is_refused_and_told_the_row() {
    let dir = tempfile::tempdir().unwrap();
    let leases = open(&dir.path().join("leases.db")).await;
    let held = taken(&leases, "me").await;
    let late = Lease { counter: 0, ..held.clone() };
    let other = Lease { owner: Some("other".into()), ..held.clone() };
    for wrong in [late, other] {
        for change in [take("third"), Change::Renew, checkpoint("1", &[]), Change::Release] {
            assert_eq!(leases.update(&wrong, &change).await.unwrap(), Written::Refused(Some(held.clone())));
        }
    }
    assert_eq!(the_one(&leases).await, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_make_the_file_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    let opened = futures::future::join_all((0..8).map(|_| open(&path))).await;
    let created = futures::future::join_all(opened.iter().map(async |leases| leases.create(&lease("shard-0")).await));
    assert_eq!(created.await.into_iter().filter(|created| *created.as_ref().unwrap()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_workers_that_race_for_a_lease_exactly_one_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    let (a, b) = tokio::join!(open(&path), open(&path));
    a.create(&lease("shard-0")).await.unwrap();
    for round in 0..50 {
        let seen = the_one(&a).await;
        let (by_a, by_b) = tokio::join!(
            tokio::spawn({
                let (a, seen) = (a.clone(), seen.clone());
                async move { a.update(&seen, &take("a")).await.unwrap() }
            }),
            tokio::spawn({
                let (b, seen) = (b.clone(), seen.clone());
                async move { b.update(&seen, &take("b")).await.unwrap() }
            }),
        );
        let (by_a, by_b) = (by_a.unwrap(), by_b.unwrap());
        assert_ne!(by_a, by_b, "round {round}");
        let winner = if by_a == Written::Landed { "a" } else { "b" };
        let row = the_one(&b).await;
        assert_eq!((row.owner.as_deref(), row.counter), (Some(winner), seen.counter + 1));
    }
}

#[tokio::test]
async fn calls_made_at_once_on_a_locked_file_wait_for_it_together_not_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    let leases = open(&path).await;
    let held = taken(&leases, "me").await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = Instant::now();
    let renewals = futures::future::join_all((0..20).map(|_| leases.update(&held, &Change::Renew)));
    assert!(renewals.await.iter().all(Result::is_err));
    assert!(asked.elapsed() < file::WAIT_MOST * 10, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn one_file_holds_the_leases_of_several_streams_and_applications_and_an_arn_is_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    open(&path).await.create(&lease("shard-0")).await.unwrap();
    for (app, stream, rows) in [
        ("app", "stream", 1),
        ("app", "arn:aws:kinesis:us-east-1:123456789012:stream/stream", 1),
        ("app", "other", 0),
        ("other", "stream", 0),
    ] {
        let leases = SqliteLeases::open(&path, app, stream).await.unwrap();
        assert_eq!(leases.list().await.unwrap().len(), rows, "{app} on {stream}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_the_mend() {
    let dir = tempfile::tempdir().unwrap();

    let text = dir.path().join("notes.txt");
    fs::write(&text, "no database, and longer than the header of one would have to be: ".repeat(4)).unwrap();
    let said = refusal(&text).await;
    assert!(said.contains("notes.txt") && said.contains("not a SQLite database"), "{said}");

    let nowhere = dir.path().join("missing/leases.db");
    let said = refusal(&nowhere).await;
    assert!(said.contains("missing/leases.db") && said.contains("must exist and be writable"), "{said}");

    let newer = dir.path().join("newer.db");
    drop(open(&newer).await);
    Connection::open(&newer).unwrap().execute("UPDATE lease_meta SET value = 99", []).unwrap();
    let said = refusal(&newer).await;
    assert!(said.contains("newer.db") && said.contains("99") && said.contains("run the version"), "{said}");
}
