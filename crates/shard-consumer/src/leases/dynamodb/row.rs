//! A lease as an item of the table: the names, types and words of the Kinesis Client Library
//! (its `DynamoDBLeaseSerializer` and `EntityType`), and two attributes of our own.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::{Lease, UnreadableLease, words};
use crate::record::ShardId;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The names of attributes.
pub(super) mod name {
    pub(crate) const KEY: &str = "leaseKey";
    pub(crate) const OWNER: &str = "leaseOwner";
    pub(crate) const CHECKPOINT_OWNER: &str = "checkpointOwner";
    pub(crate) const COUNTER: &str = "leaseCounter";
    pub(crate) const OWNER_SWITCHES: &str = "ownerSwitchesSinceCheckpoint";
    pub(crate) const CHECKPOINT: &str = "checkpoint";
    pub(crate) const SUB_SEQUENCE: &str = "checkpointSubSequenceNumber";
    /// What a prepared checkpoint leaves until it is made.
    pub(crate) const PENDING: [&str; 3] =
        ["pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"];
    /// A set, for all its name.
    pub(crate) const PARENTS: &str = "parentShardId";
    pub(crate) const CHILDREN: &str = "childShardIds";
    pub(crate) const STARTING_HASH_KEY: &str = "startingHashKey";
    pub(crate) const ENDING_HASH_KEY: &str = "endingHashKey";
    pub(crate) const THROUGHPUT: &str = "throughputKBps";
    /// Absent from rows of versions before 3.5: those are leases.
    pub(crate) const ENTITY: &str = "entityType";
    pub(crate) const OTHER_STREAM: &str = "streamName";
    /// Our own: when reading began, in milliseconds since 1970.
    pub(crate) const START_TIMESTAMP: &str = "startTimestamp";
    /// Our own: the stream, since names of shards are the same in every one.
    pub(crate) const STREAM: &str = "stream";
}

/// What an item of the table is.
pub(super) enum Row {
    Lease(Lease),
    Unreadable(UnreadableLease),
    Leader,
    /// A lease of an application that reads several streams.
    OtherStream,
    /// Whatever else such a table holds: the state of a migration, figures of workers, names of streams.
    Other,
}

/// `stream` is the one whose leases are wanted.
pub(super) fn read(item: &Item, stream: &str) -> Row {
    let Some(AttributeValue::S(key)) = item.get(name::KEY) else { return Row::Other };
    match item.get(name::ENTITY) {
        None => {}
        Some(AttributeValue::S(entity)) if entity == "LEASE" => {}
        Some(AttributeValue::S(entity)) if entity == "LEADER" && key == "Leader" => return Row::Leader,
        Some(_) => return Row::Other,
    }
    // Shards have no colon in their names.
    if key.contains(':') || item.contains_key(name::OTHER_STREAM) {
        return Row::OtherStream;
    }
    let shard = ShardId::from(key.as_str());
    if let Some(other) = other_stream(item, stream) {
        let other = words::quoted(other);
        let why = format!("it is the lease of a shard of stream {other}: give each stream a table of its own");
        return Row::Unreadable(UnreadableLease { shard, why });
    }
    match lease(shard.clone(), item) {
        Ok(lease) => Row::Lease(lease),
        Err(why) => Row::Unreadable(UnreadableLease { shard, why }),
    }
}

/// The stream that the row is of, if it is another one than `stream`.
pub(super) fn other_stream<'a>(item: &'a Item, stream: &str) -> Option<&'a str> {
    match item.get(name::STREAM) {
        Some(AttributeValue::S(other)) if other != stream => Some(other),
        _ => None,
    }
}

fn lease(shard: ShardId, item: &Item) -> Result<Lease, String> {
    let start_timestamp_ms = number(item, name::START_TIMESTAMP)?;
    // Absent from rows that other libraries, or people, wrote: counting then begins at 0.
    let sub_sequence = number(item, name::SUB_SEQUENCE)?.unwrap_or(0);
    let counter = number(item, name::COUNTER)?.unwrap_or(0);
    let word = text(item, name::CHECKPOINT)?
        .ok_or_else(|| format!("its attribute {} is missing: {}", name::CHECKPOINT, words::MEND))?;
    let checkpoint = words::position(word, sub_sequence, start_timestamp_ms).ok_or_else(|| {
        format!("its attribute {} is {}, which is no position: {}", name::CHECKPOINT, words::quoted(word), words::MEND)
    })?;
    let hash_key = |name| Ok::<_, String>(text(item, name)?.map(str::to_owned));
    Ok(Lease {
        shard,
        owner: text(item, name::OWNER)?.map(str::to_owned),
        checkpoint_owner: text(item, name::CHECKPOINT_OWNER)?.map(str::to_owned),
        counter,
        checkpoint,
        start_timestamp_ms,
        parents: shards(item, name::PARENTS)?,
        children: shards(item, name::CHILDREN)?,
        hash_keys: hash_key(name::STARTING_HASH_KEY)?.zip(hash_key(name::ENDING_HASH_KEY)?),
    })
}

/// The whole row, as it is created.
pub(super) fn item(lease: &Lease, stream: &str) -> Item {
    let (word, sub_sequence) = words::of(&lease.checkpoint);
    let mut item = Item::new();
    let mut put = |name: &str, value: Option<AttributeValue>| {
        if let Some(value) = value {
            item.insert(name.to_owned(), value);
        }
    };
    put(name::KEY, Some(string(lease.shard.as_str())));
    put(name::ENTITY, Some(string("LEASE")));
    put(name::STREAM, Some(string(stream)));
    put(name::OWNER, lease.owner.as_deref().map(string));
    put(name::CHECKPOINT_OWNER, lease.checkpoint_owner.as_deref().map(string));
    put(name::COUNTER, Some(numeral(lease.counter)));
    put(name::OWNER_SWITCHES, Some(numeral(0)));
    put(name::CHECKPOINT, Some(string(word)));
    put(name::SUB_SEQUENCE, Some(numeral(sub_sequence)));
    put(name::START_TIMESTAMP, lease.start_timestamp_ms.map(numeral));
    put(name::PARENTS, set(&lease.parents));
    put(name::CHILDREN, set(&lease.children));
    let (starting, ending) = lease.hash_keys.as_ref().map(|(s, e)| (string(s), string(e))).unzip();
    put(name::STARTING_HASH_KEY, starting);
    put(name::ENDING_HASH_KEY, ending);
    item
}

pub(super) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(super) fn numeral(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// Sets are never empty, and hold nothing twice.
pub(super) fn set(shards: &[ShardId]) -> Option<AttributeValue> {
    let names: BTreeSet<_> = shards.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| AttributeValue::Ss(names.into_iter().collect()))
}

fn text<'a>(item: &'a Item, name: &str) -> Result<Option<&'a str>, String> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::S(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(name, other, "a string (S)")),
    }
}

fn number<N: std::str::FromStr>(item: &Item, name: &str) -> Result<Option<N>, String> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(digits)) => {
            let whole = digits.parse().map_err(|_| {
                format!("its attribute {name} is {}: set it to a whole number that fits", words::quoted(digits))
            })?;
            Ok(Some(whole))
        }
        Some(other) => Err(wrong(name, other, "a number (N)")),
    }
}

fn shards(item: &Item, name: &str) -> Result<Vec<ShardId>, String> {
    let mut names = match item.get(name) {
        None => Vec::new(),
        Some(AttributeValue::Ss(names)) => names.iter().map(|name| ShardId::from(name.as_str())).collect(),
        Some(other) => return Err(wrong(name, other, "a set of strings (SS)")),
    };
    names.sort_unstable();
    Ok(names)
}

fn wrong(name: &str, value: &AttributeValue, expected: &str) -> String {
    let is = match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::B(_) => "B",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bs(_) => "BS",
        AttributeValue::L(_) => "L",
        AttributeValue::M(_) => "M",
        _ => "unknown",
    };
    format!("its attribute {name} is of the type {is}: make it {expected}, or remove the attribute")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_another_stream_is_told_of_in_few_words_however_long_its_name_is() {
        let long = "x".repeat(5_000);
        for (stream, expected) in [("trail-2", "of stream \"trail-2\": give"), (&long, "xx\" and more: give")] {
            let members = [(name::KEY, string("shardId-0")), (name::STREAM, string(stream))];
            let item = members.map(|(name, value)| (name.to_owned(), value)).into();
            let Row::Unreadable(UnreadableLease { why, .. }) = read(&item, "trail") else { panic!("{stream}") };
            assert!(why.contains(expected) && why.len() < 200, "{why}");
        }
    }
}
