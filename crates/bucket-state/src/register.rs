//! One value, the last write of which wins, and whether "last" was decidable.

use std::cmp::Ordering;
use std::sync::Arc;

use litemap::{Entry, LiteMap};
use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::event_id::EventId;
use crate::stamp::Origin;

/// Why the value of a facet is not known although an event has spoken of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unknown {
    /// CloudTrail cut the request parameters and said so.
    Omitted,
    /// The record carries no body where one was expected.
    NotRecorded,
    /// The body is larger than a state may hold.
    TooLarge,
}

/// What an event made of a facet. Known values are greater than unknown ones, so that of two copies of one
/// call the one that tells more wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Setting {
    /// Something was set, but not to be seen.
    Unknown(Unknown),
    /// The configuration was deleted.
    Cleared,
    /// The configuration as the request carried it.
    Set(Body),
}

/// The greatest write of a facet, with what is needed to tell whether another write of the same second could
/// have come after it. Everything in it merges by maximum, minimum or "or".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register<V> {
    /// The winning event.
    #[serde(rename = "o")]
    pub(crate) origin: Arc<Origin>,
    /// Its value.
    #[serde(rename = "v")]
    pub(crate) value: V,
    /// All events of the winner's second; absent where the winner is alone in it.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tie: Option<Box<Tie>>,
}

/// The identities seen in the top second of a register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tie {
    #[serde(rename = "l")]
    least: EventId,
    #[serde(rename = "g")]
    greatest: EventId,
    /// Whether any event lacked milliseconds.
    #[serde(rename = "n")]
    lacked: bool,
    /// The least and greatest identity at the greatest millisecond.
    #[serde(rename = "p")]
    last_least: EventId,
    #[serde(rename = "q")]
    last_greatest: EventId,
}

impl Tie {
    fn of_one(origin: &Origin) -> Self {
        let identity = &origin.stamp.identity;
        Self {
            least: identity.clone(),
            greatest: identity.clone(),
            lacked: origin.stamp.millis.is_none(),
            last_least: identity.clone(),
            last_greatest: identity.clone(),
        }
    }
}

impl<V: Ord> Register<V> {
    /// The register that one event makes.
    pub(crate) fn new(origin: Arc<Origin>, value: V) -> Self {
        Self { origin, value, tie: None }
    }

    /// The second of the winning event.
    pub(crate) fn second(&self) -> i64 {
        self.origin.stamp.second
    }

    /// Joins `other` into this register; tells whether that changed it.
    pub(crate) fn merge(&mut self, other: Self) -> bool {
        match other.second().cmp(&self.second()) {
            Ordering::Less => false,
            Ordering::Greater => {
                *self = other;
                true
            }
            Ordering::Equal => {
                let tie = self.joint_tie(&other);
                let (wins, more_ties) = (other.rank() > self.rank(), tie != self.tie);
                self.tie = tie;
                if wins {
                    self.origin = other.origin;
                    self.value = other.value;
                }
                wins || more_ties
            }
        }
    }

    /// What decides who wins. Copies of one call have one stamp and always differ in the rest of their origins, so
    /// the value comes first: the copy that tells more must win.
    fn rank(&self) -> impl Ord + '_ {
        let Origin { stamp, actor, event_id } = self.origin.as_ref();
        (stamp, &self.value, actor, event_id)
    }

    fn joint_tie(&self, other: &Self) -> Option<Box<Tie>> {
        let (ours, theirs) = (&self.origin.stamp, &other.origin.stamp);
        if self.tie.is_none() && other.tie.is_none() && ours == theirs {
            return None;
        }
        let (a, b) = (self.tie(), other.tie());
        let (last_least, last_greatest) = match ours.millis.cmp(&theirs.millis) {
            Ordering::Greater => (a.last_least, a.last_greatest),
            Ordering::Less => (b.last_least, b.last_greatest),
            Ordering::Equal => (a.last_least.min(b.last_least), a.last_greatest.max(b.last_greatest)),
        };
        Some(Box::new(Tie {
            least: a.least.min(b.least),
            greatest: a.greatest.max(b.greatest),
            lacked: a.lacked | b.lacked,
            last_least,
            last_greatest,
        }))
    }

    fn tie(&self) -> Tie {
        self.tie.as_deref().cloned().unwrap_or_else(|| Tie::of_one(&self.origin))
    }

    fn lacked_millis(&self) -> bool {
        self.tie.as_ref().map_or(self.origin.stamp.millis.is_none(), |tie| tie.lacked)
    }

    /// Whether CloudTrail's times leave open which of several writes was the last.
    pub(crate) fn contested(&self) -> bool {
        self.tie
            .as_ref()
            .is_some_and(|tie| tie.least != tie.greatest && (tie.lacked || tie.last_least != tie.last_greatest))
    }

    /// Whether every event of this register is certainly older than the last one of `other`.
    pub(crate) fn certainly_before<W: Ord>(&self, other: &Register<W>) -> bool {
        self.second() < other.second()
            || (self.second() == other.second()
                && !self.lacked_millis()
                && !other.lacked_millis()
                && self.origin.stamp.millis < other.origin.stamp.millis)
    }

    /// Whether the order of this register and `other` is open.
    pub(crate) fn tied_with<W: Ord>(&self, other: &Register<W>) -> bool {
        !self.certainly_before(other) && !other.certainly_before(self)
    }
}

/// Joins an optional register into another: absence is the least element. Tells whether that changed it.
pub(crate) fn merge_option<V: Ord>(into: &mut Option<Register<V>>, other: Option<Register<V>>) -> bool {
    match (into.as_mut(), other) {
        (_, None) => false,
        (Some(register), Some(other)) => register.merge(other),
        (None, other) => {
            *into = other;
            true
        }
    }
}

/// Joins a register into a map of them; tells whether that changed it.
pub(crate) fn merge_entry<K: Ord, V: Ord>(map: &mut LiteMap<K, Register<V>>, key: K, other: Register<V>) -> bool {
    match map.entry(key) {
        Entry::Occupied(mut entry) => entry.get_mut().merge(other),
        Entry::Vacant(entry) => {
            entry.insert(other);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::Stamp;

    fn write(second: i64, millis: Option<i64>, identity: &str) -> Register<u8> {
        let stamp = Stamp { second, millis, identity: identity.into() };
        Register::new(Arc::new(Origin { stamp, actor: None, event_id: identity.into() }), 0)
    }

    /// Second, milliseconds and identity.
    type Write = (i64, Option<i64>, &'static str);

    fn contested(writes: &[Write]) -> bool {
        let mut writes = writes.iter().map(|(second, millis, identity)| write(*second, *millis, identity));
        let mut register = writes.next().expect("at least one write");
        for other in writes {
            register.merge(other);
        }
        register.contested()
    }

    #[test]
    fn only_writes_that_cannot_be_ordered_contest_a_register() {
        let cases: [(&str, &[Write], bool); 7] = [
            ("one write", &[(5, None, "a")], false),
            ("the same write twice", &[(5, None, "a"), (5, None, "a")], false),
            ("different seconds", &[(5, None, "a"), (6, None, "b")], false),
            ("one second, no milliseconds", &[(5, None, "a"), (5, None, "b")], true),
            ("one second, both with milliseconds", &[(5, Some(5001), "a"), (5, Some(5002), "b")], false),
            ("one second, one without milliseconds", &[(5, Some(5001), "a"), (5, None, "b")], true),
            ("one millisecond", &[(5, Some(5001), "a"), (5, Some(5001), "b"), (5, Some(5000), "c")], true),
        ];
        for (case, writes, expected) in cases {
            assert_eq!(contested(writes), expected, "{case}");
        }
    }

    #[test]
    fn two_registers_of_one_second_are_ordered_only_by_milliseconds() {
        let (plain, early, late) = (write(5, None, "a"), write(5, Some(5001), "b"), write(5, Some(5002), "c"));
        assert!(early.certainly_before(&late) && !late.certainly_before(&early) && !early.tied_with(&late));
        assert!(plain.tied_with(&late) && late.tied_with(&plain));
        assert!(late.certainly_before(&write(6, None, "d")));
    }
}
