//! Who may reach a bucket: its ACL, its policy, and what overrules them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Parts;
use crate::acl::{self, Grants};
use crate::blocks::Blocks;
use crate::body::{items, text};
use crate::catalogue::Facet;
use crate::graph::{Entity, FarEnd, Relationship};
use crate::living::{Known, Living};
use crate::policy::{Policy, Principal};
use crate::resource::is_account;

/// The grants; whether one of them is public.
pub(super) fn acl(bucket: &Living<'_>, parts: &mut Parts) -> Option<bool> {
    let body = match bucket.known(Facet::Acl) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return None,
    };
    let grants = Grants::read(&body);
    let public = grants.are_public();
    parts.entity.set_some("aclPublic", public);
    for grant in grants.known {
        let (from, to) = (bucket.id.as_str(), grant.grantee.key());
        let apart = [grant.permission.as_str()];
        let edge = Relationship::new("aws_s3_bucket_grant", "ALLOWS", from, &to, &apart, FarEnd::To)
            .with("permission", grant.permission.as_str())
            .with("granteeType", grant.grantee.kind());
        parts.connect(match grant.grantee {
            acl::Grantee::Group(uri) => edge.with("granteeURI", uri),
            _ => edge,
        });
    }
    public
}

/// The policy; whether it is public.
pub(super) fn policy(bucket: &Living<'_>, parts: &mut Parts) -> Option<bool> {
    let document = match bucket.known(Facet::Policy) {
        Known::Set(body) => body.value()["bucketPolicy"].take(),
        Known::Cleared | Known::Default => {
            parts.entity.set("policyPublic", false);
            parts.entity.set("secureTransport", false);
            return Some(false);
        }
        Known::Unknown(_) => return None,
    };
    let (bucket_key, key) = (bucket.id.as_str(), format!("{}/policy", bucket.id));
    let mut entity = Entity::new(&key, "aws_s3_bucket_policy", &["AccessPolicy"], bucket.id.name());
    entity.set_some("accountId", bucket.account());
    entity.set_some("region", bucket.region());
    // A document that was no JSON is recorded as text, and shown as that.
    entity.set("_rawData", document.as_str().map_or_else(|| document.to_string(), str::to_owned));
    let policy = Policy::read(&document, bucket_key);
    if let Some(policy) = &policy {
        parts.entity.set_some("policyPublic", policy.public);
        parts.entity.set("secureTransport", policy.secure_transport);
        entity.set_some("public", policy.public);
        entity.set("statementCount", policy.statements);
        let names = policy.allows.keys().map(|(_, name)| name.clone());
        entity.set("principals", names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        for (key_of_principal, actions, conditional) in allowed_ends(bucket, policy) {
            let kind = "aws_s3_bucket_policy_allows_principal";
            let edge = Relationship::new(kind, "ALLOWS", &key, &key_of_principal, &[], FarEnd::To);
            parts.connect(edge.with("actions", actions).with("conditional", conditional));
        }
    }
    parts.others.push(entity);
    parts.connect(Relationship::new("aws_s3_bucket_has_policy", "HAS", bucket_key, &key, &[], FarEnd::None));
    policy?.public
}

/// The principals that have a place in the graph: key, actions and whether all of it is conditional. Two ways
/// to write one principal make one edge.
fn allowed_ends(bucket: &Living<'_>, policy: &Policy) -> Vec<(String, String, bool)> {
    let mut ends: BTreeMap<String, (BTreeSet<&str>, bool)> = BTreeMap::new();
    for (principal, allowance) in &policy.allows {
        if let Some(key) = principal_key(bucket.id.partition(), principal) {
            let (actions, conditional) = ends.entry(key).or_insert_with(|| (Default::default(), true));
            actions.extend(allowance.actions.iter().map(AsRef::as_ref));
            *conditional &= allowance.conditional;
        }
    }
    let joined = |actions: BTreeSet<&str>| actions.into_iter().collect::<Vec<_>>().join(",");
    ends.into_iter().map(|(key, (actions, conditional))| (key, joined(actions), conditional)).collect()
}

fn principal_key(partition: &str, (kind, name): &Principal) -> Option<String> {
    match kind.as_str() {
        "AWS" if name == "*" => Some("global:everyone".into()),
        "AWS" if is_account(name) => Some(format!("arn:{partition}:iam::{name}:root")),
        "AWS" if name.starts_with("arn:") && name.contains(":iam::") => Some(name.clone()),
        "Service" => Some(format!("aws:service:{name}")),
        "CanonicalUser" => Some(format!("aws:canonical-user:{name}")),
        _ => None,
    }
}

/// The bucket's own public access block.
pub(super) fn public_access_block(bucket: &Living<'_>, entity: &mut Entity) -> Option<Blocks> {
    let blocks = match bucket.known(Facet::PublicAccessBlock) {
        Known::Set(body) => Blocks::read(&body.value()["PublicAccessBlockConfiguration"]),
        Known::Cleared => Blocks::all(false),
        Known::Default => Blocks::all(bucket.has_secure_defaults()?),
        Known::Unknown(_) => return None,
    };
    blocks.describe(entity);
    Some(blocks)
}

/// Who owns objects; whether ACLs are disabled.
pub(super) fn ownership(bucket: &Living<'_>, entity: &mut Entity) -> Option<bool> {
    const ENFORCED: &str = "BucketOwnerEnforced";
    const ACLS_APPLY: &str = "ObjectWriter";
    let ownership = match bucket.known(Facet::Ownership) {
        Known::Set(body) => {
            let value = body.value();
            let asked_for_at_creation = text(&value["x-amz-object-ownership"]);
            let rule = items(&value["OwnershipControls"]["Rule"]).first();
            asked_for_at_creation.or_else(|| text(&rule?["ObjectOwnership"]))?
        }
        Known::Cleared => ACLS_APPLY.into(),
        Known::Default => if bucket.has_secure_defaults()? { ENFORCED } else { ACLS_APPLY }.into(),
        Known::Unknown(_) => return None,
    };
    let enforced = ownership == ENFORCED;
    entity.set("objectOwnership", ownership);
    Some(enforced)
}
