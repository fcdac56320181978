//! A worker, or the leader, of the Kinesis Client Library as far as the table sees it: it reads rows as the library's
//! serializer does, and writes them on the library's conditions, in the older form of DynamoDB's requests that the
//! library uses. Written from its sources (`DynamoDBLeaseSerializer`, `DynamoDBLeaseRefresher`), apart from our store.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeAction, AttributeValue, AttributeValueUpdate, ComparisonOperator, ExpectedAttributeValue,
};

use crate::table::{Item, Table};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KclLease {
    pub(crate) key: String,
    pub(crate) owner: Option<String>,
    pub(crate) checkpoint_owner: Option<String>,
    pub(crate) counter: i64,
    pub(crate) switches: i64,
    pub(crate) checkpoint: (String, i64),
    pub(crate) pending: Option<(String, i64)>,
    pub(crate) parents: BTreeSet<String>,
    pub(crate) children: BTreeSet<String>,
    pub(crate) hash_keys: Option<(u128, u128)>,
    pub(crate) throughput_kbps: Option<f64>,
}

impl KclLease {
    /// Reads a row as the library does. What the library could not work with is a panic here.
    pub(crate) fn read(item: &Item) -> Self {
        let text = |name: &str| {
            item.get(name).map(|value| {
                let text = value.as_s().unwrap_or_else(|other| panic!("{name} is {other:?}"));
                assert!(!text.is_empty(), "{name} is empty");
                text.clone()
            })
        };
        let digits = |name: &str| {
            item.get(name).map(|value| value.as_n().unwrap_or_else(|other| panic!("{name} is {other:?}")).clone())
        };
        let whole = |name: &str| digits(name).map(|digits| digits.parse::<i64>().unwrap());
        let needed = |name: &str| whole(name).unwrap_or_else(|| panic!("{name} is missing"));
        let set = |name: &str| match item.get(name) {
            None => BTreeSet::new(),
            Some(value) => {
                let names = value.as_ss().unwrap_or_else(|other| panic!("{name} is {other:?}"));
                assert!(!names.is_empty());
                names.iter().cloned().collect()
            }
        };
        let sequence = |word: String| {
            let sentinel = ["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "SHARD_END"].contains(&word.as_str());
            assert!(sentinel || word.bytes().all(|byte| byte.is_ascii_digit()), "{word} is no sequence number");
            word
        };
        assert!(text("entityType").is_none_or(|entity| entity == "LEASE"));
        let hash_key = |name: &str| text(name).map(|digits| digits.parse().unwrap());
        Self {
            key: text("leaseKey").unwrap(),
            owner: text("leaseOwner"),
            checkpoint_owner: text("checkpointOwner"),
            counter: needed("leaseCounter"),
            switches: needed("ownerSwitchesSinceCheckpoint"),
            checkpoint: (sequence(text("checkpoint").unwrap()), needed("checkpointSubSequenceNumber")),
            pending: text("pendingCheckpoint")
                .map(|word| (sequence(word), needed("pendingCheckpointSubSequenceNumber"))),
            parents: set("parentShardId"),
            children: set("childShardIds"),
            hash_keys: hash_key("startingHashKey").zip(hash_key("endingHashKey")),
            throughput_kbps: digits("throughputKBps").map(|digits| digits.parse().unwrap()),
        }
    }
}

/// One process of the library.
pub(crate) struct Kcl<'a> {
    pub(crate) table: &'a Table,
    pub(crate) worker: &'a str,
}

impl Kcl<'_> {
    pub(crate) async fn read(&self, key: &str) -> KclLease {
        KclLease::read(&self.table.get(key).await)
    }

    /// Renews what this worker holds. Once a hand-off has begun, the checkpoint owner renews without asking.
    pub(crate) async fn renew(&self, lease: &KclLease) -> bool {
        let mut ask = vec![is("leaseCounter", Some(number(lease.counter)))];
        if lease.checkpoint_owner.as_deref() != Some(self.worker) {
            ask.push(is("checkpointOwner", None));
        }
        let kbps = AttributeValue::N("12.345678".into());
        self.write(lease, ask, [counted(lease), put("throughputKBps", kbps)]).await
    }

    pub(crate) async fn take(&self, lease: &KclLease) -> bool {
        let mut to = vec![counted(lease), put("leaseOwner", string(self.worker)), remove("checkpointOwner")];
        if lease.owner.as_deref().is_some_and(|owner| owner != self.worker) {
            to.push(add("ownerSwitchesSinceCheckpoint"));
        }
        self.write(lease, [is("leaseCounter", Some(number(lease.counter)))], to).await
    }

    /// What the leader does with a free lease, and the old owner at the end of a hand-off.
    pub(crate) async fn assign(&self, lease: &KclLease, to: &str) -> bool {
        let changes = [
            put("leaseOwner", string(to)),
            remove("checkpointOwner"),
            add("leaseCounter"),
            add("ownerSwitchesSinceCheckpoint"),
        ];
        self.write(lease, owners(lease), changes).await
    }

    /// What the leader does with a lease that is held.
    pub(crate) async fn hand_off(&self, lease: &KclLease, to: &str) -> bool {
        let old = lease.owner.as_deref().unwrap();
        let ask = [is("leaseKey", Some(string(&lease.key))), is("leaseOwner", Some(string(old)))];
        let ask = ask.into_iter().chain([is("checkpointOwner", None)]);
        self.write(lease, ask, [put("leaseOwner", string(to)), put("checkpointOwner", string(old))]).await
    }

    pub(crate) async fn evict(&self, lease: &KclLease) -> bool {
        let gone = if lease.checkpoint_owner.is_some() { "checkpointOwner" } else { "leaseOwner" };
        self.write(lease, owners(lease), [remove(gone), add("leaseCounter")]).await
    }

    pub(crate) async fn checkpoint(&self, lease: &KclLease, sequence: &str, sub_sequence: i64) -> bool {
        let to = [
            counted(lease),
            put("checkpoint", string(sequence)),
            put("checkpointSubSequenceNumber", number(sub_sequence)),
            put("ownerSwitchesSinceCheckpoint", number(0)),
            remove("pendingCheckpoint"),
            remove("pendingCheckpointSubSequenceNumber"),
            remove("pendingCheckpointState"),
        ];
        self.write(lease, [is("leaseCounter", Some(number(lease.counter)))], to).await
    }

    async fn write(
        &self,
        lease: &KclLease,
        ask: impl IntoIterator<Item = (&'static str, ExpectedAttributeValue)>,
        to: impl IntoIterator<Item = (&'static str, AttributeValueUpdate)>,
    ) -> bool {
        let client: &Client = &self.table.client;
        let named = |(name, value): (&str, _)| (name.to_owned(), value);
        let ask: HashMap<_, _> = ask.into_iter().map(named).collect();
        let named = |(name, value): (&str, _)| (name.to_owned(), value);
        let to: HashMap<_, _> = to.into_iter().map(named).collect();
        let write = client.update_item().table_name(&self.table.name).key("leaseKey", string(&lease.key));
        let written = write.set_expected(Some(ask)).set_attribute_updates(Some(to)).send().await;
        match written.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
            Ok(_) => true,
            Err(error) if error.is_conditional_check_failed_exception() => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn owners(lease: &KclLease) -> [(&'static str, ExpectedAttributeValue); 3] {
    [
        is("leaseKey", Some(string(&lease.key))),
        is("leaseOwner", lease.owner.as_deref().map(string)),
        is("checkpointOwner", lease.checkpoint_owner.as_deref().map(string)),
    ]
}

fn is(name: &'static str, value: Option<AttributeValue>) -> (&'static str, ExpectedAttributeValue) {
    let expected = ExpectedAttributeValue::builder();
    let expected = match value {
        Some(value) => expected.comparison_operator(ComparisonOperator::Eq).attribute_value_list(value),
        None => expected.exists(false),
    };
    (name, expected.build())
}

fn change(action: AttributeAction, value: Option<AttributeValue>) -> AttributeValueUpdate {
    AttributeValueUpdate::builder().action(action).set_value(value).build()
}

fn put(name: &'static str, value: AttributeValue) -> (&'static str, AttributeValueUpdate) {
    (name, change(AttributeAction::Put, Some(value)))
}

fn add(name: &'static str) -> (&'static str, AttributeValueUpdate) {
    (name, change(AttributeAction::Add, Some(number(1))))
}

fn remove(name: &'static str) -> (&'static str, AttributeValueUpdate) {
    (name, change(AttributeAction::Delete, None))
}

fn counted(lease: &KclLease) -> (&'static str, AttributeValueUpdate) {
    put("leaseCounter", number(lease.counter + 1))
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
