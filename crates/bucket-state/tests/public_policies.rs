//! When a policy is public: every principal, operator, key and value that decides it.
//!
//! The expectations follow from the S3 User Guide's "The meaning of public". AWS takes a policy for public until it is
//! shown not to be, so what the guide leaves open is public.

use serde_json::{Value, json};

use crate::support::*;

fn allow(principal: impl Into<Value>) -> Value {
    json!({"Effect": "Allow", "Principal": principal.into(), "Action": "s3:GetObject", "Resource": "*"})
}

fn policy_public(statements: &Value) -> Value {
    property(&[record("PutBucketPolicy", json!({"bucketPolicy": {"Statement": statements}}))], "policyPublic")
}

/// Whether a statement that allows, with these members besides, makes its policy public.
fn is_public(members: Value) -> Value {
    let statement = with(json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}), members);
    policy_public(&statement)
}

#[test]
fn a_statement_is_public_unless_every_principal_is_fixed() {
    let root = "arn:aws:iam::444455556666:root";
    let cases = [
        (json!("*"), true),
        (json!(["*"]), true),
        (json!({"AWS": "*"}), true),
        (json!({"AWS": [root, "*"]}), true),
        (json!({"AWS": root, "Service": "*"}), true),
        // S3 refuses a wildcard in a part of a principal; it would not be a fixed one.
        (json!({"AWS": "arn:aws:iam::*:root"}), true),
        (json!({"AWS": "arn:aws:iam::444455556666:role/${aws:PrincipalTag/team}"}), true),
        (json!({"Service": "*.amazonaws.com"}), true),
        (json!({"CanonicalUser": "*"}), true),
        (json!({"Federated": "accounts.example.com"}), true),
        // A provider of one account: the guide names no federated principal among the fixed ones.
        (json!({"Federated": "arn:aws:iam::444455556666:saml-provider/staff"}), true),
        (json!({"AWS": root}), false),
        (json!({"AWS": [root, "777788889999"]}), false),
        (json!({"AWS": 777_788_889_999_u64}), false),
        (json!({"AWS": "AROAEXAMPLEID"}), false),
        (json!({"AWS": "arn:aws:sts::444455556666:assumed-role/deploy/grace"}), false),
        (json!({"Service": ["cloudtrail.amazonaws.com", "config.amazonaws.com"]}), false),
        (json!({"CanonicalUser": "c0ffee"}), false),
        // S3 refuses a grant without a principal: of one that cannot be read, the worst is assumed.
        (json!({"AWS": []}), true),
        (json!({"AWS": {"x": "*"}}), true),
        (Value::Null, true),
    ];
    for (principal, expected) in cases {
        assert_eq!(is_public(json!({"Principal": principal})), json!(expected), "{principal}");
    }
    let all_but_one = json!({"NotPrincipal": {"AWS": root}});
    assert_eq!(is_public(all_but_one.clone()), json!(true), "all but one are no fixed principals");
    let of_a_vpc = json!({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-0a1b2c3d"}}});
    assert_eq!(is_public(with(all_but_one, of_a_vpc)), json!(false), "all but one, from a fixed network");
}

#[test]
fn only_the_effect_allow_grants_and_with_any_other_but_deny_a_policy_is_not_judged() {
    let unknown = Value::Null;
    for (effect, expected) in [
        (json!("Allow"), json!(true)),
        (json!("Deny"), json!(false)),
        (json!("allow"), unknown.clone()),
        (json!(["Allow"]), unknown.clone()),
        (json!(""), unknown),
    ] {
        assert_eq!(is_public(json!({"Effect": effect, "Principal": "*"})), expected, "{effect}");
    }
}

#[test]
fn a_condition_pins_everybody_by_its_operator() {
    let organisation = json!({"aws:PrincipalOrgID": "o-a1b2c3d4e5"});
    let pinning = ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "stringequals", "ForAnyValue:StringEquals"];
    // These also admit requests from elsewhere, or without the key; of operators for numbers and the like, the guide
    // does not speak.
    let others = [
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringNotLike",
        "StringEqualsIfExists",
        "StringLikeIfExists",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringEqualsIfExists",
        "ForAnyValue:StringNotEquals",
        "Null",
        "Bool",
        "BinaryEquals",
        "NumericEquals",
        "DateEquals",
        "",
    ];
    let cases = pinning.map(|operator| (operator, false)).into_iter().chain(others.map(|operator| (operator, true)));
    for (operator, expected) in cases {
        let members = json!({"Principal": "*", "Condition": {operator: organisation}});
        assert_eq!(is_public(members), json!(expected), "{operator}");
    }
}

#[test]
fn a_condition_pins_everybody_by_its_key_and_values() {
    let points = "arn:aws:s3:eu-west-1:111122223333:accesspoint";
    let key_arn = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d";
    let cases = [
        ("aws:SourceVpc", json!("vpc-0a1b2c3d"), false),
        ("AWS:SOURCEVPC", json!("vpc-0a1b2c3d"), false),
        ("aws:SourceVpc", json!(["vpc-0a1b2c3d", "vpc-4e5f6a7b"]), false),
        ("aws:SourceVpc", json!(["vpc-0a1b2c3d", "vpc-*"]), true),
        ("aws:SourceVpc", json!("vpc-0a1b2c3?"), true),
        ("aws:SourceVpc", json!("${aws:PrincipalTag/vpc}"), true),
        ("aws:SourceVpc", json!([]), true),
        ("aws:SourceVpc", json!(null), true),
        ("aws:SourceVpc", json!(["vpc-0a1b2c3d", null]), true),
        ("aws:SourceVpce", json!("vpce-0a1b2c3d"), false),
        ("aws:SourceAccount", json!("111122223333"), false),
        ("aws:SourceAccount", json!(111_122_223_333_u64), false),
        ("aws:SourceOwner", json!("111122223333"), false),
        ("aws:SourceArn", json!("arn:aws:sns:eu-west-1:111122223333:uploads"), false),
        ("aws:SourceArn", json!("arn:aws:s3:::*"), true),
        ("aws:SourceArn", json!("arn:aws:cloudtrail:eu-west-1:111122223333:trail/*"), true),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", json!(key_arn), false),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", json!("arn:aws:kms:*:*:key/*"), true),
        // The guide counts keys that name the principal as principals, and gives the first of these as an example.
        ("aws:PrincipalOrgID", json!("o-a1b2c3d4e5"), false),
        ("aws:PrincipalOrgID", json!("o-*"), true),
        ("aws:PrincipalOrgPaths", json!("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/"), false),
        // All units below one: a wildcard all the same, which the guide allows only in the name of an access point.
        ("aws:PrincipalOrgPaths", json!("o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/*"), true),
        ("aws:PrincipalArn", json!("arn:aws:iam::444455556666:role/deploy"), false),
        ("aws:PrincipalArn", json!("arn:aws:iam::*:role/deploy"), true),
        ("aws:PrincipalAccount", json!("444455556666"), false),
        // The account of whoever has not signed the request.
        ("aws:PrincipalAccount", json!("anonymous"), true),
        ("aws:PrincipalServiceName", json!("cloudtrail.amazonaws.com"), false),
        ("aws:userid", json!("AIDAEXAMPLEID"), false),
        ("aws:userid", json!("111122223333"), false),
        ("aws:userid", json!("*"), true),
        ("aws:userid", json!("anonymous"), true),
        ("aws:userid", json!("AROAEXAMPLEID:*"), true),
        // Within "AROLEID:*", too, though whether the guide means the pattern or what it matches is open.
        ("aws:userid", json!("AROAEXAMPLEID:grace"), true),
        ("s3:DataAccessPointAccount", json!("111122223333"), false),
        ("s3:DataAccessPointAccount", json!("*"), true),
        ("s3:DataAccessPointArn", json!(format!("{points}/reports")), false),
        ("s3:DataAccessPointArn", json!(format!("{points}/*")), false),
        ("s3:DataAccessPointArn", json!(format!("{points}/re*s")), false),
        ("s3:DataAccessPointArn", json!("arn:aws:s3::111122223333:accesspoint/*.mrap"), false),
        ("s3:DataAccessPointArn", json!(format!("{points}/${{aws:username}}")), true),
        ("s3:DataAccessPointArn", json!("arn:aws:s3:eu-west-1:*:accesspoint/*"), true),
        ("s3:DataAccessPointArn", json!("arn:aws:s3:eu-west-1:1111*:accesspoint/*"), true),
        // The Region and the kind of resource are not the name, where alone a wildcard may be.
        ("s3:DataAccessPointArn", json!("arn:aws:s3:*:111122223333:accesspoint/*"), true),
        ("s3:DataAccessPointArn", json!("arn:aws:s3:eu-west-1:111122223333:*"), true),
        // Keys that the guide does not list.
        ("aws:username", json!("grace"), true),
        ("aws:PrincipalTag/team", json!("audit"), true),
        ("aws:PrincipalType", json!("User"), true),
        ("aws:SourceOrgID", json!("o-a1b2c3d4e5"), true),
        ("aws:VpcSourceIp", json!("10.0.0.7"), true),
        ("aws:UserAgent", json!("fixed"), true),
        ("aws:SecureTransport", json!(true), true),
        ("s3:x-amz-acl", json!("private"), true),
    ];
    for (key, values, expected) in cases {
        let members = json!({"Principal": "*", "Condition": {"StringLike": {key: values}}});
        assert_eq!(is_public(members), json!(expected), "{key} {values}");
    }
}

#[test]
fn a_range_of_addresses_pins_unless_it_is_very_broad() {
    let cases = [
        (json!("203.0.113.7"), false),
        (json!("203.0.113.7/32"), false),
        (json!("203.0.113.0/24"), false),
        // "Broader than /8" is public: /8 itself is not.
        (json!("11.0.0.0/8"), false),
        (json!("10.0.0.0/8"), false),
        (json!("10.0.0.0/7"), true),
        (json!("0.0.0.0/1"), true),
        (json!("0.0.0.0/0"), true),
        (json!(["203.0.113.0/24", "0.0.0.0/0"]), true),
        (json!("2001:DB8:1234:5678::/64"), false),
        (json!("2001:db8::1"), false),
        (json!("2001:db8::/32"), false),
        (json!("2001:d00::/24"), true),
        (json!("::/0"), true),
        (json!("203.0.113.0/33"), true),
        (json!("203.0.113.0/"), true),
        (json!("203.0.113.0/255.255.255.0"), true),
        (json!("203.0.113.*"), true),
        (json!("*"), true),
        (json!(""), true),
    ];
    for (values, expected) in cases {
        let members = json!({"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": values}}});
        assert_eq!(is_public(members), json!(expected), "{values}");
    }
}

#[test]
fn one_condition_that_pins_is_enough_and_one_statement_that_does_not_is_too_much() {
    let vpc = json!({"aws:SourceVpc": "vpc-0a1b2c3d"});
    let conditions = [
        (json!({"StringEquals": vpc, "Bool": {"aws:SecureTransport": "true"}}), false),
        (json!({"StringEquals": {"aws:SourceVpc": "vpc-0a1b2c3d", "aws:UserAgent": "fixed"}}), false),
        (json!({"StringEquals": vpc, "StringLike": {"aws:SourceVpc": "*"}}), false),
        (json!({"StringEquals": {"aws:UserAgent": "fixed"}, "stringEquals": vpc}), false),
        // A literal to StringEquals, but a wildcard by its looks: what the guide leaves open is public.
        (json!({"StringEquals": {"aws:SourceVpc": "vpc-*"}}), true),
        (json!({"StringEquals": "vpc-0a1b2c3d"}), true),
        (json!({"StringEquals": {}}), true),
        (json!([{"StringEquals": vpc}]), true),
        (json!({}), true),
        (Value::Null, true),
    ];
    for (condition, expected) in conditions {
        let members = json!({"Principal": "*", "Condition": condition});
        assert_eq!(is_public(members), json!(expected), "{condition}");
    }
    let pinned = with(allow("*"), json!({"Condition": {"StringEquals": vpc}}));
    let denied = with(allow("*"), json!({"Effect": "Deny"}));
    let statements = [
        (json!([pinned]), false),
        (json!([pinned, allow(json!({"AWS": "111122223333"}))]), false),
        (json!([pinned, allow("*")]), true),
        (json!([allow("*"), denied]), true),
        (json!([denied]), false),
        (json!([]), false),
    ];
    for (statements, expected) in statements {
        assert_eq!(policy_public(&statements), json!(expected), "{statements}");
    }
}
