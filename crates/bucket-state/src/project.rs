//! A state as a part of the graph.
//!
//! Everything that AWS adds by itself (defaults) or that follows from several facets is worked out here and
//! never stored, so a better answer needs no replay.

use crate::access_point;
use crate::account::{self, AccountLevel, Level};
use crate::catalogue::Facet;
use crate::facets::{self, Parts};
use crate::graph::{Entity, FarEnd, Relationship, Snapshot};
use crate::living::Living;
use crate::provenance;
use crate::resource::{Kind, ResourceId};
use crate::state::ResourceState;

/// The part of the graph that a resource's state makes: empty where the resource does not exist. What is set for the
/// whole `account` of a bucket has a say in its exposure; to others it means nothing.
#[must_use]
pub fn project(id: &ResourceId, state: &ResourceState, account: AccountLevel<'_>) -> Snapshot {
    let Some(living) = Living::existing(id, state) else {
        return Snapshot { resource: id.clone(), entities: vec![], relationships: vec![], provenance: vec![] };
    };
    let contested = living.contested();
    let (mut parts, provenance) = match id.kind() {
        Kind::Bucket => {
            let level = Level::of(account);
            (bucket(&living, &level), provenance::of_bucket(&living, &level, &contested))
        }
        Kind::Account => {
            (account::project(&living), provenance::of_facets(&living, &[Facet::AccountPublicAccessBlock], &contested))
        }
        Kind::AccessPoint => (
            access_point::project(&living),
            provenance::of_facets(&living, &[Facet::AccessPoint, Facet::Policy], &contested),
        ),
    };
    if !contested.is_empty() {
        parts.entity.set("contestedFacets", contested);
    }
    let Parts { entity, others: mut entities, mut relationships } = parts;
    entities.push(entity);
    entities.sort_by(|a, b| a.key().cmp(b.key()));
    relationships.sort_by(|a, b| a.key().cmp(b.key()));
    // S3 lets no two rules of a configuration have one id; a record that does makes one edge.
    relationships.dedup_by(|a, b| a.key() == b.key());
    Snapshot { resource: id.clone(), entities, relationships, provenance }
}

fn bucket(bucket: &Living<'_>, account: &Level<'_>) -> Parts {
    let mut parts = Parts::new(frame(bucket));
    parts.relationships.extend(account_edge(bucket));
    facets::project(bucket, account, &mut parts);
    parts
}

/// The facets of an existing resource whose last write CloudTrail's times leave open, sorted.
#[must_use]
pub fn contested(id: &ResourceId, state: &ResourceState) -> Vec<&'static str> {
    Living::existing(id, state).map_or_else(Vec::new, |bucket| bucket.contested())
}

/// The properties that do not depend on a facet.
fn frame(bucket: &Living<'_>) -> Entity {
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
    bucket.describe_life(&mut entity);
    entity
}

/// Account → bucket.
fn account_edge(bucket: &Living<'_>) -> Option<Relationship> {
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
