//! The bucket policies that AWS publishes, in the S3 User Guide and for the delivery of logs in other guides, by name,
//! and whether they are public.
//!
//! The documents are written anew, and some variants of them added. What each expects follows from the S3 User Guide's
//! "The meaning of public": a policy is taken for public until it is shown to grant access only to fixed values. One
//! that denies alone grants nothing.

use serde_json::{Value, json};

use crate::support::*;

const PUBLIC: bool = true;
const NOT_PUBLIC: bool = false;

/// The name of an example, its policy, whether that is public, and why where it is not plain.
type Example = (&'static str, Value, bool, &'static str);

fn check(examples: &[Example]) {
    for (name, document, expected, why) in examples {
        let put = [record("PutBucketPolicy", json!({"policy": "", "bucketPolicy": document}))];
        let policy = snapshot(&put).entities.into_iter().find(|entity| entity.0["_type"] == "aws_s3_bucket_policy");
        let policy = policy.unwrap_or_else(|| panic!("{name}: no policy")).0;
        assert_eq!(policy.get("public"), Some(&json!(expected)), "{name}: {why}");
        assert_eq!(property(&put, "policyPublic"), json!(expected), "{name}: {why}");
    }
}

fn policy(statements: impl Into<Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements.into()})
}

/// A statement on the bucket's objects; without a condition where that is null.
fn statement(effect: &str, principal: impl Into<Value>, action: impl Into<Value>, condition: Value) -> Value {
    let mut statement = json!({
        "Sid": "Ledger", "Effect": effect, "Principal": principal.into(), "Action": action.into(),
        "Resource": format!("{LEDGER}/*"),
    });
    if !condition.is_null() {
        statement["Condition"] = condition;
    }
    statement
}

fn allow(principal: impl Into<Value>, action: impl Into<Value>, condition: Value) -> Value {
    statement("Allow", principal, action, condition)
}

fn deny(action: impl Into<Value>, condition: Value) -> Value {
    statement("Deny", "*", action, condition)
}

fn aws(name: &str) -> Value {
    json!({"AWS": name})
}

fn service(name: &str) -> Value {
    json!({"Service": name})
}

const NONE: Value = Value::Null;
const ACCOUNT: &str = "444455556666";
const ROOT: &str = "arn:aws:iam::444455556666:root";
const USER: &str = "arn:aws:iam::444455556666:user/grace";
const ROLE: &str = "arn:aws:iam::444455556666:role/auditor";

#[test]
fn examples_of_amazon_s3_bucket_policies() {
    let encrypted_with = |key: &str| json!({"StringEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key}});
    let key = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d";
    let no_mfa = json!({"Null": {"aws:MultiFactorAuthAge": true}});
    let referer = json!({"StringLike": {"aws:Referer": ["https://www.example.com/*", "https://example.com/*"]}});
    let tagged = json!({"StringEquals": {"s3:ExistingObjectTag/stage": "released"}});
    let organisation = json!({"StringEquals": {"aws:PrincipalOrgID": ["o-a1b2c3d4e5"]}});
    let folder = json!({"StringLike": {"s3:prefix": ["grace/*"]}});
    check(&[
        (
            "Granting read-only permission to a public anonymous user",
            policy([allow("*", "s3:GetObject", NONE)]),
            PUBLIC,
            "",
        ),
        (
            "Requiring SSE-KMS for all objects written to a bucket",
            policy([deny("s3:PutObject", json!({"Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "true"}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Requiring SSE-KMS with a specific AWS KMS key for all objects written to a bucket",
            policy([deny(
                "s3:PutObject",
                json!({"ArnNotEqualsIfExists": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key}}),
            )]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Variant: Requiring a specific AWS KMS key, granted to everyone",
            policy([allow("*", "s3:PutObject", encrypted_with(key))]),
            NOT_PUBLIC,
            "the key id is in the list of the guide",
        ),
        (
            "Granting permissions to multiple accounts to upload objects or set object ACLs for public access",
            policy([allow(
                json!({"AWS": [ROOT, "arn:aws:iam::777788889999:root"]}),
                ["s3:PutObject", "s3:PutObjectAcl"],
                json!({"StringEquals": {"s3:x-amz-acl": ["public-read"]}}),
            )]),
            NOT_PUBLIC,
            "fixed accounts; what they make public are objects",
        ),
        (
            "Allowing a user to read only objects that have a specific tag key and value",
            policy([allow(aws(ROLE), ["s3:GetObject", "s3:GetObjectVersion"], tagged.clone())]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Variant: Everybody may read objects that have a specific tag key and value",
            policy([allow("*", "s3:GetObject", tagged)]),
            PUBLIC,
            "a tag of the object says nothing of who asks",
        ),
        (
            "Requiring a specific tag key when allowing users to add object tags",
            policy([allow(
                aws(USER),
                "s3:PutObjectTagging",
                json!({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["owner", "stage"]}}),
            )]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Restricting access to only Amazon S3 server access log delivery permissions",
            policy([deny(
                "s3:PutObject",
                json!({"ForAllValues:StringNotEquals": {"aws:PrincipalServiceNamesList": ["logging.s3.amazonaws.com"]}}),
            )]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Allowing access to only your organization",
            policy([allow("*", "s3:GetObject", organisation)]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Restricting access to only HTTPS requests",
            policy([deny("s3:*", json!({"Bool": {"aws:SecureTransport": "false"}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Restricting access to a specific HTTP referer",
            policy([allow("*", ["s3:GetObject", "s3:GetObjectVersion"], referer)]),
            PUBLIC,
            "anybody can send that header",
        ),
        (
            "Granting users access to specific folders",
            policy([allow(aws(USER), "s3:ListBucket", folder), allow(aws(USER), "s3:*", NONE)]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Variant: Granting users access to a folder of their name",
            policy([allow("*", "s3:ListBucket", json!({"StringLike": {"s3:prefix": ["${aws:username}/*"]}}))]),
            PUBLIC,
            "a prefix says nothing of who asks",
        ),
        (
            "Granting access to Application Load Balancer for enabling access logs",
            policy([allow(service("logdelivery.elasticloadbalancing.amazonaws.com"), "s3:PutObject", NONE)]),
            NOT_PUBLIC,
            "a service principal",
        ),
        (
            "Granting access to Application Load Balancer, in the older Regions",
            policy([allow(aws("arn:aws:iam::777788889999:root"), "s3:PutObject", NONE)]),
            NOT_PUBLIC,
            "the load balancers' own account",
        ),
        (
            "Granting permission to an Amazon CloudFront OAI",
            policy([allow(
                aws("arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1A2B3C4D5F6G7"),
                "s3:GetObject",
                NONE,
            )]),
            NOT_PUBLIC,
            "everybody comes in, but through the distribution",
        ),
        (
            "Variant: Granting permission to an Amazon CloudFront OAI by its canonical user",
            policy([allow(json!({"CanonicalUser": "5eed5eed"}), "s3:GetObject", NONE)]),
            NOT_PUBLIC,
            "a canonical user is an account or an identity of it",
        ),
        (
            "Granting permission to a CloudFront OAC",
            policy([allow(
                service("cloudfront.amazonaws.com"),
                "s3:GetObject",
                json!({"StringEquals": {"AWS:SourceArn": "arn:aws:cloudfront::111122223333:distribution/E1A2B3C4D5F6G7"}}),
            )]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Granting permissions for Amazon S3 Storage Lens",
            json!(
                r#"{"Version": "2012-10-17", "Statement": [{
                    "Effect": "Allow", "Principal": {"Service": ["storage-lens.s3.amazonaws.com"]}, "Action": "s3:PutObject",
                    "Resource": "arn:aws:s3:::ledger/lens/StorageLens/111122223333/*",
                    "Condition": {
                        "StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"},
                        "StringEquals": {"aws:SourceAccount": "111122223333"},
                        "StringEquals": {"aws:SourceArn": "arn:aws:s3:eu-west-1:111122223333:storage-lens/usage"}
                    }
                }]}"#
            ),
            NOT_PUBLIC,
            "a service principal, whichever of the operators of one name is read",
        ),
        (
            "Granting permissions for S3 Inventory and S3 analytics",
            policy([allow(
                service("s3.amazonaws.com"),
                "s3:PutObject",
                json!({
                    "ArnLike": {"aws:SourceArn": "arn:aws:s3:::invoices"},
                    "StringEquals": {"aws:SourceAccount": "111122223333", "s3:x-amz-acl": "bucket-owner-full-control"},
                }),
            )]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Controlling S3 Inventory report configuration creation",
            policy([json!({
                "Effect": "Deny", "NotPrincipal": {"AWS": USER}, "Action": "s3:PutInventoryConfiguration", "Resource": LEDGER,
            })]),
            NOT_PUBLIC,
            "denies alone",
        ),
        ("Requiring MFA", policy([deny("s3:*", no_mfa.clone())]), NOT_PUBLIC, "denies alone"),
        (
            "Requiring MFA for a folder, and everybody may read",
            policy([deny("s3:*", no_mfa.clone()), allow("*", "s3:GetObject", NONE)]),
            PUBLIC,
            "what is denied does not count",
        ),
        (
            "Requiring MFA of the last hour for a folder, and everybody may read",
            policy([
                deny("s3:*", no_mfa),
                deny("s3:*", json!({"NumericGreaterThan": {"aws:MultiFactorAuthAge": 3600}})),
                allow("*", "s3:GetObject", NONE),
            ]),
            PUBLIC,
            "what is denied does not count",
        ),
        (
            "Preventing users from deleting objects",
            policy([
                statement("Deny", aws(USER), ["s3:DeleteObject", "s3:DeleteObjectVersion"], NONE),
                allow(aws(USER), "s3:GetObject", NONE),
            ]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Restricting access to specific IP addresses",
            policy([deny("s3:*", json!({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Allowing both IPv4 and IPv6 addresses",
            policy([allow(
                "*",
                "s3:*",
                json!({
                    "IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:DB8:1234:5678::/64"]},
                    "NotIpAddress": {"aws:SourceIp": ["203.0.113.128/30", "2001:DB8:1234:5678:ABCD::/80"]},
                }),
            )]),
            NOT_PUBLIC,
            "one condition that pins is enough",
        ),
        (
            "Granting cross-account permissions to upload objects while ensuring the bucket owner has full control",
            policy([allow(
                aws(ACCOUNT),
                "s3:PutObject",
                json!({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
            )]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Variant: Uploads of everybody with a canned ACL",
            policy([allow(
                "*",
                "s3:PutObject",
                json!({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
            )]),
            PUBLIC,
            "anybody can send that header",
        ),
    ]);
}

#[test]
fn examples_using_condition_keys() {
    let copies = json!({"StringLike": {"s3:x-amz-copy-source": "ledger/public/*"}});
    check(&[
        (
            "Requiring that objects be stored using server-side encryption",
            policy([allow(
                aws(USER),
                "s3:PutObject",
                json!({"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}),
            )]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Copying objects with a restriction on the copy source",
            policy([allow(aws(USER), "s3:PutObject", copies)]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Granting access to a specific version of an object",
            policy([allow(aws(USER), "s3:GetObjectVersion", json!({"StringEquals": {"s3:VersionId": "v7"}}))]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Restricting access by the AWS account ID of the bucket owner",
            policy([allow("*", "s3:GetObject", json!({"StringEquals": {"s3:ResourceAccount": "111122223333"}}))]),
            PUBLIC,
            "the account owns the bucket: it is not who asks",
        ),
        (
            "Requiring a minimum TLS version",
            policy([deny("s3:*", json!({"NumericLessThan": {"s3:TlsVersion": 1.2}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Excluding certain principals from a Deny statement",
            policy([deny("s3:*", json!({"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Allowing a user to get a list of objects with a maximum number of keys",
            policy([allow(aws(USER), "s3:ListBucket", json!({"NumericLessThanEquals": {"s3:max-keys": "10"}}))]),
            NOT_PUBLIC,
            "",
        ),
    ]);
}

#[test]
fn examples_of_vpc_endpoints_and_access_points() {
    let pinned = |operator: &str, key: &str, value: &str| policy([allow("*", "*", json!({operator: {key: value}}))]);
    let any_access_point = "arn:aws:s3:eu-west-1:111122223333:accesspoint/*";
    check(&[
        (
            "Restricting access to a specific VPC endpoint",
            policy([deny("s3:*", json!({"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Restricting access to a specific VPC",
            policy([deny("s3:*", json!({"StringNotEquals": {"aws:SourceVpc": "vpc-0a1b2c3d"}}))]),
            NOT_PUBLIC,
            "denies alone",
        ),
        (
            "Variant: Access from a specific VPC endpoint",
            pinned("StringEquals", "aws:SourceVpce", "vpce-0a1b2c3d"),
            NOT_PUBLIC,
            "",
        ),
        (
            "Variant: Access from all but one VPC",
            pinned("StringNotEquals", "aws:SourceVpc", "vpc-0a1b2c3d"),
            PUBLIC,
            "the rest of the world is not that VPC",
        ),
        (
            "Delegating access control to access points",
            pinned("StringEquals", "s3:DataAccessPointAccount", "111122223333"),
            NOT_PUBLIC,
            "",
        ),
        (
            "Delegating to the access points of an account",
            pinned("ArnLike", "s3:DataAccessPointArn", any_access_point),
            NOT_PUBLIC,
            "",
        ),
        (
            "Variant: Delegating to the access points of an account, as StringLike",
            pinned("StringLike", "s3:DataAccessPointArn", any_access_point),
            NOT_PUBLIC,
            "",
        ),
        (
            "Variant: Delegating to the access points of a VPC's origin",
            pinned("StringEquals", "s3:AccessPointNetworkOrigin", "VPC"),
            PUBLIC,
            "anybody's VPC",
        ),
    ]);
}

#[test]
fn examples_of_log_delivery() {
    let from = |account: &str, arn: &str| json!({"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": arn}});
    let trail = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/audit";
    check(&[
        (
            "Permissions for server access log delivery",
            policy([allow(
                service("logging.s3.amazonaws.com"),
                "s3:PutObject",
                from("111122223333", "arn:aws:s3:::invoices"),
            )]),
            NOT_PUBLIC,
            "",
        ),
        (
            "Amazon S3 bucket policy for CloudTrail",
            policy([
                allow(
                    service("cloudtrail.amazonaws.com"),
                    "s3:GetBucketAcl",
                    json!({"StringEquals": {"aws:SourceArn": trail}}),
                ),
                allow(
                    service("cloudtrail.amazonaws.com"),
                    "s3:PutObject",
                    json!({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}),
                ),
            ]),
            NOT_PUBLIC,
            "a service principal is fixed, whatever the trail",
        ),
        (
            "Permissions for the Amazon S3 bucket for the AWS Config delivery channel",
            policy([allow(service("config.amazonaws.com"), "s3:PutObject", from("111122223333", "arn:aws:config:*"))]),
            NOT_PUBLIC,
            "a service principal is fixed, whatever the source",
        ),
        (
            "Variant: delivery of logs of many services",
            policy([allow(
                service("delivery.logs.amazonaws.com"),
                "s3:PutObject",
                from("111122223333", "arn:aws:logs:eu-west-1:111122223333:*"),
            )]),
            NOT_PUBLIC,
            "",
        ),
    ]);
}

#[test]
fn the_meaning_of_public() {
    let vpc =
        |operator: &str, value: &str| policy(allow("*", "s3:PutObject", json!({operator: {"aws:SourceVpc": value}})));
    let mixed =
        [allow(service("cloudtrail.amazonaws.com"), "s3:PutObject", NONE), allow(aws(ROOT), "s3:GetObject", NONE)];
    let opened = [&mixed[..], &[allow("*", "s3:GetObject", NONE)]].concat();
    check(&[
        (
            "Public bucket policies: a federated principal",
            policy(allow(json!({"Federated": "accounts.example.com"}), "s3:PutObject", NONE)),
            PUBLIC,
            "neither an AWS principal nor a service principal",
        ),
        ("Public bucket policies: everybody", policy(allow("*", "s3:PutObject", NONE)), PUBLIC, ""),
        ("Public bucket policies: everybody from any VPC", vpc("StringLike", "vpc-*"), PUBLIC, ""),
        ("Made non-public: everybody from one VPC", vpc("StringEquals", "vpc-0a1b2c3d"), NOT_PUBLIC, ""),
        ("Public and non-public access grants", policy(opened), PUBLIC, "the third statement renders all of it public"),
        ("Public and non-public access grants, without the third", policy(mixed.to_vec()), NOT_PUBLIC, ""),
        (
            "Very broad IP ranges",
            policy(allow("*", "s3:GetObject", json!({"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}))),
            PUBLIC,
            "",
        ),
        (
            "IP ranges of RFC 1918",
            policy(allow(
                "*",
                "s3:GetObject",
                json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]}}),
            )),
            NOT_PUBLIC,
            "none of them is broader than /8",
        ),
        (
            "Wildcard in the name of an access point whose account is not fixed",
            policy(allow(
                "*",
                "s3:GetObject",
                json!({"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:eu-west-1:*:accesspoint/*"}}),
            )),
            PUBLIC,
            "",
        ),
    ]);
}
