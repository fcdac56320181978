//! What protects a bucket's objects from being read on disk, overwritten or deleted.

use serde_json::Value;

use super::Parts;
use crate::body::{filled, flag, items, text};
use crate::catalogue::Facet;
use crate::graph::{Entity, FarEnd, Relationship};
use crate::living::{Known, Living};

const DAYS_OF_A_YEAR: i64 = 365;

pub(super) fn encryption(bucket: &Living<'_>, parts: &mut Parts) {
    // Since 2023-01-05 every bucket, old or new, encrypts with S3's own keys unless it is told otherwise.
    let rule = match bucket.known(Facet::Encryption) {
        Known::Set(body) => {
            let value = body.value();
            // S3 demands a rule: without one nobody knows what this was.
            let Some(rule) = items(&value["ServerSideEncryptionConfiguration"]["Rule"]).first() else { return };
            rule.clone()
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
fn kms_arn(bucket: &Living<'_>, key: &str) -> Option<String> {
    if key.starts_with("arn:") {
        return Some(key.to_owned());
    }
    let resource = if key.starts_with("alias/") { key.to_owned() } else { format!("key/{key}") };
    Some(format!("arn:{}:kms:{}:{}:{resource}", bucket.id.partition(), bucket.region()?, bucket.account()?))
}

pub(super) fn versioning(bucket: &Living<'_>, entity: &mut Entity) {
    let (enabled, mfa_delete) = match bucket.known(Facet::Versioning) {
        Known::Set(body) => {
            let value = body.value();
            let member = |name| text(&value["VersioningConfiguration"][name]);
            // S3 demands the status: without it nobody knows what this was.
            let Some(status) = member("Status") else { return };
            (status == "Enabled", member("MfaDelete").as_deref() == Some("Enabled"))
        }
        // S3 locks objects only where it keeps their versions.
        Known::Cleared | Known::Default => (is_locked(bucket), false),
        Known::Unknown(_) => return,
    };
    entity.set("versioningEnabled", enabled);
    entity.set("mfaDelete", mfa_delete);
}

pub(super) fn object_lock(bucket: &Living<'_>, entity: &mut Entity) {
    let Known::Set(body) = bucket.known(Facet::ObjectLock) else { return };
    let value = body.value();
    // S3 demands the member: without it nobody knows what this was.
    let Some(enabled) = text(&value["ObjectLockConfiguration"]["ObjectLockEnabled"]) else { return };
    entity.set("objectLockEnabled", enabled == "Enabled");
    let retention = &value["ObjectLockConfiguration"]["Rule"]["DefaultRetention"];
    entity.set_some("objectLockMode", filled(&retention["Mode"]));
    let number = |member| text(&retention[member])?.parse::<i64>().ok();
    let years = || number("Years")?.checked_mul(DAYS_OF_A_YEAR);
    entity.set_some("retentionPeriod", number("Days").or_else(years));
}

fn is_locked(bucket: &Living<'_>) -> bool {
    let Known::Set(body) = bucket.known(Facet::ObjectLock) else { return false };
    text(&body.value()["ObjectLockConfiguration"]["ObjectLockEnabled"]).as_deref() == Some("Enabled")
}
