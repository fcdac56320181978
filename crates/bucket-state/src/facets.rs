//! Each facet's properties, entities and relationships.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::acl;
use crate::body::{filled, flag, items, text};
use crate::bucket::{Bucket, Known};
use crate::catalogue::Facet;
use crate::graph::{Entity, FarEnd, Relationship};
use crate::policy::{Policy, Principal};

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

/// Adds everything that follows from the facets.
pub(crate) fn project(bucket: &Bucket<'_>, parts: &mut Parts) {
    acl(bucket, parts);
    policy(bucket, parts);
    public_access_block(bucket, &mut parts.entity);
    encryption(bucket, parts);
    versioning(bucket, &mut parts.entity);
    logging(bucket, parts);
    tags(bucket, &mut parts.entity);
}

fn acl(bucket: &Bucket<'_>, parts: &mut Parts) {
    let body = match bucket.known(Facet::Acl) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let grants = acl::grants(&body);
    parts.entity.set("aclPublic", grants.iter().any(|grant| grant.grantee.is_public()));
    for grant in grants {
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
}

fn policy(bucket: &Bucket<'_>, parts: &mut Parts) {
    let document = match bucket.known(Facet::Policy) {
        Known::Set(body) => body.value()["bucketPolicy"].take(),
        Known::Cleared | Known::Default => {
            parts.entity.set("policyPublic", false);
            parts.entity.set("secureTransport", false);
            return;
        }
        Known::Unknown(_) => return,
    };
    let (bucket_key, key) = (bucket.id.as_str(), format!("{}/policy", bucket.id));
    let mut entity = Entity::new(&key, "aws_s3_bucket_policy", &["AccessPolicy"], bucket.id.name());
    entity.set_some("accountId", bucket.account());
    entity.set_some("region", bucket.region());
    // A document that was no JSON is recorded as text, and shown as that.
    entity.set("_rawData", document.as_str().map_or_else(|| document.to_string(), str::to_owned));
    if let Some(policy) = Policy::read(&document, bucket_key) {
        parts.entity.set("policyPublic", policy.public);
        parts.entity.set("secureTransport", policy.secure_transport);
        entity.set("public", policy.public);
        entity.set("statementCount", policy.statements);
        let names = policy.allows.keys().map(|(_, name)| name.clone());
        entity.set("principals", names.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        for (key_of_principal, actions, conditional) in allowed_ends(bucket, &policy) {
            let kind = "aws_s3_bucket_policy_allows_principal";
            let edge = Relationship::new(kind, "ALLOWS", &key, &key_of_principal, &[], FarEnd::To);
            parts.connect(edge.with("actions", actions).with("conditional", conditional));
        }
    }
    parts.others.push(entity);
    parts.connect(Relationship::new("aws_s3_bucket_has_policy", "HAS", bucket_key, &key, &[], FarEnd::None));
}

/// The principals that have a place in the graph: key, actions and whether all of it is conditional. Two ways
/// to write one principal make one edge.
fn allowed_ends(bucket: &Bucket<'_>, policy: &Policy) -> Vec<(String, String, bool)> {
    let mut ends: BTreeMap<String, (std::collections::BTreeSet<&str>, bool)> = BTreeMap::new();
    for (principal, allowance) in &policy.allows {
        if let Some(key) = principal_key(bucket.id.partition(), principal) {
            let (actions, conditional) = ends.entry(key).or_insert_with(|| (Default::default(), true));
            actions.extend(allowance.actions.iter().map(String::as_str));
            *conditional &= allowance.conditional;
        }
    }
    let joined = |actions: std::collections::BTreeSet<&str>| actions.into_iter().collect::<Vec<_>>().join(",");
    ends.into_iter().map(|(key, (actions, conditional))| (key, joined(actions), conditional)).collect()
}

fn principal_key(partition: &str, (kind, name): &Principal) -> Option<String> {
    match kind.as_str() {
        "AWS" if name == "*" => Some("global:everyone".into()),
        "AWS" if name.len() == 12 && name.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("arn:{partition}:iam::{name}:root"))
        }
        "AWS" if name.starts_with("arn:") && name.contains(":iam::") => Some(name.clone()),
        "Service" => Some(format!("aws:service:{name}")),
        "CanonicalUser" => Some(format!("aws:canonical-user:{name}")),
        _ => None,
    }
}

fn public_access_block(bucket: &Bucket<'_>, entity: &mut Entity) {
    const FLAGS: [(&str, &str); 4] = [
        ("blockPublicAcls", "BlockPublicAcls"),
        ("ignorePublicAcls", "IgnorePublicAcls"),
        ("blockPublicPolicy", "BlockPublicPolicy"),
        ("restrictPublicBuckets", "RestrictPublicBuckets"),
    ];
    let all = |blocked: bool| FLAGS.map(|(property, _)| (property, blocked));
    let flags = match bucket.known(Facet::PublicAccessBlock) {
        Known::Set(body) => {
            let value = body.value();
            FLAGS.map(|(property, member)| (property, flag(&value["PublicAccessBlockConfiguration"][member])))
        }
        Known::Cleared => all(false),
        Known::Default => match bucket.has_secure_defaults() {
            Some(blocked) => all(blocked),
            None => return,
        },
        Known::Unknown(_) => return,
    };
    for (property, value) in flags {
        entity.set(property, value);
    }
}

fn encryption(bucket: &Bucket<'_>, parts: &mut Parts) {
    // Since 2023-01-05 every bucket, old or new, encrypts with S3's own keys unless it is told otherwise.
    let rule = match bucket.known(Facet::Encryption) {
        Known::Set(body) => {
            let value = body.value();
            items(&value["ServerSideEncryptionConfiguration"]["Rule"]).first().cloned().unwrap_or_default()
        }
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let default = &rule["ApplyServerSideEncryptionByDefault"];
    let algorithm = filled(&default["SSEAlgorithm"]).unwrap_or_else(|| "AES256".into());
    let uses_kms = algorithm.starts_with("aws:kms");
    parts.entity.set("encrypted", true);
    parts.entity.set("defaultEncryptionEnabled", true);
    parts.entity.set("encryptionAlgorithm", algorithm);
    parts.entity.set("bucketKeyEnabled", flag(&rule["BucketKeyEnabled"]));
    if let Some(key) = filled(&default["KMSMasterKeyID"]).filter(|_| uses_kms) {
        if let Some(arn) = kms_arn(bucket, &key) {
            parts.entity.set("encryptionKeyRef", arn.as_str());
            let from = bucket.id.as_str();
            parts.connect(Relationship::new("aws_s3_bucket_uses_kms_key", "USES", from, &arn, &[], FarEnd::To));
        } else {
            parts.entity.set("encryptionKeyRef", key);
        }
    }
}

/// A bare key id or alias belongs to the bucket's own partition, Region and account.
fn kms_arn(bucket: &Bucket<'_>, key: &str) -> Option<String> {
    if key.starts_with("arn:") {
        return Some(key.to_owned());
    }
    let resource = if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") };
    Some(format!("arn:{}:kms:{}:{}:{resource}", bucket.id.partition(), bucket.region()?, bucket.account()?))
}

fn versioning(bucket: &Bucket<'_>, entity: &mut Entity) {
    let (status, mfa_delete) = match bucket.known(Facet::Versioning) {
        Known::Set(body) => {
            let value = body.value();
            let configuration = &value["VersioningConfiguration"];
            (text(&configuration["Status"]), text(&configuration["MfaDelete"]))
        }
        Known::Cleared | Known::Default => (None, None),
        Known::Unknown(_) => return,
    };
    entity.set("versioningEnabled", status.as_deref() == Some("Enabled"));
    entity.set("mfaDelete", mfa_delete.as_deref() == Some("Enabled"));
}

fn logging(bucket: &Bucket<'_>, parts: &mut Parts) {
    let value = match bucket.known(Facet::Logging) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let enabled = &value["BucketLoggingStatus"]["LoggingEnabled"];
    let target = filled(&enabled["TargetBucket"]);
    parts.entity.set("loggingEnabled", target.is_some());
    if let Some(target) = target {
        let prefix = text(&enabled["TargetPrefix"]).unwrap_or_default();
        let to = format!("arn:{}:s3:::{target}", bucket.id.partition());
        parts.entity.set("loggingTargetBucket", target);
        parts.entity.set("loggingTargetPrefix", prefix.as_str());
        let from = bucket.id.as_str();
        let edge = Relationship::new("aws_s3_bucket_logs_to_bucket", "LOGS", from, &to, &[], FarEnd::To);
        parts.connect(edge.with("prefix", prefix));
    }
}

fn tags(bucket: &Bucket<'_>, entity: &mut Entity) {
    let known = bucket.known(Facet::Tags);
    let whole_set_known = !matches!(known, Known::Unknown(_));
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    if let Known::Set(body) = known {
        let value = body.value();
        for tag in items(&value["Tagging"]["TagSet"]["Tag"]) {
            // XML's text "null" was dropped when the record was made; an empty value is "".
            let value = text(&tag["Value"]).unwrap_or_else(|| "null".into());
            tags.extend(text(&tag["Key"]).map(|key| (key, value)));
        }
    }
    for (key, value) in bucket.single_tags() {
        match value {
            Some(value) => tags.insert(key.to_owned(), value.to_owned()),
            None => tags.remove(key),
        };
    }
    for (key, value) in &tags {
        entity.set(&format!("tag.{key}"), tag_value(value));
        // JupiterOne's rule: these three are properties of their own, in lower case.
        let lower = key.to_ascii_lowercase();
        if ["classification", "owner", "email"].contains(&lower.as_str()) {
            entity.set(&lower, value.to_lowercase());
        }
    }
    if whole_set_known {
        // JupiterOne's rule: a tag that only flags is listed by its name.
        let flags = tags.iter().filter(|(_, value)| value.is_empty() || *value == "true").map(|(key, _)| key.as_str());
        entity.set("tags", flags.collect::<Vec<_>>());
    }
}

/// A tag's value as JupiterOne types it.
fn tag_value(text: &str) -> Value {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ if digits(text) => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        _ if text.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part)) => {
            text.parse::<f64>().map_or_else(|_| text.into(), Value::from)
        }
        _ => text.into(),
    }
}
