//! Configurations of which a bucket has many, told apart by an id.

use std::collections::BTreeMap;

use serde_json::json;

use super::event::{Event, text};
use super::facets::{Described, greatest};

/// The configurations that are set.
struct ById<'a> {
    set: BTreeMap<String, &'a Event>,
    /// Whether there certainly are no others.
    all_known: bool,
}

impl<'a> Described<'a> {
    fn by_id(&mut self, facet: &'static str, put: &str, delete: &str) -> ById<'a> {
        let mut untold = Vec::new();
        let mut writes: BTreeMap<String, Vec<&'a Event>> = BTreeMap::new();
        for event in self.named(&[put, delete]) {
            match text(&event.parameters["id"]) {
                Some(id) => writes.entry(id).or_default().push(event),
                None => untold.push(event),
            }
        }
        // It may have written any configuration, so that only those written since are known.
        let untold = greatest(&self.life.last(&untold));
        let mut set = BTreeMap::new();
        for (id, writes) in writes {
            let writes = self.life.last(&writes);
            // Another record of the same change may have told the id.
            let is_later = |last: &&Event| untold.is_none_or(|untold| last.stamp >= untold.stamp);
            let Some(last) = greatest(&writes).filter(is_later) else { continue };
            if self.life.contested(&writes) {
                self.contested.insert(facet);
            }
            if last.name == put {
                set.insert(id, last);
            }
        }
        ById { set, all_known: untold.is_none() && self.life.beginning_is_known() }
    }

    pub(super) fn inventory(&mut self) {
        let configurations =
            self.by_id("inventory", "PutBucketInventoryConfiguration", "DeleteBucketInventoryConfiguration");
        let mut any_enabled = false;
        let mut all_known = configurations.all_known;
        for (id, event) in configurations.set {
            all_known &= event.recorded;
            if !event.recorded {
                continue;
            }
            let body = event.body();
            any_enabled |= text(&body["IsEnabled"]).as_deref() == Some("true");
            let destination = &body["Destination"]["S3BucketDestination"];
            let Some(bucket) = text(&destination["Bucket"]) else { continue };
            let more = json!({
                "inventoryId": id,
                "frequency": text(&body["Schedule"]["Frequency"]),
                "format": text(&destination["Format"]),
                "prefix": text(&destination["Prefix"]),
            });
            let end = self.other_bucket(&bucket);
            self.connect("aws_s3_bucket_publishes_inventory_report", "PUBLISHES", &end, &id, more);
        }
        if any_enabled || all_known {
            self.set("inventoryEnabled", any_enabled);
        }
    }

    /// The facets of which only the ids are recorded.
    pub(super) fn lists_of_ids(&mut self) {
        for (facet, property, put, delete) in [
            (
                "analytics",
                "analyticsConfigurations",
                "PutBucketAnalyticsConfiguration",
                "DeleteBucketAnalyticsConfiguration",
            ),
            ("metrics", "metricsConfigurations", "PutBucketMetricsConfiguration", "DeleteBucketMetricsConfiguration"),
            (
                "intelligentTiering",
                "intelligentTieringConfigurations",
                "PutBucketIntelligentTieringConfiguration",
                "DeleteBucketIntelligentTieringConfiguration",
            ),
        ] {
            let ids: Vec<String> = self.by_id(facet, put, delete).set.into_keys().collect();
            if !ids.is_empty() {
                self.set(property, ids);
            }
        }
    }
}
