//! What a bucket sends elsewhere: logs, replicas, notifications, reports.

use serde_json::Value;

use super::{Parts, bucket_arn, bucket_name};
use crate::body::{filled, flag, items, text, text_or_null};
use crate::catalogue::Facet;
use crate::graph::{FarEnd, Relationship};
use crate::living::{Known, Living};
use crate::register::Setting;
use crate::resource::is_account;

pub(super) fn logging(bucket: &Living<'_>, parts: &mut Parts) {
    let value = match bucket.known(Facet::Logging) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let enabled = &value["BucketLoggingStatus"]["LoggingEnabled"];
    let target = filled(&enabled["TargetBucket"]);
    parts.entity.set("loggingEnabled", target.is_some());
    if let Some(target) = target {
        let prefix = text(&enabled["TargetPrefix"]).unwrap_or_default();
        if let Some(to) = bucket_arn(bucket.id.partition(), &target) {
            let (kind, from) = ("aws_s3_bucket_logs_to_bucket", bucket.id.as_str());
            let edge = Relationship::new(kind, "LOGS", from, &to, &[], FarEnd::To);
            parts.connect(edge.with("prefix", prefix.as_str()));
        }
        parts.entity.set("loggingTargetBucket", target);
        parts.entity.set("loggingTargetPrefix", prefix);
    }
}

pub(super) fn replication(bucket: &Living<'_>, parts: &mut Parts) {
    let value = match bucket.known(Facet::Replication) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let configuration = &value["ReplicationConfiguration"];
    let rules = items(&configuration["Rule"]);
    // S3 demands a rule: without one nobody knows what this was.
    if rules.is_empty() && !configuration.is_null() {
        return;
    }
    parts.entity.set("replicationEnabled", rules.iter().any(is_enabled));
    parts.entity.set_some("replicationRole", filled(&configuration["Role"]));
    let mut destinations = Vec::new();
    for (place, rule) in (1_usize..).zip(rules) {
        let Some(destination) = filled(&rule["Destination"]["Bucket"]) else { continue };
        let id = filled(&rule["ID"]).unwrap_or_else(|| place.to_string());
        let Some(to) = bucket_arn(bucket.id.partition(), &destination) else { continue };
        let kind = "aws_s3_bucket_replicates_to_bucket";
        let edge = Relationship::new(kind, "SENDS", bucket.id.as_str(), &to, &[&id], FarEnd::To).with("ruleId", id);
        let account = filled(&rule["Destination"]["Account"]).filter(|account| is_account(account));
        parts.connect(edge.with_some("status", filled(&rule["Status"])).with_some("destinationAccount", account));
        destinations.push(bucket_name(&destination).to_owned());
    }
    destinations.sort_unstable();
    destinations.dedup();
    parts.entity.set_some("destinationBuckets", Some(destinations).filter(|destinations| !destinations.is_empty()));
}

/// The element of a kind of target, the members that can name it, and its relationship.
const TARGETS: [(&str, &[&str], &str); 4] = [
    ("CloudFunctionConfiguration", &["CloudFunction", "LambdaFunctionArn"], "aws_s3_bucket_notifies_function"),
    ("LambdaFunctionConfiguration", &["LambdaFunctionArn", "CloudFunction"], "aws_s3_bucket_notifies_function"),
    ("QueueConfiguration", &["Queue", "QueueArn"], "aws_s3_bucket_notifies_queue"),
    ("TopicConfiguration", &["Topic", "TopicArn"], "aws_s3_bucket_notifies_topic"),
];

pub(super) fn notification(bucket: &Living<'_>, parts: &mut Parts) {
    let value = match bucket.known(Facet::Notification) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let configuration = &value["NotificationConfiguration"];
    // An element without content is recorded as an empty text: its presence is what counts.
    let bridged = !configuration["EventBridgeConfiguration"].is_null();
    let mut enabled = bridged;
    for (element, members, kind) in TARGETS {
        for (place, target) in (1_usize..).zip(items(&configuration[element])) {
            let Some(to) = members.iter().find_map(|member| filled(&target[*member])) else { continue };
            let id = filled(&target["Id"]).unwrap_or_else(|| place.to_string());
            let mut events: Vec<String> = items(&target["Event"]).iter().filter_map(text).collect();
            events.sort_unstable();
            let edge = Relationship::new(kind, "NOTIFIES", bucket.id.as_str(), &to, &[&id], FarEnd::To);
            let edge = edge.with("events", events.join(","));
            parts.connect(edge.with_some("filter", filter(&target["Filter"]["S3Key"]["FilterRule"])));
            enabled = true;
        }
    }
    parts.entity.set("notificationEnabled", enabled);
    parts.entity.set("eventBridgeEnabled", bridged);
}

/// `prefix=logs/,suffix=.gz`
fn filter(rules: &Value) -> Option<String> {
    let rule =
        |rule: &Value| Some(format!("{}={}", text(&rule["Name"])?.to_ascii_lowercase(), text_or_null(&rule["Value"])?));
    let mut rules: Vec<String> = items(rules).iter().filter_map(rule).collect();
    rules.sort_unstable();
    (!rules.is_empty()).then(|| rules.join(","))
}

pub(super) fn inventory(bucket: &Living<'_>, parts: &mut Parts) {
    let facet = Facet::Inventory;
    let mut all_known = matches!(bucket.known(facet), Known::Default) && !bucket.may_lack_parts(facet);
    let mut some_enabled = false;
    for (id, register) in bucket.ids(facet) {
        match &register.value {
            Setting::Cleared => {}
            Setting::Unknown(_) => all_known = false,
            Setting::Set(body) => {
                let value = body.value();
                let configuration = &value["InventoryConfiguration"];
                some_enabled |= flag(&configuration["IsEnabled"]);
                all_known &= !configuration["IsEnabled"].is_null();
                parts.relationships.extend(report(bucket, id, configuration));
            }
        }
    }
    if some_enabled || all_known {
        parts.entity.set("inventoryEnabled", some_enabled);
    }
}

fn report(bucket: &Living<'_>, id: &str, configuration: &Value) -> Option<Relationship> {
    let destination = &configuration["Destination"]["S3BucketDestination"];
    let to = bucket_arn(bucket.id.partition(), &filled(&destination["Bucket"])?)?;
    let kind = "aws_s3_bucket_publishes_inventory_report";
    let edge = Relationship::new(kind, "PUBLISHES", bucket.id.as_str(), &to, &[id], FarEnd::To);
    let edge = edge.with("inventoryId", id).with_some("frequency", filled(&configuration["Schedule"]["Frequency"]));
    Some(edge.with_some("format", filled(&destination["Format"])).with_some("prefix", text(&destination["Prefix"])))
}

fn is_enabled(rule: &Value) -> bool {
    text(&rule["Status"]).as_deref() == Some("Enabled")
}
