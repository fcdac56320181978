//! Every call that counts is made, in every form that CloudTrail gives it.

use std::collections::HashSet;

use serde_json::Value;

use super::{Traffic, fixture, records};

const NAMES: &[&str] = &[
    "CreateBucket",
    "DeleteBucket",
    "PutBucketAcl",
    "PutBucketPolicy",
    "DeleteBucketPolicy",
    "PutBucketTagging",
    "DeleteBucketTagging",
    "TagResource",
    "UntagResource",
    "PutBucketVersioning",
    "PutBucketEncryption",
    "DeleteBucketEncryption",
    "PutBucketPublicAccessBlock",
    "DeleteBucketPublicAccessBlock",
    "PutBucketOwnershipControls",
    "DeleteBucketOwnershipControls",
    "PutBucketLogging",
    "PutBucketLifecycle",
    "DeleteBucketLifecycle",
    "PutBucketReplication",
    "DeleteBucketReplication",
    "PutBucketCors",
    "DeleteBucketCors",
    "PutBucketWebsite",
    "DeleteBucketWebsite",
    "PutBucketNotification",
    "PutBucketRequestPayment",
    "PutAccelerateConfiguration",
    "PutBucketObjectLockConfiguration",
    "PutBucketInventoryConfiguration",
    "DeleteBucketInventoryConfiguration",
    "PutBucketAnalyticsConfiguration",
    "DeleteBucketAnalyticsConfiguration",
    "PutBucketMetricsConfiguration",
    "DeleteBucketMetricsConfiguration",
    "PutBucketIntelligentTieringConfiguration",
    "DeleteBucketIntelligentTieringConfiguration",
    "PutBucketAbac",
    "PutAccountPublicAccessBlock",
    "DeleteAccountPublicAccessBlock",
    "CreateAccessPoint",
    "DeleteAccessPoint",
    "PutAccessPointPolicy",
    "DeleteAccessPointPolicy",
];

fn usual() -> Vec<Value> {
    records(Traffic { events: 20_000, ..Traffic::default() })
}

#[test]
fn every_call_is_made_with_success_and_no_other_changes_anything() {
    let fixed = fixture().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["detail"].take()).collect();
    for (which, records) in [("usual", usual()), ("fixture", fixed)] {
        let is_change = |record: &&Value| {
            record["eventSource"] == "s3.amazonaws.com"
                && record["errorCode"].is_null()
                && record["readOnly"] != true
                && record["eventCategory"] != "Data"
        };
        let made: HashSet<&str> = records.iter().filter(is_change).filter_map(|it| it["eventName"].as_str()).collect();
        let names: HashSet<&str> = NAMES.iter().copied().collect();
        let different: Vec<_> = names.symmetric_difference(&made).collect();
        assert!(different.is_empty(), "{which}: {different:?}");
    }
}

#[test]
fn bodies_come_in_every_form_that_cloudtrail_records() {
    const FORMS: &[(&str, &str, &[&str])] = &[
        ("CreateBucket", "/x-amz-object-ownership", &["string", "null"]),
        ("CreateBucket", "/CreateBucketConfiguration/Tags/Tag", &["array", "object", "null"]),
        ("PutBucketAcl", "/x-amz-acl", &["string", "array", "null"]),
        ("PutBucketAcl", "/AccessControlPolicy/AccessControlList/Grant", &["object", "array", "null"]),
        ("PutBucketPolicy", "/bucketPolicy/Statement", &["object", "array"]),
        ("PutBucketTagging", "/Tagging/TagSet", &["object", "string"]),
        ("PutBucketTagging", "/Tagging/TagSet/Tag/Value", &["string", "number", "boolean", "null"]),
        ("PutBucketTagging", "/tagging", &["string", "array"]),
        ("UntagResource", "/tagKeys", &["string", "array"]),
        ("PutBucketVersioning", "/VersioningConfiguration/MfaDelete", &["string", "null"]),
        ("PutBucketEncryption", "/ServerSideEncryptionConfiguration/Rule/BucketKeyEnabled", &["boolean", "null"]),
        ("PutBucketPublicAccessBlock", "/PublicAccessBlockConfiguration/BlockPublicAcls", &["boolean", "null"]),
        ("PutBucketLogging", "/BucketLoggingStatus/LoggingEnabled", &["object", "null"]),
        ("PutBucketLifecycle", "/LifecycleConfiguration", &["object", "null"]),
        ("PutBucketLifecycle", "/LifecycleConfiguration/Rule", &["object", "array", "null"]),
        ("PutBucketLifecycle", "/LifecycleConfiguration/Rule/ID", &["string", "number", "null"]),
        ("PutBucketLifecycle", "/LifecycleConfiguration/Rule/Filter", &["string", "object", "null"]),
        ("PutBucketReplication", "/ReplicationConfiguration/Rule", &["object", "array", "null"]),
        ("PutBucketReplication", "/ReplicationConfiguration/Rule/Destination/Account", &["number", "null"]),
        ("PutBucketCors", "/omitted", &["boolean", "null"]),
        ("PutBucketCors", "/CORSConfiguration/CORSRule", &["object", "array", "null"]),
        ("PutBucketCors", "/CORSConfiguration/CORSRule/AllowedOrigin", &["string", "array", "null"]),
        ("PutBucketWebsite", "/WebsiteConfiguration/IndexDocument", &["object", "null"]),
        ("PutBucketWebsite", "/WebsiteConfiguration/RedirectAllRequestsTo", &["object", "null"]),
        ("PutBucketNotification", "/NotificationConfiguration", &["object", "string", "null"]),
        ("PutBucketNotification", "/NotificationConfiguration/QueueConfiguration", &["object", "array", "null"]),
        ("PutBucketNotification", "/NotificationConfiguration/CloudFunctionConfiguration/Id", &["string", "null"]),
        ("PutBucketNotification", "/NotificationConfiguration/TopicConfiguration/Event", &["string", "array", "null"]),
        ("PutBucketNotification", "/NotificationConfiguration/EventBridgeConfiguration", &["string", "null"]),
        ("PutBucketRequestPayment", "/RequestPaymentConfiguration/Payer", &["string", "null"]),
        ("PutBucketRequestPayment", "/Other/Payer", &["string", "null"]),
        ("PutBucketObjectLockConfiguration", "/ObjectLockConfiguration/Rule", &["object", "null"]),
        (
            "PutBucketObjectLockConfiguration",
            "/ObjectLockConfiguration/Rule/DefaultRetention/Days",
            &["number", "null"],
        ),
        (
            "PutBucketObjectLockConfiguration",
            "/ObjectLockConfiguration/Rule/DefaultRetention/Years",
            &["number", "null"],
        ),
        ("PutBucketInventoryConfiguration", "/id", &["string", "array"]),
        ("PutBucketInventoryConfiguration", "/InventoryConfiguration/Id", &["string", "number"]),
        ("PutBucketInventoryConfiguration", "/InventoryConfiguration/IsEnabled", &["boolean"]),
        ("DeleteBucketInventoryConfiguration", "/InventoryConfiguration", &["null"]),
        ("PutBucketAnalyticsConfiguration", "/AnalyticsConfiguration", &["null"]),
        ("PutBucketMetricsConfiguration", "/MetricsConfiguration", &["null"]),
        ("PutBucketAbac", "/AbacStatus/Status", &["string"]),
        ("PutAccountPublicAccessBlock", "/PublicAccessBlockConfiguration", &["object"]),
        ("CreateAccessPoint", "/CreateAccessPointRequest/VpcConfiguration/VpcId", &["string", "null"]),
        ("CreateAccessPoint", "/CreateAccessPointRequest/PublicAccessBlockConfiguration", &["object", "null"]),
        ("PutAccessPointPolicy", "/PutAccessPointPolicyRequest/Policy", &["string"]),
    ];
    let records = usual();
    for (name, pointer, forms) in FORMS {
        let of_name = records.iter().filter(|record| record["eventName"] == *name);
        let found: HashSet<&str> =
            of_name.map(|record| form(record["requestParameters"].pointer(pointer).unwrap_or(&Value::Null))).collect();
        assert_eq!(found, forms.iter().copied().collect(), "{name} {pointer}");
    }
}

fn form(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn older_records_have_lists_and_only_the_newest_tell_milliseconds() {
    let mut seen = HashSet::new();
    let records = usual();
    for record in records.iter().filter(|record| NAMES.contains(&record["eventName"].as_str().unwrap())) {
        let version = record["eventVersion"].as_str().unwrap();
        let parameters = &record["requestParameters"];
        let is_older = version == "1.05";
        assert_eq!((parameters["host"].is_array(), parameters["Host"].is_string()), (is_older, !is_older), "{version}");
        for member in ["resources", "readOnly", "managementEvent", "eventCategory", "tlsDetails", "sharedEventID"] {
            assert!(!is_older || record[member].is_null(), "{member}");
        }
        assert_eq!(record["additionalEventData"]["endTime"].is_number(), version == "1.11", "{version}");
        seen.insert(version);
    }
    assert_eq!(seen, HashSet::from(["1.05", "1.08", "1.11"]));
}

#[test]
fn calls_on_accounts_and_access_points_name_no_bucket() {
    for record in usual() {
        let name = record["eventName"].as_str().unwrap();
        let (of_account, of_point) = (name.contains("Account"), name.contains("AccessPoint"));
        if !of_account && !of_point {
            continue;
        }
        let account = record["recipientAccountId"].as_str().unwrap();
        let host = record["requestParameters"]["Host"].as_str().unwrap();
        assert!(host.starts_with(&format!("{account}.s3-control.")), "{name}: {host}");
        assert!(record["requestParameters"]["bucketName"].is_null() && record["resources"].is_null(), "{name}");
        assert_eq!(record["additionalEventData"]["accessPointName"].is_string(), of_point, "{name}");
        if let Some(policy) = record["requestParameters"]["PutAccessPointPolicyRequest"]["Policy"].as_str() {
            let policy: Value = serde_json::from_str(policy).unwrap();
            let resource = policy["Statement"][0]["Resource"].to_string();
            assert!(policy["Statement"].is_object() || resource.contains(":accesspoint/"), "{resource}");
        }
    }
}
