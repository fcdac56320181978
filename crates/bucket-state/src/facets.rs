//! Each facet's properties, entities and relationships.

mod access;
mod network;
mod protection;
mod rules;
mod tags;
mod targets;

use crate::account::Level;
use crate::exposure::{self, Findings};
use crate::graph::{Entity, Relationship};
use crate::living::Living;
use crate::resource::ResourceId;

/// A snapshot in the making.
pub(crate) struct Parts {
    /// What the resource is.
    pub(crate) entity: Entity,
    /// What else it owns.
    pub(crate) others: Vec<Entity>,
    pub(crate) relationships: Vec<Relationship>,
}

impl Parts {
    pub(crate) fn new(entity: Entity) -> Self {
        Self { entity, others: Vec::new(), relationships: Vec::new() }
    }

    pub(crate) fn connect(&mut self, relationship: Relationship) {
        self.relationships.push(relationship);
    }
}

/// Adds everything that follows from a bucket's facets.
pub(crate) fn project(bucket: &Living<'_>, account: &Level<'_>, parts: &mut Parts) {
    let findings = Findings {
        acl_public: access::acl(bucket, parts),
        policy_public: access::policy(bucket, parts),
        blocks: access::public_access_block(bucket, &mut parts.entity),
        acls_disabled: access::ownership(bucket, &mut parts.entity),
    };
    exposure::describe(bucket, findings, account, &mut parts.entity);
    protection::encryption(bucket, parts);
    protection::versioning(bucket, &mut parts.entity);
    protection::object_lock(bucket, &mut parts.entity);
    targets::logging(bucket, parts);
    targets::replication(bucket, parts);
    targets::notification(bucket, parts);
    targets::inventory(bucket, parts);
    rules::lifecycle(bucket, &mut parts.entity);
    rules::ids(bucket, &mut parts.entity);
    rules::request_payment(bucket, &mut parts.entity);
    rules::abac(bucket, &mut parts.entity);
    network::website(bucket, &mut parts.entity);
    network::cors(bucket, &mut parts.entity);
    network::acceleration(bucket, &mut parts.entity);
    tags::tags(bucket, &mut parts.entity);
}

/// The ARN of a bucket that a configuration names by its ARN or by its name, if there can be one.
pub(crate) fn bucket_arn(partition: &str, bucket: &str) -> Option<String> {
    let arn = if bucket.starts_with("arn:") { bucket.to_owned() } else { format!("arn:{partition}:s3:::{bucket}") };
    ResourceId::of_bucket_arn(&arn).map(|_| arn)
}

/// The name in a bucket's ARN, or the name itself.
pub(crate) fn bucket_name(bucket: &str) -> &str {
    bucket.rsplit(':').next().unwrap_or(bucket)
}
