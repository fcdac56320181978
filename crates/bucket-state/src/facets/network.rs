//! How a bucket is reached over the network.

use serde_json::Value;

use crate::body::{filled, items, text_or_null};
use crate::catalogue::Facet;
use crate::graph::Entity;
use crate::living::{Known, Living};

pub(super) fn website(bucket: &Living<'_>, entity: &mut Entity) {
    match bucket.known(Facet::Website) {
        Known::Set(body) => {
            entity.set("websiteEnabled", true);
            let redirect = &body.value()["WebsiteConfiguration"]["RedirectAllRequestsTo"]["HostName"];
            entity.set_some("websiteRedirect", filled(redirect));
        }
        Known::Cleared | Known::Default => entity.set("websiteEnabled", false),
        Known::Unknown(_) => {}
    }
}

pub(super) fn cors(bucket: &Living<'_>, entity: &mut Entity) {
    match bucket.known(Facet::Cors) {
        Known::Set(body) => {
            let value = body.value();
            let rules = items(&value["CORSConfiguration"]["CORSRule"]);
            // S3 demands a rule: without one nobody knows what this was.
            if rules.is_empty() {
                return;
            }
            entity.set("corsEnabled", true);
            let mut origins: Vec<String> =
                rules.iter().flat_map(|rule| allowed_origins(&rule["AllowedOrigin"])).collect();
            origins.sort_unstable();
            origins.dedup();
            entity.set_some("corsAllowedOrigins", Some(origins).filter(|origins| !origins.is_empty()));
        }
        Known::Cleared | Known::Default => entity.set("corsEnabled", false),
        Known::Unknown(_) => {}
    }
}

/// S3 takes no rule without an origin.
fn allowed_origins(node: &Value) -> Vec<String> {
    match node {
        Value::Array(origins) => origins.iter().filter_map(text_or_null).collect(),
        origin => text_or_null(origin).into_iter().collect(),
    }
}

/// CloudTrail never tells whether acceleration was enabled or suspended: after a call nobody knows.
pub(super) fn acceleration(bucket: &Living<'_>, entity: &mut Entity) {
    match bucket.known(Facet::Acceleration) {
        Known::Set(_) | Known::Cleared | Known::Default => entity.set("accelerationKnown", true),
        Known::Unknown(Some(_)) => entity.set("accelerationKnown", false),
        Known::Unknown(None) => {}
    }
}
