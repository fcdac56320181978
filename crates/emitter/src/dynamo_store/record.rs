//! A resource's row as it lies in the table, and how it changes. No I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use bucket_state::{DecodeError, ResourceId, ResourceState};
use flate2::Crc;
use litemap::LiteMap;

use super::listing::{Entry, Listing};
use crate::row::{Mark, PendingMark, Row, SinkName, Stored, Version};
use crate::store::{Settlement, Settling, StoreError};

/// An index takes 1,000 writes a second under one key, and a saved row makes two (it comes, it goes). So what is pending
/// lies under this many keys: 4,000 saved rows a second.
pub(super) const INDEX_SHARDS: u32 = 8;

/// A row. All that it holds is written together, under another `write` each time, and on the condition of the former:
/// so whoever writes has seen the whole row, and marks of different workers do not overwrite each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) version: Version,
    pub(super) write: String,
    /// Nothing where it was not read.
    pub(super) state: Option<Kept>,
    /// The account of which this is listed as a member for sure.
    pub(super) account: Option<ResourceId>,
    pub(super) marks: LiteMap<SinkName, SinkMark>,
}

/// Where an encoded state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// In the row.
    Here(Arc<[u8]>),
    /// In items of its own.
    Apart(Parts),
}

/// The items that hold a state which is too large for its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The version that was to be written with them.
    pub(super) version: Version,
    pub(super) write: String,
    pub(super) count: usize,
}

/// One sink's progress with one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SinkMark {
    /// The sink's number in the list: what the index knows it by.
    pub(super) slot: u8,
    /// Which of the graphs that stood under the sink's name the rest is about.
    pub(super) epoch: u64,
    pub(super) waiting: Option<Waiting>,
    pub(super) digest: Option<bucket_state::Digest>,
    pub(super) rejected: Option<Version>,
}

/// A row that is pending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) mark: PendingMark,
    /// The same of the last save alone: what remains when an emission of an earlier version is acknowledged.
    pub(super) last: PendingMark,
    /// Who marked it last.
    pub(super) worker: String,
}

/// What a settlement does to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Cleared,
    /// It has moved, and waits only for its last news now.
    Moved,
    Nothing,
}

impl Record {
    /// Marks it for every listed sink. The list must have been read after the row: marks of sinks that it does not name
    /// are of forgotten ones, and go.
    pub(super) fn mark(&mut self, listing: &Listing, mark: PendingMark, worker: &str) {
        self.marks.retain(|name, _| listing.names(name));
        for (name, entry) in listing.listed() {
            let sink = self.marks.entry(name.clone()).or_insert_with(|| entry.unmarked());
            let kept = sink.waiting.as_ref().map_or(mark, |waiting| least(waiting.mark, mark));
            sink.waiting = Some(Waiting { mark: kept, last: mark, worker: worker.to_owned() });
        }
    }

    /// Marks it for a sink of which nothing is known any more.
    pub(super) fn reset(&mut self, name: &SinkName, entry: &Entry, now_ms: i64, worker: &str) {
        let now = PendingMark { since_ms: now_ms, arrived_ms: now_ms, happened_ms: now_ms };
        let waiting = Waiting { mark: now, last: now, worker: worker.to_owned() };
        self.marks.insert(name.clone(), SinkMark { waiting: Some(waiting), ..entry.unmarked() });
    }

    pub(super) fn settle(&mut self, sink: &SinkName, settlement: &Settlement) -> Effect {
        let Some(mark) = self.marks.get_mut(sink) else { return Effect::Nothing };
        let Some(waiting) = &mut mark.waiting else { return Effect::Nothing };
        if self.version == settlement.version {
            (mark.waiting, mark.digest, mark.rejected) = match settlement.verdict {
                Settling::Acknowledged(digest) => (None, Some(digest), None),
                Settling::Superseded => (None, None, None),
                Settling::Rejected => (None, None, Some(self.version)),
            };
            return Effect::Cleared;
        }
        // What it knew before is shown: from now on only the later news wait. Else a bucket that never rests would be the
        // longest waiting for ever, and hold back the others.
        if settlement.verdict == Settling::Rejected || waiting.mark == waiting.last {
            return Effect::Nothing;
        }
        waiting.mark = waiting.last;
        Effect::Moved
    }

    /// The key under which the index of pending rows has it, and the time by which it is sorted there.
    pub(super) fn pending(&self, resource: &ResourceId) -> Option<(String, i64)> {
        let waiting = self.marks.values().filter_map(|mark| Some((mark.slot, mark.waiting.as_ref()?.mark.since_ms)));
        let since = waiting.clone().map(|(_, since)| since).min()?;
        Some((index_key(shard_of(resource), &set(waiting.map(|(slot, _)| slot))), since))
    }

    /// The key under which the index of rejected rows has it.
    pub(super) fn rejected(&self) -> Option<String> {
        let rejected = self.marks.values().filter(|mark| mark.rejected == Some(self.version)).map(|mark| mark.slot);
        let set = set(rejected);
        (!set.is_empty()).then_some(set)
    }

    /// What it says. `bytes` is its state, wherever that is kept.
    pub(super) fn decode(&self, resource: &ResourceId, bytes: Option<&[u8]>) -> Result<Stored, StoreError> {
        let damaged = |message: String| Ok(Stored::Damaged { version: self.version, message });
        let Some(bytes) = bytes else { return damaged("its state is not there".into()) };
        match ResourceState::decode(bytes) {
            Ok(state) => Ok(Stored::Row(Box::new(Row { version: self.version, state, marks: self.progress() }))),
            Err(DecodeError::Newer(_)) => Err(StoreError::Newer { what: format!("the stored state of {resource}") }),
            Err(DecodeError::Damaged(message)) => damaged(message),
        }
    }

    fn progress(&self) -> BTreeMap<SinkName, Mark> {
        let progress = |mark: &SinkMark| Mark {
            pending: mark.waiting.as_ref().map(|waiting| waiting.mark),
            digest: mark.digest,
            rejected: mark.rejected,
        };
        self.marks.iter().map(|(name, mark)| (name.clone(), progress(mark))).collect()
    }
}

fn least(one: PendingMark, other: PendingMark) -> PendingMark {
    PendingMark {
        since_ms: one.since_ms.min(other.since_ms),
        arrived_ms: one.arrived_ms.min(other.arrived_ms),
        happened_ms: one.happened_ms.min(other.happened_ms),
    }
}

/// A set of sinks, by their slots: "0,2".
pub(super) fn set(slots: impl Iterator<Item = u8>) -> String {
    let mut slots: Vec<u8> = slots.collect();
    slots.sort_unstable();
    slots.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn index_key(shard: u32, set: &str) -> String {
    format!("{shard}/{set}")
}

fn shard_of(resource: &ResourceId) -> u32 {
    let mut crc = Crc::new();
    crc.update(resource.as_str().as_bytes());
    crc.sum() % INDEX_SHARDS
}
