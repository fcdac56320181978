//! Sinks that come and go, and marking every row. All rows are gone through page by page, each written on the condition
//! that it has not moved; a crash in between is continued by whoever does it again.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use bucket_state::ResourceId;

use super::Shared;
use super::call::all;
use super::item::{Item, PK, STATE, text};
use super::listing::{Entry, Listing, Stage};
use super::record::{Effect, Record};
use crate::row::SinkName;
use crate::store::{ListedSink, StoreError};

/// How often a list that others change meanwhile is read anew.
const LISTED_MOST: usize = 20;

impl Shared {
    pub(super) async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        for sink in sinks {
            self.add_sink(sink, now_ms).await?;
        }
        Ok(())
    }

    /// First saves mark their rows for it, then all other rows are marked, and only then its graph is listed: a crash
    /// before that is continued by the next worker that adds it.
    async fn add_sink(&self, ListedSink { name, instance }: &ListedSink, now_ms: i64) -> Result<(), StoreError> {
        for _ in 0..LISTED_MOST {
            let listing = self.table.listing().await?;
            // One that is not known changes nothing, and becoming known is no news.
            let becomes_known = |entry: &Entry| !instance.is_empty() && entry.instance.is_empty();
            if listing.entry(name).is_some_and(|entry| entry.stage != Stage::Leaving && becomes_known(entry)) {
                self.table.list(&listing, &listing.with_instance(name, instance)).await?;
                continue;
            }
            let entry = listing.entry(name).filter(|entry| instance.is_empty() || entry.instance == *instance);
            match entry.map(|entry| (entry.stage, entry.epoch)) {
                Some((Stage::Listed, _)) => return Ok(()),
                Some((Stage::Joining, epoch)) => {
                    self.mark_for(name, Some(epoch), now_ms).await?;
                    let now = self.table.listing().await?;
                    let still = now.entry(name).is_some_and(|entry| entry.epoch == epoch);
                    if still && self.table.list(&now, &now.with_stage(name, Stage::Listed)).await? {
                        return Ok(());
                    }
                }
                Some((Stage::Leaving, _)) | None => {
                    self.table.list(&listing, &listing.joined(name, instance)?).await?;
                }
            }
        }
        Err(self.table.unavailable(&format!("{name} was not listed: others change the list all the time")))
    }

    /// Tells whether it was listed; also one of which a former call, cut short, has left marks.
    pub(super) async fn forget_sink(&self, name: &SinkName) -> Result<bool, StoreError> {
        for _ in 0..LISTED_MOST {
            let listing = self.table.listing().await?;
            let Some(entry) = listing.entry(name) else { return Ok(false) };
            if entry.stage != Stage::Leaving {
                self.table.list(&listing, &listing.with_stage(name, Stage::Leaving)).await?;
                continue;
            }
            let epoch = entry.epoch;
            self.every_row(|record, _| {
                // Another epoch is of a graph that was listed since.
                let of_it = record.marks.get(name).is_some_and(|mark| mark.epoch <= epoch);
                if of_it {
                    record.marks.remove(name);
                }
                if of_it { Effect::Cleared } else { Effect::Nothing }
            })
            .await?;
            let now = self.table.listing().await?;
            let still = now.entry(name).is_some_and(|entry| entry.epoch == epoch && entry.stage == Stage::Leaving);
            if !still || self.table.list(&now, &now.without(name)).await? {
                return Ok(true);
            }
        }
        Err(self.table.unavailable(&format!("{name} was not forgotten: others change the list all the time")))
    }

    pub(super) async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError> {
        let listing = self.table.listing().await?;
        match sink {
            Some(sink) if listing.names(sink) => self.mark_for(sink, None, now_ms).await,
            None if listing.listed().next().is_some() => {
                self.every_row(|record, listing| {
                    record.version += 1;
                    listing.listed().for_each(|(name, entry)| {
                        record.reset(name, entry, now_ms, self.own.worker());
                    });
                    Effect::Cleared
                })
                .await
            }
            Some(_) | None => Ok(0),
        }
    }

    /// Marks every row anew for one sink, but for those that have been for its `joining` epoch. Tells how many.
    async fn mark_for(&self, name: &SinkName, joining: Option<u64>, now_ms: i64) -> Result<u64, StoreError> {
        self.every_row(|record, listing| {
            let has_joined = record.marks.get(name).is_some_and(|mark| Some(mark.epoch) == joining);
            match listing.entry(name) {
                Some(entry) if !has_joined => {
                    record.version += 1;
                    record.reset(name, entry, now_ms, self.own.worker());
                    Effect::Cleared
                }
                _ => Effect::Nothing,
            }
        })
        .await
    }

    /// Changes every stored row; tells how many were changed.
    async fn every_row(
        &self,
        change: impl Fn(&mut Record, &Listing) -> Effect + Send + Sync,
    ) -> Result<u64, StoreError> {
        let (mut changed, mut start) = (0, None);
        loop {
            let (rows, next) = self.page(start).await?;
            let listing = self.table.listing().await?;
            let change = &change;
            let work = rows
                .iter()
                .map(|(resource, record)| self.change_row(resource, Arc::clone(record), Some(&listing), change));
            let done = all(work).await?;
            changed += done.iter().filter(|effect| **effect == Effect::Cleared).count() as u64;
            start = next;
            if start.is_none() {
                return Ok(changed);
            }
        }
    }

    /// Rows without their states, and where the next page begins.
    async fn page(&self, start: Option<Item>) -> Result<(Vec<(ResourceId, Arc<Record>)>, Option<Item>), StoreError> {
        let send = || {
            let scan = self.table.client.scan().table_name(&self.table.name).consistent_read(true);
            let scan = scan.filter_expression("sk = :state");
            let scan = scan.expression_attribute_values(":state", AttributeValue::S(STATE.into()));
            let scan = scan.projection_expression("pk, #version, #write, #account, #marks");
            let names = ["version", "write", "account", "marks"];
            let names = names.map(|name| (format!("#{name}"), name.to_owned())).into();
            scan.set_expression_attribute_names(Some(names)).set_exclusive_start_key(start.clone()).send()
        };
        let failed = |error| self.table.failed(&error, "go through all rows", "Scan");
        let page = self.table.call(send).await.map_err(failed)?;
        let read =
            |item: &Item| Ok((ResourceId::from(text(item, PK).unwrap_or_default()), Arc::new(Record::read(item)?)));
        let rows = page.items().iter().map(read).collect::<Result<_, StoreError>>()?;
        Ok((rows, page.last_evaluated_key.filter(|key| !key.is_empty())))
    }

    pub(super) async fn is_empty(&self) -> Result<bool, StoreError> {
        let mut start = None;
        loop {
            let (rows, next) = self.page(start).await?;
            if !rows.is_empty() || next.is_none() {
                return Ok(rows.is_empty());
            }
            start = next;
        }
    }
}
