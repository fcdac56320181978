//! Parts of a facet that are written one by one: single tags by key, configurations by id.

use std::collections::BTreeSet;

use litemap::{Entry, LiteMap};
use serde::{Deserialize, Serialize};

use crate::register::{Register, Setting};

/// Tags that are kept; S3 allows 50 at a time, and removed ones stay as registers.
pub(crate) const TAGS_MAX: usize = 1_000;
/// Configurations of one facet that are kept; S3 allows 1,000 at a time.
pub(crate) const IDS_MAX: usize = 2_000;

/// Single tags: set (some value) or removed (none).
pub(crate) type Tags = Keyed<Option<Box<str>>, TAGS_MAX>;
/// Configurations by id.
pub(crate) type Ids = Keyed<Setting, IDS_MAX>;

/// The registers with the greatest seconds, by key, live and dead alike; at most `MAX`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent, bound(serialize = "V: Serialize", deserialize = "V: Deserialize<'de>"))]
pub(crate) struct Keyed<V, const MAX: usize>(LiteMap<Box<str>, Register<V>>);

impl<V, const MAX: usize> Default for Keyed<V, MAX> {
    fn default() -> Self {
        Self(LiteMap::new())
    }
}

impl<V, const MAX: usize> IntoIterator for Keyed<V, MAX> {
    type Item = (Box<str>, Register<V>);
    type IntoIter = std::vec::IntoIter<(Box<str>, Register<V>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_tuple_vec().into_iter()
    }
}

impl<V: Ord, const MAX: usize> Keyed<V, MAX> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Register<V>)> {
        self.0.iter().map(|(key, register)| (key.as_ref(), register))
    }

    /// Whether some may have been dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Joins other registers; tells whether that changed anything.
    pub(crate) fn merge(&mut self, others: impl IntoIterator<Item = (Box<str>, Register<V>)>) -> bool {
        let (mut changed, mut added) = (false, BTreeSet::new());
        for (key, register) in others {
            match self.0.entry(key) {
                Entry::Occupied(mut entry) => {
                    changed |= entry.get_mut().merge(register) && !added.contains(entry.key());
                }
                Entry::Vacant(entry) => {
                    added.insert(entry.key().clone());
                    entry.insert(register);
                }
            }
        }
        // Where exactly what was added is dropped again, nothing has changed.
        changed | (self.drop_surplus() != added)
    }

    /// Drops those of earlier seconds; tells whether there were any.
    pub(crate) fn forget_before(&mut self, second: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|_, register| register.second() >= second);
        self.0.len() != before
    }

    /// Ranked by second and key, not by stamp: a key that falls out of one part of a split history then falls out of
    /// the whole, whatever else happened in that second.
    fn drop_surplus(&mut self) -> BTreeSet<Box<str>> {
        let surplus = self.0.len().saturating_sub(MAX);
        if surplus == 0 {
            return BTreeSet::new();
        }
        let mut ranked: Vec<_> = self.0.iter().map(|(key, register)| (register.second(), key)).collect();
        ranked.sort_unstable();
        let dropped: BTreeSet<_> = ranked.into_iter().take(surplus).map(|(_, key)| key.clone()).collect();
        self.0.retain(|key, _| !dropped.contains(key));
        dropped
    }
}
