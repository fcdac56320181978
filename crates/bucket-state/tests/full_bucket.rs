//! One bucket with everything: every facet, every relationship and every kind of far end, as the graph exports them.

use std::collections::{BTreeMap, BTreeSet};

use bucket_state::{AccountLevel, ResourceId, ResourceState, placeholder, project};
use serde_json::{Value, json};

use crate::support::samples::{ALL_USERS, sample};
use crate::support::*;

const ACCOUNT: &str = "arn:aws:iam::111122223333:root";
const READERS: &str = "arn:aws:s3:eu-west-1:111122223333:accesspoint/readers";
/// The bucket as the first build with each schema version stored it.
const STORED: [&[u8]; 2] = [include_bytes!("fixtures/full-bucket-2.bin"), include_bytes!("fixtures/full-bucket-3.bin")];
/// Written line by line from the model of the graph, and never taken from what the program prints.
const GOLDEN: &str = include_str!("fixtures/full-bucket.json");

/// The events, a second apart, from 2026-03-01T00:00:00Z.
fn story() -> Vec<Value> {
    let grant = |permission: &str, grantee: Value| json!({"Permission": permission, "Grantee": grantee});
    let authenticated = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
    let grants = json!([
        grant("READ", json!({"URI": ALL_USERS})),
        grant("READ_ACP", json!({"URI": authenticated})),
        grant("FULL_CONTROL", json!({"ID": "c0ffee"})),
        grant("WRITE", json!({"EmailAddress": "ada@example.com"})),
    ]);
    let acl = json!({"AccessControlPolicy": {"Owner": {"ID": "c0ffee"}, "AccessControlList": {"Grant": grants}}});
    let anybody =
        json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("{LEDGER}/*")});
    let principals = json!({
        "AWS": ["444455556666", "arn:aws:iam::444455556666:role/deploy", "arn:aws:iam::444455556666:user/grace"],
        "Service": "cloudtrail.amazonaws.com",
    });
    let some = json!({"Effect": "Allow", "Principal": principals, "Action": ["s3:PutObject", "s3:ListBucket"], "Resource": LEDGER});
    let some = with(some, json!({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}));
    let policy = json!({"bucketPolicy": {"Version": "2012-10-17", "Statement": [anybody, some]}});
    let refuse = json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": true}});
    let calls = [
        ("CreateBucket", None),
        ("PutBucketAcl", Some(acl)),
        ("PutBucketPolicy", Some(policy)),
        ("PutBucketPublicAccessBlock", Some(refuse.clone())),
        ("PutBucketEncryption", None),
        ("PutBucketVersioning", None),
        ("PutBucketLogging", None),
        ("PutBucketLifecycle", None),
        ("PutBucketReplication", None),
        ("PutBucketObjectLockConfiguration", None),
        ("PutBucketOwnershipControls", None),
        ("PutBucketTagging", None),
        ("TagResource", Some(json!({"TagResourceRequest": {"Tags": {"Tag": {"Key": "Owner", "Value": "Ada"}}}}))),
        ("PutBucketNotification", None),
        ("PutBucketInventoryConfiguration", None),
        ("PutBucketAnalyticsConfiguration", None),
        ("PutBucketMetricsConfiguration", None),
        ("PutBucketIntelligentTieringConfiguration", None),
        ("PutBucketWebsite", None),
        ("PutBucketCors", None),
        ("PutBucketRequestPayment", None),
        ("PutAccelerateConfiguration", None),
        ("PutBucketAbac", None),
        ("CreateAccessPoint", None),
        ("PutAccessPointPolicy", None),
        ("PutAccountPublicAccessBlock", Some(refuse)),
    ];
    let record = |(second, (call, parameters)): (usize, (&str, Option<Value>))| {
        let record = at(second as f64, call, parameters.unwrap_or_else(|| sample(call)));
        // Only what is about the bucket names it.
        if call.contains("Bucket") || call == "TagResource" { record } else { without(record, &["resources"]) }
    };
    calls.into_iter().enumerate().map(record).collect()
}

/// What stands in the graph, as the export orders it: the entities with the placeholders, the relationships.
fn export(records: &[Value]) -> Value {
    let (mut entities, mut edges, mut far) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for resource in [LEDGER, READERS, ACCOUNT] {
        let snapshot = snapshot_of(resource, records);
        for entity in snapshot.entities {
            entities.insert(entity.key().to_owned(), Value::Object(entity.0));
        }
        for edge in snapshot.relationships {
            far.extend(edge.far_key().map(str::to_owned));
            edges.insert(edge.key().to_owned(), Value::Object(edge.properties));
        }
    }
    for key in far {
        entities.entry(key).or_insert_with_key(|key| Value::Object(placeholder(key).0));
    }
    let entities: Value = entities.into_values().map(with_document).collect();
    json!({"entities": entities, "relationships": edges.into_values().collect::<Value>()})
}

fn golden() -> Value {
    let mut golden: Value = serde_json::from_str(GOLDEN).expect("the golden export is JSON");
    golden["entities"] = golden["entities"].as_array().expect("a list").iter().cloned().map(with_document).collect();
    golden
}

/// A policy's document as JSON: the order of its members tells nothing.
fn with_document(mut entity: Value) -> Value {
    if let Some(document) = entity["_rawData"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        entity["_rawData"] = document;
    }
    entity
}

/// The first place where two exports differ, in words; nothing where they do not.
fn first_difference(golden: &Value, export: &Value) -> Option<String> {
    let by_key = |export: &Value, list: &str| -> BTreeMap<String, Value> {
        let items = export[list].as_array().expect("a list").iter();
        items.map(|item| (item["_key"].as_str().expect("a key").to_owned(), item.clone())).collect()
    };
    for list in ["entities", "relationships"] {
        let (wanted, found) = (by_key(golden, list), by_key(export, list));
        for key in wanted.keys().chain(found.keys()) {
            let (Some(wanted), Some(found)) = (wanted.get(key), found.get(key)) else {
                let place = if wanted.contains_key(key) { "golden file" } else { "export" };
                return Some(format!("{list}: only the {place} has {key}"));
            };
            let members = |item: &Value| item.as_object().expect("an object").clone();
            let (wanted, found) = (members(wanted), members(found));
            let mut names = wanted.keys().chain(found.keys());
            if let Some(name) = names.find(|name| wanted.get(*name) != found.get(*name)) {
                let shown = |item: Option<&Value>| item.map_or("absent".to_owned(), Value::to_string);
                let (wanted, found) = (shown(wanted.get(name)), shown(found.get(name)));
                return Some(format!("{list}, {key}: {name} is {found}, not {wanted}"));
            }
        }
    }
    None
}

fn types(export: &Value, list: &str, is_wanted: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let items = export[list].as_array().expect("a list").iter().filter(|item| is_wanted(item));
    items.map(|item| item["_type"].as_str().expect("a type").to_owned()).collect()
}

fn set(types: &[&str]) -> BTreeSet<String> {
    types.iter().map(|kind| (*kind).to_owned()).collect()
}

#[test]
fn a_bucket_with_everything_is_exported_as_the_model_says() {
    let (golden, export) = (golden(), export(&story()));
    assert_eq!(first_difference(&golden, &export), None);
    assert!(golden == export, "the golden file has each list sorted by key");
}

#[test]
fn a_bucket_that_was_stored_by_an_earlier_build_shows_the_same() {
    let mut folded = ResourceState::default();
    let events = story().iter().map(event).collect::<Vec<_>>();
    events.iter().filter(|event| event.resource.as_str() == LEDGER).for_each(|event| folded.fold(event.clone()));
    let id = ResourceId::from(LEDGER);
    for (bytes, version) in STORED.iter().zip(2..) {
        let stored = ResourceState::decode(bytes).expect("this version or an earlier one");
        assert_eq!((bytes[0], &stored), (version, &folded));
        assert_eq!(project(&id, &stored, AccountLevel::Silent), project(&id, &folded, AccountLevel::Silent));
    }
}

#[test]
fn the_golden_export_has_every_type_of_the_model() {
    let golden = golden();
    let relationships = [
        "aws_account_has_s3_bucket",
        "aws_s3_access_point_connects_bucket",
        "aws_s3_bucket_grant",
        "aws_s3_bucket_has_policy",
        "aws_s3_bucket_logs_to_bucket",
        "aws_s3_bucket_notifies_function",
        "aws_s3_bucket_notifies_queue",
        "aws_s3_bucket_notifies_topic",
        "aws_s3_bucket_policy_allows_principal",
        "aws_s3_bucket_publishes_inventory_report",
        "aws_s3_bucket_replicates_to_bucket",
        "aws_s3_bucket_uses_kms_key",
    ];
    assert_eq!(types(&golden, "relationships", |_| true), set(&relationships));
    let owned = ["aws_account", "aws_s3_access_point", "aws_s3_bucket", "aws_s3_bucket_policy"];
    assert_eq!(types(&golden, "entities", |entity| entity["placeholder"] != true), set(&owned));
    let placeholders = [
        "aws_account",
        "aws_authenticated_users",
        "aws_canonical_user",
        "aws_email_grantee",
        "aws_iam_role",
        "aws_iam_user",
        "aws_kms_key",
        "aws_lambda_function",
        "aws_s3_bucket",
        "aws_service",
        "aws_sns_topic",
        "aws_sqs_queue",
        "everyone",
    ];
    assert_eq!(types(&golden, "entities", |entity| entity["placeholder"] == true), set(&placeholders));
}

#[test]
fn every_facet_of_the_bucket_comes_from_an_event() {
    let provenance = json!(snapshot(&story()).provenance);
    let entries: Vec<[&str; 2]> = provenance
        .as_array()
        .expect("an array")
        .iter()
        .map(|entry| ["facet", "source"].map(|name| entry[name].as_str().expect("a text")))
        .collect();
    let facets = [
        "creation",
        "acl",
        "policy",
        "publicAccessBlock",
        "encryption",
        "versioning",
        "logging",
        "lifecycleRules",
        "replication",
        "objectLock",
        "ownership",
        "tags",
        "notification",
        "inventory",
        "analytics",
        "metrics",
        "intelligentTiering",
        "website",
        "cors",
        "requestPayment",
        "acceleration",
        "abac",
        "accountPublicAccessBlock",
    ];
    // CloudTrail tells of acceleration that it was set, and never to what.
    let source = |facet: &'static str| [facet, if facet == "acceleration" { "unknown" } else { "event" }];
    assert_eq!(entries, facets.map(source));
}

#[test]
fn the_first_difference_is_told_in_words() {
    let export =
        |edge: &str, value: u8| json!({"entities": [{"_key": "a", "x": value}], "relationships": [{"_key": edge}]});
    let cases = [
        (export("e", 1), export("e", 1), None),
        (export("e", 1), export("e", 2), Some("entities, a: x is 2, not 1")),
        (export("e", 1), export("f", 1), Some("relationships: only the golden file has e")),
    ];
    for (golden, export, expected) in cases {
        assert_eq!(first_difference(&golden, &export).as_deref(), expected);
    }
}
