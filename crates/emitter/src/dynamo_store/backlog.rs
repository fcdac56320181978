//! How much waits for a sink.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bucket_state::ResourceId;
use tokio::time::Instant;

use super::Shared;
use super::attributes::name;
use super::call::all;
use super::item::{PK, text};
use super::pending::{PAGE, waits};
use super::record::{Record, SinkMark};
use super::table::REJECTED_INDEX;
use crate::row::SinkName;
use crate::store::{Backlog, StoreError};

/// So many rows of others, or rejected ones, are not read again to find out whether the index is behind.
const VERIFIED_MOST: usize = 1_000;
/// A backlog of more rows than this is counted again only after a while: it is read from the index, row by row.
const RECOUNTED_MOST: u64 = 10_000;
const RECOUNT_AFTER: Duration = Duration::from_secs(60);

/// What the index names.
#[derive(Debug, Default)]
struct Tally {
    /// Own rows that this worker remembers, too, and since when they wait.
    agreed: BTreeMap<ResourceId, i64>,
    /// Own rows that it does not remember.
    doubted: BTreeSet<ResourceId>,
    /// Rows of others; of many, no more than tell that they are many.
    others: Vec<ResourceId>,
    others_count: u64,
    others_oldest_ms: Option<i64>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.agreed.extend(other.agreed);
        self.doubted.extend(other.doubted);
        self.others.extend(other.others);
        self.others_count += other.others_count;
        self.others_oldest_ms = self.others_oldest_ms.into_iter().chain(other.others_oldest_ms).min();
    }
}

impl Shared {
    /// Counts what the index and this worker's memory name. Own rows of which only one of them knows are read, since the
    /// index may be behind; a few of others, too.
    pub(super) async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError> {
        if let Some((at, backlog)) = self.asked.of(sink).counted
            && at.elapsed() < RECOUNT_AFTER
        {
            return Ok(backlog);
        }
        let (own, complete) = self.own.waiting(sink, usize::MAX);
        let own: BTreeMap<ResourceId, i64> = own.into_iter().map(|(since, resource)| (resource, since)).collect();
        let keys = self.keys(sink, true).await?;
        let tallies = all(keys.into_iter().map(|key| self.tally(key, sink, &own, complete))).await?;
        let mut total = Tally::default();
        tallies.into_iter().for_each(|tally| total.add(tally));
        let mut waiting = total.agreed;
        let mut doubted = total.doubted;
        doubted.extend(own.into_keys().filter(|resource| !waiting.contains_key(resource)));
        let mut backlog = Backlog::default();
        if total.others.len() <= VERIFIED_MOST {
            doubted.extend(total.others);
        } else {
            (backlog.rows, backlog.oldest_ms) = (total.others_count, total.others_oldest_ms);
        }
        for (resource, record) in self.looked_at(doubted).await? {
            if let Some(found) = waits(&record, sink) {
                waiting.insert(resource, found.mark.since_ms);
            }
        }
        backlog.rows += waiting.len() as u64;
        backlog.oldest_ms = waiting.values().copied().chain(backlog.oldest_ms).min();
        backlog.rejected = self.rejected(sink).await?;
        let counted = (backlog.rows > RECOUNTED_MOST).then(|| (Instant::now(), backlog));
        self.asked.note(sink, |times| times.counted = counted);
        Ok(backlog)
    }

    /// What lies under one key of the index. While the memory is complete, an own row that it does not know was most
    /// likely settled this moment.
    async fn tally(
        &self,
        key: String,
        sink: &SinkName,
        own: &BTreeMap<ResourceId, i64>,
        complete: bool,
    ) -> Result<Tally, StoreError> {
        let (mut tally, mut start) = (Tally::default(), None);
        loop {
            let (entries, next) = self.entries(&key, None, PAGE, start).await?;
            for (resource, record) in entries {
                let Some(entry) = waits(&record, sink) else { continue };
                if own.contains_key(&resource) {
                    tally.agreed.insert(resource, entry.mark.since_ms);
                } else if complete && entry.worker == self.own.worker() {
                    tally.doubted.insert(resource);
                } else {
                    tally.others_count += 1;
                    let oldest_ms =
                        tally.others_oldest_ms.map_or(entry.mark.since_ms, |ms| ms.min(entry.mark.since_ms));
                    tally.others_oldest_ms = Some(oldest_ms);
                    if tally.others.len() <= VERIFIED_MOST {
                        tally.others.push(resource);
                    }
                }
            }
            start = next;
            if start.is_none() {
                return Ok(tally);
            }
        }
    }

    async fn rejected(&self, sink: &SinkName) -> Result<u64, StoreError> {
        let mut named: BTreeSet<ResourceId> = self.own.rejected(sink).into_iter().collect();
        for set in self.sets(sink, true).await? {
            let mut start = None;
            loop {
                let send = || {
                    let query = self.table.client.query().table_name(&self.table.name).index_name(REJECTED_INDEX);
                    let query = query.key_condition_expression("#rejected = :rejected");
                    let query = query.expression_attribute_names("#rejected", name::REJECTED);
                    let query = query.expression_attribute_values(":rejected", AttributeValue::S(set.clone()));
                    query.set_exclusive_start_key(start.clone()).send()
                };
                let failed = |error| self.table.failed(&error, "look for rejected rows", "Query");
                let page = self.table.call(send).await.map_err(failed)?;
                named.extend(page.items().iter().filter_map(|item| text(item, PK)).map(ResourceId::from));
                start = page.last_evaluated_key.filter(|key| !key.is_empty());
                if start.is_none() {
                    break;
                }
            }
        }
        if named.len() > VERIFIED_MOST {
            return Ok(named.len() as u64);
        }
        let is_rejected = |record: &Record| {
            record.marks.get(sink).is_some_and(|mark: &SinkMark| mark.rejected == Some(record.version))
        };
        Ok(self.looked_at(named).await?.values().filter(|record| is_rejected(record)).count() as u64)
    }

    /// Rows as they are now; they do not push others out of the memory of bases.
    async fn looked_at(&self, resources: BTreeSet<ResourceId>) -> Result<BTreeMap<ResourceId, Record>, StoreError> {
        let rows = self.table.rows(&resources).await?;
        rows.iter().for_each(|(resource, record)| self.own.observe(resource, record));
        Ok(rows)
    }
}
