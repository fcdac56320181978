//! What an event is about, and whose it is.

use serde_json::Value;

use super::event::text;

/// What has a part of the graph of its own. Accounts come first: buckets are public or not under their account's block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Account,
    AccessPoint,
    Bucket,
}

impl Kind {
    /// The kind of thing that a call changes.
    pub(super) fn changed_by(call: &str) -> Self {
        match call {
            "PutAccountPublicAccessBlock" | "DeleteAccountPublicAccessBlock" => Self::Account,
            _ if call.contains("AccessPoint") => Self::AccessPoint,
            _ => Self::Bucket,
        }
    }

    /// The ARN of what a record is about.
    pub(super) fn key(self, record: &Value, parameters: &Value, region: &str) -> Option<String> {
        let partition = partition(region);
        let account = || received_by(record);
        match self {
            Self::Account => Some(account_key(partition, account()?)),
            Self::AccessPoint => named_in(record, "AWS::S3::AccessPoint").or_else(|| {
                let names = [
                    &record["additionalEventData"]["accessPointName"],
                    &parameters["name"],
                    &parameters["accessPointName"],
                ];
                let name = names.into_iter().find_map(text)?;
                Some(format!("arn:{partition}:s3:{region}:{}:accesspoint/{name}", account()?))
            }),
            Self::Bucket => named_in(record, "AWS::S3::Bucket")
                .or_else(|| Some(format!("arn:{partition}:s3:::{}", text(&parameters["bucketName"])?))),
        }
    }
}

/// The owner of a bucket, as far as one record tells, and whether it names the owner as such.
pub(super) fn owner(call: &str, record: &Value) -> Option<(bool, String)> {
    let Some(resource) = resource(record, "AWS::S3::Bucket") else {
        // Of a call across accounts, the caller gets a copy, too.
        let may_infer = call == "CreateBucket" || record["sharedEventID"].is_null();
        return received_by(record).filter(|_| may_infer).map(|id| (false, id.to_owned()));
    };
    resource["accountId"].as_str().filter(|id| is_account(id)).map(|id| (true, id.to_owned()))
}

pub(super) fn account_key(partition: &str, id: &str) -> String {
    format!("arn:{partition}:iam::{id}:root")
}

pub(super) fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|digit| digit.is_ascii_digit())
}

fn received_by(record: &Value) -> Option<&str> {
    record["recipientAccountId"].as_str().filter(|id| is_account(id))
}

fn resource<'a>(record: &'a Value, kind: &str) -> Option<&'a Value> {
    record["resources"].as_array()?.iter().find(|resource| resource["type"] == kind)
}

fn named_in(record: &Value, kind: &str) -> Option<String> {
    resource(record, kind)?["ARN"].as_str().map(str::to_owned)
}

fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
