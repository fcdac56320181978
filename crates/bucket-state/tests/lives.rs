//! From records to the graph: whether a bucket exists, since when, and what holds of its present life.

use serde_json::{Value, json};

use crate::support::*;

const ADA: &str = "arn:aws:iam::111122223333:user/ada";

fn put_policy(seconds: f64) -> Value {
    at(
        seconds,
        "PutBucketPolicy",
        json!({"bucketPolicy": {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}}}),
    )
}

fn put_versioning(seconds: f64) -> Value {
    at(seconds, "PutBucketVersioning", json!({"VersioningConfiguration": {"Status": "Enabled"}}))
}

fn create(seconds: f64) -> Value {
    without(
        at(seconds, "CreateBucket", json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}})),
        &["resources"],
    )
}

/// A creation that does not prove that the bucket is new.
fn create_in_us_east_1(seconds: f64) -> Value {
    with(without(at(seconds, "CreateBucket", json!({})), &["resources"]), json!({"awsRegion": "us-east-1"}))
}

fn delete(seconds: f64) -> Value {
    at(seconds, "DeleteBucket", json!({}))
}

/// What AWS gives every bucket that is made today.
fn defaults() -> Value {
    json!({
        "aclPublic": false, "policyPublic": false, "secureTransport": false, "versioningEnabled": false, "mfaDelete": false,
        "loggingEnabled": false, "tags": [], "encrypted": true, "defaultEncryptionEnabled": true,
        "encryptionAlgorithm": "AES256", "bucketKeyEnabled": false, "blockPublicAcls": true, "ignorePublicAcls": true,
        "blockPublicPolicy": true, "restrictPublicBuckets": true, "objectOwnership": "BucketOwnerEnforced", "public": false,
        "lifecycleEnabled": false, "lifecycleRuleCount": 0, "replicationEnabled": false, "notificationEnabled": false,
        "eventBridgeEnabled": false, "inventoryEnabled": false, "websiteEnabled": false, "corsEnabled": false,
        "requesterPays": false, "accelerationKnown": true, "abacEnabled": false,
    })
}

fn is_gone(records: &[Value]) -> bool {
    let snapshot = snapshot(records);
    assert!(!snapshot.entities.is_empty() || snapshot.relationships.is_empty(), "no edges of nothing");
    snapshot.entities.is_empty()
}

/// Of each facet that is not merely unknown, where its value comes from.
fn sources(records: &[Value]) -> Value {
    let known = |entry: &&Value| entry["source"] != "unknown" || !entry["eventId"].is_null();
    let source = |entry: &Value| (entry["facet"].as_str().expect("a name").to_owned(), entry["source"].clone());
    let provenance = json!(snapshot(records).provenance);
    Value::Object(provenance.as_array().expect("an array").iter().filter(known).map(source).collect())
}

#[test]
fn a_bucket_of_which_anything_is_known_has_its_frame() {
    let snapshot = snapshot(&[create(1.0), put_versioning(2.0)]);
    let frame = json!({
        "_key": LEDGER, "_type": "aws_s3_bucket", "_class": ["DataStore"], "name": "ledger", "displayName": "ledger",
        "bucketName": "ledger", "arn": LEDGER, "accountId": "111122223333", "region": "eu-west-1",
        "baseUrl": "https://ledger.s3.amazonaws.com",
        "webLink": "https://s3.console.aws.amazon.com/s3/buckets/ledger?region=eu-west-1",
        "createdOn": 1_772_323_201_000_i64, "createdBy": ADA, "updatedOn": 1_772_323_202_000_i64, "updatedBy": ADA,
    });
    let shown = with(with(defaults(), json!({"versioningEnabled": true})), frame);
    assert_eq!(
        snapshot.entities.iter().map(|entity| Value::Object(entity.0.clone())).collect::<Value>(),
        json!([shown])
    );
    let account = json!([{
        "_key": format!("arn:aws:iam::111122223333:root|HAS|{LEDGER}"), "_type": "aws_account_has_s3_bucket", "_class": "HAS",
        "_fromEntityKey": "arn:aws:iam::111122223333:root", "_toEntityKey": LEDGER, "displayName": "HAS",
    }]);
    let edges = snapshot.relationships.iter().map(|edge| Value::Object(edge.properties.clone()));
    assert_eq!(edges.collect::<Value>(), account);
}

#[test]
fn a_creation_that_proves_the_bucket_new_gives_it_awss_defaults() {
    assert_eq!(properties(&[create(1.0)]), defaults());
    let default = "default";
    let expected = json!({
        "creation": "event", "acl": "event", "policy": default, "publicAccessBlock": default, "encryption": default,
        "versioning": default, "logging": default, "lifecycleRules": default, "replication": default,
        "ownership": default, "tags": default, "notification": default, "inventory": default, "analytics": default,
        "metrics": default, "intelligentTiering": default, "website": default, "cors": default,
        "requestPayment": default, "acceleration": default, "abac": default, "accountPublicAccessBlock": default,
    });
    assert_eq!(sources(&[create(1.0)]), expected);
}

#[test]
fn a_creation_in_us_east_1_tells_of_nothing_but_the_acl() {
    let created = [create_in_us_east_1(1.0)];
    assert_eq!(properties(&created), json!({"aclPublic": false}));
    assert_eq!(sources(&created), json!({"creation": "event", "acl": "event", "accountPublicAccessBlock": "default"}));
}

#[test]
fn creating_ones_own_bucket_again_in_us_east_1_keeps_all_but_the_acl() {
    let acl = at(1.0, "PutBucketAcl", json!({"x-amz-acl": "public-read"}));
    let records = [acl, put_versioning(2.0), create_in_us_east_1(3.0), create_in_us_east_1(4.0)];
    assert_eq!(properties(&records), json!({"aclPublic": false, "versioningEnabled": true, "mfaDelete": false}));
    assert_eq!(property(&records, "createdOn"), json!(1_772_323_203_000_i64), "the least creation that is known");
    let public = with(
        create_in_us_east_1(5.0),
        json!({"requestParameters": {"bucketName": "ledger", "x-amz-acl": "public-read"}}),
    );
    assert_eq!(property(&[create_in_us_east_1(4.0), public], "aclPublic"), json!(true));
}

#[test]
fn access_is_blocked_by_default_only_where_aws_had_begun_to() {
    let created_on = |date: &str| [with(create(0.0), json!({"eventTime": format!("{date}T00:00:00Z")}))];
    let cases = [
        ("2019-06-01", json!(false)),
        ("2023-03-31", json!(false)),
        ("2023-04-15", Value::Null),
        ("2023-05-01", json!(true)),
    ];
    for (date, blocked) in cases {
        let created = created_on(date);
        for flag in ["blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets"] {
            assert_eq!(property(&created, flag), blocked, "{date}, {flag}");
        }
        assert_eq!(property(&created, "encryptionAlgorithm"), json!("AES256"), "{date}: old buckets encrypt too");
    }
}

#[test]
fn a_bucket_is_gone_only_when_its_deletion_is_certainly_its_last_event() {
    let cases = [
        ("only deleted", vec![delete(1.0)], true),
        ("created and deleted", vec![create(1.0), delete(2.0)], true),
        ("deleted twice", vec![create(1.0), delete(2.0), delete(3.0)], true),
        ("changed after a late deletion", vec![create(1.0), put_policy(3.0), delete(2.0)], false),
        ("deleted and created", vec![delete(1.0), create(2.0)], false),
        ("deleted and created in us-east-1", vec![delete(1.0), create_in_us_east_1(2.0)], false),
        ("deleted a millisecond after", vec![create(1.001), delete(1.002)], true),
        ("deleted a millisecond before", vec![create(1.002), delete(1.001)], false),
        ("in one second", vec![create(1.0), named("z", delete(1.0))], false),
        ("in one second, named otherwise", vec![create(1.0), named("a", delete(1.0))], false),
        ("in one second, one without milliseconds", vec![create(1.001), delete(1.0)], false),
        ("in one millisecond", vec![create(1.001), named("z", delete(1.001))], false),
    ];
    for (case, records, gone) in cases {
        assert_eq!(is_gone(&records), gone, "{case}");
    }
}

#[test]
fn existence_wins_an_undecidable_tie_and_is_contested() {
    let contested = |records: &[Value]| property(records, "contestedFacets");
    let cases = [
        ("created and deleted in one second", vec![create(1.0), named("z", delete(1.0))], json!(["acl", "creation"])),
        (
            "changed and deleted in one second",
            vec![put_versioning(1.0), named("z", delete(1.0))],
            json!(["creation", "versioning"]),
        ),
        ("deleted before, by milliseconds", vec![create(1.002), delete(1.001)], Value::Null),
        ("certain again since", vec![create(1.0), named("z", delete(1.0)), put_versioning(2.0)], json!(["acl"])),
        (
            "deleted for certain since",
            vec![create(1.0), named("z", delete(1.0)), delete(2.0), create(3.0)],
            Value::Null,
        ),
    ];
    for (case, records, expected) in cases {
        assert_eq!(contested(&records), expected, "{case}");
    }
}

#[test]
fn two_writes_of_one_second_contest_their_facet_and_one_of_them_wins_always() {
    let versioning = |id: &str, status: &str, seconds: f64| {
        named(id, at(seconds, "PutBucketVersioning", json!({"VersioningConfiguration": {"Status": status}})))
    };
    let shown = |enabled: bool| json!({"versioningEnabled": enabled, "mfaDelete": false});
    let contested = |enabled: bool| with(shown(enabled), json!({"contestedFacets": ["versioning"]}));
    let cases = [
        (
            "the greater name wins",
            [versioning("a", "Enabled", 1.0), versioning("b", "Suspended", 1.0)],
            contested(false),
        ),
        ("whichever it is", [versioning("b", "Enabled", 1.0), versioning("a", "Suspended", 1.0)], contested(true)),
        ("milliseconds decide", [versioning("b", "Enabled", 1.001), versioning("a", "Suspended", 1.002)], shown(false)),
        ("absent ones lose", [versioning("b", "Enabled", 1.0), versioning("a", "Suspended", 1.002)], contested(false)),
        (
            "a duplicate is no other write",
            [versioning("a", "Enabled", 1.0), versioning("a", "Enabled", 1.0)],
            shown(true),
        ),
        ("seconds decide", [versioning("b", "Enabled", 1.0), versioning("a", "Suspended", 2.0)], shown(false)),
    ];
    for (case, records, expected) in cases {
        assert_eq!(properties(&records), expected, "{case}");
    }
}

#[test]
fn a_former_life_leaves_nothing_behind() {
    let policy = || put_policy(2.0);
    let cases = [
        ("deleted and created", vec![create(1.0), policy(), delete(3.0), create(4.0)]),
        ("deleted and created in us-east-1", vec![create(1.0), policy(), delete(3.0), create_in_us_east_1(4.0)]),
        ("created elsewhere, so deleted before", vec![create(1.0), policy(), create(4.0)]),
        ("its last change came late", vec![create(1.0), delete(3.0), create(4.0), policy()]),
        ("within a second, by milliseconds", vec![put_policy(2.001), delete(2.002), create(2.003)]),
    ];
    for (case, records) in cases {
        assert_eq!(properties(&records), defaults(), "{case}");
    }
    let records = [create(1.0), delete(3.0), create(4.0)];
    assert_eq!(property(&records, "createdOn"), json!(1_772_323_204_000_i64));
    // Nobody saw the second creation; still the first is not this bucket's.
    let unseen = [create(1.0), policy(), delete(3.0), put_versioning(5.0)];
    assert_eq!(property(&unseen, "createdOn"), Value::Null);
    assert_eq!(properties(&unseen), with(defaults(), json!({"versioningEnabled": true})));
}

#[test]
fn a_bucket_created_again_by_another_account_elsewhere_is_theirs() {
    let theirs = json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-north-1"}});
    let theirs = without(at(4.0, "CreateBucket", theirs), &["resources"]);
    let theirs = with(theirs, json!({"recipientAccountId": "444455556666", "userIdentity": null}));
    let records = [create(1.0), delete(3.0), theirs];
    let shown = ["accountId", "region", "createdBy", "updatedBy"].map(|name| property(&records, name));
    assert_eq!(shown, [json!("444455556666"), json!("eu-north-1"), Value::Null, Value::Null]);
}

#[test]
fn two_copies_of_a_cross_account_call_are_one_change() {
    let body = json!({"bucketPolicy": {"Statement": []}});
    let shared = |id: &str, members: Value| {
        with(named(id, at(1.0, "PutBucketPolicy", body.clone())), with(json!({"sharedEventID": "shared-1"}), members))
    };
    let owners = shared("event-a", json!({"userIdentity": {"type": "AWSAccount", "principalId": "AROA:grace"}}));
    let callers = shared(
        "event-b",
        json!({
            "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::444455556666:assumed-role/deploy/grace"},
            "recipientAccountId": "444455556666",
            "resources": [{"type": "AWS::S3::Bucket", "ARN": LEDGER, "accountId": "HIDDEN_DUE_TO_SECURITY_REASONS"}],
        }),
    );
    let records = [owners, callers];
    let shown = ["accountId", "updatedBy", "contestedFacets"].map(|name| property(&records, name));
    let caller = "arn:aws:sts::444455556666:assumed-role/deploy/grace";
    assert_eq!(shown, [json!("111122223333"), json!(caller), Value::Null]);
}

#[test]
fn provenance_tells_which_event_or_why_not() {
    let entry = |records: &[Value], facet: &str| {
        let provenance = json!(snapshot(records).provenance);
        provenance.as_array().expect("an array").iter().find(|entry| entry["facet"] == facet).expect("a facet").clone()
    };
    let by_event = json!({"facet": "versioning", "source": "event", "eventId": "event-2", "eventTime": 1_772_323_202_000_i64, "actor": ADA, "contested": false});
    assert_eq!(entry(&[put_versioning(2.0)], "versioning"), by_event);
    let left_out = json!({"facet": "policy", "source": "unknown", "reason": "omitted", "eventId": "event-2", "eventTime": 1_772_323_202_000_i64, "actor": ADA, "contested": false});
    assert_eq!(entry(&[put_policy(1.0), at(2.0, "PutBucketPolicy", json!({"omitted": true}))], "policy"), left_out);
    let never = json!({"facet": "tags", "source": "unknown", "eventId": null, "eventTime": null, "actor": null, "contested": false});
    assert_eq!(entry(&[put_versioning(2.0)], "tags"), never);
}

#[test]
fn a_body_that_was_left_out_hides_what_was_known_before() {
    let unknown = json!({"omitted": true});
    for call in ["PutBucketAcl", "PutBucketPolicy", "PutBucketEncryption", "PutBucketVersioning", "PutBucketLogging"] {
        let records = [create(1.0), at(2.0, call, unknown.clone())];
        let shown = properties(&records).as_object().expect("an object").len();
        assert!(shown < defaults().as_object().expect("an object").len(), "{call}");
    }
    assert_eq!(properties(&[put_policy(1.0), at(2.0, "PutBucketPolicy", unknown)]), json!({}));
}

#[test]
fn a_creation_whose_request_was_left_out_does_not_tell_the_acl() {
    let created = [at(1.0, "CreateBucket", json!({"omitted": true}))];
    assert_eq!(property(&created, "aclPublic"), Value::Null);
}

#[test]
fn of_a_bucket_created_more_often_than_is_kept_the_first_time_is_not_known() {
    let year = |year: u32, second: u32, call: &str| {
        let record =
            with(at(0.0, call, json!({})), json!({"awsRegion": "us-east-1", "eventID": format!("{year}-{second}")}));
        with(record, json!({"eventTime": format!("{year}-06-01T00:00:{second:02}Z")}))
    };
    let early = [year(2021, 0, "DeleteBucket"), year(2021, 1, "CreateBucket")];
    assert_eq!(property(&early, "objectOwnership"), json!("ObjectWriter"));
    let again = (0..16).map(|second| year(2024, second, "CreateBucket"));
    let records: Vec<Value> = early.into_iter().chain(again).collect();
    assert_eq!(property(&records, "objectOwnership"), Value::Null);
}
