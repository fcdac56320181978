//! A state as a part of the graph.
//!
//! Everything that AWS adds by itself (defaults) or that follows from several facets is worked out here and
//! never stored, so a better answer needs no replay.

use serde_json::{Value, json};

use crate::bucket::{Bucket, Known};
use crate::catalogue::Facet;
use crate::facets::{self, Parts};
use crate::graph::{Entity, FarEnd, Relationship, Snapshot};
use crate::resource::ResourceId;
use crate::stamp::Origin;
use crate::state::BucketState;

/// The part of the graph that a bucket's state makes: empty where the bucket does not exist.
#[must_use]
pub fn project(id: &ResourceId, state: &BucketState) -> Snapshot {
    let Some(bucket) = Bucket::existing(id, state) else {
        let provenance = json!([]);
        return Snapshot { resource: id.clone(), entities: vec![], relationships: vec![], provenance };
    };
    let mut parts = Parts { entity: frame(&bucket), others: Vec::new(), relationships: Vec::new() };
    parts.relationships.extend(account_edge(&bucket));
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

/// The properties that do not depend on a facet.
fn frame(bucket: &Bucket<'_>) -> Entity {
    let (key, name) = (bucket.id.as_str(), bucket.id.name());
    let mut entity = Entity::new(key, "aws_s3_bucket", &["DataStore"], name);
    entity.set("bucketName", name);
    entity.set("arn", key);
    entity.set("baseUrl", base_url(bucket.id.partition(), name));
    entity.set_some("accountId", bucket.account());
    if let Some(region) = bucket.region() {
        entity.set("region", region);
        entity.set("webLink", web_link(bucket.id.partition(), region, name));
    }
    if let Some(created) = bucket.created() {
        entity.set("createdOn", created.stamp.second * 1_000);
        entity.set_some("createdBy", created.actor.as_deref());
    }
    if let Some(touched) = bucket.touched() {
        entity.set("updatedOn", touched.second() * 1_000);
        entity.set_some("updatedBy", touched.origin.actor.as_deref());
    }
    entity
}

/// Account → bucket.
fn account_edge(bucket: &Bucket<'_>) -> Option<Relationship> {
    let account = format!("arn:{}:iam::{}:root", bucket.id.partition(), bucket.account()?);
    let key = bucket.id.as_str();
    Some(Relationship::new("aws_account_has_s3_bucket", "HAS", &account, key, &[], FarEnd::From))
}

/// The bucket's own endpoint, as JupiterOne gives it.
fn base_url(partition: &str, name: &str) -> String {
    let domain = if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://{name}.s3.{domain}")
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
        let origin = bucket.origin(facet);
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
