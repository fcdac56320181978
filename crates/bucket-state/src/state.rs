//! Everything that the events told of one bucket, merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::Facet;
use crate::event::{Change, Event, Owner, TagChange};
use crate::register::{Register, Setting, merge_entry, merge_option};
use crate::stamp::Origin;

/// Creation stamps that are kept: re-creating one's own bucket in us-east-1 can be repeated without end.
const CREATIONS_MAX: usize = 16;
/// Tags that are kept; S3 allows 50 at a time, and removed ones stay as registers.
const TAGS_MAX: usize = 1_000;

/// A bucket's registers. Equal sets of events make equal states, however they were ordered, repeated or
/// grouped.
///
/// Facets older than the bucket's last proven beginning are dropped by whole seconds: those of the same second
/// stay, since a later event may still change what is known of that second. Projection judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketState {
    /// The last mutation that proves that the bucket existed.
    pub(crate) touched: Option<Register<()>>,
    /// The last `DeleteBucket`.
    pub(crate) deleted: Option<Register<()>>,
    /// The last `CreateBucket` that proves that the bucket was new.
    pub(crate) born: Option<Register<()>>,
    /// The greatest creations since, ascending.
    pub(crate) creations: Vec<Arc<Origin>>,
    pub(crate) owner: Option<Register<Owner>>,
    pub(crate) region: Option<Register<Box<str>>>,
    pub(crate) facets: BTreeMap<Facet, Register<Setting>>,
    /// Single tags, set (some value) or removed (none) after the whole set was written.
    pub(crate) tags: BTreeMap<Box<str>, Register<Option<Box<str>>>>,
}

impl BucketState {
    /// The state after one event and nothing else.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let mut state = Self::default();
        state.fold(event);
        state
    }

    /// Joins one event.
    pub fn fold(&mut self, event: &Event) {
        let origin = &event.origin;
        let mark = || Some(Register::new(Arc::clone(origin), ()));
        merge_option(&mut self.region, Some(Register::new(Arc::clone(origin), event.region.clone())));
        let owner = event.owner.clone().map(|owner| Register::new(Arc::clone(origin), owner));
        merge_option(&mut self.owner, owner);
        match &event.change {
            Change::Delete => merge_option(&mut self.deleted, mark()),
            _ => merge_option(&mut self.touched, mark()),
        }
        match &event.change {
            Change::Delete => {}
            Change::Create { acl, proves_new } => {
                if *proves_new {
                    merge_option(&mut self.born, mark());
                }
                self.add_creation(Arc::clone(origin));
                merge_entry(&mut self.facets, Facet::Acl, Register::new(Arc::clone(origin), acl.clone()));
            }
            Change::Write(facet, setting) => {
                merge_entry(&mut self.facets, *facet, Register::new(Arc::clone(origin), setting.clone()));
            }
            Change::Tags(tags) => {
                for TagChange { key, value } in tags {
                    merge_entry(&mut self.tags, key.clone(), Register::new(Arc::clone(origin), value.clone()));
                }
            }
        }
        self.forget_the_dead();
    }

    /// Joins another state of the same bucket; tells whether it changed anything.
    pub fn merge(&mut self, other: Self) -> bool {
        let before = self.clone();
        merge_option(&mut self.touched, other.touched);
        merge_option(&mut self.deleted, other.deleted);
        merge_option(&mut self.born, other.born);
        merge_option(&mut self.owner, other.owner);
        merge_option(&mut self.region, other.region);
        for origin in other.creations {
            self.add_creation(origin);
        }
        for (facet, register) in other.facets {
            merge_entry(&mut self.facets, facet, register);
        }
        for (key, register) in other.tags {
            merge_entry(&mut self.tags, key, register);
        }
        self.forget_the_dead();
        *self != before
    }

    /// The second of the last event that ended everything before it.
    fn beginning_second(&self) -> Option<i64> {
        let deleted = self.deleted.as_ref().map(Register::second);
        deleted.max(self.born.as_ref().map(Register::second))
    }

    fn add_creation(&mut self, origin: Arc<Origin>) {
        let place = self.creations.partition_point(|known| known.stamp < origin.stamp);
        match self.creations.get_mut(place) {
            Some(known) if known.stamp == origin.stamp => *known = Arc::clone(known).max(origin),
            _ => self.creations.insert(place, origin),
        }
    }

    /// Drops what no future event can bring back to life, and what exceeds the limits.
    fn forget_the_dead(&mut self) {
        let beginning = self.beginning_second().unwrap_or(i64::MIN);
        self.creations.retain(|origin| origin.stamp.second >= beginning);
        let surplus = self.creations.len().saturating_sub(CREATIONS_MAX);
        self.creations.drain(..surplus);

        self.facets.retain(|_, register| register.second() >= beginning);
        let reset = self.facets.get(&Facet::Tags).map_or(beginning, Register::second);
        self.tags.retain(|_, register| register.second() >= reset);
        // Ranked by second and key, not by stamp: a key that falls out of one part of a split history then
        // falls out of the whole, whatever else happened in that second.
        while self.tags.len() > TAGS_MAX {
            let oldest = self.tags.iter().map(|(key, register)| (register.second(), key)).min();
            let Some(key) = oldest.map(|(_, key)| key.clone()) else { break };
            self.tags.remove(&key);
        }
    }
}
