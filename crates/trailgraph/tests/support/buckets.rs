//! Buckets that are made, and seen in the graph.

use std::ops::Range;

use serde_json::Value;

use super::Sandbox;
use super::stream::eventually;

/// `CreateBucket` events of these buckets.
pub(crate) fn creations(numbers: Range<usize>) -> Vec<Vec<u8>> {
    let created = |number: usize| {
        serde_json::json!({
            "version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3", "account": "111122223333",
            "detail": {
                "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": "CreateBucket",
                "eventTime": "2026-03-01T12:00:00Z", "awsRegion": "eu-west-1",
                "eventID": format!("0a0b0c0d-0000-4000-8000-{number:012}"), "recipientAccountId": "111122223333",
                "requestParameters": {"bucketName": format!("acme-trigger-{number:04}"), "x-amz-acl": "private"},
            },
        })
    };
    numbers.map(|number| created(number).to_string().into_bytes()).collect()
}

fn buckets(graph: &Value) -> usize {
    let entities = graph["entities"].as_array().map(Vec::as_slice).unwrap_or_default();
    entities.iter().filter(|entity| entity["_type"] == "aws_s3_bucket" && entity["placeholder"] != true).count()
}

/// Waits until the graph has so many buckets.
pub(crate) async fn until_buckets(sandbox: &Sandbox, count: usize) {
    eventually("the buckets are in the graph", async || {
        let output = sandbox.run(&["graph", "export"]);
        let graph: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (buckets(&graph) == count).then_some(())
    })
    .await;
}
