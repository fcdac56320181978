//! One table of checks for the fake and for the real protocol servers, so that the fake cannot drift from what clients
//! meet elsewhere. A check that a server is known to fail has to fail there: the table says what is so.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod consumers;
mod items;
mod shards;
mod worlds;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream;

/// What runs the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    InProcess,
    Tcp,
    KinesisMock,
    Ministack,
}

/// A check has a stream or a table of its own, by this name.
type Run<C> = fn(C, &'static str) -> BoxFuture<'static, ()>;

struct Check<C> {
    name: &'static str,
    run: Run<C>,
    /// Where it fails, as far as known.
    fails_on: &'static [World],
}

/// A server may refuse to create more than a few streams at once.
const AT_ONCE: usize = 4;

/// Runs the checks and names those that went against the table.
async fn run<C: Clone + Send + 'static>(world: World, client: &C, checks: &[Check<C>]) {
    let runs = stream::iter(checks).map(|check| tokio::spawn((check.run)(client.clone(), check.name)));
    let outcomes: Vec<_> = runs.buffered(AT_ONCE).collect().await;
    let mut surprises = Vec::new();
    for (check, outcome) in checks.iter().zip(outcomes) {
        let failed = outcome.is_err();
        if failed != check.fails_on.contains(&world) {
            surprises.push(format!("{} {}", check.name, if failed { "fails" } else { "passes, against the table" }));
        }
    }
    assert!(surprises.is_empty(), "on {world:?}: {surprises:#?}");
}

macro_rules! checks {
    ($($module:ident :: $check:ident $(fails on $($world:ident),+)?;)*) => {
        [$($crate::Check {
            name: stringify!($check),
            run: |client, name| Box::pin($module::$check(client, name)),
            fails_on: &[$($($crate::World::$world),+)?],
        }),*]
    };
}

fn kinesis() -> Vec<Check<aws_sdk_kinesis::Client>> {
    checks! {
        shards::iterators_begin_where_they_say;
        shards::an_iterator_at_a_time_begins_with_the_next_record;
        shards::a_reader_at_the_tip_sees_what_comes;
        shards::sequence_numbers_count_up_from_parent_to_child;
        shards::a_partition_key_chooses_the_shard;
        shards::shards_come_in_pages;
        shards::shards_are_filtered;
        shards::a_split_leaves_a_lineage;
        shards::a_parent_ends_before_its_children_begin fails on KinesisMock;
        shards::a_merge_leaves_a_lineage;
        shards::a_closed_shard_ends_with_its_children;
        shards::behind_is_told_until_the_tip;
        shards::an_unknown_stream_or_shard_is_not_found;
        shards::a_foreign_sequence_number_is_refused fails on KinesisMock;
        shards::a_garbage_iterator_is_refused fails on KinesisMock;
        shards::more_than_500_records_are_refused fails on KinesisMock;
        shards::a_bad_split_is_refused;
        consumers::a_consumer_is_registered_once;
        consumers::a_subscription_tells_what_comes;
        consumers::a_subscription_to_a_closed_shard_tells_its_children fails on KinesisMock;
        consumers::a_second_subscription_is_refused_at_first fails on KinesisMock;
    }
    .into()
}

fn dynamodb() -> Vec<Check<aws_sdk_dynamodb::Client>> {
    checks! {
        items::one_of_eight_creates_an_item;
        items::no_update_is_lost_among_eight_writers;
        items::a_failed_condition_shows_the_old_item;
        items::conditions_hold_or_fail;
        items::an_update_sees_the_item_as_it_was;
        items::an_update_makes_a_missing_item;
        items::writes_return_what_was_asked_for;
        items::a_delete_on_condition;
        items::a_scan_comes_in_pages;
        items::what_is_missing_is_not_found;
        items::a_table_is_made_once;
        items::wrong_expressions_are_refused;
        items::a_malformed_update_is_refused fails on Ministack;
        items::a_reserved_word_is_refused;
    }
    .into()
}

#[tokio::test(start_paused = true)]
async fn the_fake_in_process_does_as_the_service() {
    let fake = fake_aws::FakeAws::new();
    run(World::InProcess, &worlds::in_process(&fake).0, &kinesis()).await;
    run(World::InProcess, &worlds::in_process(&fake).1, &dynamodb()).await;
}

#[tokio::test]
async fn the_fake_over_tcp_does_as_the_service() {
    let served = fake_aws::FakeAws::new().serve().await.unwrap();
    run(World::Tcp, &worlds::kinesis_at(&served.endpoint()), &kinesis()).await;
    run(World::Tcp, &worlds::dynamodb_at(&served.endpoint()), &dynamodb()).await;
}

#[tokio::test]
async fn kinesis_mock_does_as_the_service() {
    let server = tokio::task::spawn_blocking(xtask::servers::KinesisServer::start).await.unwrap().unwrap();
    run(World::KinesisMock, &worlds::kinesis_at(&server.endpoint()), &kinesis()).await;
}

#[tokio::test]
async fn ministack_does_as_the_service() {
    let server = tokio::task::spawn_blocking(xtask::servers::MinistackServer::start).await.unwrap().unwrap();
    run(World::Ministack, &worlds::dynamodb_at(&server.endpoint()), &dynamodb()).await;
}
