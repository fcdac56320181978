//! Reading: which events count, and what each says of itself.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// When a change happened, as far as its record tells, and which change it was. Ordered as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) second: i64,
    pub(super) ms: Option<i64>,
    pub(super) identity: String,
}

/// A successful call that changes a bucket.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) arn: String,
    pub(super) stamp: Stamp,
    pub(super) actor: Option<String>,
    /// The identity of this record of the change: a call across accounts has two.
    pub(super) id: String,
    pub(super) region: String,
    /// The owner, and whether the record names it as such.
    pub(super) owner: Option<(bool, String)>,
    /// Whether `parameters` holds what the call asked for.
    pub(super) recorded: bool,
    pub(super) parameters: Value,
}

const SUPPORTED: &[(&str, &str)] = &[
    ("CreateBucket", "CreateBucket"),
    ("DeleteBucket", "DeleteBucket"),
    ("PutBucketAcl", "PutBucketAcl"),
    ("PutBucketPolicy", "PutBucketPolicy"),
    ("DeleteBucketPolicy", "DeleteBucketPolicy"),
    ("PutBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    ("DeleteBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"),
    ("DeletePublicAccessBlock", "DeleteBucketPublicAccessBlock"),
    ("PutBucketEncryption", "PutBucketEncryption"),
    ("DeleteBucketEncryption", "DeleteBucketEncryption"),
    ("PutBucketVersioning", "PutBucketVersioning"),
    ("PutBucketLogging", "PutBucketLogging"),
    ("PutBucketTagging", "PutBucketTagging"),
    ("DeleteBucketTagging", "DeleteBucketTagging"),
    ("TagResource", "TagResource"),
    ("UntagResource", "UntagResource"),
];

impl Event {
    /// The event, if it is one of S3, supported and successful.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let mut envelope: Value = serde_json::from_slice(line).ok()?;
        let mut record = if envelope["detail"].is_object() { envelope["detail"].take() } else { envelope };
        if record["eventSource"] != "s3.amazonaws.com" || !record["errorCode"].as_str().unwrap_or_default().is_empty() {
            return None;
        }
        let said = record["eventName"].as_str()?;
        let (_, name) = *SUPPORTED.iter().find(|(spelling, _)| *spelling == said)?;
        let parameters = record["requestParameters"].take();
        let resources = record["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
        let resource = resources.iter().find(|resource| resource["type"] == "AWS::S3::Bucket");
        let region = region(name, &parameters, &record);
        let arn = match (resource.and_then(|resource| resource["ARN"].as_str()), text(&parameters["bucketName"])) {
            (Some(arn), _) => arn.to_owned(),
            (None, Some(bucket)) => format!("arn:{}:s3:::{bucket}", partition(&region)),
            (None, None) => return None,
        };
        let shared = record["sharedEventID"].as_str();
        let told = resource.and_then(|resource| resource["accountId"].as_str()).filter(|id| is_account(id));
        let received = record["recipientAccountId"].as_str().filter(|id| is_account(id));
        let may_infer = resource.is_none() && (name == "CreateBucket" || shared.is_none());
        let owner = match (told, received) {
            (Some(told), _) => Some((true, told.to_owned())),
            (None, Some(received)) if may_infer => Some((false, received.to_owned())),
            _ => None,
        };
        let time = OffsetDateTime::parse(record["eventTime"].as_str()?, &Rfc3339).ok()?;
        let end = &record["additionalEventData"]["endTime"];
        let stamp = Stamp {
            second: time.unix_timestamp(),
            ms: end.as_i64().or_else(|| end.as_str()?.parse().ok()),
            identity: shared.or(record["eventID"].as_str())?.to_owned(),
        };
        let who = &record["userIdentity"];
        let actor = ["arn", "invokedBy", "principalId"].iter().find_map(|key| who[*key].as_str()).map(str::to_owned);
        let id = record["eventID"].as_str()?.to_owned();
        let recorded = is_recorded(name, &parameters);
        Some(Self { name, arn, stamp, actor, id, region, owner, recorded, parameters })
    }

    /// Whether the call makes a bucket that certainly was not there before: elsewhere than in us-east-1, creating
    /// one's own bucket again fails.
    pub(super) fn proves_new(&self) -> bool {
        self.name == "CreateBucket" && self.region != "us-east-1"
    }
}

/// Whether the record holds what the call asked for: a large body is left out, and says nothing of the facet.
fn is_recorded(name: &str, parameters: &Value) -> bool {
    let bodies: &[&str] = match name {
        "PutBucketAcl" => &["x-amz-acl", "accessControlList", "AccessControlPolicy"],
        "PutBucketPolicy" => &["bucketPolicy"],
        "PutBucketPublicAccessBlock" => &["PublicAccessBlockConfiguration"],
        "PutBucketEncryption" => &["ServerSideEncryptionConfiguration"],
        "PutBucketVersioning" => &["VersioningConfiguration"],
        "PutBucketLogging" => &["BucketLoggingStatus"],
        "PutBucketTagging" => &["Tagging"],
        _ => return parameters["omitted"] != true,
    };
    parameters["omitted"] != true && bodies.iter().any(|body| !parameters[*body].is_null())
}

fn region(name: &str, parameters: &Value, record: &Value) -> String {
    let constraint = match name {
        "CreateBucket" => text(&parameters["CreateBucketConfiguration"]["LocationConstraint"]),
        _ => None,
    };
    match constraint.as_deref() {
        Some("EU") => "eu-west-1".to_owned(),
        Some(constraint) if !constraint.is_empty() => constraint.to_owned(),
        _ => record["awsRegion"].as_str().unwrap_or_default().to_owned(),
    }
}

fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|digit| digit.is_ascii_digit())
}

/// The text of an element: numbers and booleans were text once, and old records have lists of one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(values) => values.first().and_then(text),
        _ => None,
    }
}

/// The elements of a name: none, one or an array of them.
pub(super) fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}
