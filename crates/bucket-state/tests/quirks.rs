//! The ways in which CloudTrail writes one thing: what was single or repeated, empty, typed, renamed, old or odd tells
//! the same, and what tells nothing harms nothing.

use bucket_state::{Snapshot, supported};
use serde_json::{Value, json};

use crate::support::samples::{ALL_USERS, sample};
use crate::support::*;

const READERS: &str = "arn:aws:s3:eu-west-1:111122223333:accesspoint/readers";

/// Of every call about a bucket, the bucket; of the others, their own resource.
fn resource(call: &str) -> &'static str {
    match call {
        "PutAccountPublicAccessBlock" | "DeleteAccountPublicAccessBlock" => "arn:aws:iam::111122223333:root",
        "CreateAccessPoint" | "DeleteAccessPoint" | "PutAccessPointPolicy" | "DeleteAccessPointPolicy" => READERS,
        _ => LEDGER,
    }
}

fn after(call: &str, record: Value) -> Snapshot {
    // What is gone shows nothing: a later call brings it back, and what the first one did shows there.
    let later = if call.contains("AccessPoint") { "DeleteAccessPointPolicy" } else { "PutBucketAbac" };
    let later = at(9.0, later, sample(later));
    snapshot_of(resource(call), &[record, later])
}

/// The values of `shown` after a call about a bucket of which nothing else is known: properties, or the ends of edges.
fn values(call: &str, parameters: &Value, shown: &str) -> Value {
    let snapshot = snapshot_of(resource(call), &[record(call, parameters.clone())]);
    let entity = snapshot.entities.iter().find(|entity| entity.key() == resource(call)).expect("it exists");
    let ends = |kind: &str| {
        let edges = snapshot.relationships.iter().filter(|edge| edge.properties["_type"] == kind);
        edges.map(|edge| edge.properties["_toEntityKey"].clone()).collect::<Value>()
    };
    let value = |name: &str| entity.0.get(name).cloned().unwrap_or_default();
    shown.split(' ').map(|name| if name.starts_with("aws_") { ends(name) } else { value(name) }).collect()
}

/// Where an element can repeat: of the call, its parameters with `NODE` in its place, two of it, and what is shown of
/// the first alone and of both.
fn repeated() -> Value {
    let grants = "aws_s3_bucket_grant";
    let target = |member: &str, arn: &str| json!([{member: format!("{arn}a"), "Event": "x"}, {member: format!("{arn}b"), "Event": "x"}]);
    let ends = |arn: &str| json!([[[format!("{arn}a")]], [[format!("{arn}a"), format!("{arn}b")]]]);
    let (queue, topic, function) =
        ("arn:aws:sqs:eu-west-1:1:", "arn:aws:sns:eu-west-1:1:", "arn:aws:lambda:eu-west-1:1:function:");
    let (a, b) = ("arn:aws:iam::444455556666:root", "arn:aws:iam::777788889999:root");
    let tags = json!([{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}]);
    json!([
        ["PutBucketAcl", {"AccessControlPolicy": {"AccessControlList": {"Grant": "NODE"}}},
         [{"Permission": "READ", "Grantee": {"URI": ALL_USERS}}, {"Permission": "READ", "Grantee": {"ID": "c0ffee"}}],
         grants, [[["global:everyone"]], [["aws:canonical-user:c0ffee", "global:everyone"]]]],
        ["PutBucketPolicy", {"bucketPolicy": {"Statement": "NODE"}},
         [{"Effect": "Allow", "Principal": {"AWS": a}, "Action": "x"}, {"Effect": "Allow", "Principal": {"AWS": b}, "Action": "x"}],
         "aws_s3_bucket_policy_allows_principal", [[[a]], [[a, b]]]],
        ["PutBucketEncryption", {"ServerSideEncryptionConfiguration": {"Rule": "NODE"}},
         [{"BucketKeyEnabled": true}, {"BucketKeyEnabled": false}], "bucketKeyEnabled", [[true], [true]]],
        ["PutBucketLifecycle", {"LifecycleConfiguration": {"Rule": "NODE"}},
         [{"Status": "Enabled", "Expiration": {"Days": 30}}, {"Status": "Enabled", "Expiration": {"Days": 7}}],
         "lifecycleRuleCount expirationDays", [[1, 30], [2, 7]]],
        ["PutBucketReplication", {"ReplicationConfiguration": {"Rule": "NODE"}},
         [{"Destination": {"Bucket": "one"}}, {"Destination": {"Bucket": "two"}}],
         "destinationBuckets", [[["one"]], [["one", "two"]]]],
        ["PutBucketTagging", {"Tagging": {"TagSet": {"Tag": "NODE"}}}, tags, "tag.a tag.b", [[1, null], [1, 1]]],
        ["TagResource", {"TagResourceRequest": {"Tags": {"Tag": "NODE"}}}, tags, "tag.a tag.b", [[1, null], [1, 1]]],
        ["CreateBucket", {"CreateBucketConfiguration": {"Tags": {"Tag": "NODE"}}}, tags, "tag.a tag.b", [[1, null], [1, 1]]],
        ["PutBucketCors", {"CORSConfiguration": {"CORSRule": "NODE"}},
         [{"AllowedOrigin": "a"}, {"AllowedOrigin": "b"}], "corsAllowedOrigins", [[["a"]], [["a", "b"]]]],
        ["PutBucketCors", {"CORSConfiguration": {"CORSRule": {"AllowedOrigin": "NODE"}}},
         ["b", "a"], "corsAllowedOrigins", [[["b"]], [["a", "b"]]]],
        ["PutBucketNotification", {"NotificationConfiguration": {"QueueConfiguration": "NODE"}},
         target("Queue", queue), "aws_s3_bucket_notifies_queue", ends(queue)],
        ["PutBucketNotification", {"NotificationConfiguration": {"TopicConfiguration": "NODE"}},
         target("Topic", topic), "aws_s3_bucket_notifies_topic", ends(topic)],
        ["PutBucketNotification", {"NotificationConfiguration": {"CloudFunctionConfiguration": "NODE"}},
         target("CloudFunction", function), "aws_s3_bucket_notifies_function", ends(function)],
    ])
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn an_element_tells_the_same_alone_and_in_a_list_and_two_tell_both() {
    for row in repeated().as_array().expect("rows") {
        let (call, two, shown) = (text(&row[0]), &row[2], text(&row[3]));
        let with_node = |node: &Value| {
            let parameters = row[1].to_string().replace("\"NODE\"", &node.to_string());
            values(call, &serde_json::from_str(&parameters).expect("JSON"), shown)
        };
        assert_eq!(with_node(&two[0]), row[4][0], "{}, alone", row[1]);
        assert_eq!(with_node(&json!([two[0]])), row[4][0], "{}, in a list of one", row[1]);
        assert_eq!(with_node(two), row[4][1], "{}, twice", row[1]);
    }
}

#[test]
fn what_repeats_within_a_configuration_is_joined() {
    let queue = |rest: Value| {
        let queue = with(json!({"Id": "a", "Queue": "arn:aws:sqs:eu-west-1:111122223333:a"}), rest);
        edges(
            &[record("PutBucketNotification", json!({"NotificationConfiguration": {"QueueConfiguration": queue}}))],
            "aws_s3_bucket_notifies_queue",
        )
    };
    let rule = |name: &str, value: Value| json!({"Name": name, "Value": value});
    let filter = |rules: Value| json!({"Event": "x", "Filter": {"S3Key": {"FilterRule": rules}}});
    let edge = |rest: Value| json!([with(json!({"to": "arn:aws:sqs:eu-west-1:111122223333:a", "events": "x"}), rest)]);
    let cases = [
        (json!({"Event": "x"}), json!({})),
        (json!({"Event": ["x"]}), json!({})),
        (json!({"Event": ["y", "x"]}), json!({"events": "x,y"})),
        (filter(rule("prefix", json!("a/"))), json!({"filter": "prefix=a/"})),
        (
            filter(json!([rule("Suffix", json!(".png")), rule("Prefix", json!("a/"))])),
            json!({"filter": "prefix=a/,suffix=.png"}),
        ),
        (filter(json!([rule("prefix", json!(2026))])), json!({"filter": "prefix=2026"})),
        (filter(json!("")), json!({})),
        (json!({"Event": "x", "Filter": {"S3Key": ""}}), json!({})),
        (json!({"Event": "x", "Filter": ""}), json!({})),
    ];
    for (rest, expected) in cases {
        assert_eq!(queue(rest.clone()), edge(expected), "{rest}");
    }
}

/// The sample of a call with another value at a pointer into its parameters.
fn changed(call: &str, pointer: &str, value: Value) -> Value {
    let mut parameters = sample(call);
    *parameters.pointer_mut(pointer).unwrap_or_else(|| panic!("{call} has {pointer}")) = value;
    parameters
}

#[test]
fn an_empty_element_is_an_empty_object() {
    let cases = json!({
        "PutBucketAcl /AccessControlPolicy/AccessControlList/Grant": ["aclPublic aws_s3_bucket_grant", [false, []]],
        // Whom the grant is for, nobody knows.
        "PutBucketAcl /AccessControlPolicy/AccessControlList/Grant/Grantee": ["aclPublic aws_s3_bucket_grant", [null, []]],
        // S3 demands what is empty here: of what lacks it, nothing is known.
        "PutBucketEncryption /ServerSideEncryptionConfiguration/Rule": ["encryptionAlgorithm bucketKeyEnabled", [null, null]],
        "PutBucketEncryption /ServerSideEncryptionConfiguration/Rule/ApplyServerSideEncryptionByDefault":
            ["encryptionAlgorithm bucketKeyEnabled", ["AES256", true]],
        "PutBucketLogging /BucketLoggingStatus/LoggingEnabled": ["loggingEnabled loggingTargetBucket", [false, null]],
        "PutBucketLifecycle /LifecycleConfiguration": ["lifecycleEnabled lifecycleRuleCount expirationDays", [null, null, null]],
        "PutBucketLifecycle /LifecycleConfiguration/Rule": ["lifecycleEnabled lifecycleRuleCount expirationDays", [null, null, null]],
        "PutBucketLifecycle /LifecycleConfiguration/Rule/Expiration": ["lifecycleEnabled lifecycleRuleCount expirationDays", [true, 1, null]],
        "PutBucketReplication /ReplicationConfiguration": ["replicationEnabled destinationBuckets", [null, null]],
        "PutBucketReplication /ReplicationConfiguration/Rule": ["replicationEnabled destinationBuckets", [null, null]],
        "PutBucketReplication /ReplicationConfiguration/Rule/Destination": ["replicationEnabled destinationBuckets", [true, null]],
        "PutBucketObjectLockConfiguration /ObjectLockConfiguration": ["objectLockEnabled retentionPeriod", [null, null]],
        "PutBucketObjectLockConfiguration /ObjectLockConfiguration/Rule": ["objectLockEnabled retentionPeriod", [true, null]],
        "PutBucketObjectLockConfiguration /ObjectLockConfiguration/Rule/DefaultRetention": ["objectLockEnabled retentionPeriod", [true, null]],
        "PutBucketOwnershipControls /OwnershipControls": ["objectOwnership", [null]],
        "PutBucketOwnershipControls /OwnershipControls/Rule": ["objectOwnership", [null]],
        "PutBucketTagging /Tagging": ["tags tag.team", [null, null]],
        "PutBucketTagging /Tagging/TagSet": ["tags tag.team", [[], null]],
        "PutBucketTagging /Tagging/TagSet/Tag": ["tags tag.team", [[], null]],
        "CreateBucket /CreateBucketConfiguration/Tags": ["tags tag.made-by", [[], null]],
        "PutBucketNotification /NotificationConfiguration": ["notificationEnabled eventBridgeEnabled", [false, false]],
        "PutBucketNotification /NotificationConfiguration/CloudFunctionConfiguration":
            ["notificationEnabled aws_s3_bucket_notifies_function", [true, []]],
        "PutBucketInventoryConfiguration /InventoryConfiguration/Destination":
            ["inventoryEnabled aws_s3_bucket_publishes_inventory_report", [true, []]],
        "PutBucketInventoryConfiguration /InventoryConfiguration/Destination/S3BucketDestination":
            ["inventoryEnabled aws_s3_bucket_publishes_inventory_report", [true, []]],
        "PutBucketInventoryConfiguration /InventoryConfiguration/Schedule":
            ["inventoryEnabled aws_s3_bucket_publishes_inventory_report", [true, ["arn:aws:s3:::reports"]]],
        "PutBucketWebsite /WebsiteConfiguration": ["websiteEnabled websiteRedirect", [true, null]],
        "PutBucketWebsite /WebsiteConfiguration/RedirectAllRequestsTo": ["websiteEnabled websiteRedirect", [true, null]],
        "PutBucketCors /CORSConfiguration": ["corsEnabled corsAllowedOrigins", [null, null]],
        "PutBucketRequestPayment /RequestPaymentConfiguration": ["requesterPays", [null]],
        "PutBucketAbac /AbacStatus": ["abacEnabled", [null]],
        "PutAccountPublicAccessBlock /PublicAccessBlockConfiguration": ["blockPublicAcls restrictPublicBuckets", [false, false]],
        "CreateAccessPoint /CreateAccessPointRequest": ["bucketName networkOrigin restrictPublicBuckets", [null, null, null]],
        "CreateAccessPoint /CreateAccessPointRequest/VpcConfiguration":
            ["bucketName networkOrigin restrictPublicBuckets", ["ledger", "Internet", true]],
        "PutAccessPointPolicy /PutAccessPointPolicyRequest": ["policyPublic", [null]],
    });
    for (place, case) in cases.as_object().expect("cases") {
        let (call, pointer) = place.split_once(' ').expect("a call and a pointer");
        assert_eq!(values(call, &changed(call, pointer, json!("")), text(&case[0])), case[1], "{place}");
    }
    let no_block = json!({"Bucket": "ledger", "PublicAccessBlockConfiguration": ""});
    let created = json!({"name": "readers", "CreateAccessPointRequest": no_block});
    assert_eq!(values("CreateAccessPoint", &created, "restrictPublicBuckets"), json!([false]), "present, all left out");
    let notified = |configuration: Value| {
        let parameters = json!({"NotificationConfiguration": configuration});
        values("PutBucketNotification", &parameters, "notificationEnabled eventBridgeEnabled")
    };
    assert_eq!(notified(json!({"xmlns": "x"})), json!([false, false]), "nothing but its namespace");
    assert_eq!(notified(json!({"EventBridgeConfiguration": ""})), json!([true, true]));
}

#[test]
fn a_text_that_became_a_boolean_or_a_number_is_that_text_still() {
    let cases = json!([
        ["PutBucketTagging /Tagging/TagSet/Tag", [{"Key": 2026, "Value": 1.5}, {"Key": true, "Value": "x"}], "tag.2026 tag.true", [1.5, "x"]],
        ["TagResource /TagResourceRequest/Tags/Tag", {"Key": 7, "Value": false}, "tag.7", [false]],
        ["CreateBucket /CreateBucketConfiguration/Tags/Tag", {"Key": 7, "Value": false}, "tag.7", [false]],
        ["PutBucketAcl /AccessControlPolicy/AccessControlList/Grant/Grantee", {"ID": 1234}, "aws_s3_bucket_grant", [["aws:canonical-user:1234"]]],
        ["PutBucketAcl /AccessControlPolicy/AccessControlList/Grant/Grantee", {"EmailAddress": 1234}, "aws_s3_bucket_grant", [["aws:email:1234"]]],
        ["PutBucketPublicAccessBlock /PublicAccessBlockConfiguration/IgnorePublicAcls", "True", "ignorePublicAcls", [true]],
        ["PutBucketLogging /BucketLoggingStatus/LoggingEnabled/TargetPrefix", true, "loggingTargetPrefix", ["true"]],
        ["PutBucketLifecycle /LifecycleConfiguration/Rule/Expiration/Days", "30", "expirationDays", [30]],
        ["PutBucketReplication /ReplicationConfiguration/Rule/Destination/Bucket", 20_260_301, "destinationBuckets", [["20260301"]]],
        ["PutBucketObjectLockConfiguration /ObjectLockConfiguration/Rule/DefaultRetention/Years", "3", "retentionPeriod", [1_095]],
        ["PutBucketAnalyticsConfiguration /id", 2026, "analyticsConfigurations", [["2026"]]],
        ["PutBucketMetricsConfiguration /id", true, "metricsConfigurations", [["true"]]],
        ["PutBucketInventoryConfiguration /InventoryConfiguration/IsEnabled", "true", "inventoryEnabled", [true]],
        ["PutBucketWebsite /WebsiteConfiguration/RedirectAllRequestsTo/HostName", 127, "websiteRedirect", ["127"]],
        ["PutBucketCors /CORSConfiguration/CORSRule/AllowedOrigin", [8080, true], "corsAllowedOrigins", [["8080", "true"]]],
        ["CreateAccessPoint /CreateAccessPointRequest/Bucket", 20_260_301, "bucketName", ["20260301"]],
        ["CreateAccessPoint /CreateAccessPointRequest/VpcConfiguration/VpcId", 7, "vpcId", ["7"]],
    ]);
    for case in cases.as_array().expect("cases") {
        let (call, pointer) = text(&case[0]).split_once(' ').expect("a call and a pointer");
        assert_eq!(values(call, &changed(call, pointer, case[1].clone()), text(&case[2])), case[3], "{case}");
    }
    let rule = json!({"ID": 7, "Destination": {"Bucket": "replica", "Account": "012345678901"}});
    let put = record("PutBucketReplication", changed("PutBucketReplication", "/ReplicationConfiguration/Rule", rule));
    let edge = json!({"to": "arn:aws:s3:::replica", "ruleId": "7", "destinationAccount": "012345678901"});
    assert_eq!(edges(&[put], "aws_s3_bucket_replicates_to_bucket"), json!([edge]), "leading zeros stay");
    let untagged = [
        at(
            1.0,
            "PutBucketTagging",
            changed("PutBucketTagging", "/Tagging/TagSet/Tag", json!({"Key": 7, "Value": "x"})),
        ),
        at(2.0, "UntagResource", json!({"resource": LEDGER, "tagKeys": 7})),
    ];
    assert_eq!(property(&untagged, "tag.7"), Value::Null);
}

#[test]
fn an_origin_that_was_the_text_null_is_an_origin() {
    let origins = |rules: Value| {
        values("PutBucketCors", &json!({"CORSConfiguration": {"CORSRule": rules}}), "corsAllowedOrigins")
    };
    let get = json!({"AllowedMethod": "GET"});
    let of = |origin: Value| json!({"AllowedMethod": "GET", "AllowedOrigin": origin});
    let cases = [
        (get.clone(), json!([["null"]])),
        (json!([get, of(json!("b")), of(json!(["a", "b"]))]), json!([["a", "b", "null"]])),
        (of(json!("")), json!([[""]])),
        (of(json!("*")), json!([["*"]])),
    ];
    for (rules, expected) in cases {
        assert_eq!(origins(rules.clone()), expected, "{rules}");
    }
}

#[test]
fn configurations_without_an_id_are_told_apart_by_their_place() {
    let rule = json!({"Status": "Disabled", "Destination": {"Bucket": "replica"}});
    let put = record("PutBucketReplication", json!({"ReplicationConfiguration": {"Rule": [rule.clone(), rule]}}));
    let edge = |id: &str| json!({"to": "arn:aws:s3:::replica", "ruleId": id, "status": "Disabled"});
    assert_eq!(edges(&[put], "aws_s3_bucket_replicates_to_bucket"), json!([edge("1"), edge("2")]));
    let queue = json!({"Queue": "arn:aws:sqs:eu-west-1:111122223333:a", "Event": "x", "Id": ""});
    let put = record(
        "PutBucketNotification",
        json!({"NotificationConfiguration": {"QueueConfiguration": [queue.clone(), queue]}}),
    );
    let snapshot = snapshot(&[put]);
    let keys: Vec<&str> =
        snapshot.relationships.iter().map(|edge| edge.key()).filter(|key| key.contains("NOTIFIES")).collect();
    let key = |place: u8| format!("{LEDGER}|NOTIFIES|arn:aws:sqs:eu-west-1:111122223333:a|{place}");
    assert_eq!(keys, [key(1), key(2)]);
}

/// Each object parameter of a sample that was XML, changed.
fn each_document(call: &str, change: &dyn Fn(&str, Value) -> (String, Value)) -> Value {
    let Value::Object(parameters) = sample(call) else { panic!("{call} has parameters") };
    let is_document = |key: &str, value: &Value| value.is_object() && key != "bucketPolicy";
    let changed = parameters
        .into_iter()
        .map(|(key, value)| if is_document(&key, &value) { change(&key, value) } else { (key, value) });
    Value::Object(changed.collect())
}

/// Every node of a document, the innermost first.
fn each_node(value: &mut Value, change: &dyn Fn(&mut Value)) {
    match value {
        Value::Object(members) => {
            members.iter_mut().filter(|(key, _)| !key.starts_with("x")).for_each(|(_, it)| each_node(it, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_node(item, change)),
        _ => {}
    }
    change(value);
}

/// Every call tells the same in the words of `rewrite` as in its own; where it does not, its name.
fn told_otherwise(rewrite: &dyn Fn(&str) -> Value) -> Vec<&'static str> {
    let differs = |call: &&str| after(call, rewrite(call)) != after(call, record(call, sample(call)));
    supported().iter().map(|call| call.name).filter(differs).collect()
}

#[test]
fn text_beside_attributes_is_that_text() {
    let wrap = |node: &mut Value| {
        if !node.is_object() && !node.is_array() && *node != "" {
            *node = json!({"xsi:type": "xs:string", "content": node});
        }
    };
    let wrapped = |call: &str| {
        record(
            call,
            each_document(call, &|key, mut document| {
                each_node(&mut document, &wrap);
                (key.to_owned(), document)
            }),
        )
    };
    assert_eq!(told_otherwise(&wrapped), [""; 0]);
}

#[test]
fn the_root_of_a_document_may_have_any_name() {
    let payer = |root: &str| json!({root: {"Payer": "Requester"}});
    let pays = |parameters: Value| values("PutBucketRequestPayment", &parameters, "requesterPays");
    assert_eq!(pays(payer("Other")), json!([true]));
    assert_eq!(pays(with(payer("Other"), json!({"accessControlList": {"x-amz-grant-read": "id=1"}}))), json!([true]));
    assert_eq!(pays(with(payer("Other"), payer("Another"))), json!([null]), "which of the two nobody knows");
    assert_eq!(pays(with(payer("Other"), json!({"omitted": true}))), json!([null]));
    assert_eq!(pays(json!({"Other": "Requester"})), json!([null]), "no element");
    let renamed = |call: &str| record(call, each_document(call, &|_, document| ("Other".to_owned(), document)));
    assert_eq!(told_otherwise(&renamed), [""; 0]);
}

#[test]
fn what_nobody_has_heard_of_is_passed_over() {
    let add = |node: &mut Value| {
        if let Value::Object(members) = node {
            members.insert("unheardOf".to_owned(), json!({"a": [1, null, {"b": ""}]}));
        }
    };
    let extended = |call: &str| {
        let record = record(
            call,
            each_document(call, &|key, mut document| {
                each_node(&mut document, &add);
                (key.to_owned(), document)
            }),
        );
        let record = with(
            record,
            json!({"tlsDetails": {"x": [1]}, "unheardOf": null, "additionalEventData": {"x": {"y": [2]}}}),
        );
        let mut record = with(
            record,
            json!({"resources": [{"type": "AWS::S3::Bucket", "ARN": LEDGER, "accountId": "111122223333", "x": []}, {}]}),
        );
        add(&mut record["userIdentity"]);
        record
    };
    assert_eq!(told_otherwise(&extended), [""; 0]);
}

#[test]
fn an_old_record_with_lists_for_single_values_tells_the_same() {
    let old = |call: &str| {
        let Value::Object(parameters) = sample(call) else { panic!("{call} has parameters") };
        let listed = |key: &str, value: Value| match &value {
            Value::String(text) if text.is_empty() || key == "id" || key.starts_with("x-amz-") => json!([value]),
            _ => value,
        };
        let parameters: Value =
            Value::Object(parameters.into_iter().map(|(key, value)| (key.clone(), listed(&key, value))).collect());
        let record = record(call, with(parameters, json!({"host": ["ledger.s3.eu-west-1.amazonaws.com"]})));
        let record = with(record, json!({"eventVersion": "1.03"}));
        if resource(call) == LEDGER { without(record, &["resources"]) } else { record }
    };
    assert_eq!(told_otherwise(&old), [""; 0]);
    let texts = json!({"bucketPolicy": sample("PutBucketPolicy")["bucketPolicy"].to_string(), "policy": [""]});
    let shown = "policyPublic aws_s3_bucket_has_policy";
    assert_eq!(values("PutBucketPolicy", &texts, shown), values("PutBucketPolicy", &sample("PutBucketPolicy"), shown));
}

#[test]
fn a_host_says_nothing_whatever_it_looks_like() {
    let hosts = [
        json!("s3.amazonaws.com"),
        json!("s3.eu-north-1.amazonaws.com"),
        json!("s3-us-east-2.amazonaws.com"),
        json!("444455556666.s3-control.eu-north-1.amazonaws.com"),
        json!("other.s3.eu-north-1.amazonaws.com"),
        json!(["other.s3.amazonaws.com"]),
        json!([]),
        json!(""),
        json!(7),
        json!({"content": "other"}),
        Value::Null,
    ];
    for host in hosts {
        for key in ["Host", "host"] {
            let hosted = |call: &str| record(call, with(sample(call), json!({key: host})));
            assert_eq!(told_otherwise(&hosted), [""; 0], "{key}: {host}");
        }
    }
}

#[test]
fn a_call_that_failed_changes_nothing_and_an_empty_error_is_none() {
    let failed = |code: Value| {
        let failing = |call: &str| {
            let record = named("z", at(1.0, call, sample(call)));
            with(record, json!({"errorCode": code, "additionalEventData": {"httpStatusCode": 403}}))
        };
        let folded = |call: &&str| outcomes(failing(call).to_string().as_bytes())[0].starts_with("event ");
        supported().iter().map(|call| call.name).filter(folded).count()
    };
    assert_eq!(failed(json!("NoSuchBucket")), 0);
    assert_eq!(failed(json!("")), supported().len());
    assert_eq!(failed(Value::Null), supported().len());
}

#[test]
fn the_alias_of_ireland_is_ireland() {
    let created = json!({"CreateBucketConfiguration": {"LocationConstraint": "EU"}});
    let created = [with(record("CreateBucket", created), json!({"awsRegion": "us-east-1"}))];
    assert_eq!(property(&created, "region"), json!("eu-west-1"));
    assert_eq!(property(&created, "versioningEnabled"), json!(false), "created outside us-east-1, so new");
}

#[test]
fn another_partition_has_arns_endpoints_and_consoles_of_its_own() {
    let cases = [
        ("cn-north-1", "aws-cn", "amazonaws.com.cn", "console.amazonaws.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com", "console.amazonaws-us-gov.com"),
    ];
    for (region, partition, domain, console) in cases {
        let local = |call: &str, parameters: Value| {
            with(without(record(call, with(sample(call), parameters)), &["resources"]), json!({"awsRegion": region}))
        };
        let bucket = format!("arn:{partition}:s3:::ledger");
        let logging = local("PutBucketLogging", json!({}));
        let shown = snapshot_of(&bucket, &[logging]);
        let entity = &shown.entities[0].0;
        assert_eq!(entity["_key"], bucket);
        assert_eq!(entity["arn"], bucket);
        assert_eq!(entity["baseUrl"], format!("https://ledger.s3.{domain}"));
        assert_eq!(entity["webLink"], format!("https://{console}/s3/buckets/ledger?region={region}"));
        let keys: Vec<&str> = shown.relationships.iter().map(|edge| edge.key()).collect();
        let owner = format!("arn:{partition}:iam::111122223333:root");
        assert_eq!(keys, [format!("{owner}|HAS|{bucket}"), format!("{bucket}|LOGS|arn:{partition}:s3:::logs")]);
        let account = snapshot_of(&owner, &[local("PutAccountPublicAccessBlock", json!({}))]);
        assert_eq!(account.entities[0].0["accountId"], "111122223333");
        let point = format!("arn:{partition}:s3:{region}:111122223333:accesspoint/readers");
        let shown = snapshot_of(&point, &[local("CreateAccessPoint", json!({}))]);
        assert_eq!(shown.relationships[0].key(), format!("{point}|CONNECTS|{bucket}"));
        // The account's switches hold for the bucket of the same partition.
        let open = local("PutBucketPublicAccessBlock", json!({"PublicAccessBlockConfiguration": ""}));
        let records = [open, local("PutBucketPolicy", json!({})), local("PutAccountPublicAccessBlock", json!({}))];
        assert_eq!(snapshot_of(&bucket, &records).entities[0].0.get("publicAssumes"), None);
    }
}

#[test]
fn an_access_point_is_found_by_its_arn_or_by_any_of_its_names() {
    let request = || sample("CreateAccessPoint")["CreateAccessPointRequest"].clone();
    let bare = |members: Value| {
        let parameters = with(json!({"bucketName": null, "CreateAccessPointRequest": request()}), members);
        without(record("CreateAccessPoint", parameters), &["resources"])
    };
    let resource = json!([{"type": "AWS::S3::AccessPoint", "ARN": READERS, "accountId": "111122223333"}]);
    let elsewhere = json!({"resources": resource, "awsRegion": "us-east-1", "recipientAccountId": "444455556666"});
    let found = format!("event CreateAccessPoint {READERS}");
    let cases = [
        (
            "as the record names it",
            with(bare(json!({})), json!({"additionalEventData": {"accessPointName": "readers"}})),
            &*found,
        ),
        ("by its name", bare(json!({"name": "readers"})), &found),
        ("by its longer name", bare(json!({"accessPointName": "readers"})), &found),
        ("by its ARN before all", with(bare(json!({"name": "writers"})), elsewhere), &found),
        ("by no name", bare(json!({})), "malformed no_resource"),
        ("in no account", without(bare(json!({"name": "readers"})), &["recipientAccountId"]), "malformed no_resource"),
    ];
    for (case, record, expected) in cases {
        assert_eq!(outcomes(record.to_string().as_bytes()), [expected], "{case}");
    }
    let nobody = without(record("DeleteAccountPublicAccessBlock", json!({})), &["resources", "recipientAccountId"]);
    assert_eq!(outcomes(nobody.to_string().as_bytes()), ["malformed no_resource"], "an account without its id");
}
