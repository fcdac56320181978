//! What the living events of something say, facet by facet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::event::Event;
use super::export::{self, End, Graph};
use super::life::Life;

const CREATIONS_KEPT: usize = 16;

/// Something that exists, and what has been said of it so far.
pub(super) struct Described<'a> {
    pub(super) key: &'a str,
    pub(super) name: &'a str,
    pub(super) partition: &'a str,
    pub(super) account: Option<String>,
    pub(super) region: String,
    pub(super) life: Life<'a>,
    pub(super) contested: BTreeSet<&'static str>,
    properties: Map<String, Value>,
    pub(super) graph: &'a mut Graph,
}

/// What is known of a facet.
pub(super) enum Known<'a> {
    Set(&'a Event),
    Cleared(&'a Event),
    /// Nothing was said since a beginning that is known.
    Default,
    Unknown,
}

impl Known<'_> {
    /// The facet and the event that set or cleared it.
    pub(super) fn reason(&self, facet: &str) -> Option<String> {
        match self {
            Self::Set(event) | Self::Cleared(event) => Some(format!("{facet}:{}", event.id)),
            Self::Default | Self::Unknown => None,
        }
    }
}

impl<'a> Described<'a> {
    /// Begins with what the key says: an ARN has a partition, and may have a Region and an account.
    pub(super) fn new(key: &'a str, name: &'a str, events: &'a [Event], graph: &'a mut Graph) -> Self {
        let field = |at: usize| key.split(':').nth(at).unwrap_or_default();
        Self {
            key,
            name,
            partition: field(1),
            account: Some(field(4)).filter(|account| !account.is_empty()).map(str::to_owned),
            region: field(3).to_owned(),
            life: Life::new(events),
            contested: BTreeSet::new(),
            properties: Map::new(),
            graph,
        }
    }

    pub(super) fn set(&mut self, property: &str, value: impl Into<Value>) {
        self.properties.insert(property.to_owned(), value.into());
    }

    /// Sets a property that there may be nothing to say of.
    pub(super) fn set_some(&mut self, property: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(property, value);
        }
    }

    /// All such calls, of whatever life.
    pub(super) fn named(&self, names: &[&str]) -> Vec<&'a Event> {
        self.life.changes().into_iter().filter(|event| names.contains(&event.name)).collect()
    }

    /// The last word on a facet, from these calls.
    pub(super) fn last(&mut self, facet: &'static str, names: &[&str]) -> Known<'a> {
        self.last_of(facet, &self.named(names))
    }

    /// The last word on a facet, from these events.
    pub(super) fn last_of(&mut self, facet: &'static str, events: &[&'a Event]) -> Known<'a> {
        let events = self.life.last(events);
        if self.life.contested(&events) {
            self.contested.insert(facet);
        }
        match greatest(&events) {
            Some(event) if event.name.starts_with("Delete") => Known::Cleared(event),
            Some(event) if event.recorded => Known::Set(event),
            None if self.life.beginning_is_known() => Known::Default,
            Some(_) | None => Known::Unknown,
        }
    }

    pub(super) fn connect(&mut self, kind: &str, class: &str, end: &End, apart: &str, more: Value) {
        self.graph.hold(end);
        self.graph.connect(kind, class, [self.key, &end.key], apart, more);
    }

    /// A bucket, of which an ARN or just the name is told.
    pub(super) fn other_bucket(&self, told: &str) -> End {
        if told.starts_with("arn:") {
            return export::bucket(told);
        }
        export::bucket(&format!("arn:{}:s3:::{told}", self.partition))
    }

    /// The first creation of the present life.
    pub(super) fn creation(&self, call: &str) -> Option<&'a Event> {
        let mut by_stamp = BTreeMap::new();
        for event in self.named(&[call]).into_iter().filter(|event| !self.life.last(&[event]).is_empty()) {
            let kept = by_stamp.entry(&event.stamp).or_insert(event);
            *kept = std::cmp::max_by_key(*kept, event, |event| (&event.actor, &event.id));
        }
        by_stamp.into_values().rev().take(CREATIONS_KEPT).next_back()
    }

    pub(super) fn created(&mut self, call: &str) {
        if let Some(first) = self.creation(call) {
            self.set("createdOn", first.stamp.second * 1_000);
            self.set_some("createdBy", first.actor.as_deref());
        }
    }

    pub(super) fn finish(mut self, kind: &str, classes: &[&str]) {
        let changes = self.life.changes().into_iter();
        if let Some(last) = changes.max_by_key(|event| (&event.stamp, &event.actor, &event.id)) {
            self.set("updatedOn", last.stamp.second * 1_000);
            self.set_some("updatedBy", last.actor.as_deref());
        }
        if !self.contested.is_empty() {
            let contested: Vec<&str> = self.contested.iter().copied().collect();
            self.set("contestedFacets", contested);
        }
        if !self.region.is_empty() {
            let region = self.region.clone();
            self.set("region", region);
        }
        let account = self.account.clone();
        self.set_some("accountId", account);
        self.graph.entity(self.key, kind, classes, self.name, self.properties);
    }
}

/// The event with the greatest stamp; of two records of one change the one that tells more, and only then whoever is
/// said to have made it.
pub(super) fn greatest<'a>(events: &[&'a Event]) -> Option<&'a Event> {
    let said = |event: &Event| (event.recorded, event.parameters.to_string());
    events.iter().copied().max_by_key(|event| (&event.stamp, said(event), &event.actor, &event.id))
}
