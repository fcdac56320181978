//! Everything that the events told of one resource, merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use litemap::LiteMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::catalogue::Facet;
use crate::creations::Creations;
use crate::event::{Change, Event, Owner, TagChange};
use crate::keyed::{Ids, Tags};
use crate::register::{Register, Setting, merge_entry, merge_option};
use crate::stamp::Origin;

/// A resource's registers. Equal sets of events make equal states, however they were ordered, repeated or
/// grouped.
///
/// Facets older than the resource's last proven beginning are dropped by whole seconds: those of the same second
/// stay, since a later event may still change what is known of that second. Projection judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceState {
    /// The last mutation that proves that the resource existed.
    pub(crate) touched: Option<Register<()>>,
    /// The last deletion.
    pub(crate) deleted: Option<Register<()>>,
    /// The last creation that proves that the resource was new.
    pub(crate) born: Option<Register<()>>,
    /// Creations since.
    pub(crate) creations: Creations,
    pub(crate) owner: Option<Register<Owner>>,
    pub(crate) region: Option<Register<Arc<str>>>,
    #[serde(serialize_with = "by_name")]
    pub(crate) facets: LiteMap<Facet, Register<Setting>>,
    /// Configurations by id, of the facets that have several.
    #[serde(serialize_with = "by_name")]
    pub(crate) ids: LiteMap<Facet, Ids>,
    /// Single tags since the whole set was written.
    pub(crate) tags: Tags,
    /// For each earlier schema version that wrote this state: the last second of what it had seen. Until then, nobody
    /// heard of the facets that came later.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) narrow_until: BTreeMap<u8, i64>,
}

impl ResourceState {
    /// The state after one event and nothing else.
    #[must_use]
    pub(crate) fn of(event: Event) -> Self {
        let mut state = Self::default();
        state.fold(event);
        state
    }

    /// Joins one event.
    pub fn fold(&mut self, event: Event) {
        let Event { origin, region, owner, change, .. } = event;
        let mark = || Some(Register::new(Arc::clone(&origin), ()));
        merge_option(&mut self.region, Some(Register::new(Arc::clone(&origin), region)));
        merge_option(&mut self.owner, owner.map(|owner| Register::new(Arc::clone(&origin), owner)));
        match &change {
            Change::Delete => merge_option(&mut self.deleted, mark()),
            _ => merge_option(&mut self.touched, mark()),
        };
        match change {
            Change::Delete => {}
            Change::Create { writes, proves_new } => {
                if proves_new {
                    merge_option(&mut self.born, mark());
                }
                self.creations.add(Arc::clone(&origin));
                for (facet, setting) in writes {
                    self.write(facet, &origin, setting);
                }
            }
            Change::Write(facet, setting) => self.write(facet, &origin, setting),
            Change::WriteById(facet, id, setting) => {
                let register = Register::new(Arc::clone(&origin), setting);
                self.ids.entry(facet).or_default().merge([(id, register)]);
            }
            Change::Tags(tags) => {
                let tag = |TagChange { key, value }| (key, Register::new(Arc::clone(&origin), value));
                self.tags.merge(tags.into_iter().map(tag));
            }
        }
        self.forget_before(self.beginning_second());
        self.tags.forget_before(self.reset_second());
    }

    fn write(&mut self, facet: Facet, origin: &Arc<Origin>, setting: Setting) {
        merge_entry(&mut self.facets, facet, Register::new(Arc::clone(origin), setting));
    }

    /// Joins another state of the same resource; tells whether that changed anything.
    pub fn merge(&mut self, mut other: Self) -> bool {
        let mut changed = merge_option(&mut self.touched, other.touched.take())
            | merge_option(&mut self.deleted, other.deleted.take())
            | merge_option(&mut self.born, other.born.take())
            | merge_option(&mut self.owner, other.owner.take())
            | merge_option(&mut self.region, other.region.take());
        // Of both, the dead are dropped before the living are joined: what is joined and then dropped would pass for
        // a change.
        let beginning = self.beginning_second();
        changed |= self.forget_before(beginning);
        other.forget_before(beginning);
        for origin in other.creations.iter() {
            changed |= self.creations.add(Arc::clone(origin));
        }
        for (facet, register) in std::mem::take(&mut other.facets) {
            changed |= merge_entry(&mut self.facets, facet, register);
        }
        for (facet, ids) in std::mem::take(&mut other.ids) {
            changed |= self.ids.entry(facet).or_default().merge(ids);
        }
        let reset = self.reset_second();
        changed |= self.tags.forget_before(reset);
        other.tags.forget_before(reset);
        changed |= self.tags.merge(other.tags);
        for (version, second) in other.narrow_until {
            let known = self.narrow_until.entry(version).or_insert(i64::MIN);
            changed |= second > *known;
            *known = second.max(*known);
        }
        changed
    }

    /// Marks that a build wrote this which knew no facets but those of schema `version`.
    pub(crate) fn was_written_by(&mut self, version: u8) {
        let seen = [&self.touched, &self.deleted].into_iter().flatten().map(Register::second).max();
        if let Some(second) = seen {
            self.narrow_until.insert(version, second);
        }
    }

    /// The second of the last event that ended everything before it.
    pub(crate) fn beginning_second(&self) -> i64 {
        let deleted = self.deleted.as_ref().map(Register::second);
        deleted.max(self.born.as_ref().map(Register::second)).unwrap_or(i64::MIN)
    }

    /// The second of the last event that ended all single tags before it.
    fn reset_second(&self) -> i64 {
        self.facets.get(&Facet::Tags).map_or_else(|| self.beginning_second(), Register::second)
    }

    /// Drops what no future event can bring back to life; tells whether there was any.
    fn forget_before(&mut self, beginning: i64) -> bool {
        let before = self.facets.len();
        self.facets.retain(|_, register| register.second() >= beginning);
        let mut forgot = self.creations.forget_before(beginning) | (self.facets.len() != before);
        for (_, ids) in self.ids.iter_mut() {
            forgot |= ids.forget_before(beginning);
        }
        self.ids.retain(|_, ids| !ids.is_empty());
        forgot
    }
}

/// As an object, which a sorted vector is by itself only where its keys are texts.
fn by_name<V: Serialize, S: Serializer>(map: &LiteMap<Facet, V>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(map.iter())
}
