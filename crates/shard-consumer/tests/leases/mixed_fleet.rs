//! One table, written by workers of the Kinesis Client Library and by ours in turn.

use serde_json::json;
use shard_consumer::{Change, DynamoLeases, Lease, LeaseStore, Position, Written};

use crate::kcl::{Kcl, KclLease};
use crate::recorded;
use crate::table::Table;
use crate::world::{SHARD, Server, after, checkpoint, land, lease, row};

const RENEW: Change = Change::Renew { checkpoint: None, throughput_kbps: None };

fn take(owner: &str) -> Change {
    Change::Take { owner: owner.into() }
}

/// A lease that our worker holds, in a table that a worker of the library uses, too.
async fn ours(table: &Table) -> (DynamoLeases, Lease) {
    let store = table.open().await;
    let fresh = Lease { hash_keys: Some(("0".into(), "99".into())), ..lease(SHARD) };
    assert!(store.create(&fresh).await.unwrap());
    let held = land(&store, &fresh, &take("ours")).await;
    (store, held)
}

pub(crate) async fn we_go_on_from_a_row_of_version_2_and_the_library_goes_on_from_ours(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    table.put(&recorded::of_version_2()).await;
    let kcl = Kcl { table: &table, worker: "theirs" };
    let was = row(&store, SHARD).await;
    let position = Position::After { sequence: "23".into(), sub_sequence: 0 };
    assert_eq!((was.counter, &was.checkpoint, was.parents.len()), (4, &position, 0));
    assert_eq!(was.hash_keys, Some(("0".into(), "170141183460469231731687303715884105727".into())));
    assert_eq!(was.holder(), Some("0d5f7a52-7d5c-4f0a-9d5a-2c8f8d0f7b11"));

    let held = land(&store, &was, &take("ours")).await;
    assert_eq!(kcl.read(SHARD).await.switches, 1);
    let renew = Change::Renew { checkpoint: checkpoint(after("42"), &[]), throughput_kbps: Some(9) };
    let held = land(&store, &held, &renew).await;
    land(&store, &held, &Change::Release { checkpoint: None }).await;

    let theirs = kcl.read(SHARD).await;
    let expected = KclLease {
        key: SHARD.into(),
        owner: None,
        checkpoint_owner: None,
        counter: 7,
        switches: 0,
        checkpoint: ("42".into(), 3),
        pending: None,
        parents: [].into(),
        children: [].into(),
        hash_keys: Some((0, u128::MAX >> 1)),
        throughput_kbps: Some(9.0),
    };
    assert_eq!(theirs, expected);
    assert!(kcl.take(&theirs).await);
    assert!(kcl.checkpoint(&kcl.read(SHARD).await, "77", 0).await);
    let is = row(&store, SHARD).await;
    let position = Position::After { sequence: "77".into(), sub_sequence: 0 };
    assert_eq!((is.holder(), is.counter, &is.checkpoint), (Some("theirs"), 9, &position));
}

pub(crate) async fn we_go_on_from_rows_of_version_3(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    for item in [recorded::of_version_3_changing_hands(), recorded::of_version_3_finished()] {
        table.put(&item).await;
    }
    table.put(&recorded::of_version_3_fresh()).await;
    let [leaving, finished, fresh] = &store.list().await.unwrap().leases[..] else { panic!("three rows") };
    assert_eq!(leaving.holder(), Some("ip-10-0-1-2.example:old"));
    assert_eq!(leaving.owner.as_deref(), Some("ip-10-0-3-7.example:new"));
    assert!(finished.is_finished() && finished.owner.is_none());
    let children: Vec<_> = finished.children.iter().map(|child| child.as_str()).collect();
    assert_eq!(children, ["shardId-000000000002", "shardId-000000000003"]);
    assert_eq!((&fresh.parents, fresh.counter), (&finished.children, 0));

    // The prepared checkpoint goes with ours; who hands over counts as a switch since.
    let given = land(&store, leaving, &Change::Release { checkpoint: checkpoint(after("49999"), &[]) }).await;
    assert_eq!((given.holder(), given.checkpoint_owner.as_deref()), (Some("ip-10-0-3-7.example:new"), None));
    let theirs = KclLease::read(&table.get(SHARD).await);
    assert_eq!((theirs.pending, theirs.switches, theirs.counter), (None, 1, 813));
    assert_eq!(theirs.throughput_kbps, Some(103.250_125));
    assert!(!table.get(SHARD).await.contains_key("pendingCheckpointState"));
}

pub(crate) async fn the_library_reads_each_row_that_we_write(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    let parents = vec!["shardId-000000000000".into(), "shardId-000000000001".into()];
    let mut row = Lease::unowned("shardId-000000000002".into(), Position::AtTimestamp(1_700_000_000_123), parents);
    assert!(store.create(&row).await.unwrap());
    let kcl = Kcl { table: &table, worker: "theirs" };
    let mut books = vec![kcl.read("shardId-000000000002").await];
    let end = checkpoint(Position::ShardEnd, &["shardId-000000000007", "shardId-000000000008"]);
    for change in [
        take("one"),
        Change::Renew { checkpoint: None, throughput_kbps: Some(4_000) },
        take("two"),
        Change::Ask { owner: "three".into() },
        RENEW,
        Change::Release { checkpoint: None },
        Change::Renew { checkpoint: checkpoint(after("5"), &[]), throughput_kbps: None },
        Change::Rewind { position: Position::Latest },
        take("four"),
        Change::Release { checkpoint: end },
    ] {
        row = land(&store, &row, &change).await;
        books.push(kcl.read("shardId-000000000002").await);
    }
    let read: Vec<_> =
        books.iter().map(|row| (row.owner.as_deref().unwrap_or("-"), row.counter, row.switches)).collect();
    let expected = [
        ("-", 0, 0),
        ("one", 1, 0),
        ("one", 2, 0),
        ("two", 3, 1),
        ("three", 3, 1),
        ("three", 4, 1),
        ("three", 5, 2),
        ("three", 6, 0),
        ("-", 7, 0),
        ("four", 8, 0),
        ("-", 9, 0),
    ];
    assert_eq!(read, expected);
    let words: Vec<_> = books.iter().map(|row| row.checkpoint.0.as_str()).collect();
    let start = ["AT_TIMESTAMP"; 7].into_iter();
    assert_eq!(words, start.chain(["5", "LATEST", "LATEST", "SHARD_END"]).collect::<Vec<_>>());
    let last = books.last().unwrap();
    assert_eq!((last.parents.len(), last.children.len(), last.throughput_kbps), (2, 2, Some(4_000.0)));
    assert_eq!(table.get("shardId-000000000002").await["entityType"].as_s().unwrap(), "LEASE");
}

pub(crate) async fn a_lease_that_the_library_takes_is_lost_at_the_next_renewal(server: Server) {
    let table = server.table().await;
    let (store, held) = ours(&table).await;
    let kcl = Kcl { table: &table, worker: "theirs" };
    let seen = kcl.read(SHARD).await;
    let held = land(&store, &held, &RENEW).await;
    assert!(!kcl.take(&seen).await, "the lease was renewed since");
    assert!(kcl.take(&kcl.read(SHARD).await).await);

    let Written::Refused(Some(is)) = store.update(&held, &RENEW).await.unwrap() else { panic!("a renewal landed") };
    assert_eq!((is.holder(), is.counter), (Some("theirs"), held.counter + 1));
    assert!(kcl.renew(&kcl.read(SHARD).await).await);
    let theirs = kcl.read(SHARD).await;
    assert_eq!((theirs.switches, theirs.throughput_kbps), (1, Some(12.345_678)));
}

pub(crate) async fn we_hand_over_when_the_leader_of_the_library_asks_for_it(server: Server) {
    let table = server.table().await;
    let (store, held) = ours(&table).await;
    let leader = Kcl { table: &table, worker: "theirs" };
    assert!(leader.hand_off(&leader.read(SHARD).await, "theirs").await);
    assert!(!leader.hand_off(&leader.read(SHARD).await, "another").await, "it is under way");

    let Written::Refused(Some(asked)) = store.update(&held, &RENEW).await.unwrap() else { panic!("a renewal landed") };
    assert_eq!((asked.owner.as_deref(), asked.checkpoint_owner.as_deref()), (Some("theirs"), Some("ours")));
    assert_eq!(asked.counter, held.counter);
    let renewed = land(&store, &asked, &RENEW).await;
    let given = land(&store, &renewed, &Change::Release { checkpoint: checkpoint(after("8"), &[]) }).await;
    assert_eq!((given.holder(), given.checkpoint_owner.as_deref()), (Some("theirs"), None));

    let theirs = leader.read(SHARD).await;
    assert_eq!((theirs.checkpoint.0.as_str(), theirs.counter, theirs.switches), ("8", 3, 1));
    assert!(leader.renew(&theirs).await);
}

pub(crate) async fn the_library_hands_over_what_we_ask_for(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    table.put(&recorded::of_version_2()).await;
    let was = row(&store, SHARD).await;
    let old = Kcl { table: &table, worker: was.owner.as_deref().unwrap() };
    let held = old.read(SHARD).await;
    let asked = land(&store, &was, &Change::Ask { owner: "ours".into() }).await;

    // It adopts the hand-off, renews as the checkpoint owner, then assigns the lease.
    assert!(!old.renew(&held).await);
    let leaving = old.read(SHARD).await;
    assert!(old.renew(&leaving).await);
    assert!(matches!(store.update(&asked, &take("ours")).await.unwrap(), Written::Refused(Some(_))));
    assert!(old.checkpoint(&old.read(SHARD).await, "31", 0).await);
    assert!(old.assign(&old.read(SHARD).await, "ours").await);
    let given = row(&store, SHARD).await;
    assert_eq!((given.holder(), given.checkpoint_owner.as_deref(), given.counter), (Some("ours"), None, 7));
    land(&store, &given, &take("ours")).await;
}

pub(crate) async fn we_take_over_what_the_leader_of_the_library_evicts_or_assigns_again(server: Server) {
    let table = server.table().await;
    let (store, held) = ours(&table).await;
    let leader = Kcl { table: &table, worker: "theirs" };

    // A hand-off that took too long: it goes to the new owner over our head.
    assert!(leader.hand_off(&leader.read(SHARD).await, "theirs").await);
    let asked = row(&store, SHARD).await;
    assert!(leader.evict(&leader.read(SHARD).await).await);
    let late = Change::Release { checkpoint: checkpoint(after("8"), &[]) };
    let Written::Refused(Some(is)) = store.update(&asked, &late).await.unwrap() else { panic!("it landed") };
    assert_eq!((is.holder(), is.counter), (Some("theirs"), held.counter + 1));

    // Then from the new owner, too: nobody's, and ours again.
    assert!(leader.evict(&leader.read(SHARD).await).await);
    let free = row(&store, SHARD).await;
    assert_eq!(free.holder(), None);
    let held = land(&store, &free, &take("ours")).await;

    // An assignment asks for owners only, so it does not mind our renewals; we do mind it.
    let seen = leader.read(SHARD).await;
    let held = land(&store, &held, &RENEW).await;
    assert!(leader.assign(&seen, "theirs").await);
    let Written::Refused(Some(is)) = store.update(&held, &RENEW).await.unwrap() else { panic!("a renewal landed") };
    assert_eq!((is.holder(), is.counter), (Some("theirs"), held.counter + 1));
    assert!(!leader.assign(&seen, "another").await);
}

pub(crate) async fn what_others_add_to_a_row_survives_every_change(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    let end = || checkpoint(Position::ShardEnd, &["shardId-000000000007"]);
    for change in [
        take("ours"),
        Change::Renew { checkpoint: end(), throughput_kbps: Some(1) },
        Change::Ask { owner: "other".into() },
        Change::Release { checkpoint: end() },
        Change::Rewind { position: Position::TrimHorizon },
    ] {
        let mut item = recorded::of_version_3_changing_hands();
        item["incarnation"] = json!({ "M": { "of": { "L": [{ "S": "another" }, { "BOOL": true }] } } });
        table.put(&item).await;
        let before = table.get(SHARD).await;
        land(&store, &row(&store, SHARD).await, &change).await;
        let now = table.get(SHARD).await;
        for kept in ["incarnation", "entityType", "startingHashKey", "endingHashKey"] {
            assert_eq!(now[kept], before[kept], "{kept} after {change:?}");
        }
    }
}
