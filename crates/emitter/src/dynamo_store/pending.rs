//! What waits for a sink: own rows from memory, those of others from the index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use bucket_state::ResourceId;
use tokio::time::Instant;

use super::Shared;
use super::attributes::{name, read_marks};
use super::call::all;
use super::item::{Item, PK, text};
use super::listing::SINKS_MOST;
use super::record::{INDEX_SHARDS, Record, Waiting, index_key, set};
use super::table::PENDING_INDEX;
use crate::row::SinkName;
use crate::store::{Backlog, PendingQuery, StoreError};

/// A row that was saved while a sink was forgotten lies under a set that no longer is: all sets are asked this often.
const DEEP_EVERY: Duration = Duration::from_secs(600);
/// Entries read at once: some 500 bytes each.
pub(super) const PAGE: usize = 2_000;

/// When the index was asked for a sink.
#[derive(Debug, Default)]
pub(super) struct Asked {
    sinks: Mutex<BTreeMap<SinkName, Times>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    swept: Option<Instant>,
    deeply: Option<Instant>,
    pub(super) counted: Option<(Instant, Backlog)>,
}

impl Asked {
    pub(super) fn of(&self, sink: &SinkName) -> Times {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner).entry(sink.clone()).or_default().clone()
    }

    pub(super) fn note(&self, sink: &SinkName, note: impl FnOnce(&mut Times)) {
        note(self.sinks.lock().unwrap_or_else(PoisonError::into_inner).entry(sink.clone()).or_default());
    }
}

/// Which entries of the index are asked for.
#[derive(Clone, Copy)]
struct Sweep<'a> {
    sink: &'a SinkName,
    worker: &'a str,
    others_before_ms: i64,
    /// Also rows that this worker marked later.
    whole: bool,
    limit: usize,
}

impl Shared {
    /// The index is behind the rows: one that it names may not be pending any more, and is read by whoever emits it.
    pub(super) async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        let sink = &query.sink;
        let (own, complete) = self.own.waiting(sink, query.limit);
        let own = if query.worker == self.own.worker() { own } else { Vec::new() };
        let times = self.asked.of(sink);
        let mut found: BTreeSet<(i64, ResourceId)> = own.into_iter().collect();
        if !complete || times.swept.is_none_or(|swept| swept.elapsed() >= self.sweep_every) {
            let remembered: BTreeSet<ResourceId> = found.iter().map(|(_, resource)| resource.clone()).collect();
            let sweep = Sweep {
                sink,
                worker: &query.worker,
                others_before_ms: query.others_before_ms,
                whole: !complete || query.worker != self.own.worker(),
                limit: query.limit,
            };
            let swept = self.sweep(sweep, &times).await?;
            found.extend(swept.into_iter().filter(|(_, resource)| !remembered.contains(resource)));
        }
        let mut told = BTreeSet::new();
        let found = found.into_iter().map(|(_, resource)| resource).filter(|resource| told.insert(resource.clone()));
        Ok(found.take(query.limit).collect())
    }

    async fn sweep(&self, sweep: Sweep<'_>, times: &Times) -> Result<Vec<(i64, ResourceId)>, StoreError> {
        let deep = sweep.whole || times.deeply.is_none_or(|deeply| deeply.elapsed() >= DEEP_EVERY);
        let (keys, begun) = (self.keys(sweep.sink, deep).await?, Instant::now());
        let (mut found, mut is_all) = (Vec::new(), true);
        for (rows, ended) in all(keys.into_iter().map(|key| self.sweep_key(key, sweep))).await? {
            is_all &= ended;
            found.extend(rows);
        }
        for (resource, record) in &found {
            self.own.observe_entry(resource, record);
        }
        if sweep.whole && is_all && sweep.worker == self.own.worker() {
            self.own.note_complete(sweep.sink);
        }
        self.asked.note(sweep.sink, |times| {
            times.swept = Some(begun);
            times.deeply = if deep { Some(begun) } else { times.deeply };
        });
        let since =
            |(resource, record): (ResourceId, Record)| Some((waits(&record, sweep.sink)?.mark.since_ms, resource));
        Ok(found.into_iter().filter_map(since).collect())
    }

    /// The entries under one key that are asked for, the longest waiting first, and whether that is all of them.
    async fn sweep_key(&self, key: String, sweep: Sweep<'_>) -> Result<(Vec<(ResourceId, Record)>, bool), StoreError> {
        let (mut found, mut start) = (Vec::new(), None);
        let before = (!sweep.whole).then_some(sweep.others_before_ms);
        loop {
            let (entries, next) = self.entries(&key, before, sweep.limit.clamp(1, PAGE), start).await?;
            for (resource, record) in entries {
                let is_asked_for = waits(&record, sweep.sink).is_some_and(|waiting| {
                    waiting.worker == sweep.worker || waiting.mark.since_ms < sweep.others_before_ms
                });
                if is_asked_for {
                    found.push((resource, record));
                }
            }
            start = next;
            if start.is_none() || found.len() >= sweep.limit {
                return Ok((found, start.is_none()));
            }
        }
    }

    /// The keys of the index under which rows pending for a sink lie. Usually in sets of listed sinks.
    pub(super) async fn keys(&self, sink: &SinkName, deep: bool) -> Result<Vec<String>, StoreError> {
        let sets = self.sets(sink, deep).await?;
        let keys = sets.iter().flat_map(|set| (0..INDEX_SHARDS).map(move |shard| index_key(shard, set)));
        Ok(keys.collect())
    }

    pub(super) async fn sets(&self, sink: &SinkName, deep: bool) -> Result<Vec<String>, StoreError> {
        let listing = self.table.listing().await?;
        let Some(slot) = listing.entry(sink).map(|entry| entry.slot) else { return Ok(Vec::new()) };
        let slots: Vec<u8> = if deep { (0..SINKS_MOST).collect() } else { listing.slots() };
        let others: Vec<u8> = slots.into_iter().filter(|other| *other != slot).collect();
        let chosen = |choice: u32| {
            let chosen = others.iter().enumerate().filter(move |(place, _)| choice >> place & 1 == 1);
            set(chosen.map(|(_, other)| *other).chain([slot]))
        };
        Ok((0..1_u32 << others.len()).map(chosen).collect())
    }

    /// A page of the index: rows with nothing but their marks, and where the next page begins.
    pub(super) async fn entries(
        &self,
        key: &str,
        before_ms: Option<i64>,
        limit: usize,
        start: Option<Item>,
    ) -> Result<(Vec<(ResourceId, Record)>, Option<Item>), StoreError> {
        let send = || {
            let query = self.table.client.query().table_name(&self.table.name).index_name(PENDING_INDEX);
            let query = query.expression_attribute_names("#pending", name::PENDING);
            let query = query.expression_attribute_values(":pending", AttributeValue::S(key.to_owned()));
            let query = match before_ms {
                None => query.key_condition_expression("#pending = :pending"),
                Some(before_ms) => query
                    .key_condition_expression("#pending = :pending AND #since < :before")
                    .expression_attribute_names("#since", name::SINCE)
                    .expression_attribute_values(":before", AttributeValue::N(before_ms.to_string())),
            };
            let query = query.limit(i32::try_from(limit).unwrap_or(i32::MAX));
            query.set_exclusive_start_key(start.clone()).send()
        };
        let failed = |error| self.table.failed(&error, "look for pending rows", "Query");
        let page = self.table.call(send).await.map_err(failed)?;
        let read = |item: &Item| {
            let record = Record { marks: read_marks(item)?, ..Record::default() };
            Ok((ResourceId::from(text(item, PK).unwrap_or_default()), record))
        };
        let entries = page.items().iter().map(read).collect::<Result<_, StoreError>>()?;
        Ok((entries, page.last_evaluated_key.filter(|key| !key.is_empty())))
    }
}

pub(super) fn waits<'a>(record: &'a Record, sink: &SinkName) -> Option<&'a Waiting> {
    record.marks.get(sink).and_then(|mark| mark.waiting.as_ref())
}
