//! A bucket, whole.

use serde_json::Value;

use super::block::Block;
use super::event::Event;
use super::export::{self, Graph};
use super::exposure::Finding;
use super::facets::Described;
use super::resource::account_key;

/// Adds the bucket to the graph, if it exists. `block_of` tells what an account says, if it has said anything.
pub(super) fn describe<'b>(
    arn: &str,
    events: &[Event],
    block_of: impl FnOnce(&str) -> Option<&'b Finding<Block>>,
    graph: &mut Graph,
) {
    let mut bucket = Described::new(arn, export::last_field(arn), events, graph);
    let (true, existence_contested) = bucket.life.exists() else { return };
    if existence_contested {
        bucket.contested.insert("creation");
    }
    let owners = events.iter().filter_map(|event| event.owner.as_ref().map(|owner| (&event.stamp, owner)));
    bucket.account = owners.max().map(|(_, (_, id))| id.clone());
    let regions = events.iter().map(|event| (&event.stamp, &event.region));
    bucket.region = regions.max().map_or_else(String::new, |(_, region)| region.clone());

    let acl = bucket.acl();
    let policy = bucket.policy();
    let block = bucket.public_access_block();
    let enforced = bucket.ownership();
    let account = bucket.account.clone().and_then(|id| block_of(&account_key(bucket.partition, &id)));
    bucket.exposure(&acl, &policy, &block, &enforced, account);
    bucket.encryption();
    let locked = bucket.object_lock();
    bucket.versioning(locked);
    bucket.logging();
    bucket.lifecycle_rules();
    bucket.replication();
    bucket.tags();
    bucket.notification();
    bucket.inventory();
    bucket.lists_of_ids();
    bucket.website();
    bucket.cors();
    bucket.request_payment();
    bucket.acceleration();
    bucket.abac();
    bucket.place();
    bucket.created("CreateBucket");
    bucket.finish("aws_s3_bucket", &["DataStore"]);
}

impl Described<'_> {
    /// Where the bucket is, and whose.
    fn place(&mut self) {
        let (name, region) = (self.name, self.region.clone());
        self.set("bucketName", name);
        self.set("arn", self.key);
        let domain = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        self.set("baseUrl", format!("https://{name}.s3.{domain}"));
        if !region.is_empty() {
            let console = match self.partition {
                "aws-us-gov" => "console.amazonaws-us-gov.com",
                "aws-cn" => "console.amazonaws.cn",
                _ => "s3.console.aws.amazon.com",
            };
            self.set("webLink", format!("https://{console}/s3/buckets/{name}?region={region}"));
        }
        if let Some(account) = &self.account {
            let end = export::account(self.partition, account);
            self.graph.hold(&end);
            self.graph.connect("aws_account_has_s3_bucket", "HAS", [&end.key, self.key], "", Value::Null);
        }
    }
}
