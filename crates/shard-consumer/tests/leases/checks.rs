//! What every store promises to one worker after another.

use shard_consumer::{Change, Lease, LeaseStore, Position, Written};

use crate::World;
use crate::world::{SHARD, after, checkpoint, land, lease, row};

/// Every change, with and without what it may carry.
fn changes() -> Vec<Change> {
    let beyond = checkpoint(after("49590338271490256608559692538361571095921575989136588898"), &[]);
    let end = checkpoint(Position::ShardEnd, &["shardId-000000000007", "shardId-000000000008"]);
    let since = checkpoint(Position::AtTimestamp(1_700_000_000_123), &[]);
    vec![
        Change::Take { owner: "third".into() },
        Change::Take { owner: "old".into() },
        Change::Renew { checkpoint: None, throughput_kbps: None },
        Change::Renew { checkpoint: beyond, throughput_kbps: Some(17) },
        Change::Renew { checkpoint: end.clone(), throughput_kbps: None },
        Change::Renew { checkpoint: since, throughput_kbps: None },
        Change::Ask { owner: "third".into() },
        Change::Ask { owner: "new".into() },
        Change::Release { checkpoint: None },
        Change::Release { checkpoint: end },
        Change::Rewind { position: Position::TrimHorizon },
        Change::Rewind { position: Position::AtTimestamp(-5) },
    ]
}

/// A row that nobody owns, one that is held, one that changes hands, and one that goes to who has it.
fn rows() -> [Lease; 4] {
    let fresh = Lease { start_timestamp_ms: Some(7), ..lease(SHARD) };
    let held = Lease { owner: Some("old".into()), counter: 41, ..fresh.clone() };
    let leaving = Lease { owner: Some("new".into()), checkpoint_owner: Some("old".into()), ..held.clone() };
    let circling = Lease { checkpoint_owner: Some("new".into()), ..leaving.clone() };
    [fresh, held, leaving, circling]
}

/// The row alone, as the store has it.
async fn only(store: &dyn LeaseStore, lease: &Lease) -> Lease {
    if let Some(former) = store.list().await.unwrap().leases.first() {
        assert!(store.delete(former).await.unwrap());
    }
    assert!(store.create(lease).await.unwrap());
    row(store, lease.shard.as_str()).await
}

pub(crate) async fn a_row_is_read_as_it_was_written_and_created_only_once(world: &World) {
    let (one, other) = (world.store().await, world.store().await);
    assert_eq!(one.list().await.unwrap(), shard_consumer::LeaseTable::default());
    let parents = vec!["shardId-000000000000".into(), "shardId-000000000001".into()];
    let row = Lease {
        owner: Some("worker".into()),
        checkpoint_owner: Some("former".into()),
        counter: 1 << 60,
        children: vec!["shardId-000000000005".into()],
        hash_keys: Some(("0".into(), "340282366920938463463374607431768211455".into())),
        ..Lease::unowned("shardId-000000000002".into(), Position::AtTimestamp(-5), parents)
    };
    assert!(one.create(&row).await.unwrap());
    assert!(!other.create(&lease("shardId-000000000002")).await.unwrap());
    let bare = lease("shardId-000000000001");
    assert!(other.create(&bare).await.unwrap());
    assert_eq!(other.list().await.unwrap().leases, [bare, row]);
}

pub(crate) async fn every_change_leaves_the_row_that_apply_says(world: &World) {
    let (one, other) = (world.store().await, world.store().await);
    for before in rows() {
        for change in changes() {
            let seen = only(&*one, &before).await;
            assert_eq!(seen, before);
            let mut expected = before.clone();
            expected.apply(&change);
            assert_eq!(land(&*other, &seen, &change).await, expected, "{change:?} of {before:?}");
        }
    }
}

pub(crate) async fn every_change_of_any_other_row_is_refused_and_told_the_one_that_is_there(world: &World) {
    let (one, other) = (world.store().await, world.store().await);
    for before in rows() {
        let is = only(&*one, &before).await;
        let somebody = || Some("somebody".to_owned());
        let mut wrong = vec![
            Lease { counter: is.counter + 1, ..is.clone() },
            Lease { counter: is.counter.saturating_sub(7) + 2, ..is.clone() },
            Lease { owner: somebody(), ..is.clone() },
            Lease { checkpoint_owner: somebody(), ..is.clone() },
        ];
        if is.owner.is_some() {
            wrong.push(Lease { owner: None, ..is.clone() });
        }
        if is.checkpoint_owner.is_some() {
            wrong.push(Lease { checkpoint_owner: None, ..is.clone() });
        }
        for wrong in wrong {
            for change in changes() {
                let written = other.update(&wrong, &change).await.unwrap();
                assert_eq!(written, Written::Refused(Some(Box::new(is.clone()))), "{change:?} of {wrong:?}");
            }
            assert!(!other.delete(&wrong).await.unwrap(), "{wrong:?}");
        }
        assert_eq!(row(&*one, SHARD).await, is);
    }
}

pub(crate) async fn a_change_of_a_row_that_is_gone_is_refused_and_makes_none(world: &World) {
    let store = world.store().await;
    for gone in rows() {
        for change in changes() {
            assert_eq!(store.update(&gone, &change).await.unwrap(), Written::Refused(None), "{change:?} of {gone:?}");
        }
        assert!(!store.delete(&gone).await.unwrap());
    }
    assert_eq!(store.list().await.unwrap().leases, []);
}

pub(crate) async fn a_row_is_deleted_only_as_it_was_seen(world: &World) {
    let (one, other) = (world.store().await, world.store().await);
    let seen = only(&*one, &lease(SHARD)).await;
    let held = land(&*other, &seen, &Change::Take { owner: "other".into() }).await;
    assert!(!one.delete(&seen).await.unwrap());
    assert!(one.delete(&held).await.unwrap());
    assert!(!one.delete(&held).await.unwrap());
    assert_eq!(other.list().await.unwrap().leases, []);
}

pub(crate) async fn asking_leaves_the_counter_and_only_the_holder_renews(world: &World) {
    let (old, new) = (world.store().await, world.store().await);
    let renew = Change::Renew { checkpoint: None, throughput_kbps: None };
    let fresh = only(&*old, &lease(SHARD)).await;
    let held = land(&*old, &fresh, &Change::Take { owner: "old".into() }).await;
    let asked = land(&*new, &held, &Change::Ask { owner: "new".into() }).await;
    assert_eq!((asked.counter, asked.holder()), (held.counter, Some("old")));

    // The holder learns of it by its next renewal, and renews on as the checkpoint owner.
    assert_eq!(old.update(&held, &renew).await.unwrap(), Written::Refused(Some(Box::new(asked.clone()))));
    let renewed = land(&*old, &asked, &renew).await;
    assert_eq!((renewed.counter, renewed.holder()), (held.counter + 1, Some("old")));
}

pub(crate) async fn a_release_while_handing_over_gives_the_lease_to_the_worker_that_asked(world: &World) {
    let (old, new) = (world.store().await, world.store().await);
    let fresh = only(&*old, &lease(SHARD)).await;
    let held = land(&*old, &fresh, &Change::Take { owner: "old".into() }).await;
    let asked = land(&*new, &held, &Change::Ask { owner: "new".into() }).await;
    let last = Change::Release { checkpoint: checkpoint(after("23"), &[]) };
    let given = land(&*old, &asked, &last).await;
    assert_eq!((given.owner.as_deref(), given.checkpoint_owner.as_deref()), (Some("new"), None));
    assert_eq!((given.counter, &given.checkpoint), (asked.counter + 1, &after("23")));

    let free = land(&*new, &given, &Change::Release { checkpoint: None }).await;
    assert_eq!((free.owner, free.counter, free.checkpoint), (None, given.counter + 1, after("23")));
}

pub(crate) async fn a_checkpoint_keeps_the_children_until_it_names_others(world: &World) {
    let store = world.store().await;
    let mut row = only(&*store, &Lease { owner: Some("me".into()), ..lease(SHARD) }).await;
    for (position, named, kept) in [
        (after("1"), &["shardId-000000000003"][..], &["shardId-000000000003"][..]),
        (after("2"), &[], &["shardId-000000000003"]),
        (
            Position::ShardEnd,
            &["shardId-000000000004", "shardId-000000000005"],
            &["shardId-000000000004", "shardId-000000000005"],
        ),
    ] {
        let renew = Change::Renew { checkpoint: checkpoint(position, named), throughput_kbps: None };
        row = land(&*store, &row, &renew).await;
        let children: Vec<_> = row.children.iter().map(|child| child.as_str()).collect();
        assert_eq!(children, kept);
    }
}

pub(crate) async fn every_position_comes_back(world: &World) {
    let (one, other) = (world.store().await, world.store().await);
    let long = "49590338271490256608559692538361571095921575989136588898";
    for position in [
        Position::TrimHorizon,
        Position::Latest,
        Position::AtUnknownTime,
        Position::AtTimestamp(1_700_000_000_123),
        Position::After { sequence: long.into(), sub_sequence: 0 },
        Position::After { sequence: "0".into(), sub_sequence: 9_223_372_036_854_775_807 },
        Position::ShardEnd,
    ] {
        let created = only(&*one, &Lease::unowned(SHARD.into(), position.clone(), vec![])).await;
        assert_eq!(created.checkpoint, position);
        let reset = only(&*one, &lease(SHARD)).await;
        let rewound = land(&*other, &reset, &Change::Rewind { position: position.clone() }).await;
        assert_eq!((&rewound.checkpoint, rewound.start_timestamp_ms), (&position, position.timestamp_ms()));
    }
}
