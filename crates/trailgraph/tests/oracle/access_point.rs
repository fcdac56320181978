//! Access points.

use serde_json::Value;

use super::block;
use super::document;
use super::event::{Event, text};
use super::export::Graph;
use super::facets::{Described, Known};

/// Adds the access point to the graph, if it exists.
pub(super) fn describe(arn: &str, events: &[Event], graph: &mut Graph) {
    let name = arn.rsplit('/').next().unwrap_or_default();
    let mut point = Described::new(arn, name, events, graph);
    let (true, existence_contested) = point.life.exists() else { return };
    if existence_contested {
        point.contested.insert("accessPoint");
    }
    point.set("arn", arn);
    point.created("CreateAccessPoint");
    point.configuration();
    point.access_point_policy();
    point.finish("aws_s3_access_point", &["NetworkEndpoint"]);
}

impl Described<'_> {
    fn configuration(&mut self) {
        let Known::Set(event) = self.last("accessPoint", &["CreateAccessPoint"]) else { return };
        let body = event.body();
        let network = text(&body["VpcConfiguration"]["VpcId"]);
        self.set("networkOrigin", if network.is_some() { "VPC" } else { "Internet" });
        self.set_some("vpcId", network);
        let block = &body["PublicAccessBlockConfiguration"];
        // An access point that is made without a word on it blocks everything.
        self.set_block(if block.is_null() { [true; 4] } else { block::flags(block) });
        if let Some(bucket) = text(&body["Bucket"]) {
            let end = self.other_bucket(&bucket);
            self.set("bucketName", end.name.as_str());
            self.connect("aws_s3_access_point_connects_bucket", "CONNECTS", &end, "", Value::Null);
        }
    }

    fn access_point_policy(&mut self) {
        let public = match self.last("policy", &["PutAccessPointPolicy", "DeleteAccessPointPolicy"]) {
            Known::Set(event) => match &event.body()["Policy"] {
                Value::Null => return,
                Value::String(policy) => match serde_json::from_str(policy) {
                    Ok(policy) => document::read(&policy, self.partition, self.key).public,
                    Err(_) => return,
                },
                policy => document::read(policy, self.partition, self.key).public,
            },
            Known::Cleared(_) | Known::Default => false,
            Known::Unknown => return,
        };
        self.set("policyPublic", public);
    }
}
