//! What is particular to the table: how it is made and refused, what else lies in it, and what goes wrong on the way.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, BillingMode, ScalarAttributeType};
use futures::future::join_all;
use serde_json::{Value, json};
use shard_consumer::{Change, DynamoLeases, DynamoLeasesParams, Leader, LeaseStore, SourceError, Written};
use tokio::time::Instant;

use crate::recorded;
use crate::table::{Table, item_of};
use crate::wire::Fault;
use crate::world::{SHARD, Server, checkpoint, land, lease, row, shard};

const RENEW: Change = Change::Renew { checkpoint: None, throughput_kbps: None };

async fn refusal(table: &Table) -> String {
    let error = DynamoLeases::open(table.params()).await.err().expect("the table should be refused");
    assert!(matches!(error, SourceError::Configuration(_)), "{error:?}");
    error.to_string()
}

async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

fn says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|part| assert!(text.contains(part), "{text:?} does not say {part:?}"));
}

pub(crate) async fn workers_that_start_at_once_make_the_table_once_and_it_is_paid_for_by_request(server: Server) {
    let table = server.table().await;
    let stores = join_all((0..8).map(|_| table.open())).await;
    let lease = lease(SHARD);
    let created = join_all(stores.iter().map(|store| store.create(&lease))).await;
    assert_eq!(created.iter().filter(|created| *created.as_ref().unwrap()).count(), 1);
    let made = table.client.describe_table().table_name(&table.name).send().await.unwrap().table.unwrap();
    let billed = made.billing_mode_summary.and_then(|summary| summary.billing_mode);
    assert_eq!(billed, Some(BillingMode::PayPerRequest));
}

pub(crate) async fn a_table_that_is_no_lease_table_is_refused_with_the_mend(server: Server) {
    let (s, n) = (ScalarAttributeType::S, ScalarAttributeType::N);
    for (keys, found) in [
        (&[("key", s.clone())][..], "key (S)"),
        (&[("leaseKey", n)], "leaseKey (N)"),
        (&[("leaseKey", s.clone()), ("stream", s)], "leaseKey (S) and stream (S)"),
    ] {
        let table = server.table().await;
        table.make(&table.name, keys).await;
        says(&refusal(&table).await, &[&table.name, found, "not leaseKey (S)", "name another table"]);
    }
}

pub(crate) async fn a_table_name_that_is_none_is_refused_with_the_mend(server: Server) {
    let table = Table { name: "app/stream".into(), ..server.table().await };
    says(&refusal(&table).await, &["app/stream", "cannot be used: name another table", "ValidationException"]);
}

pub(crate) async fn a_table_of_another_stream_is_refused_and_one_without_a_name_is_claimed_by_the_first_take(
    server: Server,
) {
    let table = server.table().await;
    let store = table.open().await;
    let mut nameless = recorded::of_version_2();
    nameless["leaseKey"] = json!({"S": SHARD});
    table.put(&nameless).await;
    let seen = row(&store, SHARD).await;
    let of_another =
        || DynamoLeasesParams { stream: "arn:aws:kinesis:eu-west-1:1:stream/another".into(), ..table.params() };
    let other = DynamoLeases::open(of_another()).await.unwrap();
    land(&store, &seen, &Change::Take { owner: "me".into() }).await;
    let said = DynamoLeases::open(of_another()).await.err().unwrap().to_string();
    says(&said, &[&table.name, "leases of stream stream, not of another", "name another table"]);
    // One that was open before sees that the row is not its own.
    let listed = other.list().await.unwrap();
    assert_eq!((listed.leases.len(), listed.unreadable.len()), (0, 1));
    says(&listed.unreadable[0].why, &["stream \"stream\"", "a table of its own"]);
}

pub(crate) async fn a_table_of_several_streams_is_refused_unless_it_has_leases_of_one(server: Server) {
    let table = server.table().await;
    table.make(&table.name, &[("leaseKey", ScalarAttributeType::S)]).await;
    table.put(&recorded::of_several_streams()).await;
    says(&refusal(&table).await, &[&table.name, "several streams", "name another table"]);
    table.put(&recorded::of_version_2()).await;
    assert_eq!(table.open().await.list().await.unwrap().leases.len(), 1);
}

pub(crate) async fn a_table_of_many_pages_is_read_to_its_end(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    // A page ends at 1 MB.
    let ballast = AttributeValue::S("x".repeat(100_000));
    let puts = (0..40).map(|number| {
        let mut item = item_of(&recorded::of_version_2());
        item.insert("leaseKey".into(), AttributeValue::S(shard(number).to_string()));
        item.insert("ballast".into(), ballast.clone());
        table.client.put_item().table_name(&table.name).set_item(Some(item)).send()
    });
    join_all(puts).await.into_iter().for_each(|put| drop(put.unwrap()));
    let scans = || table.wire.calls("Scan", &table.name);
    let before = scans();
    let listed = store.list().await.unwrap();
    assert!(listed.leases.iter().map(|lease| &lease.shard).eq(&(0..40).map(shard).collect::<Vec<_>>()));
    assert!(scans() - before >= 4, "{} pages", scans() - before);
}

pub(crate) async fn what_else_lies_in_the_table_is_passed_over(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    for item in recorded::others() {
        table.put(&item).await;
    }
    table.put(&recorded::of_version_2()).await;
    let listed = store.list().await.unwrap();
    assert_eq!(listed.leases.iter().map(|lease| lease.shard.as_str()).collect::<Vec<_>>(), [SHARD]);
    assert_eq!((listed.unreadable, listed.leader), (vec![], None));
}

pub(crate) async fn a_row_that_cannot_be_read_is_named_with_the_mend_and_holds_back_no_other(server: Server) {
    let missing = Value::Null;
    for (attribute, value, said) in [
        ("checkpoint", &missing, "its attribute checkpoint is missing: set it to"),
        ("checkpoint", &json!({ "N": "23" }), "of the type N: make it a string (S)"),
        ("checkpoint", &json!({ "S": "NOON" }), "\"NOON\", which is no position: set it to"),
        ("checkpoint", &json!({ "S": "9".repeat(1_000) + "!" }), "and more, which is no position"),
        ("checkpointSubSequenceNumber", &json!({ "S": "0" }), "of the type S: make it a number (N), or remove"),
        ("checkpointSubSequenceNumber", &json!({ "N": "-1" }), "\"-1\": set it to a whole number"),
        ("leaseCounter", &json!({ "N": "4.5" }), "\"4.5\": set it to a whole number"),
        ("leaseOwner", &json!({ "L": [] }), "of the type L: make it a string (S)"),
        ("checkpointOwner", &json!({ "BOOL": true }), "of the type BOOL: make it a string (S)"),
        ("parentShardId", &json!({ "S": "shardId-000000000009" }), "of the type S: make it a set of strings (SS)"),
        ("startTimestamp", &json!({ "S": "noon" }), "of the type S: make it a number (N)"),
    ] {
        let table = server.table().await;
        let store = table.open().await;
        table.put(&recorded::of_version_2()).await;
        table.put(&recorded::of_version_3_fresh()).await;
        let held = row(&store, SHARD).await;
        let mut item = recorded::of_version_2();
        item["leaseCounter"] = json!({ "N": "5" });
        match value.is_null() {
            true => drop(item.as_object_mut().unwrap().remove(attribute)),
            false => item[attribute] = value.clone(),
        }
        table.put(&item).await;

        let listed = store.list().await.unwrap();
        assert_eq!(listed.leases.len(), 1);
        let [unreadable] = &listed.unreadable[..] else { panic!("{attribute}: {:?}", listed.unreadable) };
        assert_eq!(unreadable.shard.as_str(), SHARD);
        says(&unreadable.why, &[attribute, said]);
        assert!(unreadable.why.len() < 300);

        if attribute.ends_with("Owner") || attribute == "leaseCounter" || attribute == "checkpoint" {
            let error = store.update(&held, &RENEW).await.unwrap_err().chain();
            says(&error, &[SHARD, &table.name, said]);
        }
    }
}

pub(crate) async fn a_row_without_counters_reads_as_one_that_was_never_written(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    table.put(&json!({ "leaseKey": { "S": SHARD }, "checkpoint": { "S": "23" } })).await;
    let bare = row(&store, SHARD).await;
    assert_eq!((bare.counter, bare.owner.as_deref()), (0, None));
    let held = land(&store, &bare, &Change::Take { owner: "me".into() }).await;
    assert_eq!(held.counter, 1);
    assert_eq!(store.update(&bare, &RENEW).await.unwrap(), Written::Refused(Some(Box::new(held))));
}

pub(crate) async fn a_leader_is_seen_in_the_table_or_the_one_beside_it_until_it_steps_down(server: Server) {
    let seen = |beat: &str| {
        Some(Leader { name: "ip-10-0-1-2.example:old".into(), beat: beat.into(), lasts: Duration::from_secs(120) })
    };
    let table = server.table().await;
    let store = table.open().await;
    let beside = format!("{}-CoordinatorState", table.name);
    let asked = || table.wire.calls("GetItem", &beside);
    assert_eq!((store.list().await.unwrap().leader, asked()), (None, 1));

    table.make(&beside, &[("key", ScalarAttributeType::S)]).await;
    table.put_into(&beside, &recorded::leader("key", "beat-1")).await;
    later(20).await;
    assert_eq!((store.list().await.unwrap().leader, asked()), (None, 1));
    later(11).await;
    assert_eq!((store.list().await.unwrap().leader, asked()), (seen("beat-1"), 2));
    assert_eq!((store.list().await.unwrap().leader, asked()), (seen("beat-1"), 2));

    let mut gone = recorded::leader("key", "beat-2");
    gone["isReleased"] = json!({ "S": "1" });
    table.put_into(&beside, &gone).await;
    later(31).await;
    assert_eq!((store.list().await.unwrap().leader, asked()), (None, 3));

    // In the one table it is read with the leases.
    table.put(&recorded::leader("leaseKey", "beat-3")).await;
    later(31).await;
    assert_eq!((store.list().await.unwrap().leader, asked()), (seen("beat-3"), 3));
    let mut gone = recorded::leader("leaseKey", "beat-4");
    gone["isReleased"] = json!({ "S": "1" });
    table.put(&gone).await;
    assert_eq!(store.list().await.unwrap().leader, None);
}

pub(crate) async fn a_leader_is_believed_in_while_its_table_does_not_answer(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    let beside = format!("{}-CoordinatorState", table.name);
    table.make(&beside, &[("key", ScalarAttributeType::S)]).await;
    table.put_into(&beside, &recorded::leader("key", "beat-1")).await;
    let leader = store.list().await.unwrap().leader;
    assert!(leader.is_some());

    table.wire.fail("GetItem", Fault::Throttle);
    later(31).await;
    assert_eq!(store.list().await.unwrap().leader, leader);
    // Who has never had an answer does not guess.
    says(&table.open().await.list().await.unwrap_err().chain(), &[&beside, "read the leader", "Rate exceeded"]);
}

pub(crate) async fn without_the_permission_to_look_for_a_leader_there_is_none(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    table.wire.fail("GetItem", Fault::Deny);
    assert_eq!(store.list().await.unwrap().leader, None);
    assert_eq!(store.list().await.unwrap().leader, None);
    assert_eq!(table.wire.calls("GetItem", &format!("{}-CoordinatorState", table.name)), 1);
}

pub(crate) async fn a_denied_access_names_the_permission_and_the_table(server: Server) {
    let table = server.table().await;
    for operation in ["DescribeTable", "CreateTable", "Scan"] {
        table.wire.fail(operation, Fault::Deny);
        says(&refusal(&table).await, &[&table.name, &format!("dynamodb:{operation}")]);
        table.wire.mend();
        if operation == "CreateTable" {
            table.open().await;
        }
    }
    let store = table.open().await;
    let lease = lease(SHARD);
    for operation in ["Scan", "PutItem", "UpdateItem", "DeleteItem"] {
        table.wire.fail(operation, Fault::Deny);
        let failed = match operation {
            "Scan" => store.list().await.map(drop),
            "PutItem" => store.create(&lease).await.map(drop),
            "UpdateItem" => store.update(&lease, &RENEW).await.map(drop),
            _ => store.delete(&lease).await.map(drop),
        };
        table.wire.mend();
        says(&failed.unwrap_err().chain(), &[&table.name, &format!("dynamodb:{operation}"), "AccessDeniedException"]);
    }
}

pub(crate) async fn a_throttled_write_fails_at_once_and_the_caller_decides(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    table.wire.fail("UpdateItem", Fault::Throttle);
    let error = store.update(&lease(SHARD), &RENEW).await.unwrap_err().chain();
    says(&error, &[SHARD, &table.name, "ThrottlingException: Rate exceeded"]);
    assert_eq!(table.wire.calls("UpdateItem", &table.name), 1);
}

pub(crate) async fn a_lost_answer_is_an_error_and_the_repeat_shows_that_the_write_had_landed(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    assert!(store.create(&lease(SHARD)).await.unwrap());
    let held = land(&store, &row(&store, SHARD).await, &Change::Take { owner: "me".into() }).await;
    let before = table.wire.calls("UpdateItem", &table.name);
    let reach = checkpoint(crate::world::after("9"), &[]);
    let renew = Change::Renew { checkpoint: reach, throughput_kbps: None };
    table.wire.fail("UpdateItem", Fault::LoseAnswer);
    says(&store.update(&held, &renew).await.unwrap_err().chain(), &[SHARD, &table.name, "the connection was reset"]);
    assert_eq!(table.wire.calls("UpdateItem", &table.name) - before, 1, "a repeat by the client");

    table.wire.mend();
    let mut landed = held.clone();
    landed.apply(&renew);
    assert_eq!(store.update(&held, &renew).await.unwrap(), Written::Refused(Some(Box::new(landed))));
}

pub(crate) async fn a_server_that_does_not_tell_the_row_of_a_refusal_is_asked_for_it(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    let fresh = lease(SHARD);
    assert!(store.create(&fresh).await.unwrap());
    let held = land(&store, &fresh, &Change::Take { owner: "me".into() }).await;
    table.wire.fail("UpdateItem", Fault::HideItem);
    assert_eq!(store.update(&fresh, &RENEW).await.unwrap(), Written::Refused(Some(Box::new(held))));
    assert_eq!(table.wire.calls("GetItem", &table.name), 1);
}

pub(crate) async fn a_call_that_is_not_answered_ends_a_write_after_two_seconds_and_a_read_after_five(server: Server) {
    let table = server.table().await;
    let store = table.open().await;
    for operation in ["Scan", "UpdateItem"] {
        table.wire.fail(operation, Fault::Hang);
    }
    tokio::time::pause();
    let began = Instant::now();
    assert!(store.update(&lease(SHARD), &RENEW).await.is_err());
    assert_eq!(began.elapsed().as_secs(), 2);
    assert!(store.list().await.is_err());
    assert_eq!(began.elapsed().as_secs(), 7);
}
