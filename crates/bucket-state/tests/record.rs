//! What one record means: whether it counts, what it is about, when, whose, and what it changed.

use serde_json::{Value, json};

use crate::support::*;

const UNKNOWN: &str = "Unknown(NotRecorded)";

fn outcome(record: &Value) -> String {
    outcomes(record.to_string().as_bytes()).join(", ")
}

/// What the call of `record` changed, as text.
fn change(record: &Value) -> String {
    format!("{:?}", event(record).change)
}

#[test]
fn a_record_without_effect_is_ignored_with_the_reason() {
    let put = || record("PutBucketPolicy", json!({"bucketPolicy": {}}));
    let tag = |arn: &str| record("TagResource", json!({"resource": arn, "bucketName": null}));
    let untag = |arn: &str| record("UntagResource", json!({"resource": arn, "tagKeys": "team"}));
    let cases = [
        ("another service", with(put(), json!({"eventSource": "kms.amazonaws.com"})), "other_service"),
        ("a directory bucket", with(put(), json!({"eventSource": "s3express.amazonaws.com"})), "other_service"),
        ("a read", record("GetBucketPolicy", json!({})), "other_call"),
        ("a data event", record("PutObject", json!({"key": "a"})), "other_call"),
        ("a policy action that is no call", record("PutEncryptionConfiguration", json!({})), "other_call"),
        ("another case", record("createbucket", json!({})), "other_call"),
        ("a failed call", with(put(), json!({"errorCode": "AccessDenied"})), "failed_call PutBucketPolicy"),
        (
            "a failed alias",
            with(record("DeletePublicAccessBlock", json!({})), json!({"errorCode": "NoSuchBucket"})),
            "failed_call DeleteBucketPublicAccessBlock",
        ),
        (
            "a failed call of a later format",
            with(put(), json!({"errorCode": "AccessDenied", "eventVersion": "2.0"})),
            "failed_call PutBucketPolicy",
        ),
        (
            "an access point's tags",
            tag("arn:aws:s3:eu-west-1:111122223333:accesspoint/reports"),
            "other_resource TagResource",
        ),
        (
            "a storage lens's tags",
            untag("arn:aws:s3:eu-west-1:111122223333:storage-lens-group/all"),
            "other_resource UntagResource",
        ),
    ];
    for (case, record, expected) in cases {
        assert_eq!(outcome(&record), format!("ignored {expected}"), "{case}");
    }
}

#[test]
fn an_error_code_that_is_empty_or_null_is_none() {
    for code in [json!(""), Value::Null] {
        let record = with(record("DeleteBucket", json!({})), json!({"errorCode": code}));
        assert_eq!(outcome(&record), "event DeleteBucket arn:aws:s3:::ledger", "{code}");
    }
}

#[test]
fn a_record_with_a_fault_is_refused_with_the_reason() {
    let delete = || record("DeleteBucket", json!({}));
    let set = |member: &str, value: Value| with(delete(), json!({member: value}));
    let mut cases = vec![
        ("another major version", set("eventVersion", json!("2.0")), "unsupported_version"),
        ("a version of ten", set("eventVersion", json!("10.1")), "unsupported_version"),
        ("a time in words", set("eventTime", json!("yesterday")), "bad_time"),
        ("no month", set("eventTime", json!("2026-13-01T00:00:00Z")), "bad_time"),
        ("no zone", set("eventTime", json!("2026-03-01T00:00:00")), "bad_time"),
        ("an empty time", set("eventTime", json!("")), "bad_time"),
        ("a second more than five minutes ahead", set("eventTime", json!("2026-03-01T00:06:01Z")), "future_event"),
        ("a century ahead", set("eventTime", json!("2126-03-01T00:00:00Z")), "future_event"),
        ("no identity", set("eventID", json!("")), "unexpected_shape"),
    ];
    for required in ["eventSource", "eventName", "eventTime", "eventID", "awsRegion"] {
        // Without its name it is not even a record.
        cases.push((required, without(delete(), &[required]), "unexpected_shape"));
        cases.push((required, set(required, Value::Null), "unexpected_shape"));
        cases.push((required, set(required, json!(7)), "unexpected_shape"));
        cases.push((required, set(required, json!({})), "unexpected_shape"));
    }
    for typed in ["requestParameters", "resources", "userIdentity", "additionalEventData", "errorCode", "eventVersion"]
    {
        cases.push((typed, set(typed, json!(7)), "unexpected_shape"));
    }
    for (case, record, reason) in cases {
        assert_eq!(outcome(&record), format!("malformed {reason}"), "{case}: {record}");
    }
}

#[test]
fn an_event_up_to_five_minutes_ahead_of_its_arrival_is_folded() {
    for time in ["2026-03-01T00:05:00Z", "2026-03-01T00:06:00Z", "2026-03-01T01:05:00+01:00"] {
        let record = with(record("DeleteBucket", json!({})), json!({"eventTime": time}));
        assert_eq!(outcome(&record), "event DeleteBucket arn:aws:s3:::ledger", "{time}");
    }
}

#[test]
fn a_record_may_lack_whatever_older_versions_lack() {
    let optional = ["eventVersion", "userIdentity", "resources", "recipientAccountId", "responseElements"];
    let bare = without(record("DeleteBucket", json!({})), &optional);
    let nulls = with(bare.clone(), json!({"userIdentity": null, "resources": null, "recipientAccountId": null}));
    let nulls = with(nulls, json!({"eventVersion": null, "additionalEventData": null, "sharedEventID": null}));
    for record in [bare, nulls] {
        let event = event(&record);
        assert_eq!((event.resource.as_str(), event.owner, &*event.recipient), (LEDGER, None, ""));
        assert_eq!(event.origin.actor, None);
    }
}

#[test]
fn the_identity_is_the_shared_one_where_there_is_one() {
    let cases = [(Value::Null, "event-1"), (json!(""), "event-1"), (json!("shared-1"), "shared-1")];
    for (shared, expected) in cases {
        let event = event(&with(record("DeleteBucket", json!({})), json!({"sharedEventID": shared})));
        let bucket_state::Origin { stamp, event_id, .. } = &*event.origin;
        assert_eq!(
            (stamp.identity.to_string(), event_id.to_string()),
            (expected.to_owned(), "event-1".to_owned()),
            "{shared}"
        );
    }
}

#[test]
fn milliseconds_are_taken_where_the_record_has_them() {
    let cases = [
        (json!(null), None),
        (json!({}), None),
        (json!({"endTime": 1_772_323_200_123_i64}), Some(1_772_323_200_123)),
        (json!({"endTime": "1772323200123"}), Some(1_772_323_200_123)),
        (json!({"endTime": "soon"}), None),
        (json!({"endTime": null, "httpStatusCode": 204}), None),
    ];
    for (data, millis) in cases {
        let event = event(&with(record("DeleteBucket", json!({})), json!({"additionalEventData": data})));
        assert_eq!((event.origin.stamp.second, event.origin.stamp.millis), (1_772_323_200, millis), "{data}");
    }
}

#[test]
fn the_actor_is_the_caller_or_what_stands_in_its_place() {
    let cases = [
        (
            json!({"arn": "arn:aws:iam::111122223333:role/deploy", "principalId": "AROA"}),
            Some("arn:aws:iam::111122223333:role/deploy"),
        ),
        (json!({"type": "AWSService", "invokedBy": "config.amazonaws.com"}), Some("config.amazonaws.com")),
        (json!({"type": "AWSAccount", "principalId": "AROA:ada", "accountId": "444455556666"}), Some("AROA:ada")),
        (json!({"type": "Unknown"}), None),
    ];
    for (identity, expected) in cases {
        let event = event(&with(record("DeleteBucket", json!({})), json!({"userIdentity": identity})));
        assert_eq!(event.origin.actor.as_deref(), expected, "{identity}");
    }
}

#[test]
fn the_owner_is_whom_the_record_names_or_else_who_received_it() {
    let bucket = |account: Value| {
        json!([
            {"type": "AWS::S3::Object", "ARNPrefix": "arn:aws:s3:::ledger/"},
            {"type": "AWS::S3::Bucket", "ARN": LEDGER, "accountId": account},
        ])
    };
    let other = json!({"recipientAccountId": "444455556666"});
    let put = |members: Value| with(with(record("DeleteBucketPolicy", json!({})), other.clone()), members);
    let create = |members: Value| with(with(record("CreateBucket", json!({})), other.clone()), members);
    let nobody = json!([]);
    let cases = [
        ("named", put(json!({"resources": bucket(json!("111122223333"))})), Some((true, "111122223333"))),
        ("hidden from the caller", put(json!({"resources": bucket(json!("HIDDEN_DUE_TO_SECURITY_REASONS"))})), None),
        ("not named", put(json!({"resources": bucket(Value::Null)})), None),
        ("not twelve digits", put(json!({"resources": bucket(json!("1111"))})), None),
        ("no resources", put(json!({"resources": null})), Some((false, "444455556666"))),
        ("other resources", put(json!({"resources": nobody})), Some((false, "444455556666"))),
        ("perhaps the caller's copy", put(json!({"resources": null, "sharedEventID": "shared-1"})), None),
        ("the creator", create(json!({"resources": null, "sharedEventID": "shared-1"})), Some((false, "444455556666"))),
        ("nobody", put(json!({"resources": null, "recipientAccountId": "HIDDEN"})), None),
    ];
    for (case, record, expected) in cases {
        let event = event(&record);
        let owner = event.owner.as_ref().map(|owner| (owner.named, &*owner.account));
        assert_eq!(
            (owner, &*event.recipient),
            (expected, record["recipientAccountId"].as_str().expect("a text")),
            "{case}"
        );
    }
}

#[test]
fn a_bucket_is_found_by_its_arn_or_its_name_and_never_by_host() {
    let bare = |parameters: Value| without(record("TagResource", parameters), &["resources"]);
    let china = json!({"awsRegion": "cn-north-1"});
    let resources = |resource: Value| json!({"resources": [resource]});
    let named = json!({"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::other"});
    let rewritten = json!({"type": "AWS::S3::Bucket", "arn": "arn:aws-us-gov:s3:::other"});
    let cases = [
        ("by its name", bare(json!({})), "event TagResource arn:aws:s3:::ledger"),
        ("by its name in China", with(bare(json!({})), china), "event TagResource arn:aws-cn:s3:::ledger"),
        ("by the named resource", with(bare(json!({})), resources(named)), "event TagResource arn:aws:s3:::other"),
        ("in lower case", with(bare(json!({})), resources(rewritten)), "event TagResource arn:aws-us-gov:s3:::other"),
        (
            "by the tagged ARN",
            bare(json!({"bucketName": null, "resource": "arn:aws:s3:::other"})),
            "event TagResource arn:aws:s3:::other",
        ),
        ("a number", bare(json!({"bucketName": 20_260_301})), "event TagResource arn:aws:s3:::20260301"),
        ("an empty name", bare(json!({"bucketName": ""})), "malformed no_resource"),
        ("no name", bare(json!({"bucketName": null})), "malformed no_resource"),
        ("no parameters", with(bare(json!({})), json!({"requestParameters": null})), "malformed no_resource"),
    ];
    for (case, record, expected) in cases {
        assert_eq!(outcome(&record), expected, "{case}");
    }
}

#[test]
fn what_cannot_be_a_buckets_name_names_no_resource() {
    let bare = |parameters: Value| without(record("TagResource", parameters), &["resources"]);
    let by_name = |name: &str| bare(json!({"bucketName": name}));
    let by_arn = |arn: &str| bare(json!({"bucketName": null, "resource": arn}));
    let by_resource = |arn: &str| {
        with(record("DeleteBucket", json!({})), json!({"resources": [{"type": "AWS::S3::Bucket", "ARN": arn}]}))
    };
    let long = "x".repeat(300);
    let cases = [
        (by_name("ledger/policy"), r#""ledger/policy" is not the name of a bucket"#.to_owned()),
        (by_name("le"), r#""le" is not the name of a bucket"#.to_owned()),
        (by_name("a\nb c"), r#""a\nb c" is not the name of a bucket"#.to_owned()),
        (by_name(&long), format!(r#""{}"… is not the name of a bucket"#, &long[..80])),
        (by_arn("arn:aws:s3:::ledger/policy"), r#""arn:aws:s3:::ledger/policy" is not the ARN of a bucket"#.to_owned()),
        (by_resource("arn:aws:s3:::"), r#""arn:aws:s3:::" is not the ARN of a bucket"#.to_owned()),
        (
            by_resource("arn:elsewhere:s3:::ledger"),
            r#""arn:elsewhere:s3:::ledger" is not the ARN of a bucket"#.to_owned(),
        ),
    ];
    for (record, expected) in cases {
        let faults = faults(record.to_string().as_bytes());
        let [(reason, message, _)] = &faults[..] else { panic!("one fault: {record}") };
        assert_eq!((*reason, message), ("no_resource", &expected));
    }
    assert_eq!(outcome(&by_name("Old_Ledger.2009")), "event TagResource arn:aws:s3:::Old_Ledger.2009");
}

#[test]
fn what_a_state_keeps_of_a_record_is_bounded() {
    let long = |bytes: usize| "é".repeat(bytes / 2);
    let set = |member: &str, bytes: usize| with(record("DeleteBucket", json!({})), json!({member: long(bytes)}));
    let user = |member: &str, bytes: usize| {
        with(record("DeleteBucket", json!({})), json!({"userIdentity": {member: long(bytes)}}))
    };
    let created = |bytes: usize| {
        record("CreateBucket", json!({"CreateBucketConfiguration": {"LocationConstraint": long(bytes)}}))
    };
    type WithLong<'a> = &'a dyn Fn(usize) -> Value;
    let cases: [(&str, usize, WithLong<'_>); 7] = [
        ("eventID", 128, &|bytes| set("eventID", bytes)),
        ("sharedEventID", 128, &|bytes| set("sharedEventID", bytes)),
        ("awsRegion", 64, &|bytes| set("awsRegion", bytes)),
        ("LocationConstraint", 64, &created),
        ("userIdentity.arn", 2_048, &|bytes| user("arn", bytes)),
        ("userIdentity.invokedBy", 2_048, &|bytes| user("invokedBy", bytes)),
        ("userIdentity.principalId", 2_048, &|bytes| user("principalId", bytes)),
    ];
    for (field, most, record) in cases {
        assert_eq!(events(record(most).to_string().as_bytes()).len(), 1, "{field}");
        let faults = faults(record(most + 2).to_string().as_bytes());
        let [(reason, message, _)] = &faults[..] else { panic!("one fault: {field}") };
        assert_eq!(
            (*reason, message),
            ("unexpected_shape", &format!("{field} has {} bytes, more than {most}", most + 2))
        );
    }
}

#[test]
fn tags_that_s3_cannot_have_taken_make_the_whole_set_unknown() {
    let tag = |key: usize, value: usize| {
        let tags =
            json!({"Tag": [{"Key": "team", "Value": "search"}, {"Key": "ü".repeat(key), "Value": "€".repeat(value)}]});
        record("TagResource", json!({"resource": LEDGER, "TagResourceRequest": {"Tags": tags}}))
    };
    let untag = |keys: Value| record("UntagResource", json!({"resource": LEDGER, "tagKeys": keys}));
    let many = |count: usize| untag((0..count).map(|number| json!(format!("key-{number}"))).collect());
    let cases = [
        ("the longest", tag(128, 256), false),
        ("a longer key", tag(129, 256), true),
        ("a longer value", tag(128, 257), true),
        ("the longest to remove", untag(json!("k".repeat(128))), false),
        ("a longer one to remove", untag(json!("k".repeat(129))), true),
        ("as many as are kept", many(1_000), false),
        ("more", many(1_001), true),
    ];
    for (case, record, too_large) in cases {
        assert_eq!(change(&record) == "Write(Tags, Unknown(TooLarge))", too_large, "{case}");
    }
}

#[test]
fn a_bucket_lives_where_it_was_asked_for_or_else_where_the_call_was_made() {
    let configuration = |location: Value| json!({"CreateBucketConfiguration": location});
    let cases = [
        (json!({}), "us-east-1", false),
        (configuration(json!("")), "us-east-1", false),
        (configuration(json!({"LocationConstraint": ""})), "us-east-1", false),
        (configuration(json!({"LocationConstraint": "eu-north-1", "xmlns": "x"})), "eu-north-1", true),
        (configuration(json!({"LocationConstraint": ["eu-north-1"]})), "eu-north-1", true),
        (configuration(json!({"LocationConstraint": {"content": "eu-north-1", "xmlns": "x"}})), "eu-north-1", true),
        (configuration(json!({"LocationConstraint": "EU"})), "eu-west-1", true),
    ];
    for (parameters, region, new) in cases {
        let event = event(&with(record("CreateBucket", parameters.clone()), json!({"awsRegion": "us-east-1"})));
        let proves_new = format!("{:?}", event.change).contains("proves_new: true");
        assert_eq!((&*event.region, proves_new), (region, new), "{parameters}");
    }
}

#[test]
fn old_and_new_records_tell_the_same() {
    let old = |record: Value| with(without(record, &["resources"]), json!({"eventVersion": "1.05"}));
    let host = json!(["ledger.s3.eu-west-1.amazonaws.com"]);
    let policy = json!({"Version": "2012-10-17", "Statement": []});
    let cases = [
        (
            "PutBucketPolicy",
            json!({"policy": "", "bucketPolicy": policy}),
            json!({"policy": [""], "bucketPolicy": policy, "host": host}),
        ),
        (
            "PutBucketTagging",
            json!({"tagging": "", "Tagging": {"TagSet": ""}}),
            json!({"tagging": [""], "Tagging": {"TagSet": ""}, "Host": host}),
        ),
        ("DeleteBucket", json!({}), json!({"Host": host})),
    ];
    for (call, new_parameters, old_parameters) in cases {
        let (new, old) = (event(&record(call, new_parameters)), event(&old(record(call, old_parameters))));
        assert_eq!((&new.resource, &new.origin, &new.change), (&old.resource, &old.origin, &old.change), "{call}");
    }
}

#[test]
fn an_alias_of_the_api_is_the_call_that_cloudtrail_names_otherwise() {
    let put = record("PutPublicAccessBlock", json!({"PublicAccessBlockConfiguration": {"BlockPublicAcls": true}}));
    let delete = record("DeletePublicAccessBlock", json!({}));
    assert_eq!(event(&put).name, "PutBucketPublicAccessBlock");
    assert_eq!(
        change(&put),
        r#"Write(PublicAccessBlock, Set({"PublicAccessBlockConfiguration":{"BlockPublicAcls":true}}))"#
    );
    assert_eq!(event(&delete).name, "DeleteBucketPublicAccessBlock");
    assert_eq!(change(&delete), "Write(PublicAccessBlock, Cleared)");
}

#[test]
fn a_body_is_kept_as_it_came_and_one_that_is_missing_makes_its_facet_unknown() {
    let bodies = [
        ("PutBucketAcl", "Acl", "AccessControlPolicy"),
        ("PutBucketPolicy", "Policy", "bucketPolicy"),
        ("PutBucketPublicAccessBlock", "PublicAccessBlock", "PublicAccessBlockConfiguration"),
        ("PutBucketEncryption", "Encryption", "ServerSideEncryptionConfiguration"),
        ("PutBucketVersioning", "Versioning", "VersioningConfiguration"),
        ("PutBucketLogging", "Logging", "BucketLoggingStatus"),
        ("PutBucketTagging", "Tags", "Tagging"),
    ];
    for (call, facet, key) in bodies {
        let large = "x".repeat(130 << 10);
        // What stands under these is judged by whoever reads it.
        let is_xml = !["bucketPolicy", "AccessControlPolicy"].contains(&key);
        let cases = [
            ("kept", json!({key: {"xmlns": "x"}}), format!(r#"Set({{"{key}":{{"xmlns":"x"}}}})"#)),
            ("empty", json!({key: ""}), format!(r#"Set({{"{key}":""}})"#)),
            ("missing", json!({}), UNKNOWN.into()),
            ("null", json!({key: null}), UNKNOWN.into()),
            ("left out", json!({"omitted": true}), "Unknown(Omitted)".into()),
            ("left out in part", json!({key: {}, "omitted": true}), "Unknown(Omitted)".into()),
            ("not left out", json!({key: {}, "omitted": false}), format!(r#"Set({{"{key}":{{}}}})"#)),
            ("too large", json!({key: {"Large": large}}), "Unknown(TooLarge)".into()),
            (
                "of another type",
                json!({key: 7}),
                if is_xml { UNKNOWN.into() } else { format!(r#"Set({{"{key}":7}})"#) },
            ),
        ];
        for (case, parameters, expected) in cases {
            assert_eq!(change(&record(call, parameters)), format!("Write({facet}, {expected})"), "{call}, {case}");
        }
        let no_parameters = with(record(call, json!({})), json!({"requestParameters": null}));
        assert_eq!(change(&no_parameters), format!("Write({facet}, {UNKNOWN})"), "{call}, no parameters");
    }
}

#[test]
fn a_body_nested_deeper_than_any_real_one_is_refused() {
    let put = |levels: usize| {
        let record = record("PutBucketPolicy", json!({"bucketPolicy": "DEEP"})).to_string();
        outcomes(record.replace("\"DEEP\"", &nested(levels, r#""]\"[[""#)).as_bytes()).join(", ")
    };
    assert_eq!(put(64), "event PutBucketPolicy arn:aws:s3:::ledger");
    assert_eq!(put(65), "malformed too_deep");
    assert_eq!(put(10_000), "malformed too_deep");
}

#[test]
fn single_tags_are_set_and_removed_by_key() {
    let tag = |tags: Value| record("TagResource", json!({"resource": LEDGER, "TagResourceRequest": {"Tags": tags}}));
    let untag = |keys: Value| record("UntagResource", json!({"resource": LEDGER, "tagKeys": keys}));
    let one = |key: &str, value: &str| format!(r#"TagChange {{ key: "{key}", value: {value} }}"#);
    let set = |tags: &[String]| format!("Tags([{}])", tags.join(", "));
    let unknown = format!("Write(Tags, {UNKNOWN})");
    let cases = [
        (tag(json!({"Tag": {"Key": "team", "Value": "search"}})), set(&[one("team", r#"Some("search")"#)])),
        (
            tag(json!({"Tag": [{"Key": 7, "Value": true}, {"Key": "empty", "Value": ""}, {"Key": "text null"}]})),
            set(&[one("7", r#"Some("true")"#), one("empty", r#"Some("")"#), one("text null", r#"Some("null")"#)]),
        ),
        (tag(json!("")), unknown.clone()),
        (tag(json!({"Tag": {"Value": "of a key that is not recorded"}})), unknown.clone()),
        (record("TagResource", json!({"resource": LEDGER})), unknown.clone()),
        (record("TagResource", json!({"omitted": true})), "Write(Tags, Unknown(Omitted))".into()),
        (untag(json!("team")), set(&[one("team", "None")])),
        (untag(json!(["team", 7])), set(&[one("team", "None"), one("7", "None")])),
        (untag(json!([])), unknown.clone()),
        (untag(Value::Null), unknown),
    ];
    for (record, expected) in cases {
        assert_eq!(change(&record), expected, "{record}");
    }
}

#[test]
fn a_creation_writes_the_acl_that_it_carries_or_the_private_one() {
    let grants = json!({"x-amz-grant-read": "id=\"c0ffee\""});
    let cases = [
        (json!({}), r#"{"x-amz-acl":"private"}"#),
        (json!({"x-amz-acl": "public-read"}), r#"{"x-amz-acl":"public-read"}"#),
        (json!({"x-amz-acl": ["public-read"]}), r#"{"x-amz-acl":["public-read"]}"#),
        (json!({"accessControlList": grants}), r#"{"accessControlList":{"x-amz-grant-read":"id=\"c0ffee\""}}"#),
    ];
    for (parameters, acl) in cases {
        assert_eq!(
            change(&record("CreateBucket", parameters)),
            format!("Create {{ writes: [(Acl, Set({acl}))], proves_new: true }}")
        );
    }
}
