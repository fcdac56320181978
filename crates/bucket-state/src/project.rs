//! A state as a part of the graph.
//!
//! Everything that AWS adds by itself (defaults) or that follows from several facets is worked out here and
//! never stored, so a better answer needs no replay.

use serde_json::{Value, json};

use crate::body::Body;
use crate::catalogue::Facet;
use crate::facets;
use crate::graph::{Entity, FarEnd, Relationship, Snapshot};
use crate::register::{Register, Setting, Unknown};
use crate::resource::ResourceId;
use crate::stamp::Origin;
use crate::state::BucketState;

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
    /// No event since the bucket's proven beginning: AWS's default.
    Default,
    /// No event, or one without its body.
    Unknown(Option<Unknown>),
}

/// A bucket that exists, seen through its state.
pub(crate) struct Bucket<'a> {
    pub(crate) id: &'a ResourceId,
    state: &'a BucketState,
}

impl<'a> Bucket<'a> {
    /// The bucket, if it exists. Where that is undecidable it does: none must be hidden.
    fn existing(id: &'a ResourceId, state: &'a BucketState) -> Option<Self> {
        let touched = state.touched.as_ref()?;
        let gone = state.deleted.as_ref().is_some_and(|deleted| touched.certainly_before(deleted));
        (!gone).then_some(Self { id, state })
    }

    /// Whether a register belongs to the bucket's present life.
    fn lives<V: Ord>(&self, register: &Register<V>) -> bool {
        let before = |beginning: &Register<()>| register.certainly_before(beginning);
        !self.state.deleted.as_ref().is_some_and(before) && !self.state.born.as_ref().is_some_and(before)
    }

    fn maybe_deleted_since<V: Ord>(&self, register: &Register<V>) -> bool {
        self.state.deleted.as_ref().is_some_and(|deleted| register.tied_with(deleted))
    }

    fn register(&self, facet: Facet) -> Option<&'a Register<Setting>> {
        self.state.facets.get(&facet).filter(|register| self.lives(register))
    }

    pub(crate) fn known(&self, facet: Facet) -> Known<'a> {
        match self.register(facet).map(|register| &register.value) {
            Some(Setting::Set(body)) => Known::Set(body),
            Some(Setting::Cleared) => Known::Cleared,
            Some(Setting::Unknown(why)) => Known::Unknown(Some(*why)),
            None if self.has_known_beginning() => Known::Default,
            None => Known::Unknown(None),
        }
    }

    fn has_known_beginning(&self) -> bool {
        self.state.deleted.is_some() || self.state.born.is_some()
    }

    /// Whether the bucket was made under AWS's defaults of 2023 (all public access blocked, ACLs disabled);
    /// nothing where the time of its creation leaves that open.
    pub(crate) fn has_secure_defaults(&self) -> Option<bool> {
        let created = self.created().map(|origin| origin.stamp.second);
        let deleted = self.state.deleted.as_ref().map(Register::second);
        match (created, deleted) {
            (Some(second), _) if second < SECURE_DEFAULTS_BEGIN => Some(false),
            (Some(second), _) | (None, Some(second)) if second >= SECURE_DEFAULTS_EVERYWHERE => Some(true),
            _ => None,
        }
    }

    /// The least creation of the present life.
    fn created(&self) -> Option<&Origin> {
        let alive = |origin: &&std::sync::Arc<Origin>| self.lives(&Register::new(std::sync::Arc::clone(origin), ()));
        self.state.creations.iter().find(alive).map(AsRef::as_ref)
    }

    /// Single tags that were set (some value) or removed since the whole set was written.
    pub(crate) fn single_tags(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let reset = self.register(Facet::Tags).map(|register| &register.origin.stamp);
        self.state
            .tags
            .iter()
            .filter(move |(_, tag)| self.lives(tag) && reset.is_none_or(|reset| tag.origin.stamp > *reset))
            .map(|(key, tag)| (key.as_ref(), tag.value.as_deref()))
    }

    pub(crate) fn account(&self) -> Option<&'a str> {
        self.state.owner.as_ref().map(|register| register.value.account.as_ref())
    }

    pub(crate) fn region(&self) -> Option<&'a str> {
        self.state.region.as_ref().map(|register| register.value.as_ref())
    }

    /// Facets whose last write cannot be told.
    fn contested(&self) -> Vec<&'static str> {
        let mut contested = Vec::new();
        for (facet, register) in &self.state.facets {
            if self.lives(register) && (register.contested() || self.maybe_deleted_since(register)) {
                contested.push(facet.as_str());
            }
        }
        let reset = self.register(Facet::Tags);
        let open = |tag: &Register<Option<Box<str>>>| {
            let current = reset.is_none_or(|reset| !tag.certainly_before(reset));
            let tied = reset.is_some_and(|reset| tag.tied_with(reset));
            self.lives(tag) && current && (tied || tag.contested() || self.maybe_deleted_since(tag))
        };
        if self.state.tags.values().any(open) {
            contested.push(Facet::Tags.as_str());
        }
        if self.state.touched.as_ref().is_some_and(|touched| self.maybe_deleted_since(touched)) {
            contested.push("creation");
        }
        contested.sort_unstable();
        contested.dedup();
        contested
    }
}

/// The part of the graph that a bucket's state makes: empty where the bucket does not exist.
#[must_use]
pub fn project(id: &ResourceId, state: &BucketState) -> Snapshot {
    let Some(bucket) = Bucket::existing(id, state) else {
        let provenance = json!([]);
        return Snapshot { resource: id.clone(), entities: vec![], relationships: vec![], provenance };
    };
    let mut parts = Parts { entity: frame(&bucket), others: Vec::new(), relationships: Vec::new() };
    facets::project(&bucket, &mut parts);

    let contested = bucket.contested();
    let provenance = provenance(&bucket, &contested);
    if !contested.is_empty() {
        parts.entity.set("contestedFacets", contested);
    }
    let mut entities = parts.others;
    entities.push(parts.entity);
    entities.sort_by(|a, b| a.key().cmp(b.key()));
    parts.relationships.sort_by(|a, b| a.key().cmp(b.key()));
    Snapshot { resource: id.clone(), entities, relationships: parts.relationships, provenance }
}

/// The facets of an existing bucket whose last write CloudTrail's times leave open, sorted.
#[must_use]
pub fn contested(id: &ResourceId, state: &BucketState) -> Vec<&'static str> {
    Bucket::existing(id, state).map_or_else(Vec::new, |bucket| bucket.contested())
}

/// A snapshot in the making.
pub(crate) struct Parts {
    /// The bucket.
    pub(crate) entity: Entity,
    /// What else the bucket owns.
    pub(crate) others: Vec<Entity>,
    pub(crate) relationships: Vec<Relationship>,
}

impl Parts {
    pub(crate) fn connect(&mut self, relationship: Relationship) {
        self.relationships.push(relationship);
    }
}

/// The properties that do not depend on a facet.
fn frame(bucket: &Bucket<'_>) -> Entity {
    let (key, name) = (bucket.id.as_str(), bucket.id.name());
    let mut entity = Entity::new(key, "aws_s3_bucket", &["DataStore"], name);
    entity.set("bucketName", name);
    entity.set("arn", key);
    entity.set_some("accountId", bucket.account());
    if let Some(region) = bucket.region() {
        entity.set("region", region);
        entity.set("webLink", web_link(bucket.id.partition(), region, name));
    }
    if let Some(created) = bucket.created() {
        entity.set("createdOn", created.stamp.second * 1_000);
        entity.set_some("createdBy", created.actor.as_deref());
    }
    if let Some(touched) = &bucket.state.touched {
        entity.set("updatedOn", touched.second() * 1_000);
        entity.set_some("updatedBy", touched.origin.actor.as_deref());
    }
    entity
}

/// Account → bucket; kept apart from the facets as it comes from every event.
pub(crate) fn account_edge(bucket: &Bucket<'_>) -> Option<Relationship> {
    let account = format!("arn:{}:iam::{}:root", bucket.id.partition(), bucket.account()?);
    let key = bucket.id.as_str();
    Some(Relationship::new("aws_account_has_s3_bucket", "HAS", &account, key, &[], FarEnd::From))
}

fn web_link(partition: &str, region: &str, name: &str) -> String {
    let console = match partition {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => "s3.console.aws.amazon.com",
    };
    format!("https://{console}/s3/buckets/{name}?region={region}")
}

/// Per facet: where its value comes from.
fn provenance(bucket: &Bucket<'_>, contested: &[&str]) -> Value {
    let from = |source: &str, origin: Option<&Origin>| {
        json!({
            "source": source,
            "eventId": origin.map(|origin| &origin.event_id),
            "eventTime": origin.map(|origin| origin.stamp.second * 1_000),
            "actor": origin.and_then(|origin| origin.actor.as_deref()),
        })
    };
    let mut facets =
        vec![("creation", from(if bucket.created().is_some() { "event" } else { "unknown" }, bucket.created()))];
    for facet in Facet::ALL {
        let origin = bucket.register(facet).map(|register| register.origin.as_ref());
        let mut entry = match bucket.known(facet) {
            Known::Set(_) | Known::Cleared => from("event", origin),
            Known::Default => from("default", None),
            Known::Unknown(_) => from("unknown", origin),
        };
        if let Known::Unknown(Some(why)) = bucket.known(facet) {
            entry["reason"] = json!(why);
        }
        facets.push((facet.as_str(), entry));
    }
    let entry = |(facet, mut entry): (&str, Value)| {
        entry["facet"] = facet.into();
        entry["contested"] = contested.contains(&facet).into();
        entry
    };
    facets.into_iter().map(entry).collect()
}
