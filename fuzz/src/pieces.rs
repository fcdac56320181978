//! What records are made of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bucket_state::supported;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::samples::sample;
use crate::support::{LEDGER, dead_letter, envelope, log_message, record};

/// One record of each call.
pub(crate) static SAMPLES: LazyLock<Vec<Value>> =
    LazyLock::new(|| supported().iter().map(|call| record(call.name, sample(call.name))).collect());

/// The keys of records, of the forms in which they travel, and of policies.
pub(crate) static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut keys = BTreeSet::new();
    let forms = [envelope(&SAMPLES[0]), log_message("DATA_MESSAGE", &[""]), dead_letter(b"", "")];
    SAMPLES.iter().chain(&forms).chain(VALUES.iter()).for_each(|value| collect_keys(value, &mut keys));
    let others = "Records errorCode sharedEventID additionalEventData endTime accessPointName invokedBy principalId \
                  omitted accessControlList x-amz-grant-read emailAddress NotAction NotPrincipal BucketAccountId \
                  content";
    keys.extend(others.split_whitespace().map(str::to_owned));
    keys.into_iter().collect()
});

/// The keys that tell the forms apart in which records travel.
pub(crate) const MARKS: &[&str] =
    &["detail-type", "detail", "eventName", "Records", "messageType", "logEvents", "arrivedAt", "data", "reason"];

/// Values that mean something somewhere, and values that mean nothing anywhere.
pub(crate) static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let texts = "null true false Enabled Disabled Suspended Allow Deny * s3:* s3:GetObject s3:PutBucketPolicy AWS \
                 Service Federated CanonicalUser public-read-write authenticated-read log-delivery-write private EU \
                 us-east-1 cn-north-1 us-gov-west-1 arn:aws:s3:::ledger arn:aws-cn:s3:::replica \
                 arn:aws:iam::444455556666:root arn:aws:iam::444455556666:role/auditor 444455556666 vpc-0a1b2c3d \
                 10.0.0.0/8 0.0.0.0/0 COMPLIANCE AES256 aws:kms BucketOwnerEnforced Requester 0 90 007 1.5 \
                 9999999999999999999 classification Owner";
    let statement = |principal: &str, condition: &Value| {
        let statement = json!({
            "Sid": "one", "Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["s3:GetObject"],
            "Resource": LEDGER, "Condition": condition,
        });
        json!({"Statement": [statement]})
    };
    let conditions = [
        json!({"StringEquals": {"aws:SourceVpc": "vpc-0a1b2c3d"}}),
        json!({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-1/*"], "aws:userid": "AROA:*"}}),
        json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}),
        json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:111122223333:*", "aws:PrincipalArn": "*"}}),
        json!({"BoolIfExists": {"aws:SecureTransport": false}, "StringNotEquals": {"aws:SourceAccount": 7}}),
        json!({"StringEqualsIgnoreCase": {"s3:DataAccessPointAccount": "111122223333", "aws:PrincipalOrgID": "o-1"}}),
    ];
    let policies = conditions.iter().map(|condition| statement("*", condition));
    let principals = [json!({"Service": "logging.s3.amazonaws.com"}), json!({"AWS": ["111122223333", "AROA"]})];
    let numbers = [json!(0), json!(-1), json!(7.5), json!(1e308), json!(u64::MAX), json!(i64::MIN)];
    let empty = [Value::Null, json!(true), json!(false), json!(""), json!({}), json!([]), json!([[]])];
    let nested = json!({"content": {"content": ["x"]}, "xmlns": "y"});
    let texts = texts.split_whitespace().map(Value::from);
    let others = conditions.iter().cloned().chain(policies).chain(principals).chain(numbers).chain(empty);
    texts.chain(others).chain([nested]).collect()
});

/// When a record happened and what it is called: few of each, so that they meet.
pub(crate) fn moment(rng: &mut Rng) -> Value {
    let second = rng.u8(..4);
    let mut members = json!({
        "eventTime": format!("2026-03-01T00:00:0{second}Z"), "eventID": format!("event-{}", rng.u8(..6)),
    });
    if rng.bool() {
        let end_time = 1_772_323_200_000_i64 + i64::from(second) * 1_000 + rng.i64(..3);
        members["additionalEventData"] = json!({"endTime": end_time});
    }
    if rng.u8(..4) == 0 {
        members["sharedEventID"] = format!("shared-{}", rng.u8(..3)).into();
    }
    if rng.u8(..8) == 0 {
        members["eventTime"] = (*rng.choice(&["2006-03-14T00:00:00Z", "2023-04-15T12:00:00Z"]).unwrap_or(&"")).into();
    }
    members
}

/// Whose a record is and where it happened.
pub(crate) fn place(rng: &mut Rng) -> Value {
    let mut one_of = |texts: &[&'static str]| rng.choice(texts).copied().unwrap_or_default();
    let (region, recipient) =
        (one_of(&["eu-west-1", "us-east-1", "cn-north-1"]), one_of(&["111122223333", "444455556666", ""]));
    let (owner, actor) = (one_of(&["111122223333", "444455556666", "x"]), one_of(&["ada", "bob"]));
    json!({
        "awsRegion": region, "recipientAccountId": recipient,
        "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{owner}:user/{actor}")},
        "resources": [{"accountId": owner, "type": "AWS::S3::Bucket", "ARN": LEDGER}],
    })
}

fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            keys.extend(members.keys().cloned());
            members.values().for_each(|value| collect_keys(value, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}
