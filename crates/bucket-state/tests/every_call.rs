//! Every call that is folded: what the graph shows before it, after it, and after what undoes it.

mod support;

use std::collections::BTreeSet;

use bucket_state::{Call, supported};
use serde_json::{Value, json};

use support::samples::sample;
use support::*;

const ADA: &str = "arn:aws:iam::111122223333:user/ada";
const ACCOUNT: &str = "arn:aws:iam::111122223333:root";
const READERS: &str = "arn:aws:s3:eu-west-1:111122223333:accesspoint/readers";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd";
const FOUR_FLAGS: &str = "blockPublicAcls ignorePublicAcls blockPublicPolicy restrictPublicBuckets";
/// A bucket that nobody has touched since its creation.
const NEW: &str = "new";

/// One facet and the calls that write it.
struct Row {
    /// The call that sets, and the request parameter that carries what it sets (none if it is never recorded).
    put: (&'static str, &'static str),
    /// The call that undoes it, if S3 has one; else the bucket's next life does.
    delete: Option<&'static str>,
    resource: &'static str,
    /// What comes before.
    given: &'static [&'static str],
    /// Names of properties, and types of relationships from the resource.
    shown: &'static str,
    before: Value,
    set: Value,
    /// After `delete`, or at the beginning of the next life.
    undone: Value,
}

/// A row whose facet is undone to what it was before.
fn row(put: [&'static str; 2], delete: &'static str, shown: &'static str, before: Value, set: Value) -> Row {
    let [name, body] = put;
    let delete = Some(delete).filter(|name| !name.is_empty());
    Row { put: (name, body), delete, resource: LEDGER, given: &[NEW], shown, undone: before.clone(), before, set }
}

fn rows() -> Vec<Row> {
    let none = |count: usize| Value::Array(vec![Value::Null; count]);
    let all = |on: bool| json!([on, on, on, on]);
    let everyone = json!([{"to": "global:everyone", "permission": "READ", "granteeType": "Group", "granteeURI": support::samples::ALL_USERS}]);
    let replica = json!([{"to": "arn:aws:s3:::replica", "ruleId": "all", "status": "Enabled", "destinationAccount": "444455556666"}]);
    let anybody = json!([{"to": "global:everyone", "actions": "s3:GetObject", "conditional": false}]);
    let report = json!([{
        "to": "arn:aws:s3:::reports", "inventoryId": "weekly", "frequency": "Weekly", "format": "CSV", "prefix": "inventory",
    }]);
    let function = json!([{
        "to": "arn:aws:lambda:eu-west-1:111122223333:function:thumbnails", "events": "s3:ObjectCreated:*", "filter": "suffix=.png",
    }]);
    let queue = json!([{
        "to": "arn:aws:sqs:eu-west-1:111122223333:arrivals", "events": "s3:ObjectCreated:*,s3:ObjectRemoved:*",
    }]);
    let topic = json!([{
        "to": "arn:aws:sns:eu-west-1:111122223333:news", "events": "s3:ReducedRedundancyLostObject",
    }]);
    vec![
        Row {
            given: &[],
            ..row(
                ["CreateBucket", ""],
                "DeleteBucket",
                "createdOn createdBy aclPublic objectOwnership tag.made-by encryptionAlgorithm",
                none(6),
                json!([1_772_323_202_000_i64, ADA, false, "ObjectWriter", "terraform", "AES256"]),
            )
        },
        row(
            ["PutBucketAcl", "AccessControlPolicy"],
            "",
            "aclPublic aws_s3_bucket_grant",
            json!([false, []]),
            json!([true, everyone]),
        ),
        row(
            ["PutBucketPolicy", "bucketPolicy"],
            "DeleteBucketPolicy",
            "policyPublic secureTransport aws_s3_bucket_has_policy aws_s3_bucket_policy_allows_principal",
            json!([false, false, [], []]),
            json!([true, false, [{"to": format!("{LEDGER}/policy")}], anybody]),
        ),
        Row {
            given: &["PutBucketAbac"],
            undone: all(false),
            ..row(
                ["PutBucketPublicAccessBlock", "PublicAccessBlockConfiguration"],
                "DeleteBucketPublicAccessBlock",
                FOUR_FLAGS,
                none(4),
                all(true),
            )
        },
        row(
            ["PutBucketEncryption", "ServerSideEncryptionConfiguration"],
            "DeleteBucketEncryption",
            "encrypted defaultEncryptionEnabled encryptionAlgorithm encryptionKeyRef bucketKeyEnabled aws_s3_bucket_uses_kms_key",
            json!([true, true, "AES256", null, false, []]),
            json!([true, true, "aws:kms", KEY, true, [{"to": KEY}]]),
        ),
        row(
            ["PutBucketVersioning", "VersioningConfiguration"],
            "",
            "versioningEnabled mfaDelete",
            json!([false, false]),
            json!([true, false]),
        ),
        row(
            ["PutBucketLogging", "BucketLoggingStatus"],
            "",
            "loggingEnabled loggingTargetBucket loggingTargetPrefix aws_s3_bucket_logs_to_bucket",
            json!([false, null, null, []]),
            json!([true, "logs", "", [{"to": "arn:aws:s3:::logs", "prefix": ""}]]),
        ),
        row(
            ["PutBucketLifecycle", "LifecycleConfiguration"],
            "DeleteBucketLifecycle",
            "lifecycleEnabled lifecycleRuleCount expirationDays",
            json!([false, 0, null]),
            json!([true, 1, 90]),
        ),
        row(
            ["PutBucketReplication", "ReplicationConfiguration"],
            "DeleteBucketReplication",
            "replicationEnabled destinationBuckets replicationRole aws_s3_bucket_replicates_to_bucket",
            json!([false, null, null, []]),
            json!([true, ["replica"], "arn:aws:iam::111122223333:role/replication", replica]),
        ),
        row(
            ["PutBucketObjectLockConfiguration", "ObjectLockConfiguration"],
            "",
            "objectLockEnabled objectLockMode retentionPeriod",
            none(3),
            json!([true, "GOVERNANCE", 730]),
        ),
        Row {
            undone: json!(["ObjectWriter"]),
            ..row(
                ["PutBucketOwnershipControls", "OwnershipControls"],
                "DeleteBucketOwnershipControls",
                "objectOwnership",
                json!(["BucketOwnerEnforced"]),
                json!(["BucketOwnerPreferred"]),
            )
        },
        row(
            ["PutBucketTagging", "Tagging"],
            "DeleteBucketTagging",
            "tags tag.team tag.critical",
            json!([[], null, null]),
            json!([["critical"], "billing", true]),
        ),
        row(["TagResource", "TagResourceRequest"], "UntagResource", "tag.stage", none(1), json!(["production"])),
        row(
            ["PutBucketNotification", "NotificationConfiguration"],
            "",
            "notificationEnabled eventBridgeEnabled aws_s3_bucket_notifies_function aws_s3_bucket_notifies_queue aws_s3_bucket_notifies_topic",
            json!([false, false, [], [], []]),
            json!([true, true, function, queue, topic]),
        ),
        row(
            ["PutBucketInventoryConfiguration", "InventoryConfiguration"],
            "DeleteBucketInventoryConfiguration",
            "inventoryEnabled aws_s3_bucket_publishes_inventory_report",
            json!([false, []]),
            json!([true, report]),
        ),
        row(
            ["PutBucketAnalyticsConfiguration", ""],
            "DeleteBucketAnalyticsConfiguration",
            "analyticsConfigurations",
            none(1),
            json!([["usage"]]),
        ),
        row(
            ["PutBucketMetricsConfiguration", ""],
            "DeleteBucketMetricsConfiguration",
            "metricsConfigurations",
            none(1),
            json!([["requests"]]),
        ),
        row(
            ["PutBucketIntelligentTieringConfiguration", ""],
            "DeleteBucketIntelligentTieringConfiguration",
            "intelligentTieringConfigurations",
            none(1),
            json!([["archive"]]),
        ),
        row(
            ["PutBucketWebsite", "WebsiteConfiguration"],
            "DeleteBucketWebsite",
            "websiteEnabled websiteRedirect",
            json!([false, null]),
            json!([true, "www.example.com"]),
        ),
        row(
            ["PutBucketCors", "CORSConfiguration"],
            "DeleteBucketCors",
            "corsEnabled corsAllowedOrigins",
            json!([false, null]),
            json!([true, ["https://app.example.com"]]),
        ),
        row(
            ["PutBucketRequestPayment", "RequestPaymentConfiguration"],
            "",
            "requesterPays",
            json!([false]),
            json!([true]),
        ),
        row(["PutAccelerateConfiguration", ""], "", "accelerationKnown", json!([true]), json!([false])),
        row(["PutBucketAbac", "AbacStatus"], "", "abacEnabled", json!([false]), json!([true])),
        Row {
            resource: ACCOUNT,
            given: &[],
            undone: all(false),
            ..row(
                ["PutAccountPublicAccessBlock", "PublicAccessBlockConfiguration"],
                "DeleteAccountPublicAccessBlock",
                FOUR_FLAGS,
                none(4),
                all(true),
            )
        },
        Row {
            resource: READERS,
            given: &[],
            ..row(
                ["CreateAccessPoint", "CreateAccessPointRequest"],
                "DeleteAccessPoint",
                "bucketName networkOrigin vpcId blockPublicAcls restrictPublicBuckets aws_s3_access_point_connects_bucket",
                json!([null, null, null, null, null, []]),
                json!(["ledger", "VPC", "vpc-0a1b2c3d", true, true, [{"to": LEDGER}]]),
            )
        },
        Row {
            resource: READERS,
            given: &["CreateAccessPoint"],
            ..row(
                ["PutAccessPointPolicy", "PutAccessPointPolicyRequest"],
                "DeleteAccessPointPolicy",
                "policyPublic",
                json!([false]),
                json!([true]),
            )
        },
    ]
}

/// The sample of a call at a time, with these parameters instead of its own.
fn call_with(second: usize, call: &str, parameters: Value) -> Value {
    let record = at(second as f64, call, parameters);
    match call {
        "PutAccountPublicAccessBlock"
        | "DeleteAccountPublicAccessBlock"
        | "CreateAccessPoint"
        | "DeleteAccessPoint"
        | "PutAccessPointPolicy"
        | "DeleteAccessPointPolicy" => {
            let mut record = without(record, &["resources"]);
            record["requestParameters"].as_object_mut().expect("an object").remove("bucketName");
            record
        }
        _ => record,
    }
}

fn call(second: usize, name: &str) -> Value {
    let location = json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}});
    if name == NEW { call_with(second, "CreateBucket", location) } else { call_with(second, name, sample(name)) }
}

/// The samples of these calls, a second apart, from second 0.
fn calls<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
    names.into_iter().enumerate().map(|(second, name)| call(second, name)).collect()
}

impl Row {
    /// Each of what is shown: a property's value, null where it is absent; the edges of a type.
    fn values(&self, records: &[Value]) -> Value {
        let snapshot = snapshot_of(self.resource, records);
        let entity = snapshot.entities.iter().find(|entity| entity.key() == self.resource);
        let property = |name: &str| entity.and_then(|entity| entity.0.get(name)).cloned().unwrap_or_default();
        let edges_of = |kind: &str| {
            let edges = snapshot.relationships.iter().filter(|edge| edge.properties["_type"] == kind);
            edges.map(|edge| own(&edge.properties.clone().into())).collect::<Value>()
        };
        let shown = self.shown.split(' ');
        shown.map(|name| if name.starts_with("aws_") { edges_of(name) } else { property(name) }).collect()
    }

    /// What is shown where nothing is known of the facet.
    fn nothing(&self) -> Value {
        self.shown.split(' ').map(|name| if name.starts_with("aws_") { json!([]) } else { Value::Null }).collect()
    }

    fn undo(&self) -> Vec<&'static str> {
        self.delete.map_or(vec!["DeleteBucket", NEW], |delete| vec![delete])
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        [self.put.0].into_iter().chain(self.delete)
    }

    /// Source and event of the facet of `call`.
    fn provenance(&self, call: &str, records: &[Value]) -> [Value; 2] {
        let provenance = snapshot_of(self.resource, records).provenance;
        let entries = provenance.as_array().expect("an array").iter();
        let facet = catalogued(call).facet();
        let entry = entries.clone().find(|entry| entry["facet"] == facet).expect("every facet has an entry");
        [entry["source"].clone(), entry["eventId"].clone()]
    }
}

/// An edge's end and the properties that only edges of its type have.
fn own(edge: &Value) -> Value {
    let frame = ["_key", "_type", "_class", "_fromEntityKey", "_toEntityKey", "displayName"];
    with(json!({"to": edge["_toEntityKey"]}), without(edge.clone(), &frame))
}

fn catalogued(name: &str) -> &'static Call {
    supported().iter().find(|call| call.name == name).expect("a call of the catalogue")
}

#[test]
fn the_table_has_every_call_of_the_catalogue_and_no_other() {
    let rows = rows();
    let tabled: Vec<&str> = rows.iter().flat_map(Row::names).collect();
    let catalogued: BTreeSet<&str> = supported().iter().map(|call| call.name).collect();
    assert_eq!(tabled.iter().copied().collect::<BTreeSet<_>>(), catalogued);
    assert_eq!(tabled.len(), supported().len(), "no call twice");
}

#[test]
fn every_call_shows_its_effect_and_what_undoes_it_takes_it_away() {
    for row in rows() {
        // The creation shows its time, which the table puts at second 2.
        let (put, start) = (row.put.0, row.given.len().max(2));
        let mut records = calls(row.given.iter().copied());
        assert_eq!(row.values(&records), row.before, "before {put}");
        records.push(call(start, put));
        assert_eq!(row.values(&records), row.set, "after {put}");
        for (second, name) in (start + 1..).zip(row.undo()) {
            records.push(call(second, name));
        }
        assert_eq!(row.values(&records), row.undone, "after {:?}", row.undo());
        assert_ne!(row.before, row.set, "{put} has an effect");
    }
}

#[test]
fn what_an_event_set_or_cleared_is_known_from_that_event() {
    let mut wrong = Vec::new();
    let mut check = |row: &Row, call: &str, records: &[Value]| {
        let by_event = [json!("event"), records.last().expect("a record")["eventID"].clone()];
        let provenance = row.provenance(call, records);
        if provenance != by_event {
            wrong.push(format!("{call}: {provenance:?}"));
        }
    };
    // Acceleration is not known after its event; what was deleted as a whole has no facets.
    for row in rows().iter().filter(|row| row.put.0 != "PutAccelerateConfiguration") {
        let mut records = calls(row.given.iter().copied().chain([row.put.0]));
        check(row, row.put.0, &records);
        if let Some(delete) = row.delete.filter(|name| !["DeleteBucket", "DeleteAccessPoint"].contains(name)) {
            records.push(call(records.len(), delete));
            check(row, delete, &records);
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn an_alias_makes_the_same_snapshot_as_the_name() {
    let mut aliases = 0;
    for row in rows() {
        for name in row.names() {
            let earlier = row.given.iter().copied().chain([row.put.0]).filter(|_| name != row.put.0);
            let mut records = calls(earlier);
            records.push(call(records.len(), name));
            let by_name = snapshot_of(row.resource, &records);
            for alias in catalogued(name).aliases {
                records.last_mut().expect("a record")["eventName"] = json!(alias);
                assert_eq!(snapshot_of(row.resource, &records), by_name, "{alias}");
                aliases += 1;
            }
        }
    }
    assert_eq!(aliases, supported().iter().map(|call| call.aliases.len()).sum::<usize>());
}

/// The sample without its body: absent, null, or cut by CloudTrail.
fn bodiless(call: &str, body: &str) -> [(&'static str, Value); 3] {
    let absent = without(sample(call), &[body]);
    [
        ("absent", absent.clone()),
        ("null", with(absent, json!({body: null}))),
        ("omitted", with(sample(call), json!({"omitted": true}))),
    ]
}

#[test]
fn a_body_that_is_not_there_makes_the_facet_unknown() {
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|row| !row.put.1.is_empty()) {
        let (put, body) = row.put;
        assert_eq!(catalogued(put).records_body(), Some(true), "{put}");
        for (case, parameters) in bodiless(put, body) {
            let mut records = calls(row.given.iter().copied());
            records.push(call_with(records.len(), put, parameters));
            let event = records.last().expect("a record")["eventID"].clone();
            assert_eq!(row.values(&records), row.nothing(), "{put}, {case}");
            let provenance = row.provenance(put, &records);
            if provenance != [json!("unknown"), event] {
                wrong.push(format!("{put}, {case}: {provenance:?}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn keys_to_untag_that_are_not_there_make_the_tags_unknown() {
    for (case, parameters) in bodiless("UntagResource", "tagKeys") {
        let mut records = calls([NEW, "PutBucketTagging", "TagResource"]);
        records.push(call_with(3, "UntagResource", parameters));
        let shown = ["tags", "tag.team", "tag.stage"].map(|name| property(&records, name));
        assert_eq!(shown, [Value::Null, Value::Null, Value::Null], "{case}");
    }
}

#[test]
fn a_body_that_cloudtrail_never_records_is_not_missed() {
    for row in rows().iter().filter(|row| row.put.1.is_empty() && row.put.0 != "CreateBucket") {
        let put = row.put.0;
        assert_eq!(catalogued(put).records_body(), Some(false), "{put}");
        let mut records = calls(row.given.iter().copied());
        records.push(call_with(records.len(), put, with(sample(put), json!({"omitted": true}))));
        assert_eq!(row.values(&records), row.set, "{put}");
    }
}

#[test]
fn a_configuration_without_its_id_hides_those_before_it_and_not_those_after_it() {
    for facet in ["Inventory", "Analytics", "Metrics", "IntelligentTiering"] {
        for verb in ["Put", "Delete"] {
            let (put, unidentified) =
                (format!("PutBucket{facet}Configuration"), format!("{verb}Bucket{facet}Configuration"));
            let row = rows().into_iter().find(|row| row.put.0 == put).expect("a row");
            for parameters in [json!({}), json!({"id": null}), json!({"omitted": true})] {
                let mut records = calls([NEW, &put]);
                records.push(call_with(2, &unidentified, parameters));
                assert_eq!(row.values(&records), row.nothing(), "{unidentified}");
                records.push(call(3, &put));
                assert_eq!(row.values(&records), row.set, "{unidentified}, then {put}");
            }
        }
    }
    // Of the others nobody knows whether one is enabled.
    let mut records = calls([NEW]);
    records.push(call_with(1, "PutBucketInventoryConfiguration", json!({"omitted": true})));
    records.push(call(2, "DeleteBucketInventoryConfiguration"));
    assert_eq!(property(&records, "inventoryEnabled"), Value::Null);
}

#[test]
fn object_lock_demands_versioning_only_where_nobody_spoke_of_versioning() {
    let put = |second: usize, status: &str| {
        call_with(
            second,
            "PutBucketObjectLockConfiguration",
            json!({"ObjectLockConfiguration": {"ObjectLockEnabled": status}}),
        )
    };
    let versioning = |records: &[Value]| property(records, "versioningEnabled");
    assert_eq!(versioning(&[call(0, NEW), put(1, "Enabled")]), json!(true));
    assert_eq!(versioning(&[call(0, NEW), put(1, "")]), json!(false));
    assert_eq!(versioning(&[put(1, "Enabled")]), Value::Null, "no event, and no known beginning");
    let suspended = call_with(2, "PutBucketVersioning", json!({"VersioningConfiguration": {"Status": "Suspended"}}));
    assert_eq!(versioning(&[call(0, NEW), put(1, "Enabled"), suspended]), json!(false), "as its own event says");
}
