//! Lists of rules: when objects expire, and who may read them from a browser.

use std::collections::BTreeSet;

use serde_json::Value;

use super::event::{elements, text};
use super::facets::{Described, Known};

impl Described<'_> {
    pub(super) fn lifecycle_rules(&mut self) {
        let body = match self.last("lifecycleRules", &["PutBucketLifecycle", "DeleteBucketLifecycle"]) {
            Known::Set(event) => event.body(),
            Known::Cleared(_) | Known::Default => &Value::Null,
            Known::Unknown => return,
        };
        let rules = elements(&body["Rule"]);
        let enabled: Vec<_> = rules.iter().filter(|rule| rule["Status"] == "Enabled").collect();
        self.set("lifecycleEnabled", !enabled.is_empty());
        self.set("lifecycleRuleCount", rules.len());
        let days = enabled.iter().filter_map(|rule| number(&rule["Expiration"]["Days"]));
        self.set_some("expirationDays", days.min());
    }

    pub(super) fn cors(&mut self) {
        let body = match self.last("cors", &["PutBucketCors", "DeleteBucketCors"]) {
            Known::Set(event) => event.body(),
            Known::Cleared(_) | Known::Default => return self.set("corsEnabled", false),
            Known::Unknown => return,
        };
        // The text "null" is the one that is dropped from a record.
        let origin = |origin: &Value| text(origin).unwrap_or_else(|| "null".to_owned());
        let origins_of = |rule: &Value| match &rule["AllowedOrigin"] {
            Value::Array(origins) => origins.iter().map(origin).collect(),
            one => vec![origin(one)],
        };
        let origins: BTreeSet<String> = elements(&body["CORSRule"]).into_iter().flat_map(origins_of).collect();
        self.set("corsEnabled", true);
        self.set("corsAllowedOrigins", origins.into_iter().collect::<Vec<_>>());
    }

    /// Tells whether objects can be locked, which takes versions.
    pub(super) fn object_lock(&mut self) -> bool {
        // A bucket can be made with it, and that is not recorded: there is no default.
        let Known::Set(event) = self.last("objectLock", &["PutBucketObjectLockConfiguration"]) else { return false };
        let body = event.body();
        let enabled = body["ObjectLockEnabled"] == "Enabled";
        self.set("objectLockEnabled", enabled);
        let retention = &body["Rule"]["DefaultRetention"];
        self.set_some("objectLockMode", text(&retention["Mode"]));
        let years = || number(&retention["Years"]).map(|years| years * 365);
        self.set_some("retentionPeriod", number(&retention["Days"]).or_else(years));
        enabled
    }
}

fn number(value: &Value) -> Option<i64> {
    text(value)?.parse().ok()
}
