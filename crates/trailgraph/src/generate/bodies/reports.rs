//! Configurations of which a bucket has several, told apart by their ids: a deletion names the id alone.

use fastrand::Rng;

use super::{elements, open};
use crate::generate::subject::Subject;
use crate::generate::text::put;
use crate::generate::world::{any, percent};

const INVENTORIES: &[&str] = &["daily", "weekly", "audit", "2026"];
const ANALYSES: &[&str] = &["whole-bucket", "archive-candidates"];
const METRICS: &[&str] = &["EntireBucket", "uploads", "exports"];
const TIERINGS: &[&str] = &["cold-data", "archive"];

pub(in crate::generate) fn inventory_id(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    subject.put_header(text, "id", any(INVENTORIES, rng));
}

/// CloudTrail records no body of these.
pub(in crate::generate) fn analytics(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    subject.put_header(text, "id", any(ANALYSES, rng));
}

/// CloudTrail records no body of these.
pub(in crate::generate) fn metrics(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    subject.put_header(text, "id", any(METRICS, rng));
}

pub(in crate::generate) fn tiering_id(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    subject.put_header(text, "id", any(TIERINGS, rng));
}

pub(in crate::generate) fn inventory(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const FIELDS: &[&str] = &["Size", "LastModifiedDate", "StorageClass", "EncryptionStatus"];
    let id = any(INVENTORIES, rng);
    subject.put_header(text, "id", id);
    open(text, "InventoryConfiguration");
    put!(text, r#","Id":"#);
    put_coerced(text, id);
    put!(text, r#","IsEnabled":"#, percent(85, rng), r#","IncludedObjectVersions":""#, any(&["All", "Current"], rng));
    put!(text, r#"","Schedule":{"Frequency":""#, any(&["Daily", "Weekly"], rng), r#""}"#);
    if percent(25, rng) {
        put!(text, r#","Filter":{"Prefix":""#, any(&["raw/", "exports/"], rng), r#""}"#);
    }
    let fields = rng.usize(..=FIELDS.len());
    if fields > 0 {
        put!(text, r#","OptionalFields":{"Field":"#);
        elements(text, fields, |text, at| put!(text, r#"""#, FIELDS[at], r#"""#));
        put!(text, "}");
    }
    put!(text, r#","Destination":{"S3BucketDestination":{"Bucket":""#, subject.destination(0), r#"","Format":""#);
    put!(text, any(&["CSV", "Parquet", "ORC"], rng), r#"""#);
    if percent(50, rng) {
        put!(text, r#","Prefix":""#, any(&["inventory", "inventory/reports", ""], rng), r#"""#);
    }
    if percent(50, rng) {
        put!(text, r#","AccountId":"#, subject.account().id);
    }
    if percent(25, rng) {
        put!(text, r#","Encryption":{"SSE-S3":""}"#);
    }
    put!(text, "}}}");
}

pub(in crate::generate) fn tiering(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const TIERS: &[&str] =
        &[r#"{"AccessTier":"ARCHIVE_ACCESS","Days":90}"#, r#"{"AccessTier":"DEEP_ARCHIVE_ACCESS","Days":180}"#];
    let id = any(TIERINGS, rng);
    subject.put_header(text, "id", id);
    open(text, "IntelligentTieringConfiguration");
    put!(text, r#","Id":""#, id, r#"","Status":""#, any(&["Enabled", "Enabled", "Disabled"], rng), r#"","Tiering":"#);
    elements(text, rng.usize(1..=TIERS.len()), |text, at| put!(text, TIERS[at]));
    put!(text, "}");
}

/// Text of an element: bare if it is a number.
fn put_coerced(text: &mut Vec<u8>, value: &str) {
    let quote = if value.bytes().all(|byte| byte.is_ascii_digit()) { "" } else { r#"""# };
    put!(text, quote, value, quote);
}
