//! What a consumer relies upon in Kinesis.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::primitives::{Blob, DateTime};
use aws_sdk_kinesis::types::{
    PutRecordsRequestEntry, Shard, ShardFilter, ShardFilterType, ShardIteratorType, StreamStatus,
};

use crate::worlds::refused;

/// Nothing here takes this long, unless it never happens.
const NEVER: Duration = Duration::from_secs(60);

/// A stream of one check.
pub(crate) struct Stream {
    pub(crate) client: Client,
    pub(crate) name: &'static str,
}

fn shard(number: u32) -> String {
    format!("shardId-{number:012}")
}

impl Stream {
    pub(crate) async fn new(client: Client, name: &'static str, shards: i32) -> Self {
        client.create_stream().stream_name(name).shard_count(shards).send().await.unwrap();
        let stream = Self { client, name };
        stream.active().await;
        stream
    }

    async fn active(&self) {
        let active = async {
            loop {
                let summary = self.client.describe_stream_summary().stream_name(self.name).send().await.unwrap();
                if summary.stream_description_summary.unwrap().stream_status == StreamStatus::Active {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(NEVER, active).await.expect("the stream should become active");
    }

    async fn shards(&self) -> Vec<Shard> {
        self.client.list_shards().stream_name(self.name).send().await.unwrap().shards.unwrap()
    }

    /// Puts one text after the other by hash key; gives sequence numbers.
    pub(crate) async fn put(&self, hash_key: &str, texts: &[&str]) -> Vec<String> {
        let mut sequences = Vec::new();
        for text in texts {
            let put = self.client.put_record().stream_name(self.name).partition_key("p").explicit_hash_key(hash_key);
            sequences.push(put.data(Blob::new(*text)).send().await.unwrap().sequence_number);
        }
        sequences
    }

    async fn iterator(&self, number: u32, kind: ShardIteratorType, sequence: Option<&str>) -> String {
        let get = self.client.get_shard_iterator().stream_name(self.name).shard_id(shard(number));
        let get = get.shard_iterator_type(kind).set_starting_sequence_number(sequence.map(Into::into));
        get.send().await.unwrap().shard_iterator.unwrap()
    }

    async fn read(&self, iterator: &str) -> GetRecordsOutput {
        self.client.get_records().shard_iterator(iterator).send().await.unwrap()
    }

    /// What comes from here until nothing is left, and the last answer.
    async fn drain(&self, mut iterator: String) -> (Vec<String>, GetRecordsOutput) {
        let mut texts = Vec::new();
        let drain = async {
            loop {
                let read = self.read(&iterator).await;
                texts.extend(read.records.iter().map(|record| text(record.data.as_ref())));
                match &read.next_shard_iterator {
                    Some(next) if !read.records.is_empty() || read.millis_behind_latest != Some(0) => {
                        iterator = next.clone();
                    }
                    _ => return read,
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let last = tokio::time::timeout(NEVER, drain).await.expect("the shard should come to an end");
        (texts, last)
    }

    async fn texts(&self, number: u32, kind: ShardIteratorType, sequence: Option<&str>) -> Vec<String> {
        self.drain(self.iterator(number, kind, sequence).await).await.0
    }

    pub(crate) async fn split(&self, number: u32, at: &str) {
        let split = self.client.split_shard().stream_name(self.name).shard_to_split(shard(number));
        split.new_starting_hash_key(at).send().await.unwrap();
        self.active().await;
    }

    async fn merge(&self, number: u32, adjacent: u32) {
        let merge = self.client.merge_shards().stream_name(self.name).shard_to_merge(shard(number));
        merge.adjacent_shard_to_merge(shard(adjacent)).send().await.unwrap();
        self.active().await;
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8(data.to_vec()).unwrap()
}

pub(crate) async fn iterators_begin_where_they_say(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let sequences = stream.put("0", &["one", "two"]).await;
    let latest = stream.iterator(0, ShardIteratorType::Latest, None).await;
    stream.put("0", &["three"]).await;
    assert_eq!(stream.drain(latest).await.0, ["three"]);
    assert_eq!(stream.texts(0, ShardIteratorType::TrimHorizon, None).await, ["one", "two", "three"]);
    for (sequence, at, after) in [
        (&sequences[0], &["one", "two", "three"][..], &["two", "three"][..]),
        (&sequences[1], &["two", "three"], &["three"]),
    ] {
        assert_eq!(stream.texts(0, ShardIteratorType::AtSequenceNumber, Some(sequence)).await, at);
        assert_eq!(stream.texts(0, ShardIteratorType::AfterSequenceNumber, Some(sequence)).await, after);
    }
}

pub(crate) async fn an_iterator_at_a_time_begins_with_the_next_record(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    stream.put("0", &["one"]).await;
    // Servers tell times in milliseconds, and some of them in seconds.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stream.put("0", &["two"]).await;
    let all = stream.read(&stream.iterator(0, ShardIteratorType::TrimHorizon, None).await).await;
    let two = all.records[1].approximate_arrival_timestamp.unwrap();
    for (at, expected) in [(two, &["two"][..]), (DateTime::from_secs(two.secs() - 60), &["one", "two"])] {
        let get = stream.client.get_shard_iterator().stream_name(name).shard_id(shard(0)).timestamp(at);
        let got = get.shard_iterator_type(ShardIteratorType::AtTimestamp).send().await.unwrap();
        assert_eq!(stream.drain(got.shard_iterator.unwrap()).await.0, expected);
    }
}

pub(crate) async fn a_reader_at_the_tip_sees_what_comes(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let (texts, last) = stream.drain(stream.iterator(0, ShardIteratorType::TrimHorizon, None).await).await;
    assert!(texts.is_empty());
    stream.put("0", &["late"]).await;
    assert_eq!(stream.drain(last.next_shard_iterator.unwrap()).await.0, ["late"]);
}

pub(crate) async fn sequence_numbers_count_up_from_parent_to_child(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let mut sequences = stream.put("0", &["one", "two"]).await;
    stream.split(0, "1000").await;
    sequences.extend(stream.put("0", &["three", "four"]).await);
    assert!(sequences.iter().all(|sequence| sequence.len() == 56), "{sequences:?}");
    assert!(sequences.is_sorted(), "{sequences:?}");
}

pub(crate) async fn a_partition_key_chooses_the_shard(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 2).await;
    // The first digits of the MD5 of a, b and c are 0c, 92 and 4a.
    let entries = ["a", "b", "c"]
        .map(|key| PutRecordsRequestEntry::builder().data(Blob::new(key)).partition_key(key).build().unwrap());
    let put = stream.client.put_records().stream_name(name).set_records(Some(entries.into())).send().await.unwrap();
    assert_eq!(put.failed_record_count, Some(0));
    let shards: Vec<_> = put.records.into_iter().map(|record| record.shard_id.unwrap()).collect();
    assert_eq!(shards, [shard(0), shard(1), shard(0)]);
    assert_eq!(stream.texts(0, ShardIteratorType::TrimHorizon, None).await, ["a", "c"]);
}

pub(crate) async fn shards_come_in_pages(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 3).await;
    let first = stream.client.list_shards().stream_name(name).max_results(2).send().await.unwrap();
    let rest = stream.client.list_shards().next_token(first.next_token.clone().unwrap()).send().await.unwrap();
    let listed: Vec<_> = first.shards().iter().chain(rest.shards()).map(|shard| shard.shard_id.clone()).collect();
    assert_eq!(listed, [0, 1, 2].map(shard));
    assert_eq!(rest.next_token, None);
}

pub(crate) async fn shards_are_filtered(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    stream.split(0, "1000").await;
    for (kind, after, expected) in [
        (ShardFilterType::AtLatest, None, &[1, 2][..]),
        (ShardFilterType::AfterShardId, Some(shard(1)), &[2]),
        (ShardFilterType::FromTrimHorizon, None, &[0, 1, 2]),
    ] {
        let filter = ShardFilter::builder().r#type(kind.clone()).set_shard_id(after).build().unwrap();
        let listed = stream.client.list_shards().stream_name(name).shard_filter(filter).send().await.unwrap();
        let listed: Vec<_> = listed.shards().iter().map(|shard| shard.shard_id.clone()).collect();
        assert_eq!(listed, expected.iter().map(|number| shard(*number)).collect::<Vec<_>>(), "{kind:?}");
    }
}

pub(crate) async fn a_split_leaves_a_lineage(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    stream.split(0, "1000").await;
    let [parent, one, other] = <[Shard; 3]>::try_from(stream.shards().await).unwrap();
    let range = parent.sequence_number_range.unwrap();
    assert!(range.ending_sequence_number.is_some(), "a closed shard has an end");
    for (child, first, last) in [(one, "0", "999"), (other, "1000", &*u128::MAX.to_string())] {
        assert_eq!(child.parent_shard_id, Some(shard(0)));
        assert_eq!(child.adjacent_parent_shard_id, None);
        let range = child.hash_key_range.unwrap();
        assert_eq!((&*range.starting_hash_key, &*range.ending_hash_key), (first, last));
        assert_eq!(child.sequence_number_range.unwrap().ending_sequence_number, None);
    }
}

pub(crate) async fn a_parent_ends_before_its_children_begin(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    stream.split(0, "1000").await;
    let [parent, children @ ..] = <[Shard; 3]>::try_from(stream.shards().await).unwrap();
    let end = parent.sequence_number_range.unwrap().ending_sequence_number.unwrap();
    for child in children {
        let start = child.sequence_number_range.unwrap().starting_sequence_number;
        assert!(start > end, "{start} is not behind {end}");
    }
}

pub(crate) async fn a_merge_leaves_a_lineage(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 2).await;
    stream.merge(0, 1).await;
    let merged = stream.shards().await.remove(2);
    let mut parents = [merged.parent_shard_id.unwrap(), merged.adjacent_parent_shard_id.unwrap()];
    parents.sort();
    assert_eq!(parents, [shard(0), shard(1)]);
    let range = merged.hash_key_range.unwrap();
    assert_eq!((range.starting_hash_key, range.ending_hash_key), ("0".into(), u128::MAX.to_string()));
}

pub(crate) async fn a_closed_shard_ends_with_its_children(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 2).await;
    let sequences = stream.put("0", &["one", "two"]).await;
    stream.split(0, "1000").await;
    stream.put("0", &["three"]).await;
    for (kind, sequence, expected) in [
        (ShardIteratorType::TrimHorizon, None, &["one", "two"][..]),
        (ShardIteratorType::AfterSequenceNumber, Some(&*sequences[1]), &[]),
        (ShardIteratorType::Latest, None, &[]),
    ] {
        let (texts, last) = stream.drain_closed(stream.iterator(0, kind.clone(), sequence).await).await;
        assert_eq!(texts, expected, "{kind:?}");
        let mut children: Vec<_> = last.child_shards.unwrap().into_iter().collect();
        children.sort_by(|one, other| one.shard_id.cmp(&other.shard_id));
        let told: Vec<_> = children.iter().map(|child| (child.shard_id.clone(), child.parent_shards.clone())).collect();
        assert_eq!(told, [(shard(2), vec![shard(0)]), (shard(3), vec![shard(0)])], "{kind:?}");
        assert_eq!(children[1].hash_key_range.as_ref().unwrap().starting_hash_key, "1000");
    }
    assert_eq!(stream.texts(2, ShardIteratorType::TrimHorizon, None).await, ["three"]);
    stream.merge(3, 1).await;
    let (_, last) = stream.drain_closed(stream.iterator(3, ShardIteratorType::TrimHorizon, None).await).await;
    let [child] = <[_; 1]>::try_from(last.child_shards.unwrap()).unwrap();
    let mut parents = child.parent_shards;
    parents.sort();
    assert_eq!((child.shard_id, parents), (shard(4), vec![shard(1), shard(3)]));
}

impl Stream {
    /// Reads until there is no next iterator.
    async fn drain_closed(&self, iterator: String) -> (Vec<String>, GetRecordsOutput) {
        let mut texts = Vec::new();
        let mut next = iterator;
        for _ in 0..100 {
            let read = self.read(&next).await;
            texts.extend(read.records.iter().map(|record| text(record.data.as_ref())));
            match read.next_shard_iterator.clone() {
                None => return (texts, read),
                Some(iterator) => next = iterator,
            }
        }
        panic!("the shard does not end")
    }
}

pub(crate) async fn behind_is_told_until_the_tip(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    stream.put("0", &["one"]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.put("0", &["two"]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let from = stream.iterator(0, ShardIteratorType::TrimHorizon, None).await;
    let first = stream.client.get_records().shard_iterator(from).limit(1).send().await.unwrap();
    assert_eq!(first.records.len(), 1);
    assert!(first.millis_behind_latest > Some(0));
    let second = stream.read(&first.next_shard_iterator.unwrap()).await;
    assert_eq!((second.records.len(), second.millis_behind_latest), (1, Some(0)));
}

pub(crate) async fn an_unknown_stream_or_shard_is_not_found(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let client = &stream.client;
    let iterator = |stream, number| {
        let get = client.get_shard_iterator().stream_name(stream).shard_id(shard(number));
        get.shard_iterator_type(ShardIteratorType::TrimHorizon).send()
    };
    let put = client.put_record().stream_name("nowhere").partition_key("p").data(Blob::new("x")).send();
    let codes = [
        refused(client.list_shards().stream_name("nowhere").send().await),
        refused(client.describe_stream_summary().stream_name("nowhere").send().await),
        refused(put.await),
        refused(iterator("nowhere", 0).await),
        refused(iterator(name, 7).await),
    ];
    assert!(codes.iter().all(|code| code == "ResourceNotFoundException"), "{codes:?}");
}

pub(crate) async fn a_foreign_sequence_number_is_refused(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 2).await;
    let sequences = stream.put("0", &["x"]).await;
    let get = stream.client.get_shard_iterator().stream_name(name).shard_id(shard(1));
    let get = get.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(&sequences[0]);
    assert_eq!(refused(get.send().await), "InvalidArgumentException");
}

pub(crate) async fn a_garbage_iterator_is_refused(client: Client, _: &'static str) {
    let read = client.get_records().shard_iterator("garbage").send().await;
    assert_eq!(refused(read), "InvalidArgumentException");
}

pub(crate) async fn more_than_500_records_are_refused(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 1).await;
    let entry = PutRecordsRequestEntry::builder().data(Blob::new("x")).partition_key("p").build().unwrap();
    let put = stream.client.put_records().stream_name(name).set_records(Some(vec![entry; 501])).send().await;
    assert_eq!(refused(put), "ValidationException");
}

pub(crate) async fn a_bad_split_is_refused(client: Client, name: &'static str) {
    let stream = Stream::new(client, name, 2).await;
    let beyond = u128::MAX.to_string();
    let split = |at: &str| {
        let split = stream.client.split_shard().stream_name(name).shard_to_split(shard(0));
        split.new_starting_hash_key(at).send()
    };
    assert_eq!(refused(split(&beyond).await), "InvalidArgumentException");
    stream.split(0, "1000").await;
    assert_ne!(refused(split("1000").await), "accepted");
}
