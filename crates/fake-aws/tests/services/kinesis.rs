//! Streams, shards and records.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard, ShardFilter, ShardFilterType, ShardIteratorType};
use fake_aws::FakeAws;

const STREAM: &str = "trail";

fn name(number: u32) -> String {
    format!("shardId-{number:012}")
}

async fn world(shards: i32) -> (FakeAws, Client) {
    let fake = FakeAws::new();
    let client = super::kinesis(&fake, "reader");
    client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
    (fake, client)
}

async fn shards(client: &Client) -> Vec<Shard> {
    client.list_shards().stream_name(STREAM).send().await.unwrap().shards.unwrap()
}

/// Puts texts into the shard that has hash key 0; gives the sequence numbers.
async fn put<const N: usize>(client: &Client, texts: [&str; N]) -> [String; N] {
    let entries = texts.map(|text| {
        let entry = PutRecordsRequestEntry::builder().data(Blob::new(text)).partition_key("p").explicit_hash_key("0");
        entry.build().unwrap()
    });
    let put = client.put_records().stream_name(STREAM).set_records(Some(entries.into())).send().await.unwrap();
    let sequences: Vec<_> = put.records.into_iter().map(|record| record.sequence_number.unwrap()).collect();
    sequences.try_into().unwrap()
}

async fn iterator(client: &Client, shard: u32, kind: ShardIteratorType, sequence: Option<&str>) -> String {
    let get = client.get_shard_iterator().stream_name(STREAM).shard_id(name(shard)).shard_iterator_type(kind);
    let got = get.set_starting_sequence_number(sequence.map(Into::into)).send().await.unwrap();
    got.shard_iterator.unwrap()
}

async fn read(client: &Client, iterator: &str) -> GetRecordsOutput {
    client.get_records().shard_iterator(iterator).send().await.unwrap()
}

fn texts(read: &GetRecordsOutput) -> Vec<String> {
    read.records.iter().map(|record| String::from_utf8(record.data.clone().into_inner()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_type_of_iterator_begins_where_it_says() {
    let (_fake, client) = world(1).await;
    let [one] = put(&client, ["one"]).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let [two] = put(&client, ["two"]).await;
    let latest = iterator(&client, 0, ShardIteratorType::Latest, None).await;
    put(&client, ["three"]).await;

    assert_eq!(one.len(), 56);
    assert!(one < two);
    assert_eq!(texts(&read(&client, &latest).await), ["three"]);
    let begins = [
        (ShardIteratorType::TrimHorizon, None, vec!["one", "two", "three"]),
        (ShardIteratorType::AtSequenceNumber, Some(&two), vec!["two", "three"]),
        (ShardIteratorType::AfterSequenceNumber, Some(&two), vec!["three"]),
        (ShardIteratorType::AfterSequenceNumber, Some(&one), vec!["two", "three"]),
        (ShardIteratorType::Latest, None, vec![]),
    ];
    for (kind, sequence, expected) in begins {
        let iterator = iterator(&client, 0, kind.clone(), sequence.map(String::as_str)).await;
        assert_eq!(texts(&read(&client, &iterator).await), expected, "{kind:?}");
    }
    let of_two = read(&client, &iterator(&client, 0, ShardIteratorType::AtSequenceNumber, Some(&two)).await).await;
    let at = of_two.records[0].approximate_arrival_timestamp.unwrap();
    assert_eq!(at.to_millis().unwrap(), 1_767_225_610_000);
    let get = client.get_shard_iterator().stream_name(STREAM).shard_id(name(0));
    let get = get.shard_iterator_type(ShardIteratorType::AtTimestamp).timestamp(at).send().await.unwrap();
    assert_eq!(texts(&read(&client, &get.shard_iterator.unwrap()).await), ["two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_behind_until_it_has_read_the_last_record() {
    let (_fake, client) = world(1).await;
    put(&client, ["one", "two"]).await;
    let from = iterator(&client, 0, ShardIteratorType::TrimHorizon, None).await;
    let first = client.get_records().shard_iterator(&from).limit(1).send().await.unwrap();
    assert_eq!((texts(&first), first.millis_behind_latest), (vec!["one".to_owned()], Some(1)));
    tokio::time::advance(Duration::from_secs(3)).await;
    let again = client.get_records().shard_iterator(&from).limit(1).send().await.unwrap();
    assert_eq!(again.millis_behind_latest, Some(3000));
    let rest = read(&client, &again.next_shard_iterator.unwrap()).await;
    assert_eq!((texts(&rest), rest.millis_behind_latest), (vec!["two".to_owned()], Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_split_shard_ends_and_names_its_children() {
    let (_fake, client) = world(2).await;
    put(&client, ["before"]).await;
    let range = shards(&client).await[0].hash_key_range.clone().unwrap();
    assert_eq!(range.ending_hash_key, "170141183460469231731687303715884105727");
    let split = client.split_shard().stream_name(STREAM).shard_to_split(name(0)).new_starting_hash_key("1000");
    split.send().await.unwrap();
    put(&client, ["after"]).await;

    let listed = shards(&client).await;
    assert_eq!(listed.len(), 4);
    assert_eq!(listed[2].parent_shard_id.as_deref(), Some(&*name(0)));
    assert!(listed[0].sequence_number_range.as_ref().unwrap().ending_sequence_number.is_some());
    let end = read(&client, &iterator(&client, 0, ShardIteratorType::TrimHorizon, None).await).await;
    assert_eq!(texts(&end), ["before"]);
    assert_eq!(end.next_shard_iterator, None);
    let children = end.child_shards.unwrap();
    let names: Vec<_> = children.iter().map(|child| (child.shard_id.clone(), child.parent_shards.clone())).collect();
    assert_eq!(names, [(name(2), vec![name(0)]), (name(3), vec![name(0)])]);
    let child = read(&client, &iterator(&client, 2, ShardIteratorType::TrimHorizon, None).await).await;
    assert_eq!(texts(&child), ["after"]);

    client
        .merge_shards()
        .stream_name(STREAM)
        .shard_to_merge(name(3))
        .adjacent_shard_to_merge(name(1))
        .send()
        .await
        .unwrap();
    let merged = shards(&client).await.remove(4);
    assert_eq!(merged.parent_shard_id.unwrap(), name(3));
    assert_eq!(merged.adjacent_parent_shard_id.unwrap(), name(1));
    let range = merged.hash_key_range.unwrap();
    assert_eq!((&*range.starting_hash_key, range.ending_hash_key), ("1000", u128::MAX.to_string()));
}

#[tokio::test(start_paused = true)]
async fn shards_are_listed_in_pages_and_by_filter() {
    let (_fake, client) = world(5).await;
    let mut names = Vec::new();
    let mut page = client.list_shards().stream_name(STREAM).max_results(2).send().await.unwrap();
    loop {
        assert!(page.shards().len() <= 2);
        names.extend(page.shards().iter().map(|shard| shard.shard_id.clone()));
        let Some(token) = page.next_token else { break };
        page = client.list_shards().next_token(token).max_results(2).send().await.unwrap();
    }
    assert_eq!(names, (0..5).map(name).collect::<Vec<_>>());

    tokio::time::advance(Duration::from_secs(1)).await;
    let split = client.split_shard().stream_name(STREAM).shard_to_split(name(0)).new_starting_hash_key("7");
    split.send().await.unwrap();
    for (kind, count) in
        [(ShardFilterType::AtLatest, 6), (ShardFilterType::AtTrimHorizon, 5), (ShardFilterType::FromTrimHorizon, 7)]
    {
        let filter = ShardFilter::builder().r#type(kind.clone()).build().unwrap();
        let listed = client.list_shards().stream_name(STREAM).shard_filter(filter).send().await.unwrap();
        assert_eq!(listed.shards().len(), count, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn iterators_expire_after_five_minutes() {
    let (_fake, client) = world(1).await;
    let old = iterator(&client, 0, ShardIteratorType::Latest, None).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    let next = read(&client, &old).await.next_shard_iterator.unwrap();
    tokio::time::advance(Duration::from_millis(1)).await;
    let error = client.get_records().shard_iterator(&old).send().await.unwrap_err().into_service_error();
    assert!(error.is_expired_iterator_exception(), "{error:?}");
    read(&client, &next).await;
    let error = client.get_records().shard_iterator("garbage").send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_argument_exception(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_trimmed_or_foreign_is_no_place_to_begin() {
    let (fake, client) = world(2).await;
    let [one, two] = put(&client, ["one", "two"]).await;
    fake.trim(STREAM, &name(0), 1);
    let horizon = read(&client, &iterator(&client, 0, ShardIteratorType::TrimHorizon, None).await).await;
    assert_eq!(texts(&horizon), ["two"]);
    for (shard, sequence) in [(0, &*one), (1, &*two), (0, "12"), (0, "none")] {
        let get =
            client.get_shard_iterator().stream_name(STREAM).shard_id(name(shard)).starting_sequence_number(sequence);
        let get = get.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).send().await;
        let error = get.unwrap_err().into_service_error();
        assert!(error.is_invalid_argument_exception(), "{sequence} of {shard}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let (fake, client) = world(2).await;
    let held = iterator(&client, 1, ShardIteratorType::Latest, None).await;
    fake.forget_shard(STREAM, &name(1));
    for shard in [1, 9] {
        let get = client.get_shard_iterator().stream_name(STREAM).shard_id(name(shard));
        let error = get.shard_iterator_type(ShardIteratorType::Latest).send().await.unwrap_err().into_service_error();
        assert!(error.is_resource_not_found_exception(), "{error:?}");
    }
    let error = client.get_records().shard_iterator(held).send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    assert_eq!(shards(&client).await.len(), 1);
    let error = client.list_shards().stream_name("other").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_its_arn_and_takes_it_for_its_name() {
    let (_fake, client) = world(1).await;
    let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    let summary = summary.stream_description_summary.unwrap();
    assert_eq!(summary.retention_period_hours, 24);
    let listed = client.list_shards().stream_arn(&summary.stream_arn).send().await.unwrap();
    assert_eq!(listed.shards().len(), 1);

    let register = || client.register_stream_consumer().stream_arn(&summary.stream_arn).consumer_name("app");
    let arn = register().send().await.unwrap().consumer.unwrap().consumer_arn;
    assert!(register().send().await.unwrap_err().into_service_error().is_resource_in_use_exception());
    let described = client.describe_stream_consumer().consumer_arn(arn).send().await.unwrap();
    assert_eq!(described.consumer_description.unwrap().consumer_status.as_str(), "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_501_records_is_refused() {
    let (_fake, client) = world(1).await;
    let entry = PutRecordsRequestEntry::builder().data(Blob::new("x")).partition_key("p").build().unwrap();
    let put = client.put_records().stream_name(STREAM).set_records(Some(vec![entry; 501])).send().await;
    assert_eq!(put.unwrap_err().into_service_error().code(), Some("ValidationException"));
}
