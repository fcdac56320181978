//! Tags, typed and named as JupiterOne does.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::body::{items, text, text_or_null};
use crate::catalogue::Facet;
use crate::graph::Entity;
use crate::living::{Known, Living};

pub(super) fn tags(bucket: &Living<'_>, entity: &mut Entity) {
    let known = bucket.known(Facet::Tags);
    // Where parts may have been dropped, a tag of the set may have been removed since.
    let lacks_parts = bucket.may_lack_parts(Facet::Tags);
    let mut whole_set_known = !matches!(known, Known::Unknown(_)) && !lacks_parts;
    let mut tags: BTreeMap<String, String> = BTreeMap::new();
    if let Known::Set(body) = known {
        let value = body.value();
        let set = [&value["Tagging"]["TagSet"], &value["CreateBucketConfiguration"]["Tags"]];
        whole_set_known &= set.iter().any(|set| !set.is_null());
        for tag in set.iter().flat_map(|set| items(&set["Tag"])).filter(|_| !lacks_parts) {
            match text(&tag["Key"]).zip(text_or_null(&tag["Value"])) {
                Some((key, value)) => drop(tags.insert(key, value)),
                None => whole_set_known = false,
            }
        }
    }
    for (key, tag) in bucket.single_tags() {
        match &tag.value {
            Some(value) => tags.insert(key.to_owned(), value.to_string()),
            None => tags.remove(key),
        };
    }
    for (key, value) in &tags {
        entity.set(&format!("tag.{key}"), tag_value(value));
        // JupiterOne's rule: these three are properties of their own, in lower case.
        let lower = key.to_ascii_lowercase();
        if ["classification", "owner", "email"].contains(&lower.as_str()) {
            entity.set(&lower, value.to_lowercase());
        }
    }
    if whole_set_known {
        // JupiterOne's rule: a tag that only flags is listed by its name.
        let flags = tags.iter().filter(|(_, value)| value.is_empty() || *value == "true").map(|(key, _)| key.as_str());
        entity.set("tags", flags.collect::<Vec<_>>());
    }
}

/// A tag's value as JupiterOne types it.
fn tag_value(text: &str) -> Value {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ if digits(text) => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        _ if text.split_once('.').is_some_and(|(whole, part)| digits(whole) && digits(part)) => {
            text.parse::<f64>().map_or_else(|_| text.into(), Value::from)
        }
        _ => text.into(),
    }
}
