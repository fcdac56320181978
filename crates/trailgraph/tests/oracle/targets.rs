//! Where a bucket sends what: copies of its objects, and word of what happens to them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::event::{elements, text, texts};
use super::export::{self, End};
use super::facets::{Described, Known};
use super::resource::is_account;

impl Described<'_> {
    pub(super) fn replication(&mut self) {
        let body = match self.last("replication", &["PutBucketReplication", "DeleteBucketReplication"]) {
            Known::Set(event) => event.body(),
            Known::Cleared(_) | Known::Default => &Value::Null,
            Known::Unknown => return,
        };
        let mut enabled = false;
        let mut destinations = BTreeSet::new();
        for (at, rule) in elements(&body["Rule"]).into_iter().enumerate() {
            enabled |= rule["Status"] == "Enabled";
            let destination = &rule["Destination"];
            let Some(bucket) = text(&destination["Bucket"]) else { continue };
            let id = id_or_position(&rule["ID"], at);
            let more = json!({
                "ruleId": id,
                "status": text(&rule["Status"]),
                "destinationAccount": text(&destination["Account"]).filter(|account| is_account(account)),
            });
            let end = self.other_bucket(&bucket);
            self.connect("aws_s3_bucket_replicates_to_bucket", "SENDS", &end, &id, more);
            destinations.insert(end.name);
        }
        self.set("replicationEnabled", enabled);
        self.set_some("replicationRole", text(&body["Role"]));
        if !destinations.is_empty() {
            self.set("destinationBuckets", destinations.into_iter().collect::<Vec<_>>());
        }
    }

    pub(super) fn notification(&mut self) {
        let body = match self.last("notification", &["PutBucketNotification"]) {
            Known::Set(event) => event.body(),
            Known::Cleared(_) | Known::Default => &Value::Null,
            Known::Unknown => return,
        };
        let event_bridge = !body["EventBridgeConfiguration"].is_null();
        self.set("eventBridgeEnabled", event_bridge);
        let mut enabled = event_bridge;
        for Target { element, names, kind, end } in TARGETS {
            for (at, configuration) in elements(&body[*element]).into_iter().enumerate() {
                let Some(arn) = names.iter().find_map(|name| text(&configuration[*name])) else { continue };
                enabled = true;
                let more = json!({
                    "events": joined(texts(&configuration["Event"])),
                    "filter": filter(&configuration["Filter"]["S3Key"]["FilterRule"]),
                });
                self.connect(kind, "NOTIFIES", &end(&arn), &id_or_position(&configuration["Id"], at), more);
            }
        }
        self.set("notificationEnabled", enabled);
    }
}

struct Target {
    element: &'static str,
    names: &'static [&'static str],
    kind: &'static str,
    end: fn(&str) -> End,
}

const TARGETS: &[Target] = &[
    Target {
        element: "CloudFunctionConfiguration",
        names: &["CloudFunction", "LambdaFunctionArn", "LambdaFunction"],
        kind: "aws_s3_bucket_notifies_function",
        end: export::function,
    },
    Target {
        element: "QueueConfiguration",
        names: &["Queue"],
        kind: "aws_s3_bucket_notifies_queue",
        end: export::queue,
    },
    Target {
        element: "TopicConfiguration",
        names: &["Topic"],
        kind: "aws_s3_bucket_notifies_topic",
        end: export::topic,
    },
];

/// What tells a configuration from others of its list: its id, or else where it stands, from 1.
fn id_or_position(id: &Value, at: usize) -> String {
    text(id).filter(|id| !id.is_empty()).unwrap_or_else(|| (at + 1).to_string())
}

fn filter(rules: &Value) -> Option<String> {
    let rule = |rule: &Value| {
        // The text "null" is the one that is dropped from a record.
        let value = text(&rule["Value"]).unwrap_or_else(|| "null".to_owned());
        Some(format!("{}={value}", text(&rule["Name"])?.to_lowercase()))
    };
    let rules: Vec<String> = elements(rules).into_iter().filter_map(rule).collect();
    (!rules.is_empty()).then(|| joined(rules))
}

fn joined(mut texts: Vec<String>) -> String {
    texts.sort_unstable();
    texts.join(",")
}
