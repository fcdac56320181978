//! Calls of one second, of two copies, of two lives: which of them holds, and whether that can be told.

use serde_json::{Value, json};

use crate::support::samples::sample;
use crate::support::*;

const ACCOUNT: &str = "arn:aws:iam::111122223333:root";
const READERS: &str = "arn:aws:s3:eu-west-1:111122223333:accesspoint/readers";

const POINT_POLICY: &str = "an access point's policy put and deleted";
const POINT: &str = "an access point created twice";
const BLOCK: &str = "an account's block put and deleted";

/// A call and its parameters.
type Asked = (&'static str, Value);

/// Two calls about one thing, and what the graph shows when either is the last.
struct Pair {
    what: &'static str,
    resource: &'static str,
    calls: [Asked; 2],
    /// The property that shows it.
    property: &'static str,
    /// After the first call, after the second.
    shown: [Value; 2],
    facet: &'static str,
}

fn pairs() -> Vec<Pair> {
    let origin =
        |origin: &str| ("PutBucketCors", json!({"CORSConfiguration": {"CORSRule": {"AllowedOrigin": origin}}}));
    let inventory = |enabled: bool| {
        ("PutBucketInventoryConfiguration", json!({"id": "weekly", "InventoryConfiguration": {"IsEnabled": enabled}}))
    };
    let tag = |value: &str| {
        let tag = json!({"Tag": {"Key": "stage", "Value": value}});
        ("TagResource", json!({"resource": LEDGER, "TagResourceRequest": {"Tags": tag}}))
    };
    let tag_set = json!({"Tagging": {"TagSet": {"Tag": {"Key": "stage", "Value": "whole"}}}});
    let restrict = json!({"PublicAccessBlockConfiguration": {"RestrictPublicBuckets": true}});
    let public = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}}"#;
    let readers = |rest: Value| with(json!({"name": "readers"}), rest);
    let create = |bucket: &str| ("CreateAccessPoint", readers(json!({"CreateAccessPointRequest": {"Bucket": bucket}})));
    let bucket = |what, calls, property, shown, facet| Pair { what, resource: LEDGER, calls, property, shown, facet };
    let point = |what, calls, property, shown, facet| Pair { what, resource: READERS, calls, property, shown, facet };
    let empty = json!({});
    vec![
        bucket(
            "a facet put twice",
            [origin("https://a"), origin("https://b")],
            "corsAllowedOrigins",
            [json!(["https://a"]), json!(["https://b"])],
            "cors",
        ),
        bucket(
            "a facet put and deleted",
            [("PutBucketWebsite", json!({"WebsiteConfiguration": ""})), ("DeleteBucketWebsite", empty.clone())],
            "websiteEnabled",
            [json!(true), json!(false)],
            "website",
        ),
        bucket(
            "a configuration put twice",
            [inventory(true), inventory(false)],
            "inventoryEnabled",
            [json!(true), json!(false)],
            "inventory",
        ),
        bucket(
            "a configuration put and deleted",
            [
                ("PutBucketMetricsConfiguration", json!({"id": "requests"})),
                ("DeleteBucketMetricsConfiguration", json!({"id": "requests"})),
            ],
            "metricsConfigurations",
            [json!(["requests"]), Value::Null],
            "metrics",
        ),
        bucket(
            "a configuration put and one whose id is not told",
            [
                ("PutBucketMetricsConfiguration", json!({"id": "requests"})),
                ("PutBucketMetricsConfiguration", json!({"omitted": true})),
            ],
            "metricsConfigurations",
            [json!(["requests"]), Value::Null],
            "metrics",
        ),
        bucket(
            "a tag set twice",
            [tag("test"), tag("production")],
            "tag.stage",
            [json!("test"), json!("production")],
            "tags",
        ),
        bucket(
            "a tag set and removed",
            [tag("test"), ("UntagResource", json!({"resource": LEDGER, "tagKeys": "stage"}))],
            "tag.stage",
            [json!("test"), Value::Null],
            "tags",
        ),
        bucket(
            "a tag set and the whole set put",
            [tag("test"), ("PutBucketTagging", tag_set)],
            "tag.stage",
            [json!("test"), json!("whole")],
            "tags",
        ),
        bucket(
            "a tag set and all of them deleted",
            [tag("test"), ("DeleteBucketTagging", empty.clone())],
            "tag.stage",
            [json!("test"), Value::Null],
            "tags",
        ),
        point(
            POINT_POLICY,
            [
                ("PutAccessPointPolicy", readers(json!({"PutAccessPointPolicyRequest": {"Policy": public}}))),
                ("DeleteAccessPointPolicy", readers(json!({}))),
            ],
            "policyPublic",
            [json!(true), json!(false)],
            "policy",
        ),
        point(
            POINT,
            [create("ledger"), create("journal")],
            "bucketName",
            [json!("ledger"), json!("journal")],
            "accessPoint",
        ),
        Pair {
            what: BLOCK,
            resource: ACCOUNT,
            calls: [("PutAccountPublicAccessBlock", restrict), ("DeleteAccountPublicAccessBlock", empty)],
            property: "restrictPublicBuckets",
            shown: [json!(true), json!(false)],
            facet: "accountPublicAccessBlock",
        },
    ]
}

fn pair(what: &str) -> Pair {
    pairs().into_iter().find(|pair| pair.what == what).expect("a pair of that name")
}

/// A call under an identity; not about a bucket where its name says so.
fn call(id: &str, seconds: f64, (name, parameters): &Asked) -> Value {
    let record = named(id, at(seconds, name, parameters.clone()));
    if name.contains("Account") || name.contains("AccessPoint") { without(record, &["resources"]) } else { record }
}

fn created(seconds: f64) -> Value {
    let location = json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}});
    without(at(seconds, "CreateBucket", location), &["resources"])
}

fn created_in_us_east_1(seconds: f64, parameters: Value) -> Value {
    with(without(at(seconds, "CreateBucket", parameters), &["resources"]), json!({"awsRegion": "us-east-1"}))
}

/// A property, and what is contested; null where there is no such entity.
fn seen(resource: &str, records: &[Value], property: &str) -> [Value; 2] {
    let snapshot = snapshot_of(resource, records);
    let entity = snapshot.entities.into_iter().find(|entity| entity.key() == resource);
    [property, "contestedFacets"].map(|name| entity.as_ref().and_then(|it| it.0.get(name)).cloned().unwrap_or_default())
}

#[test]
fn of_two_calls_of_one_second_one_holds_and_is_contested_unless_milliseconds_tell() {
    // Identity and time of the first call and of the second; which holds; whether that is open.
    let cases = [
        ("the greater name", ("a", 1.0), ("b", 1.0), 1, true),
        ("whichever it is", ("b", 1.0), ("a", 1.0), 0, true),
        ("later by milliseconds", ("b", 1.001), ("a", 1.002), 1, false),
        ("earlier by milliseconds", ("a", 1.002), ("b", 1.001), 0, false),
        ("one millisecond", ("a", 1.001), ("b", 1.001), 1, true),
        ("only the first with milliseconds", ("a", 1.001), ("b", 1.0), 0, true),
        ("only the second with milliseconds", ("b", 1.0), ("a", 1.001), 1, true),
        ("a second later", ("b", 1.999), ("a", 2.0), 1, false),
        ("a second earlier", ("a", 2.0), ("b", 1.999), 0, false),
    ];
    for Pair { what, resource, calls, property, shown, facet } in pairs() {
        for (case, first, second, last, open) in cases {
            let records = [created(0.0), call(first.0, first.1, &calls[0]), call(second.0, second.1, &calls[1])];
            let contested = if open { json!([facet]) } else { Value::Null };
            assert_eq!(seen(resource, &records, property), [shown[last].clone(), contested], "{what}, {case}");
        }
    }
}

#[test]
fn a_later_call_settles_what_was_contested() {
    for Pair { what, resource, calls, property, shown, .. } in pairs() {
        for last in [0, 1] {
            let records =
                [created(0.0), call("b", 1.0, &calls[0]), call("a", 1.0, &calls[1]), call("c", 2.0, &calls[last])];
            assert_eq!(seen(resource, &records, property), [shown[last].clone(), Value::Null], "{what}");
        }
    }
}

#[test]
fn two_configurations_or_two_tags_of_one_second_contest_nothing() {
    let metrics = |id: &str| named(id, at(1.0, "PutBucketMetricsConfiguration", json!({"id": id})));
    let records = [metrics("b"), metrics("a")];
    assert_eq!(seen(LEDGER, &records, "metricsConfigurations"), [json!(["a", "b"]), Value::Null]);
    let tag = |key: &str| {
        let tag = json!({"Tags": {"Tag": {"Key": key, "Value": "x"}}});
        named(key, at(1.0, "TagResource", json!({"resource": LEDGER, "TagResourceRequest": tag})))
    };
    let records = [tag("b"), tag("a")];
    assert_eq!(seen(LEDGER, &records, "tag.a"), [json!("x"), Value::Null]);
    assert_eq!(seen(LEDGER, &records, "tag.b"), [json!("x"), Value::Null]);
}

/// The two records of one cross-account call: the owner's, and the caller's, which hides the owner.
fn copies(call: &Value) -> [Value; 2] {
    let shared = |id: &str, members: Value| {
        with(with(call.clone(), json!({"eventID": id, "sharedEventID": "shared-1", "requestID": "request-1"})), members)
    };
    let hidden = json!([{"type": "AWS::S3::Bucket", "ARN": LEDGER, "accountId": "HIDDEN_DUE_TO_SECURITY_REASONS"}]);
    let owners =
        json!({"userIdentity": {"type": "AWSAccount", "principalId": "AROA:grace", "accountId": "444455556666"}});
    [shared("z", owners), shared("a", json!({"recipientAccountId": "444455556666", "resources": hidden}))]
}

#[test]
fn two_copies_of_one_call_are_one_change_and_the_owner_is_the_owner() {
    for Pair { what, resource, calls, property, shown, .. } in pairs() {
        if resource != LEDGER {
            continue;
        }
        for seconds in [1.0, 1.5] {
            let records = copies(&call("x", seconds, &calls[0]));
            assert_eq!(seen(resource, &records, property), [shown[0].clone(), Value::Null], "{what}");
            assert_eq!(seen(resource, &records, "accountId")[0], json!("111122223333"), "{what}");
        }
    }
}

#[test]
fn of_two_copies_the_one_that_tells_more_is_believed() {
    let put = |parameters: Value| at(1.0, "PutBucketVersioning", parameters);
    let told = put(json!({"VersioningConfiguration": {"Status": "Enabled"}}));
    let cut = put(json!({"omitted": true}));
    let ([owners, callers], [owners_cut, callers_cut]) = (copies(&told), copies(&cut));
    for records in [[owners, callers_cut], [owners_cut, callers]] {
        assert_eq!(seen(LEDGER, &records, "versioningEnabled"), [json!(true), Value::Null]);
        assert_eq!(seen(LEDGER, &records, "accountId")[0], json!("111122223333"));
    }
}

#[test]
fn two_copies_of_a_deletion_delete() {
    let records = [vec![created(1.0)], copies(&at(2.0, "DeleteBucket", json!({}))).into()].concat();
    assert_eq!(snapshot(&records).entities, []);
}

#[test]
fn a_change_and_the_deletion_of_its_resource_in_one_second() {
    // Time and identity of the change and of the deletion; whether the resource is there; whether that is open.
    let cases = [
        ("a name before", ("a", 1.0), ("b", 1.0), true, true),
        ("a name after", ("b", 1.0), ("a", 1.0), true, true),
        ("one millisecond", ("a", 1.001), ("b", 1.001), true, true),
        ("one without milliseconds", ("a", 1.001), ("b", 1.0), true, true),
        ("changed before", ("b", 1.001), ("a", 1.002), false, false),
        ("changed after", ("a", 1.002), ("b", 1.001), true, false),
    ];
    for Pair { what, resource, calls, property, shown, facet } in
        pairs().into_iter().filter(|it| it.resource != ACCOUNT)
    {
        let (delete, existence) = match resource {
            READERS => (("DeleteAccessPoint", json!({"name": "readers"})), "accessPoint"),
            _ => (("DeleteBucket", json!({})), "creation"),
        };
        for (case, change, deletion, is_there, open) in cases {
            let records = [call(change.0, change.1, &calls[0]), call(deletion.0, deletion.1, &delete)];
            let mut contested = vec![facet, existence];
            contested.sort_unstable();
            contested.dedup();
            let contested = if open { json!(contested) } else { Value::Null };
            let expected = if is_there { [shown[0].clone(), contested] } else { [Value::Null, Value::Null] };
            assert_eq!(seen(resource, &records, property), expected, "{what}, {case}");
            assert_eq!(snapshot_of(resource, &records).entities.is_empty(), !is_there, "{what}, {case}");
        }
    }
}

#[test]
fn what_a_creation_and_a_change_of_one_second_did_is_not_lost() {
    for Pair { what, resource, calls, property, shown, .. } in pairs().into_iter().filter(|it| it.resource == LEDGER) {
        for (creation, change) in [("a", "b"), ("b", "a")] {
            let records = [named(creation, created(1.0)), call(change, 1.0, &calls[0])];
            assert_eq!(seen(resource, &records, property)[0], shown[0], "{what}");
        }
    }
    let [policy, _] = &pair(POINT_POLICY).calls;
    let create = ("CreateAccessPoint", json!({"name": "readers", "CreateAccessPointRequest": {"Bucket": "ledger"}}));
    for (creation, change) in [("a", "b"), ("b", "a")] {
        let records = [call(creation, 1.0, &create), call(change, 1.0, policy)];
        assert_eq!(seen(READERS, &records, "policyPublic")[0], json!(true));
    }
}

#[test]
fn nothing_of_a_former_life_is_left_whether_its_end_was_seen_or_not() {
    let deleted = |seconds: f64| at(seconds, "DeleteBucket", json!({}));
    let ends = [
        ("deleted, and created a second later", vec![deleted(5.0), created(6.0)]),
        ("deleted and created in one second", vec![named("z", deleted(5.0)), created(5.0)]),
        ("within a second", vec![deleted(5.001), created(5.002)]),
        ("the deletion was lost", vec![created(6.0)]),
        ("created in us-east-1 after", vec![deleted(5.0), created_in_us_east_1(6.0, json!({}))]),
    ];
    for Pair { what, calls, property, .. } in pairs().into_iter().filter(|it| it.resource == LEDGER) {
        let untouched = seen(LEDGER, &[created(6.0)], property)[0].clone();
        for (case, end) in &ends {
            let records = [vec![created(0.0), call("x", 1.0, &calls[0])], end.clone()].concat();
            assert_eq!(seen(LEDGER, &records, property)[0], untouched, "{what}, {case}");
        }
    }
    let renewed = json!({"name": "readers", "CreateAccessPointRequest": {"Bucket": "journal"}});
    let renewed = call("y", 6.0, &("CreateAccessPoint", renewed));
    for Pair { what, calls, property, .. } in pairs().into_iter().filter(|it| it.resource == READERS) {
        let alone = seen(READERS, std::slice::from_ref(&renewed), property);
        assert_eq!(seen(READERS, &[call("x", 1.0, &calls[0]), renewed.clone()], property), alone, "{what}");
    }
}

#[test]
fn creating_ones_own_bucket_again_in_us_east_1_keeps_every_configuration() {
    for Pair { what, calls, property, shown, .. } in pairs().into_iter().filter(|it| it.resource == LEDGER) {
        let records = [call("x", 1.0, &calls[0]), created_in_us_east_1(2.0, json!({}))];
        assert_eq!(seen(LEDGER, &records, property), [shown[0].clone(), Value::Null], "{what}");
    }
}

#[test]
fn creating_ones_own_bucket_again_writes_the_acl_and_what_else_it_names() {
    let acl = at(1.0, "PutBucketAcl", json!({"x-amz-acl": "public-read"}));
    let rule = json!({"OwnershipControls": {"Rule": {"ObjectOwnership": "BucketOwnerPreferred"}}});
    let ownership = at(1.0, "PutBucketOwnershipControls", rule);
    let tags = at(1.0, "PutBucketTagging", json!({"Tagging": {"TagSet": {"Tag": {"Key": "a", "Value": "1"}}}}));
    let shown = |parameters: Value| {
        let again = created_in_us_east_1(2.0, parameters);
        let records = [acl.clone(), ownership.clone(), tags.clone(), again];
        ["aclPublic", "objectOwnership", "tag.a", "tag.b"].map(|name| property(&records, name))
    };
    let (kept, none) = (json!("BucketOwnerPreferred"), Value::Null);
    assert_eq!(shown(json!({})), [json!(false), kept.clone(), json!(1), none.clone()]);
    let header = json!({"x-amz-object-ownership": "ObjectWriter", "x-amz-acl": "public-read"});
    assert_eq!(shown(header), [json!(true), json!("ObjectWriter"), json!(1), none.clone()]);
    let tagged = json!({"CreateBucketConfiguration": {"Tags": {"Tag": {"Key": "b", "Value": "2"}}}});
    assert_eq!(shown(tagged), [json!(false), kept, none, json!(2)], "a whole set, as PutBucketTagging's");
}

#[test]
fn a_bucket_that_another_account_created_again_obeys_that_account() {
    let theirs = json!({"recipientAccountId": "444455556666"});
    let policy =
        json!({"bucketPolicy": {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}}});
    let open = json!({"PublicAccessBlockConfiguration": ""});
    let of_them = |record: Value| with(without(record, &["resources"]), theirs.clone());
    let account = call("x", 1.0, &pair(BLOCK).calls[0]);
    let records = [
        account.clone(),
        created(1.0),
        at(2.0, "DeleteBucket", json!({})),
        of_them(created(3.0)),
        of_them(at(4.0, "PutBucketPolicy", policy)),
        of_them(at(5.0, "PutBucketPublicAccessBlock", open)),
    ];
    assert_eq!(seen(LEDGER, &records, "accountId")[0], json!("444455556666"));
    assert_eq!(seen(LEDGER, &records, "public")[0], json!(true), "the former owner's block has no say");
    let blocked = [records.to_vec(), vec![of_them(account)]].concat();
    assert_eq!(seen(LEDGER, &blocked, "public")[0], json!(false));
}

#[test]
fn a_deletion_that_arrives_late_takes_nothing_newer_away() {
    for Pair { what, resource, calls, property, shown, .. } in pairs() {
        let (early, late) = (call("z", 1.0, &calls[1]), call("a", 2.0, &calls[0]));
        assert_eq!(seen(resource, &[late, early], property), [shown[0].clone(), Value::Null], "{what}");
    }
    let deleted = call("z", 1.0, &("DeleteAccessPoint", json!({"name": "readers"})));
    let created = call("a", 2.0, &pair(POINT).calls[0]);
    assert_eq!(seen(READERS, &[created, deleted], "bucketName"), [json!("ledger"), Value::Null]);
}

#[test]
fn an_event_of_the_future_is_refused_whatever_it_is_about() {
    for Pair { what, calls, .. } in pairs() {
        let record = with(call("x", 1.0, &calls[0]), json!({"eventTime": "2026-03-01T00:06:01Z"}));
        assert_eq!(outcomes(record.to_string().as_bytes()), ["malformed future_event"], "{what}");
    }
}

#[test]
fn copies_of_one_call_have_one_stamp_whichever_of_them_has_milliseconds() {
    let copy = |id: &str, members: Value| {
        let shared = json!({"eventID": id, "sharedEventID": "shared-1"});
        with(with(at(1.0, "PutBucketVersioning", sample("PutBucketVersioning")), shared), members)
    };
    let owners = copy("event-a", json!({}));
    let callers = copy(
        "event-b",
        json!({
            "recipientAccountId": "444455556666", "additionalEventData": {"endTime": 1_772_323_201_500_i64},
            "requestParameters": {"bucketName": "ledger", "omitted": true},
            "resources": [{"type": "AWS::S3::Bucket", "ARN": LEDGER, "accountId": "HIDDEN_DUE_TO_SECURITY_REASONS"}],
        }),
    );
    let shown = properties(&[owners, callers]);
    assert_eq!((&shown["versioningEnabled"], &shown["contestedFacets"]), (&json!(true), &Value::Null));
}

#[test]
fn copies_of_one_call_on_an_access_point_are_about_one_access_point() {
    let copy = |id: &str, recipient: &str| {
        let members = json!({
            "eventID": id, "sharedEventID": "shared-1", "recipientAccountId": recipient,
            "userIdentity": {"type": "AssumedRole", "accountId": "444455556666"},
        });
        with(without(at(1.0, "CreateAccessPoint", sample("CreateAccessPoint")), &["resources"]), members)
    };
    let points =
        [copy("event-a", "111122223333"), copy("event-b", "444455556666")].map(|record| event(&record).resource);
    assert_eq!(points[0].as_str(), "arn:aws:s3:eu-west-1:444455556666:accesspoint/readers");
    assert_eq!(points[0], points[1]);
}
