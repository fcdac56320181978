//! Every call that is folded: what the graph shows before it, after it, and after what undoes it.

use std::collections::BTreeSet;

use bucket_state::{Call, supported};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::samples::{ALL_USERS, sample};
use crate::support::*;

const ADA: &str = "arn:aws:iam::111122223333:user/ada";
const ACCOUNT: &str = "arn:aws:iam::111122223333:root";
const READERS: &str = "arn:aws:s3:eu-west-1:111122223333:accesspoint/readers";
const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd";
/// A bucket that nobody has touched since its creation.
const NEW: &str = "new";

/// One facet and the calls that write it.
#[derive(Deserialize)]
struct Row {
    put: String,
    /// The request parameter that carries what `put` sets; none if CloudTrail never records it.
    body: Option<String>,
    /// The call that undoes it, if S3 has one; else the bucket's next life does.
    delete: Option<String>,
    #[serde(default = "ledger")]
    resource: String,
    /// What comes before.
    #[serde(default = "new_bucket")]
    given: Vec<String>,
    /// Names of properties, and types of relationships from the resource.
    shown: String,
    before: Value,
    set: Value,
    /// After `delete`, or at the beginning of the next life; as before, if not told.
    undone: Option<Value>,
}

fn ledger() -> String {
    LEDGER.into()
}

fn new_bucket() -> Vec<String> {
    vec![NEW.into()]
}

fn rows() -> Vec<Row> {
    let flags = "blockPublicAcls ignorePublicAcls blockPublicPolicy restrictPublicBuckets";
    let (on, off, untold) = ([true; 4], [false; 4], [(); 4]);
    let sns = "arn:aws:sns:eu-west-1:111122223333:news";
    let sqs = "arn:aws:sqs:eu-west-1:111122223333:arrivals";
    let lambda = "arn:aws:lambda:eu-west-1:111122223333:function:thumbnails";
    let rows = json!([
        {"put": "CreateBucket", "delete": "DeleteBucket", "given": [],
         "shown": "createdOn createdBy aclPublic objectOwnership tag.made-by encryptionAlgorithm",
         "before": [null, null, null, null, null, null],
         "set": [1_772_323_202_000_i64, ADA, false, "ObjectWriter", "terraform", "AES256"]},
        {"put": "PutBucketAcl", "body": "AccessControlPolicy",
         "shown": "aclPublic aws_s3_bucket_grant", "before": [false, []],
         "set": [true, [{"to": "global:everyone", "permission": "READ", "granteeType": "Group", "granteeURI": ALL_USERS}]]},
        {"put": "PutBucketPolicy", "body": "bucketPolicy", "delete": "DeleteBucketPolicy",
         "shown": "policyPublic secureTransport aws_s3_bucket_has_policy aws_s3_bucket_policy_allows_principal",
         "before": [false, false, [], []],
         "set": [true, false, [{"to": format!("{LEDGER}/policy")}],
                 [{"to": "global:everyone", "actions": "s3:GetObject", "conditional": false}]]},
        {"put": "PutBucketPublicAccessBlock", "body": "PublicAccessBlockConfiguration",
         "delete": "DeleteBucketPublicAccessBlock", "given": ["PutBucketAbac"],
         "shown": flags, "before": untold, "set": on, "undone": off},
        {"put": "PutBucketEncryption", "body": "ServerSideEncryptionConfiguration", "delete": "DeleteBucketEncryption",
         "shown": "encrypted encryptionAlgorithm encryptionKeyRef bucketKeyEnabled aws_s3_bucket_uses_kms_key",
         "before": [true, "AES256", null, false, []], "set": [true, "aws:kms", KEY, true, [{"to": KEY}]]},
        {"put": "PutBucketVersioning", "body": "VersioningConfiguration",
         "shown": "versioningEnabled mfaDelete", "before": [false, false], "set": [true, false]},
        {"put": "PutBucketLogging", "body": "BucketLoggingStatus",
         "shown": "loggingEnabled loggingTargetBucket loggingTargetPrefix aws_s3_bucket_logs_to_bucket",
         "before": [false, null, null, []], "set": [true, "logs", "", [{"to": "arn:aws:s3:::logs", "prefix": ""}]]},
        {"put": "PutBucketLifecycle", "body": "LifecycleConfiguration", "delete": "DeleteBucketLifecycle",
         "shown": "lifecycleEnabled lifecycleRuleCount expirationDays", "before": [false, 0, null], "set": [true, 1, 90]},
        {"put": "PutBucketReplication", "body": "ReplicationConfiguration", "delete": "DeleteBucketReplication",
         "shown": "replicationEnabled destinationBuckets replicationRole aws_s3_bucket_replicates_to_bucket",
         "before": [false, null, null, []],
         "set": [true, ["replica"], "arn:aws:iam::111122223333:role/replication",
                 [{"to": "arn:aws:s3:::replica", "ruleId": "all", "status": "Enabled", "destinationAccount": "444455556666"}]]},
        {"put": "PutBucketObjectLockConfiguration", "body": "ObjectLockConfiguration",
         "shown": "objectLockEnabled objectLockMode retentionPeriod",
         "before": [null, null, null], "set": [true, "GOVERNANCE", 730]},
        {"put": "PutBucketOwnershipControls", "body": "OwnershipControls", "delete": "DeleteBucketOwnershipControls",
         "shown": "objectOwnership",
         "before": ["BucketOwnerEnforced"], "set": ["BucketOwnerPreferred"], "undone": ["ObjectWriter"]},
        {"put": "PutBucketTagging", "body": "Tagging", "delete": "DeleteBucketTagging",
         "shown": "tags tag.team tag.critical", "before": [[], null, null], "set": [["critical"], "billing", true]},
        {"put": "TagResource", "body": "TagResourceRequest", "delete": "UntagResource",
         "shown": "tag.stage", "before": [null], "set": ["production"]},
        {"put": "PutBucketNotification", "body": "NotificationConfiguration",
         "shown": "notificationEnabled eventBridgeEnabled aws_s3_bucket_notifies_function aws_s3_bucket_notifies_queue \
                   aws_s3_bucket_notifies_topic",
         "before": [false, false, [], [], []],
         "set": [true, true, [{"to": lambda, "events": "s3:ObjectCreated:*", "filter": "suffix=.png"}],
                 [{"to": sqs, "events": "s3:ObjectCreated:*,s3:ObjectRemoved:*"}],
                 [{"to": sns, "events": "s3:ReducedRedundancyLostObject"}]]},
        {"put": "PutBucketInventoryConfiguration", "body": "InventoryConfiguration",
         "delete": "DeleteBucketInventoryConfiguration",
         "shown": "inventoryEnabled aws_s3_bucket_publishes_inventory_report", "before": [false, []],
         "set": [true, [{"to": "arn:aws:s3:::reports", "inventoryId": "weekly", "frequency": "Weekly", "format": "CSV",
                         "prefix": "inventory"}]]},
        {"put": "PutBucketAnalyticsConfiguration", "delete": "DeleteBucketAnalyticsConfiguration",
         "shown": "analyticsConfigurations", "before": [null], "set": [["usage"]]},
        {"put": "PutBucketMetricsConfiguration", "delete": "DeleteBucketMetricsConfiguration",
         "shown": "metricsConfigurations", "before": [null], "set": [["requests"]]},
        {"put": "PutBucketIntelligentTieringConfiguration", "delete": "DeleteBucketIntelligentTieringConfiguration",
         "shown": "intelligentTieringConfigurations", "before": [null], "set": [["archive"]]},
        {"put": "PutBucketWebsite", "body": "WebsiteConfiguration", "delete": "DeleteBucketWebsite",
         "shown": "websiteEnabled websiteRedirect", "before": [false, null], "set": [true, "www.example.com"]},
        {"put": "PutBucketCors", "body": "CORSConfiguration", "delete": "DeleteBucketCors",
         "shown": "corsEnabled corsAllowedOrigins", "before": [false, null], "set": [true, ["https://app.example.com"]]},
        {"put": "PutBucketRequestPayment", "body": "RequestPaymentConfiguration",
         "shown": "requesterPays", "before": [false], "set": [true]},
        {"put": "PutAccelerateConfiguration", "shown": "accelerationKnown", "before": [true], "set": [false]},
        {"put": "PutBucketAbac", "body": "AbacStatus", "shown": "abacEnabled", "before": [false], "set": [true]},
        {"put": "PutAccountPublicAccessBlock", "body": "PublicAccessBlockConfiguration",
         "delete": "DeleteAccountPublicAccessBlock", "resource": ACCOUNT, "given": [],
         "shown": flags, "before": untold, "set": on, "undone": off},
        {"put": "CreateAccessPoint", "body": "CreateAccessPointRequest", "delete": "DeleteAccessPoint",
         "resource": READERS, "given": [],
         "shown": "bucketName networkOrigin vpcId blockPublicAcls restrictPublicBuckets aws_s3_access_point_connects_bucket",
         "before": [null, null, null, null, null, []],
         "set": ["ledger", "VPC", "vpc-0a1b2c3d", true, true, [{"to": LEDGER}]]},
        {"put": "PutAccessPointPolicy", "body": "PutAccessPointPolicyRequest", "delete": "DeleteAccessPointPolicy",
         "resource": READERS, "given": ["CreateAccessPoint"],
         "shown": "policyPublic", "before": [false], "set": [true]},
    ]);
    serde_json::from_value(rows).expect("rows")
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
        let snapshot = snapshot_of(&self.resource, records);
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

    /// What comes before, by name.
    fn given(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(String::as_str)
    }

    fn undo(&self) -> Vec<&str> {
        self.delete.as_deref().map_or(vec!["DeleteBucket", NEW], |delete| vec![delete])
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        [&*self.put].into_iter().chain(self.delete.as_deref())
    }

    /// Source and event of the facet of `call`.
    fn provenance(&self, call: &str, records: &[Value]) -> [Value; 2] {
        let provenance = json!(snapshot_of(&self.resource, records).provenance);
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
        let (put, start) = (&*row.put, row.given.len().max(2));
        let mut records = calls(row.given());
        assert_eq!(row.values(&records), row.before, "before {put}");
        records.push(call(start, put));
        assert_eq!(row.values(&records), row.set, "after {put}");
        for (second, name) in (start + 1..).zip(row.undo()) {
            records.push(call(second, name));
        }
        assert_eq!(&row.values(&records), row.undone.as_ref().unwrap_or(&row.before), "after {:?}", row.undo());
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
    for row in rows().iter().filter(|row| row.put != "PutAccelerateConfiguration") {
        let mut records = calls(row.given().chain([&*row.put]));
        check(row, &row.put, &records);
        if let Some(delete) = row.delete.as_deref().filter(|name| !["DeleteBucket", "DeleteAccessPoint"].contains(name))
        {
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
            let earlier = row.given().chain([&*row.put]).filter(|_| name != &*row.put);
            let mut records = calls(earlier);
            records.push(call(records.len(), name));
            let by_name = snapshot_of(&row.resource, &records);
            for alias in catalogued(name).aliases {
                records.last_mut().expect("a record")["eventName"] = json!(alias);
                assert_eq!(snapshot_of(&row.resource, &records), by_name, "{alias}");
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
    for row in rows() {
        let (put, Some(body)) = (&*row.put, row.body.as_deref()) else { continue };
        assert_eq!(catalogued(put).records_body(), Some(true), "{put}");
        for (case, parameters) in bodiless(put, body) {
            let mut records = calls(row.given());
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
fn a_creation_that_was_cut_tells_neither_acl_nor_ownership_nor_tags() {
    let whole = sample("CreateBucket");
    let cut = without(whole.clone(), &["x-amz-acl", "x-amz-object-ownership", "CreateBucketConfiguration"]);
    for parameters in [whole, cut] {
        let records = [call_with(0, "CreateBucket", with(parameters, json!({"omitted": true})))];
        let shown = ["aclPublic", "objectOwnership", "tags"].map(|name| property(&records, name));
        assert_eq!(shown, [Value::Null, Value::Null, Value::Null]);
        assert_eq!(property(&records, "versioningEnabled"), json!(false), "what it cannot set has its default");
    }
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
    for row in rows().iter().filter(|row| row.body.is_none() && row.put != "CreateBucket") {
        let put = &*row.put;
        assert_eq!(catalogued(put).records_body(), Some(false), "{put}");
        let mut records = calls(row.given());
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
            let row = rows().into_iter().find(|row| row.put == put).expect("a row");
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
