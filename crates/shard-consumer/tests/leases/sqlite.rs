//! What is particular to the file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rusqlite::Connection;
use shard_consumer::{Change, Lease, LeaseStore, SourceError, SqliteLeases};

use crate::world::{SHARD, land, lease, row};

async fn open(path: &Path) -> SqliteLeases {
    SqliteLeases::open(path, "app", "stream").await.unwrap()
}

async fn refusal(path: &Path) -> String {
    let error = SqliteLeases::open(path, "app", "stream").await.err().expect("the file should be refused");
    assert!(matches!(error, SourceError::Configuration(_)), "{error:?}");
    error.to_string()
}

/// The tables of schema version 1, with a row that is held.
fn file_of_version_1(path: &Path) {
    let sqlite = Connection::open(path).unwrap();
    sqlite
        .execute_batch(
            "CREATE TABLE lease_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             INSERT INTO lease_meta VALUES ('schema_version', 1);
             CREATE TABLE leases (
                 app TEXT NOT NULL,
                 stream TEXT NOT NULL,
                 shard TEXT NOT NULL,
                 owner TEXT,
                 counter INTEGER NOT NULL,
                 checkpoint TEXT NOT NULL,
                 checkpoint_sub_sequence INTEGER NOT NULL,
                 start_timestamp_ms INTEGER,
                 parents TEXT NOT NULL,
                 children TEXT NOT NULL,
                 starting_hash_key TEXT,
                 ending_hash_key TEXT,
                 PRIMARY KEY (app, stream, shard)
             ) STRICT, WITHOUT ROWID;
             INSERT INTO leases VALUES
                 ('app', 'stream', 'shardId-000000000000', 'me', 4, '23', 3, NULL, '', '', '0', '99');",
        )
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_version_1_goes_on_also_when_many_open_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    file_of_version_1(&path);
    let stores = join_all((0..8).map(|_| open(&path))).await;
    let was = row(&stores[0], SHARD).await;
    let hash_keys = Some(("0".into(), "99".into()));
    let expected = Lease { owner: Some("me".into()), counter: 4, hash_keys, ..lease(SHARD) };
    assert_eq!(was, Lease { checkpoint: crate::world::after("23"), ..expected });
    let asked = land(&stores[1], &was, &Change::Ask { owner: "other".into() }).await;
    assert_eq!(asked.checkpoint_owner.as_deref(), Some("me"));
    drop(stores);
    assert_eq!(row(&open(&path).await, SHARD).await, asked);
}

#[tokio::test]
async fn a_reader_of_the_file_does_not_hold_up_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    let leases = open(&path).await;
    assert!(leases.create(&lease(SHARD)).await.unwrap());
    let reader = Connection::open(&path).unwrap();
    assert_eq!(reader.query_row("PRAGMA journal_mode", [], |row| row.get(0)), Ok("wal".to_owned()));
    reader.execute_batch("BEGIN; SELECT count(*) FROM leases;").unwrap();
    let seen = row(&leases, SHARD).await;
    land(&leases, &seen, &Change::Take { owner: "me".into() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_made_at_once_on_a_locked_file_wait_for_it_together_not_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    let leases = open(&path).await;
    assert!(leases.create(&lease(SHARD)).await.unwrap());
    let seen = row(&leases, SHARD).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let renew = Change::Renew { checkpoint: None, throughput_kbps: None };
    let asked = Instant::now();
    let renewals = join_all((0..20).map(|_| leases.update(&seen, &renew))).await;
    assert!(renewals.iter().all(Result::is_err));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    land(&leases, &seen, &renew).await;
}

#[tokio::test]
async fn one_file_holds_the_leases_of_several_streams_and_applications_and_an_arn_is_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    open(&path).await.create(&lease(SHARD)).await.unwrap();
    for (app, stream, rows) in [
        ("app", "stream", 1),
        ("app", "arn:aws:kinesis:us-east-1:123456789012:stream/stream", 1),
        ("app", "other", 0),
        ("other", "stream", 0),
    ] {
        let leases = SqliteLeases::open(&path, app, stream).await.unwrap();
        assert_eq!(leases.list().await.unwrap().leases.len(), rows, "{app} on {stream}");
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_holds_back_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("leases.db");
    let leases = open(&path).await;
    let good = lease("shardId-000000000001");
    for lease in [&lease(SHARD), &good] {
        assert!(leases.create(lease).await.unwrap());
    }
    let broken = row(&leases, SHARD).await;
    let sql = "UPDATE leases SET checkpoint = 'NOON' WHERE shard = ?1";
    Connection::open(&path).unwrap().execute(sql, [SHARD]).unwrap();

    let listed = leases.list().await.unwrap();
    assert_eq!(listed.leases, [good]);
    let [unreadable] = &listed.unreadable[..] else { panic!("{listed:?}") };
    assert_eq!(unreadable.shard.as_str(), SHARD);
    assert!(unreadable.why.contains("\"NOON\"") && unreadable.why.contains("set it to"), "{}", unreadable.why);

    let error = leases.update(&broken, &Change::Take { owner: "me".into() }).await.unwrap_err().chain();
    assert!(error.contains(SHARD) && error.contains("leases.db") && error.contains("NOON"), "{error}");
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
