//! From records to the graph: what each facet of a bucket shows.

use serde_json::{Value, json};

use crate::support::*;

const EVERYONE: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// The bucket's properties after one call about a bucket of which nothing else is known.
fn after(call: &str, parameters: Value) -> Value {
    properties(&[record(call, parameters)])
}

#[test]
fn a_public_access_block_shows_its_four_flags() {
    let flags = |acls: bool, ignore: bool, policy: bool, restrict: bool| json!({"blockPublicAcls": acls, "ignorePublicAcls": ignore, "blockPublicPolicy": policy, "restrictPublicBuckets": restrict});
    let all = json!({"xmlns": "x", "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true});
    let cases = [
        // What is closed whatever the ACL and the policy say is not public.
        (all, with(flags(true, true, true, true), json!({"public": false}))),
        (json!({"BlockPublicAcls": true, "BlockPublicPolicy": false}), flags(true, false, false, false)),
        (json!({"IgnorePublicAcls": "TRUE", "RestrictPublicBuckets": ""}), flags(false, true, false, false)),
        (json!(""), flags(false, false, false, false)),
    ];
    for (configuration, expected) in cases {
        let body = json!({"PublicAccessBlockConfiguration": configuration});
        assert_eq!(after("PutBucketPublicAccessBlock", body), expected, "{configuration}");
    }
    assert_eq!(after("DeleteBucketPublicAccessBlock", json!({})), flags(false, false, false, false));
    assert_eq!(after("PutBucketPublicAccessBlock", json!({})), json!({}));
}

#[test]
fn encryption_shows_the_algorithm_and_the_key_completed_to_an_arn() {
    let shown = |algorithm: &str, key: Option<&str>, bucket_key: bool| {
        let encryption = json!({"encrypted": true, "defaultEncryptionEnabled": true, "encryptionAlgorithm": algorithm});
        let encryption = with(encryption, json!({"bucketKeyEnabled": bucket_key}));
        key.map_or(encryption.clone(), |key| with(encryption, json!({"encryptionKeyRef": key})))
    };
    let rule = |algorithm: &str, key: Value| json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, "KMSMasterKeyID": key}, "BucketKeyEnabled": true});
    let (id, arn) = ("9b1c2d3e-0000-4000-8000-000000000001", "arn:aws:kms:eu-west-1:444455556666:key/9b1c");
    let own = "arn:aws:kms:eu-west-1:111122223333:";
    let (own_key, own_alias) = (format!("{own}key/{id}"), format!("{own}alias/ledger"));
    let cases = [
        (
            json!({"Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}}),
            shown("AES256", None, false),
        ),
        (json!({"Rule": [rule("aws:kms", Value::Null)]}), shown("aws:kms", None, true)),
        (json!({"Rule": rule("aws:kms", json!(arn))}), shown("aws:kms", Some(arn), true)),
        (json!({"Rule": rule("aws:kms", json!(id))}), shown("aws:kms", Some(&own_key), true)),
        (json!({"Rule": rule("aws:kms:dsse", json!("alias/ledger"))}), shown("aws:kms:dsse", Some(&own_alias), true)),
        (json!({"Rule": rule("AES256", json!("alias/leftover"))}), shown("AES256", None, true)),
        // S3 demands a rule.
        (json!(""), json!({})),
    ];
    for (configuration, expected) in cases {
        let put = record("PutBucketEncryption", json!({"ServerSideEncryptionConfiguration": configuration}));
        let edges = edges(std::slice::from_ref(&put), "aws_s3_bucket_uses_kms_key");
        let key = expected.get("encryptionKeyRef").map(|key| json!({"to": key}));
        assert_eq!(edges, key.into_iter().collect::<Value>(), "{configuration}");
        assert_eq!(properties(&[put]), expected, "{configuration}");
    }
    assert_eq!(after("DeleteBucketEncryption", json!({})), shown("AES256", None, false));
    assert_eq!(after("PutBucketEncryption", json!({})), json!({}));
}

#[test]
fn a_bare_key_of_an_unknown_account_is_shown_and_not_guessed_at() {
    let rule =
        json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/ledger"}});
    let put = record("PutBucketEncryption", json!({"ServerSideEncryptionConfiguration": {"Rule": rule}}));
    let put = [without(put, &["resources", "recipientAccountId"])];
    assert_eq!(property(&put, "encryptionKeyRef"), json!("alias/ledger"));
    assert_eq!(snapshot(&put).relationships, []);
}

#[test]
fn versioning_shows_its_status_and_mfa_delete() {
    let shown = |versioning: bool, mfa: bool| json!({"versioningEnabled": versioning, "mfaDelete": mfa});
    let cases = [
        (json!({"Status": "Enabled"}), shown(true, false)),
        (json!({"Status": "Enabled", "MfaDelete": "Enabled"}), shown(true, true)),
        (json!({"Status": "Suspended", "MfaDelete": "Disabled"}), shown(false, false)),
        // S3 demands a status.
        (json!(""), json!({})),
        (json!({"MfaDelete": "Disabled"}), json!({})),
    ];
    for (configuration, expected) in cases {
        assert_eq!(after("PutBucketVersioning", json!({"VersioningConfiguration": configuration})), expected);
    }
    assert_eq!(after("PutBucketVersioning", json!({})), json!({}));
}

#[test]
fn logging_shows_its_target_and_an_edge_to_it() {
    let to = |target: Value, prefix: Value| json!({"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix}});
    let shown = |target: &str, prefix: &str| json!({"loggingEnabled": true, "loggingTargetBucket": target, "loggingTargetPrefix": prefix});
    let edge = |target: &str, prefix: &str| json!([{"to": format!("arn:aws:s3:::{target}"), "prefix": prefix}]);
    let off = json!({"loggingEnabled": false});
    let cases = [
        (to(json!("archive"), json!("ledger/")), shown("archive", "ledger/"), edge("archive", "ledger/")),
        (to(json!("archive"), json!("")), shown("archive", ""), edge("archive", "")),
        (to(json!(20_260_301), json!(2026)), shown("20260301", "2026"), edge("20260301", "2026")),
        (to(json!("ledger"), Value::Null), shown("ledger", ""), edge("ledger", "")),
        (json!({"xmlns": "x"}), off.clone(), json!([])),
        (json!(""), off, json!([])),
    ];
    for (status, expected, expected_edges) in cases {
        let put = [record("PutBucketLogging", json!({"BucketLoggingStatus": status}))];
        assert_eq!(
            (properties(&put), edges(&put, "aws_s3_bucket_logs_to_bucket")),
            (expected, expected_edges),
            "{status}"
        );
    }
    assert_eq!(after("PutBucketLogging", json!({})), json!({}));
}

#[test]
fn tags_have_the_type_of_what_they_say() {
    let cases = [
        (json!("search"), json!("search"), false),
        (json!(true), json!(true), true),
        (json!("false"), json!(false), false),
        (json!("True"), json!("True"), false),
        (json!(42), json!(42), false),
        (json!("0042"), json!(42), false),
        (json!("-42"), json!("-42"), false),
        (json!(1.5), json!(1.5), false),
        (json!("1.50"), json!(1.5), false),
        (json!("1."), json!("1."), false),
        (json!("1.2.3"), json!("1.2.3"), false),
        (json!("99999999999999999999"), json!("99999999999999999999"), false),
        (json!(""), json!(""), true),
        (Value::Null, json!("null"), false),
    ];
    for (value, shown, flags) in cases {
        let put = after("PutBucketTagging", json!({"Tagging": {"TagSet": {"Tag": {"Key": "k", "Value": value}}}}));
        let listed = if flags { json!(["k"]) } else { json!([]) };
        assert_eq!(put, json!({"tag.k": shown, "tags": listed}), "{value}");
    }
}

#[test]
fn three_tags_are_properties_of_their_own() {
    let tags = json!([
        {"Key": "Classification", "Value": "Confidential"},
        {"Key": "owner", "Value": "Ada@Example.com"},
        {"Key": "EMAIL", "Value": "ada@example.com"},
        {"Key": "owners", "Value": "many"},
    ]);
    let expected = json!({
        "tag.Classification": "Confidential", "tag.owner": "Ada@Example.com", "tag.EMAIL": "ada@example.com", "tag.owners": "many",
        "classification": "confidential", "owner": "ada@example.com", "email": "ada@example.com", "tags": [],
    });
    assert_eq!(after("PutBucketTagging", json!({"Tagging": {"TagSet": {"Tag": tags}}})), expected);
}

#[test]
fn single_tags_change_the_set_that_was_put_before_them() {
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    let put = |second: f64| {
        at(second, "PutBucketTagging", json!({"Tagging": {"TagSet": {"Tag": [tag("a", "1"), tag("b", "2")]}}}))
    };
    let set = |second: f64| {
        at(second, "TagResource", json!({"TagResourceRequest": {"Tags": {"Tag": [tag("b", "3"), tag("c", "true")]}}}))
    };
    let unset = |second: f64| at(second, "UntagResource", json!({"tagKeys": ["a", "unheard-of"]}));
    let cases = [
        ("all", vec![put(1.0), set(2.0), unset(3.0)], json!({"tag.b": 3, "tag.c": true, "tags": ["c"]})),
        ("put last", vec![set(1.0), unset(2.0), put(3.0)], json!({"tag.a": 1, "tag.b": 2, "tags": []})),
        ("removed all", vec![put(1.0), set(2.0), at(3.0, "DeleteBucketTagging", json!({}))], json!({"tags": []})),
        (
            "an empty set",
            vec![put(1.0), at(3.0, "PutBucketTagging", json!({"Tagging": {"TagSet": ""}}))],
            json!({"tags": []}),
        ),
        ("no known set", vec![set(1.0), unset(2.0)], json!({"tag.b": 3, "tag.c": true})),
        (
            "a set that was left out",
            vec![put(1.0), at(2.0, "PutBucketTagging", json!({"omitted": true})), set(3.0)],
            json!({"tag.b": 3, "tag.c": true}),
        ),
        (
            "in one second, in order",
            vec![put(1.001), set(1.002)],
            json!({"tag.a": 1, "tag.b": 3, "tag.c": true, "tags": ["c"]}),
        ),
    ];
    for (case, records, expected) in cases {
        assert_eq!(properties(&records), expected, "{case}");
    }
}

#[test]
fn grants_are_read_alike_from_all_three_places_that_can_carry_them() {
    let listed = |grantee: Value| json!({"AccessControlPolicy": {"AccessControlList": {"Grant": [{"Permission": "READ", "Grantee": grantee}]}}});
    let header = |grantee: &str| json!({"accessControlList": {"x-amz-grant-read": grantee}});
    let group =
        |to: &str, uri: &str| json!([{"to": to, "permission": "READ", "granteeType": "Group", "granteeURI": uri}]);
    let one = |to: &str, kind: &str| json!([{"to": to, "permission": "READ", "granteeType": kind}]);
    let (everyone, authenticated) =
        (group("global:everyone", EVERYONE), group("global:aws-authenticated-users", AUTHENTICATED));
    let cases = [
        (json!({"x-amz-acl": "public-read"}), true, everyone.clone()),
        (listed(json!({"xsi:type": "Group", "URI": EVERYONE})), true, everyone.clone()),
        (header(&format!("uri=\"{EVERYONE}\"")), true, everyone),
        (json!({"x-amz-acl": "authenticated-read"}), true, authenticated.clone()),
        (header(&format!("uri={AUTHENTICATED}")), true, authenticated),
        (listed(json!({"ID": "c0ffee"})), false, one("aws:canonical-user:c0ffee", "CanonicalUser")),
        (header("id=\"c0ffee\""), false, one("aws:canonical-user:c0ffee", "CanonicalUser")),
        (
            listed(json!({"EmailAddress": "ada@example.com"})),
            false,
            one("aws:email:ada@example.com", "AmazonCustomerByEmail"),
        ),
        (header("emailAddress=\"ada@example.com\""), false, one("aws:email:ada@example.com", "AmazonCustomerByEmail")),
        (json!({"x-amz-acl": "private"}), false, json!([])),
        (json!({"x-amz-acl": "bucket-owner-full-control"}), false, json!([])),
        (json!({"AccessControlPolicy": {"AccessControlList": ""}}), false, json!([])),
    ];
    for (parameters, public, expected) in cases {
        let put = [record("PutBucketAcl", parameters.clone())];
        assert_eq!(
            (properties(&put), edges(&put, "aws_s3_bucket_grant")),
            (json!({"aclPublic": public}), expected),
            "{parameters}"
        );
    }
    assert_eq!(after("PutBucketAcl", json!({})), json!({}));
}

#[test]
fn a_grantee_has_an_edge_for_each_permission() {
    let everyone = |permission: &str| json!({"to": "global:everyone", "permission": permission, "granteeType": "Group", "granteeURI": EVERYONE});
    let logs = |permission: &str| {
        json!({
            "to": "aws:service:logging.s3.amazonaws.com", "permission": permission, "granteeType": "Group", "granteeURI": LOG_DELIVERY,
        })
    };
    let header =
        json!({"x-amz-grant-read": format!("uri=\"{EVERYONE}\""), "x-amz-grant-write": format!("uri=\"{EVERYONE}\"")});
    let odd =
        json!({"x-amz-grant-read-acp": format!("uri=\"{LOG_DELIVERY}\", name=\"nobody\", nonsense"), "other": "id=1"});
    let twice = json!({"x-amz-acl": "public-read-write", "accessControlList": header});
    let cases = [
        (json!({"x-amz-acl": "public-read-write"}), json!([everyone("READ"), everyone("WRITE")])),
        (json!({"accessControlList": header}), json!([everyone("READ"), everyone("WRITE")])),
        (twice, json!([everyone("READ"), everyone("WRITE")])),
        (json!({"x-amz-acl": "log-delivery-write"}), json!([logs("READ_ACP"), logs("WRITE")])),
        (json!({"accessControlList": odd}), json!([logs("READ_ACP")])),
    ];
    for (parameters, expected) in cases {
        assert_eq!(
            edges(&[record("PutBucketAcl", parameters.clone())], "aws_s3_bucket_grant"),
            expected,
            "{parameters}"
        );
    }
}
