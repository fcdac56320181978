//! The state is a join-semilattice: order, duplicates, grouping and storage do not matter.

use std::sync::Arc;

use bucket_state::AccountLevel::Silent;
use bucket_state::{
    Change, Event, Facet, Origin, Owner, Parsed, Parser, ResourceId, ResourceState, Setting, Stamp, TagChange, project,
};
use proptest::prelude::*;
use proptest::sample::Index;

const FACETS: [Facet; 3] = [Facet::Policy, Facet::Acl, Facet::Tags];

/// A body can only come from a record, so the ones used here are parsed from one.
fn body(text: &str) -> Setting {
    let record = serde_json::json!({
        "eventSource": "s3.amazonaws.com", "eventName": "PutBucketPolicy", "eventTime": "2026-01-01T00:00:00Z",
        "eventID": "e", "awsRegion": "eu-west-1", "recipientAccountId": "111122223333",
        "requestParameters": {"bucketName": "ledger", "bucketPolicy": {"Statement": text}},
    });
    let mut found = None;
    Parser::default().parse(record.to_string().as_bytes(), i64::MAX / 2, &mut |parsed| {
        if let Parsed::Event(Event { change: Change::Write(_, setting), .. }) = parsed {
            found = Some(setting);
        }
    });
    found.expect("a policy was put")
}

fn setting() -> impl Strategy<Value = Setting> {
    let bodies = [body("one"), body("two")];
    prop_oneof![
        Just(Setting::Cleared),
        Just(Setting::Unknown(bucket_state::Unknown::Omitted)),
        proptest::sample::select(bodies.to_vec()),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let key = proptest::sample::select(vec!["a", "b", "c"]);
    let value = proptest::option::of(proptest::sample::select(vec!["1", "2"]));
    let tag = (key, value).prop_map(|(key, value)| TagChange { key: key.into(), value: value.map(Into::into) });
    prop_oneof![
        1 => Just(Change::Delete),
        1 => (any::<bool>(), setting()).prop_map(|(proves_new, acl)| Change::Create { writes: vec![(Facet::Acl, acl)], proves_new }),
        4 => (proptest::sample::select(FACETS.to_vec()), setting()).prop_map(|(facet, setting)| Change::Write(facet, setting)),
        2 => proptest::collection::vec(tag, 1..3).prop_map(Change::Tags),
    ]
}

/// Events crowded into a few seconds and milliseconds; every identity has one stamp, as in CloudTrail.
fn history() -> impl Strategy<Value = Vec<Event>> {
    let stamp = (0..4_i64, proptest::option::of(0..3_i64));
    let actor = proptest::option::of(proptest::sample::select(vec!["arn:aws:iam::111122223333:user/ada", "AROA:ada"]));
    let account = proptest::sample::select(vec!["111122223333", "444455556666"]);
    let owner = (any::<bool>(), account).prop_map(|(named, account)| Owner { named, account: account.into() });
    let event = (stamp, change(), actor, proptest::option::of(owner), any::<bool>());
    proptest::collection::vec(event, 1..24).prop_map(|events| {
        let mut history: Vec<Event> = Vec::new();
        for (number, ((second, millis), change, actor, owner, copies_previous)) in events.into_iter().enumerate() {
            let previous = history.last().filter(|_| copies_previous).map(|event| event.origin.stamp.clone());
            let fresh = || Stamp {
                second,
                millis: millis.map(|millis| second * 1_000 + millis),
                identity: format!("{:02}", (number * 7) % 24).into(),
            };
            let stamp = previous.unwrap_or_else(fresh);
            let origin = Origin { stamp, actor: actor.map(Into::into), event_id: format!("event-{number}").into() };
            history.push(Event {
                resource: ResourceId::bucket("eu-west-1", "b"),
                name: "PutBucketPolicy",
                origin: Arc::new(origin),
                region: if number % 5 == 0 { "us-east-1".into() } else { "eu-west-1".into() },
                owner,
                recipient: "111122223333".into(),
                change,
            });
        }
        history
    })
}

/// A creation or a change of single tags, numbered.
fn numbered(number: usize, second: i64, change: Change) -> Event {
    let identity: Box<str> = format!("event-{number:04}").into();
    let stamp = Stamp { second, millis: None, identity: identity.clone() };
    Event {
        resource: ResourceId::bucket("us-east-1", "ledger"),
        name: "TagResource",
        origin: Arc::new(Origin { stamp, actor: None, event_id: identity }),
        region: "us-east-1".into(),
        owner: None,
        recipient: "111122223333".into(),
        change,
    }
}

/// More creations and more single tags than are kept, with or without a reset of either somewhere among them.
fn overflowing_history() -> impl Strategy<Value = Vec<Event>> {
    let reset = prop_oneof![Just(Change::Delete), Just(Change::Write(Facet::Tags, Setting::Cleared))];
    (any::<u64>(), 1..4_i64, proptest::option::of((0..4_i64, reset))).prop_map(|(seed, seconds, reset)| {
        let second = |number: usize| (seed.rotate_left(number as u32) % seconds.unsigned_abs()).cast_signed();
        let tag = |key: usize| TagChange { key: format!("key-{:04}", key % 1_200).into(), value: Some("1".into()) };
        let tags = (0..130).map(|number| {
            let changes = (0..10).map(|at| tag(number * 10 + at)).collect();
            numbered(number, second(number), Change::Tags(changes))
        });
        let creation = || Change::Create { writes: vec![(Facet::Acl, Setting::Cleared)], proves_new: false };
        let creations = (200..225).map(|number| numbered(number, second(number), creation()));
        let reset = reset.map(|(second, change)| numbered(300, second, change));
        tags.chain(creations).chain(reset).collect()
    })
}

fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> ResourceState {
    let mut state = ResourceState::default();
    events.into_iter().for_each(|event| state.fold(event));
    state
}

fn merged(a: &ResourceState, b: &ResourceState) -> ResourceState {
    let mut state = a.clone();
    state.merge(b.clone());
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_with_any_duplicates_in_any_windows_gives_the_same_state(
        history in history(),
        order in proptest::collection::vec(any::<Index>(), 0..60),
        window in 1..5_usize,
    ) {
        let expected = fold(&history);
        let mut shuffled: Vec<&Event> = order.iter().map(|index| index.get(&history)).collect();
        shuffled.extend(history.iter().rev());
        prop_assert_eq!(&fold(shuffled.iter().copied()), &expected);

        let mut by_windows = ResourceState::default();
        for window in shuffled.chunks(window) {
            by_windows.merge(fold(window.iter().copied()));
        }
        prop_assert_eq!(&by_windows, &expected);

        let id = ResourceId::bucket("eu-west-1", "b");
        prop_assert_eq!(project(&id, &by_windows, Silent).digest(), project(&id, &expected, Silent).digest());
    }

    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in history(), b in history(), c in history()) {
        let (a, b, c) = (fold(&a), fold(&b), fold(&c));
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        let mut twice = merged(&a, &b);
        prop_assert!(!twice.merge(b.clone()), "merging what is already there changes nothing");
        let mut joined = a.clone();
        let changed = joined.merge(b);
        prop_assert_eq!(changed, joined != a, "merging tells whether it changed anything");
    }

    #[test]
    fn a_stored_state_is_read_back_as_it_was(history in history()) {
        let state = fold(&history);
        prop_assert_eq!(ResourceState::decode(&state.encode()).expect("just encoded"), state);
    }

    #[test]
    fn no_bytes_make_the_parser_panic_and_every_record_gets_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut answers = 0;
        Parser::default().parse(&bytes, 0, &mut |_| answers += 1);
        prop_assert!(answers >= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_exceeds_the_limits_is_forgotten_alike_however_the_work_is_split(
        history in overflowing_history(),
        parts in proptest::collection::vec(0..3_usize, 300),
    ) {
        let expected = fold(&history);
        prop_assert_eq!(&fold(history.iter().rev()), &expected);
        let part = |wanted: usize| {
            let own = history.iter().zip(&parts).filter(|(_, part)| **part == wanted).map(|(event, _)| event);
            fold(own)
        };
        let (a, b, c) = (part(0), part(1), part(2));
        prop_assert_eq!(&merged(&merged(&a, &b), &c), &expected);
        prop_assert_eq!(&merged(&a, &merged(&c, &b)), &expected);
        for part in [&a, &b, &c] {
            prop_assert_eq!(&merged(&expected, part), &expected);
            for (into, other) in [(&expected, part), (part, &expected), (&a, part)] {
                let mut joined = into.clone();
                let changed = joined.merge(other.clone());
                prop_assert_eq!(changed, joined != *into);
            }
        }
    }
}

#[test]
fn of_two_copies_of_one_call_the_one_that_tells_more_wins_whoever_made_it() {
    let told = |actor: Option<&str>, named: bool, account: &str, setting: Setting| {
        let stamp = Stamp { second: 1, millis: None, identity: "shared".into() };
        let event_id = actor.unwrap_or("z").into();
        let owner = Owner { named, account: account.into() };
        Event {
            origin: Arc::new(Origin { stamp, actor: actor.map(Into::into), event_id }),
            owner: Some(owner),
            ..numbered(0, 1, Change::Write(Facet::Versioning, setting))
        }
    };
    let ours = told(None, true, "111122223333", Setting::Cleared);
    let theirs = told(Some("zoe"), false, "444455556666", Setting::Unknown(bucket_state::Unknown::Omitted));
    for copies in [[&ours, &theirs], [&theirs, &ours]] {
        let snapshot = project(&ours.resource, &fold(copies), Silent);
        let bucket = &snapshot.entities[0].0;
        assert_eq!((&bucket["accountId"], &bucket["versioningEnabled"]), (&"111122223333".into(), &false.into()));
    }
}
