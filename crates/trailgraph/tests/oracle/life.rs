//! Whether a bucket exists, which of its events still count, and which of them nobody can put in order.

use std::collections::BTreeSet;

use super::event::{Event, Stamp};

/// The events of one bucket, and what ended its former lives.
pub(super) struct Life<'a> {
    events: &'a [Event],
}

impl<'a> Life<'a> {
    pub(super) fn new(events: &'a [Event]) -> Self {
        Self { events }
    }

    fn deletes(&self) -> Vec<&'a Event> {
        self.events.iter().filter(|event| event.name == "DeleteBucket").collect()
    }

    fn changes(&self) -> Vec<&'a Event> {
        self.events.iter().filter(|event| event.name != "DeleteBucket").collect()
    }

    /// Whether the bucket exists, and whether that is contested: when nothing tells if the last change came before or
    /// after the deletion, it does.
    pub(super) fn exists(&self) -> (bool, bool) {
        let Some((change, change_ms, change_lacks)) = top(&self.changes()) else { return (false, false) };
        let Some((delete, delete_ms, delete_lacks)) = top(&self.deletes()) else { return (true, false) };
        if change != delete {
            return (change > delete, false);
        }
        let undecidable = change_lacks || delete_lacks || change_ms == delete_ms;
        (undecidable || change_ms > delete_ms, undecidable)
    }

    /// Whether this is certainly another bucket than any former one of its name.
    pub(super) fn beginning_is_known(&self) -> bool {
        !self.deletes().is_empty() || self.events.iter().any(Event::proves_new)
    }

    /// What happened to this bucket and not to a former one: all that is not surely older than a deletion or a
    /// proven creation.
    pub(super) fn living(&self) -> Vec<&'a Event> {
        let ends = [self.deletes(), self.events.iter().filter(|event| event.proves_new()).collect()].concat();
        let outlives = |event: &&Event| !ends.iter().any(|end| event.stamp.surely_before(&end.stamp));
        self.changes().into_iter().filter(outlives).collect()
    }

    /// Whether more than one of these could be the last, or the last could be older than a deletion.
    pub(super) fn contested(&self, events: &[&Event]) -> bool {
        let stamps = || events.iter().map(|event| &event.stamp);
        let last: Vec<&Stamp> = stamps().filter(|one| !stamps().any(|other| one.surely_before(other))).collect();
        let changes: BTreeSet<&str> = last.iter().map(|stamp| stamp.identity.as_str()).collect();
        let deletes = self.deletes();
        let rivals_a_deletion = |stamp: &&Stamp| deletes.iter().any(|delete| delete.stamp.undecidable(stamp));
        changes.len() > 1 || last.iter().any(rivals_a_deletion)
    }
}

/// The last second, the greatest milliseconds in it, and whether an event of it lacks them.
fn top(events: &[&Event]) -> Option<(i64, Option<i64>, bool)> {
    let second = events.iter().map(|event| event.stamp.second).max()?;
    let last = || events.iter().filter(|event| event.stamp.second == second).map(|event| event.stamp.ms);
    Some((second, last().max().flatten(), last().any(|ms| ms.is_none())))
}
