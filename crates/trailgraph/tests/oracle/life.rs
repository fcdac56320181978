//! Whether something exists, which of its events still count, and which of them nobody can put in order.

use std::collections::BTreeSet;

use super::event::Event;

/// The events of one bucket, account or access point, and what ended its former lives.
pub(super) struct Life<'a> {
    events: &'a [Event],
}

impl<'a> Life<'a> {
    pub(super) fn new(events: &'a [Event]) -> Self {
        Self { events }
    }

    fn deletes(&self) -> Vec<&'a Event> {
        self.events.iter().filter(|event| event.ends_a_life()).collect()
    }

    /// The second of the last deletion.
    pub(super) fn deleted(&self) -> Option<i64> {
        self.deletes().into_iter().map(|event| event.stamp.second).max()
    }

    /// Whether it exists, and whether that is contested: when nothing tells if the last change came before or
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

    /// Whether this is certainly another one than any former one of its name.
    pub(super) fn beginning_is_known(&self) -> bool {
        !self.deletes().is_empty() || self.events.iter().any(Event::proves_new)
    }

    /// All changes of all lives.
    pub(super) fn changes(&self) -> Vec<&'a Event> {
        self.events.iter().filter(|event| !event.ends_a_life()).collect()
    }

    /// Of writes of one thing, those that can be the last; none if that certainly happened to a former one of
    /// the name. The writes of one second are judged together.
    pub(super) fn last(&self, writes: &[&'a Event]) -> Vec<&'a Event> {
        let births: Vec<_> = self.events.iter().filter(|event| event.proves_new()).collect();
        if surely_before(writes, &self.deletes()) || surely_before(writes, &births) {
            return Vec::new();
        }
        let second = top(writes).map(|(second, ..)| second);
        writes.iter().copied().filter(|event| Some(event.stamp.second) == second).collect()
    }

    /// Whether more than one of these writes of one second could be the last, or a deletion could have come after.
    pub(super) fn contested(&self, writes: &[&Event]) -> bool {
        let Some((_, ms, lacks)) = top(writes) else { return false };
        let distinct = |among: &dyn Fn(&&&Event) -> bool| {
            writes.iter().filter(among).map(|event| event.stamp.identity.as_str()).collect::<BTreeSet<_>>().len() > 1
        };
        let open = distinct(&|_| true) && (lacks || distinct(&|event| event.stamp.ms == ms));
        open || tied(writes, &self.deletes())
    }
}

/// Whether the last of `writes` certainly came before the last of `others`.
pub(super) fn surely_before(writes: &[&Event], others: &[&Event]) -> bool {
    let (Some((second, ms, lacks)), Some((other, other_ms, other_lacks))) = (top(writes), top(others)) else {
        return false;
    };
    second < other || (second == other && !lacks && !other_lacks && ms < other_ms)
}

/// Whether nobody can tell which of the two came last.
pub(super) fn tied(writes: &[&Event], others: &[&Event]) -> bool {
    top(writes).is_some() && top(others).is_some() && !surely_before(writes, others) && !surely_before(others, writes)
}

/// The last second, the greatest milliseconds in it, and whether an event of it lacks them.
fn top(events: &[&Event]) -> Option<(i64, Option<i64>, bool)> {
    let second = events.iter().map(|event| event.stamp.second).max()?;
    let last = || events.iter().filter(|event| event.stamp.second == second).map(|event| event.stamp.ms);
    Some((second, last().max().flatten(), last().any(|ms| ms.is_none())))
}
