//! When a bucket was created, which in us-east-1 can be any number of times.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::stamp::Origin;

/// Creations that are kept: re-creating one's own bucket in us-east-1 can be repeated without end.
const CREATIONS_MAX: usize = 16;

/// The greatest creations, by ascending stamp.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Creations(Vec<Arc<Origin>>);

impl Creations {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Origin>> {
        self.0.iter()
    }

    /// Whether earlier ones may have been dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= CREATIONS_MAX
    }

    /// Joins one creation; tells whether that changed anything.
    pub(crate) fn add(&mut self, origin: Arc<Origin>) -> bool {
        let place = self.0.partition_point(|known| known.stamp < origin.stamp);
        let is_full = self.0.len() >= CREATIONS_MAX;
        match self.0.get_mut(place) {
            Some(known) if known.stamp == origin.stamp => {
                let wins = origin > *known;
                if wins {
                    *known = origin;
                }
                wins
            }
            _ if place == 0 && is_full => false,
            _ => {
                self.0.insert(place, origin);
                let surplus = self.0.len().saturating_sub(CREATIONS_MAX);
                self.0.drain(..surplus);
                true
            }
        }
    }

    /// Drops those of earlier seconds; tells whether there were any.
    pub(crate) fn forget_before(&mut self, second: i64) -> bool {
        let before = self.0.len();
        self.0.retain(|origin| origin.stamp.second >= second);
        self.0.len() != before
    }
}
