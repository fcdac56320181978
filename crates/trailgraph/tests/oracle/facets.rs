//! What the living events of a bucket say, facet by facet.

use serde_json::{Map, Value};

use super::event::Event;
use super::export::{self, End, Graph};
use super::life::Life;

const CREATIONS_KEPT: usize = 16;

/// Adds the bucket to the graph, if it exists.
pub(super) fn describe(arn: &str, events: &[Event], graph: &mut Graph) {
    let life = Life::new(events);
    let (true, existence_contested) = life.exists() else { return };
    let mut bucket = Described::new(arn, events, life, graph);
    if existence_contested {
        bucket.contested.push("creation");
    }
    bucket.creation();
    bucket.acl();
    bucket.policy();
    bucket.public_access_block();
    bucket.encryption();
    bucket.versioning();
    bucket.logging();
    bucket.tags();
    bucket.finish();
}

/// A bucket that exists, and what has been said of it so far.
pub(super) struct Described<'a> {
    pub(super) arn: &'a str,
    pub(super) name: &'a str,
    pub(super) partition: &'a str,
    pub(super) account: Option<String>,
    pub(super) region: String,
    pub(super) life: Life<'a>,
    /// The second in which this bucket began, where that is known.
    pub(super) born: Option<i64>,
    pub(super) contested: Vec<&'static str>,
    properties: Map<String, Value>,
    pub(super) graph: &'a mut Graph,
}

/// What is known of a facet.
pub(super) enum Known<'a> {
    Event(&'a Event),
    Default,
    Unknown,
}

impl<'a> Described<'a> {
    fn new(arn: &'a str, events: &'a [Event], life: Life<'a>, graph: &'a mut Graph) -> Self {
        let owners = events.iter().filter_map(|event| event.owner.as_ref().map(|owner| (&event.stamp, owner)));
        let regions = events.iter().map(|event| (&event.stamp, &event.region));
        let changes = life.changes();
        let living = changes.iter().filter(|event| !life.last(&[event]).is_empty());
        let began = living.map(|event| event.stamp.second).min();
        Self {
            arn,
            name: arn.rsplit(':').next().unwrap_or_default(),
            partition: arn.split(':').nth(1).unwrap_or_default(),
            account: owners.max().map(|(_, (_, id))| id.clone()),
            region: regions.max().map_or_else(String::new, |(_, region)| region.clone()),
            born: began.filter(|_| life.beginning_is_known()),
            life,
            contested: Vec::new(),
            properties: Map::new(),
            graph,
        }
    }

    pub(super) fn set(&mut self, property: &str, value: impl Into<Value>) {
        self.properties.insert(property.to_owned(), value.into());
    }

    /// All such calls, of whatever life.
    pub(super) fn named(&self, names: &[&str]) -> Vec<&'a Event> {
        self.life.changes().into_iter().filter(|event| names.contains(&event.name)).collect()
    }

    /// The last word on a facet, from these calls.
    pub(super) fn last(&mut self, facet: &'static str, names: &[&str]) -> Known<'a> {
        let events = self.life.last(&self.named(names));
        if self.life.contested(&events) {
            self.contested.push(facet);
        }
        match (greatest(&events), self.born) {
            (Some(event), _) if event.recorded => Known::Event(event),
            (Some(_), _) => Known::Unknown,
            (None, Some(_)) => Known::Default,
            (None, None) => Known::Unknown,
        }
    }

    pub(super) fn connect(&mut self, kind: &str, class: &str, end: &End, apart: &str, more: Value) {
        self.graph.hold(end);
        self.graph.connect(kind, class, [self.arn, &end.key], apart, more);
    }

    fn creation(&mut self) {
        let mut creations = self.named(&["CreateBucket"]);
        creations.retain(|creation| !self.life.last(&[creation]).is_empty());
        creations.sort_by_key(|event| std::cmp::Reverse((&event.stamp, &event.actor, &event.id)));
        creations.dedup_by_key(|event| &event.stamp);
        creations.truncate(CREATIONS_KEPT);
        if let Some(first) = creations.last() {
            self.set("createdOn", first.stamp.second * 1_000);
            if let Some(actor) = &first.actor {
                self.set("createdBy", actor.as_str());
            }
        }
        let changes = self.life.changes().into_iter();
        if let Some(last) = changes.max_by_key(|event| (&event.stamp, &event.actor, &event.id)) {
            let (second, actor) = (last.stamp.second, last.actor.clone());
            self.set("updatedOn", second * 1_000);
            if let Some(actor) = actor {
                self.set("updatedBy", actor);
            }
        }
    }

    fn finish(mut self) {
        let (name, region) = (self.name, self.region.clone());
        self.set("bucketName", name);
        self.set("arn", self.arn);
        let domain = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        self.set("baseUrl", format!("https://{name}.s3.{domain}"));
        if !region.is_empty() {
            self.set("region", region.as_str());
            let console = match self.partition {
                "aws-us-gov" => "console.amazonaws-us-gov.com",
                "aws-cn" => "console.amazonaws.cn",
                _ => "s3.console.aws.amazon.com",
            };
            self.set("webLink", format!("https://{console}/s3/buckets/{name}?region={region}"));
        }
        self.contested.sort_unstable();
        if !self.contested.is_empty() {
            self.set("contestedFacets", self.contested.clone());
        }
        if let Some(account) = self.account.clone() {
            self.set("accountId", account.as_str());
            let end = export::account(self.partition, &account);
            self.graph.hold(&end);
            self.graph.connect("aws_account_has_s3_bucket", "HAS", [&end.key, self.arn], "", Value::Null);
        }
        self.graph.entity(self.arn, "aws_s3_bucket", &["DataStore"], name, self.properties);
    }
}

/// The event with the greatest stamp; of two records of one change the one that tells more, and only then whoever is
/// said to have made it.
pub(super) fn greatest<'a>(events: &[&'a Event]) -> Option<&'a Event> {
    let said = |event: &Event| (event.recorded, event.parameters.to_string());
    events.iter().copied().max_by_key(|event| (&event.stamp, said(event), &event.actor, &event.id))
}
