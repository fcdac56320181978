//! What happens to objects and requests by rule.

use serde_json::Value;

use crate::body::{items, text};
use crate::catalogue::Facet;
use crate::graph::Entity;
use crate::living::{Known, Living};
use crate::register::Setting;

pub(super) fn lifecycle(bucket: &Living<'_>, entity: &mut Entity) {
    let value = match bucket.known(Facet::LifecycleRules) {
        Known::Set(body) => body.value(),
        Known::Cleared | Known::Default => Value::Null,
        Known::Unknown(_) => return,
    };
    let rules = items(&value["LifecycleConfiguration"]["Rule"]);
    // S3 demands a rule: without one nobody knows what this was.
    if rules.is_empty() && !value.is_null() {
        return;
    }
    let enabled = || rules.iter().filter(|rule| text(&rule["Status"]).as_deref() == Some("Enabled"));
    entity.set("lifecycleEnabled", enabled().next().is_some());
    entity.set("lifecycleRuleCount", rules.len());
    let days = |rule: &Value| text(&rule["Expiration"]["Days"])?.parse::<i64>().ok();
    entity.set_some("expirationDays", enabled().filter_map(days).min());
}

/// Of these, CloudTrail records the ids and nothing else.
pub(super) fn ids(bucket: &Living<'_>, entity: &mut Entity) {
    for (facet, property) in [
        (Facet::Analytics, "analyticsConfigurations"),
        (Facet::Metrics, "metricsConfigurations"),
        (Facet::IntelligentTiering, "intelligentTieringConfigurations"),
    ] {
        let set = bucket.ids(facet).filter(|(_, register)| matches!(register.value, Setting::Set(_)));
        let ids: Vec<&str> = set.map(|(id, _)| id).collect();
        entity.set_some(property, Some(ids).filter(|ids| !ids.is_empty()));
    }
}

pub(super) fn request_payment(bucket: &Living<'_>, entity: &mut Entity) {
    let member = ["RequestPaymentConfiguration", "Payer"];
    entity.set_some("requesterPays", is_set_to(bucket, Facet::RequestPayment, member, "Requester"));
}

pub(super) fn abac(bucket: &Living<'_>, entity: &mut Entity) {
    entity.set_some("abacEnabled", is_set_to(bucket, Facet::Abac, ["AbacStatus", "Status"], "Enabled"));
}

/// Whether the only member of a configuration has this value; by default it has not.
fn is_set_to(bucket: &Living<'_>, facet: Facet, [root, member]: [&str; 2], wanted: &str) -> Option<bool> {
    match bucket.known(facet) {
        // S3 demands the member: without it nobody knows what this was.
        Known::Set(body) => text(&body.value()[root][member]).map(|set| set == wanted),
        Known::Cleared | Known::Default => Some(false),
        Known::Unknown(_) => None,
    }
}
