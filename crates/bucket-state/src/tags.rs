//! Tags that were set or removed one by one, after the whole set was written.

use std::collections::btree_map::{self, Entry};
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::register::Register;

/// Tags that are kept; S3 allows 50 at a time, and removed ones stay as registers.
pub(crate) const TAGS_MAX: usize = 1_000;

/// A tag that was set (some value) or removed (none).
pub(crate) type Tag = Register<Option<Box<str>>>;

/// The greatest tags, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tags(BTreeMap<Box<str>, Tag>);

impl IntoIterator for Tags {
    type Item = (Box<str>, Tag);
    type IntoIter = btree_map::IntoIter<Box<str>, Tag>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Tags {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Tag)> {
        self.0.iter().map(|(key, tag)| (key.as_ref(), tag))
    }

    /// Joins other tags; tells whether that changed anything.
    pub(crate) fn merge(&mut self, others: impl IntoIterator<Item = (Box<str>, Tag)>) -> bool {
        let (mut changed, mut added) = (false, BTreeSet::new());
        for (key, tag) in others {
            match self.0.entry(key) {
                Entry::Occupied(mut entry) => changed |= entry.get_mut().merge(tag) && !added.contains(entry.key()),
                Entry::Vacant(entry) => {
                    added.insert(entry.key().clone());
                    entry.insert(tag);
                }
            }
        }
        // Where exactly what was added is dropped again, nothing has changed.
        changed | (self.drop_surplus() != added)
    }

    /// Drops those of earlier seconds; tells whether there were any.
    pub(crate) fn forget_before(&mut self, second: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|_, tag| tag.second() >= second);
        self.0.len() != before
    }

    /// Ranked by second and key, not by stamp: a key that falls out of one part of a split history then falls out of
    /// the whole, whatever else happened in that second.
    fn drop_surplus(&mut self) -> BTreeSet<Box<str>> {
        let surplus = self.0.len().saturating_sub(TAGS_MAX);
        if surplus == 0 {
            return BTreeSet::new();
        }
        let mut ranked: Vec<_> = self.0.iter().map(|(key, tag)| (tag.second(), key)).collect();
        ranked.sort_unstable();
        let dropped: BTreeSet<_> = ranked.into_iter().take(surplus).map(|(_, key)| key.clone()).collect();
        self.0.retain(|key, _| !dropped.contains(key));
        dropped
    }
}
