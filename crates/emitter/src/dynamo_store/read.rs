//! Reading rows, consistently.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use bucket_state::ResourceId;
use futures::future::try_join_all;

use super::Shared;
use super::call::{Table, pause};
use super::item::{Item, PK, SK, STATE, key, text};
use super::record::{Kept, Parts, Record};
use crate::row::Stored;
use crate::store::StoreError;

/// DynamoDB's limit of one BatchGetItem.
const BATCH: usize = 100;
/// Rounds without a single item before a batch is given up.
const EMPTY_ROUNDS_MOST: u32 = 5;
/// A row whose parts are gone has moved meanwhile, unless it is damaged.
const LOOKS_MOST: usize = 5;

impl Table {
    /// Those of the items that exist, in any order. The keys differ.
    pub(super) async fn batch(&self, keys: Vec<Item>, what: &str) -> Result<Vec<Item>, StoreError> {
        let batches = keys.chunks(BATCH).map(|keys| self.one_batch(keys.to_vec(), what));
        Ok(try_join_all(batches).await?.into_iter().flatten().collect())
    }

    async fn one_batch(&self, keys: Vec<Item>, what: &str) -> Result<Vec<Item>, StoreError> {
        let (mut items, mut left, mut empty_rounds) = (Vec::with_capacity(keys.len()), keys, 0);
        while !left.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let wanted = wanted.expect("the keys are set");
            let send = || self.client.batch_get_item().request_items(&self.name, wanted.clone()).send();
            let got = self.call(send).await.map_err(|error| self.failed(&error, what, "BatchGetItem"))?;
            let found = got.responses.unwrap_or_default().remove(&self.name).unwrap_or_default();
            left =
                got.unprocessed_keys.unwrap_or_default().remove(&self.name).map(|left| left.keys).unwrap_or_default();
            empty_rounds = if found.is_empty() { empty_rounds + 1 } else { 0 };
            items.extend(found);
            if left.is_empty() {
                break;
            }
            if empty_rounds == EMPTY_ROUNDS_MOST {
                return Err(self.unavailable(&format!("{what}: {} keys were not processed: it throttles", left.len())));
            }
            pause(empty_rounds + 1).await;
        }
        Ok(items)
    }

    /// The rows of those that have one.
    pub(super) async fn rows(
        &self,
        resources: &BTreeSet<ResourceId>,
    ) -> Result<BTreeMap<ResourceId, Record>, StoreError> {
        let keys = resources.iter().map(|resource| key(resource.as_str(), STATE)).collect();
        let items = self.batch(keys, "load rows").await?;
        let read = |item: &Item| Ok((ResourceId::from(text(item, PK).unwrap_or_default()), Record::read(item)?));
        items.iter().map(read).collect()
    }

    /// The state that is kept in these items; nothing if one of them is gone.
    pub(super) async fn joined(&self, resource: &ResourceId, parts: &Parts) -> Result<Option<Vec<u8>>, StoreError> {
        let keys = (0..parts.count).map(|number| key(resource.as_str(), parts.key(number))).collect();
        let items = self.batch(keys, &format!("load the parts of {resource}")).await?;
        let mut by_key: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for item in &items {
            if let (Some(key), Some(bytes)) = (text(item, SK), super::item::blob(item, super::parts::BYTES)) {
                by_key.insert(key, bytes);
            }
        }
        let found: Option<Vec<&[u8]>> = (0..parts.count).map(|n| by_key.get(parts.key(n).as_str()).copied()).collect();
        Ok(found.map(|found| found.concat()))
    }
}

impl Shared {
    /// The rows of those that have one, remembered.
    pub(super) async fn records(
        &self,
        resources: &BTreeSet<ResourceId>,
    ) -> Result<BTreeMap<ResourceId, Arc<Record>>, StoreError> {
        let rows = self.table.rows(resources).await?;
        let remembered = |(resource, record): (ResourceId, Record)| {
            let record = Arc::new(record);
            self.seen.keep(&resource, Arc::clone(&record));
            self.own.observe(&resource, &record);
            (resource, record)
        };
        Ok(rows.into_iter().map(remembered).collect())
    }

    pub(super) async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let rows = self.records(&resources.iter().cloned().collect()).await?;
        let mut stored = Vec::with_capacity(resources.len());
        for resource in resources {
            stored.push(match rows.get(resource) {
                Some(record) => self.stored(resource, Arc::clone(record)).await?,
                None => Stored::Nothing,
            });
        }
        Ok(stored)
    }

    /// As [`load`](Self::load), and where this worker knows a row, as it knows it.
    pub(super) async fn load_bases(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let known: Vec<Option<Arc<Record>>> = resources.iter().map(|resource| self.seen.base(resource)).collect();
        let unknown = resources.iter().zip(&known).filter(|(_, known)| known.is_none());
        let mut rows = self.records(&unknown.map(|(resource, _)| resource.clone()).collect()).await?;
        let mut stored = Vec::with_capacity(resources.len());
        for (resource, known) in resources.iter().zip(known) {
            stored.push(match known.or_else(|| rows.remove(resource)) {
                Some(record) => self.stored(resource, record).await?,
                None => Stored::Nothing,
            });
        }
        Ok(stored)
    }

    /// What a row says. While its parts were read, it may have moved, and they with it: then it is read again.
    async fn stored(&self, resource: &ResourceId, mut record: Arc<Record>) -> Result<Stored, StoreError> {
        for _ in 0..LOOKS_MOST {
            let parts = match &record.state {
                Some(Kept::Here(bytes)) => return record.decode(resource, Some(bytes)),
                Some(Kept::Apart(parts)) => parts,
                None => break,
            };
            if let Some(bytes) = self.table.joined(resource, parts).await? {
                return record.decode(resource, Some(&bytes));
            }
            let again = self.records(&BTreeSet::from([resource.clone()])).await?.remove(resource);
            let Some(again) = again else { return Ok(Stored::Nothing) };
            if again.state == record.state {
                break;
            }
            record = again;
        }
        record.decode(resource, None)
    }
}
