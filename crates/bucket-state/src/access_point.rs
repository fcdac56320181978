//! Another door to a bucket, with a policy and a public access block of its own.

use serde_json::Value;

use crate::blocks::Blocks;
use crate::body::filled;
use crate::catalogue::Facet;
use crate::facets::{Parts, bucket_arn, bucket_name};
use crate::graph::{Entity, FarEnd, Relationship};
use crate::living::{Known, Living};
use crate::policy::Policy;

/// The access point's part of the graph.
pub(crate) fn project(point: &Living<'_>) -> Parts {
    let (key, name) = (point.id.as_str(), point.id.name());
    let mut entity = Entity::new(key, "aws_s3_access_point", &["NetworkEndpoint"], name);
    entity.set("arn", key);
    entity.set_some("accountId", point.account());
    entity.set_some("region", point.region());
    point.describe_life(&mut entity);
    let mut parts = Parts::new(entity);
    creation(point, &mut parts);
    policy(point, &mut parts.entity);
    parts
}

fn creation(point: &Living<'_>, parts: &mut Parts) {
    let Known::Set(body) = point.known(Facet::AccessPoint) else { return };
    let value = body.value();
    let request = &value["CreateAccessPointRequest"];
    // S3 demands the bucket: without it nobody knows what this was.
    let Some(bucket) = filled(&request["Bucket"]) else { return };
    parts.entity.set("bucketName", bucket_name(&bucket));
    if let Some(to) = bucket_arn(point.id.partition(), &bucket) {
        let (kind, from) = ("aws_s3_access_point_connects_bucket", point.id.as_str());
        parts.connect(Relationship::new(kind, "CONNECTS", from, &to, &[], FarEnd::To));
    }
    let vpc = filled(&request["VpcConfiguration"]["VpcId"]);
    parts.entity.set("networkOrigin", if vpc.is_some() { "VPC" } else { "Internet" });
    parts.entity.set_some("vpcId", vpc);
    // Whoever names no block gets all of it (S3 User Guide, "Managing public access to access points").
    let blocks = match &request["PublicAccessBlockConfiguration"] {
        Value::Null => Blocks::all(true),
        configuration => Blocks::read(configuration),
    };
    blocks.describe(&mut parts.entity);
}

/// Whether the policy is public by itself. What it can open also depends on the bucket's policy.
fn policy(point: &Living<'_>, entity: &mut Entity) {
    let public = match point.known(Facet::Policy) {
        Known::Set(body) => {
            let value = body.value();
            let document = &value["PutAccessPointPolicyRequest"]["Policy"];
            Policy::read(document, point.id.as_str()).and_then(|policy| policy.public)
        }
        Known::Cleared | Known::Default => Some(false),
        Known::Unknown(_) => None,
    };
    entity.set_some("policyPublic", public);
}
