//! A resource that exists, seen through its state.

use std::sync::Arc;

use crate::body::Body;
use crate::catalogue::{CREATION, Facet};
use crate::graph::Entity;
use crate::keyed::{Ids, Keyed};
use crate::register::{Register, Setting, Unknown};
use crate::resource::{Kind, ResourceId};
use crate::stamp::Origin;
use crate::state::ResourceState;

/// 2023-04-01: AWS begins to create buckets with all public access blocked and ACLs disabled.
const SECURE_DEFAULTS_BEGIN: i64 = 1_680_307_200;
/// 2023-05-01: it has reached every Region.
const SECURE_DEFAULTS_EVERYWHERE: i64 = 1_682_899_200;

/// What is known of a facet.
pub(crate) enum Known<'a> {
    /// An event set it.
    Set(&'a Body),
    /// An event deleted it.
    Cleared,
    /// No event since the proven beginning of its life: AWS's default.
    Default,
    /// No event, or one without its body.
    Unknown(Option<Unknown>),
}

/// A resource that exists, seen through its state.
pub(crate) struct Living<'a> {
    pub(crate) id: &'a ResourceId,
    state: &'a ResourceState,
}

impl<'a> Living<'a> {
    /// The resource, if it exists. Where that is undecidable it does: none must be hidden.
    pub(crate) fn existing(id: &'a ResourceId, state: &'a ResourceState) -> Option<Self> {
        let touched = state.touched.as_ref()?;
        let gone = state.deleted.as_ref().is_some_and(|deleted| touched.certainly_before(deleted));
        (!gone).then_some(Self { id, state })
    }

    /// Whether a register belongs to the present life.
    fn lives<V: Ord>(&self, register: &Register<V>) -> bool {
        let before = |beginning: &Register<()>| register.certainly_before(beginning);
        !self.state.deleted.as_ref().is_some_and(before) && !self.state.born.as_ref().is_some_and(before)
    }

    fn maybe_deleted_since<V: Ord>(&self, register: &Register<V>) -> bool {
        self.state.deleted.as_ref().is_some_and(|deleted| register.tied_with(deleted))
    }

    /// The event that a facet's value comes from.
    pub(crate) fn origin(&self, facet: Facet) -> Option<&'a Origin> {
        self.register(facet).map(|register| register.origin.as_ref())
    }

    /// When it came to be and was last changed, and by whom.
    pub(crate) fn describe_life(&self, entity: &mut Entity) {
        if let Some(created) = self.created() {
            entity.set("createdOn", created.stamp.happened_ms());
            entity.set_some("createdBy", created.actor.as_deref());
        }
        if let Some(touched) = &self.state.touched {
            entity.set("updatedOn", touched.origin.stamp.happened_ms());
            entity.set_some("updatedBy", touched.origin.actor.as_deref());
        }
    }

    fn register(&self, facet: Facet) -> Option<&'a Register<Setting>> {
        self.state.facets.get(&facet).filter(|register| self.lives(register))
    }

    pub(crate) fn known(&self, facet: Facet) -> Known<'a> {
        match self.register(facet).map(|register| &register.value) {
            Some(Setting::Set(body)) => Known::Set(body),
            Some(Setting::Cleared) => Known::Cleared,
            Some(Setting::Unknown(why)) => Known::Unknown(Some(*why)),
            None if self.has_known_beginning() && facet.has_default() && self.was_heard_of(facet) => Known::Default,
            None => Known::Unknown(None),
        }
    }

    /// Whether no event on a facet can have been passed over since the beginning, by a build that did not know it yet.
    fn was_heard_of(&self, facet: Facet) -> bool {
        let narrow = self.state.narrow_until.iter().filter(|(version, _)| facet.since_schema() > **version);
        narrow.map(|(_, second)| *second).max() < Some(self.state.beginning_second())
    }

    fn has_known_beginning(&self) -> bool {
        self.state.deleted.is_some() || self.state.born.is_some()
    }

    /// Whether the bucket was made under AWS's defaults of 2023 (all public access blocked, ACLs disabled);
    /// nothing where the time of its creation leaves that open.
    pub(crate) fn has_secure_defaults(&self) -> Option<bool> {
        // Where the first ones were dropped, the least that is known is no more than a bound.
        let created = self.created().map(|origin| origin.stamp.second);
        let created = created.filter(|second| *second < SECURE_DEFAULTS_BEGIN || !self.state.creations.is_full());
        let deleted = self.state.deleted.as_ref().map(Register::second);
        match (created, deleted) {
            (Some(second), _) if second < SECURE_DEFAULTS_BEGIN => Some(false),
            (Some(second), _) | (None, Some(second)) if second >= SECURE_DEFAULTS_EVERYWHERE => Some(true),
            _ => None,
        }
    }

    /// The least creation of the present life.
    pub(crate) fn created(&self) -> Option<&Origin> {
        let alive = |origin: &&Arc<Origin>| self.lives(&Register::new(Arc::clone(origin), ()));
        self.state.creations.iter().find(alive).map(AsRef::as_ref)
    }

    /// Single tags that were set (some value) or removed since the whole set was written.
    pub(crate) fn single_tags(&self) -> impl Iterator<Item = (&'a str, &'a Register<Option<Box<str>>>)> {
        self.written_since(Facet::Tags, self.state.tags.iter())
    }

    /// A facet's configurations, by id. Those before an event that may have written any of them are not known any more.
    pub(crate) fn ids(&self, facet: Facet) -> impl Iterator<Item = (&'a str, &'a Register<Setting>)> {
        self.written_since(facet, self.state.ids.get(&facet).into_iter().flat_map(Ids::iter))
    }

    /// Whether parts of a facet may have been dropped, since there were too many: none of them is proof of absence then.
    pub(crate) fn may_lack_parts(&self, facet: Facet) -> bool {
        let tags = facet == Facet::Tags && self.state.tags.is_full();
        tags || self.state.ids.get(&facet).is_some_and(Ids::is_full)
    }

    /// Of a facet's parts, those that were written after the whole was.
    fn written_since<V: Ord + 'a>(
        &self,
        facet: Facet,
        parts: impl Iterator<Item = (&'a str, &'a Register<V>)>,
    ) -> impl Iterator<Item = (&'a str, &'a Register<V>)> {
        let whole = self.register(facet).map(|register| &register.origin.stamp);
        parts.filter(move |(_, part)| self.lives(part) && whole.is_none_or(|whole| part.origin.stamp > *whole))
    }

    /// The last event that wrote a part of a facet, and why its value is not known.
    pub(crate) fn last_part(&self, facet: Facet) -> Option<(&'a Origin, Option<Unknown>)> {
        let id = self.ids(facet).map(|(_, register)| {
            let why = if let Setting::Unknown(why) = register.value { Some(why) } else { None };
            (register.origin.as_ref(), why)
        });
        let tags = (facet == Facet::Tags).then(|| self.single_tags().map(|(_, tag)| (tag.origin.as_ref(), None)));
        id.chain(tags.into_iter().flatten()).max_by_key(|(origin, _)| *origin)
    }

    pub(crate) fn account(&self) -> Option<&'a str> {
        self.state.owner.as_ref().map(|register| register.value.account.as_ref())
    }

    pub(crate) fn region(&self) -> Option<&'a str> {
        self.state.region.as_ref().map(|register| register.value.as_ref())
    }

    /// Facets whose last write cannot be told.
    pub(crate) fn contested(&self) -> Vec<&'static str> {
        let mut contested = Vec::new();
        for (facet, register) in &self.state.facets {
            if self.lives(register) && (register.contested() || self.maybe_deleted_since(register)) {
                contested.push(facet.as_str());
            }
        }
        for (facet, ids) in &self.state.ids {
            if self.has_open_parts(*facet, ids) {
                contested.push(facet.as_str());
            }
        }
        if self.has_open_parts(Facet::Tags, &self.state.tags) {
            contested.push(Facet::Tags.as_str());
        }
        if self.state.touched.as_ref().is_some_and(|touched| self.maybe_deleted_since(touched)) {
            let of_access_point = self.id.kind() == Kind::AccessPoint;
            contested.push(if of_access_point { Facet::AccessPoint.as_str() } else { CREATION });
        }
        contested.sort_unstable();
        contested.dedup();
        contested
    }

    /// Whether it cannot be told what was last written of one of a facet's parts, or whether the whole was written after.
    fn has_open_parts<V: Ord, const MAX: usize>(&self, facet: Facet, parts: &Keyed<V, MAX>) -> bool {
        let whole = self.register(facet);
        parts.iter().any(|(_, part)| {
            let current = whole.is_none_or(|whole| !part.certainly_before(whole));
            let tied = whole.is_some_and(|whole| part.tied_with(whole));
            self.lives(part) && current && (tied || part.contested() || self.maybe_deleted_since(part))
        })
    }
}
