//! Tags: the whole set, and single keys.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::{Event, elements, text, texts};
use super::facets::{Described, greatest};
use super::life::{surely_before, tied};

impl<'a> Described<'a> {
    pub(super) fn tags(&mut self) {
        let mut whole = self.named(&["CreateBucket", "PutBucketTagging", "DeleteBucketTagging"]);
        whole.retain(|event| event.name != "CreateBucket" || !event.body()["Tags"].is_null());
        let whole = self.life.last(&whole);
        let mut by_key: BTreeMap<String, Vec<(&'a Event, Option<String>)>> = BTreeMap::new();
        for event in self.named(&["TagResource"]) {
            for (key, value) in tag_set(&event.body()["Tags"]) {
                by_key.entry(key).or_default().push((event, Some(value)));
            }
        }
        for event in self.named(&["UntagResource"]) {
            for key in texts(&event.parameters["tagKeys"]) {
                by_key.entry(key).or_default().push((event, None));
            }
        }
        let mut contested = self.life.contested(&whole);
        let set = greatest(&whole);
        let mut tags = set.map(whole_set).unwrap_or_default();
        let all_known = set.map_or(self.life.beginning_is_known(), |set| set.recorded);
        for (key, changes) in by_key {
            let last = self.life.last(&changes.iter().map(|(event, _)| *event).collect::<Vec<_>>());
            contested |= !surely_before(&last, &whole) && (self.life.contested(&last) || tied(&last, &whole));
            let later = changes.into_iter().filter(|(event, _)| {
                last.iter().any(|last| last.stamp == event.stamp) && set.is_none_or(|set| event.stamp > set.stamp)
            });
            match later.max_by_key(|(event, value)| (&event.stamp, value.clone())) {
                Some((_, Some(value))) => drop(tags.insert(key, value)),
                Some((_, None)) => drop(tags.remove(&key)),
                None => {}
            }
        }
        if contested {
            self.contested.insert("tags");
        }
        self.put_tags(&tags, all_known);
    }

    fn put_tags(&mut self, tags: &BTreeMap<String, String>, all_known: bool) {
        for (key, value) in tags {
            self.set(&format!("tag.{key}"), tag_value(value));
            let lower = key.to_lowercase();
            if ["classification", "owner", "email"].contains(&lower.as_str()) {
                self.set(&lower, value.to_lowercase());
            }
        }
        // A list that may lack some would look like all of them.
        if !all_known {
            return;
        }
        let flags: Vec<&str> = tags
            .iter()
            .filter(|(_, value)| ["true", ""].contains(&value.as_str()))
            .map(|(key, _)| key.as_str())
            .collect();
        self.set("tags", flags);
    }
}

fn whole_set(event: &Event) -> BTreeMap<String, String> {
    let body = event.body();
    tag_set(&body[if event.name == "CreateBucket" { "Tags" } else { "TagSet" }])
}

fn tag_set(element: &Value) -> BTreeMap<String, String> {
    let tags = elements(&element["Tag"]).into_iter();
    // The text "null" is the one that is dropped from a record.
    tags.filter_map(|tag| Some((text(&tag["Key"])?, text(&tag["Value"]).unwrap_or_else(|| "null".to_owned()))))
        .collect()
}

/// A tag's value, as JupiterOne reads it.
fn tag_value(value: &str) -> Value {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    match value {
        "true" => true.into(),
        "false" => false.into(),
        _ if digits(value) => value.parse::<i64>().map_or_else(|_| value.into(), Value::from),
        _ if value.split_once('.').is_some_and(|(whole, rest)| digits(whole) && digits(rest)) => {
            value.parse::<f64>().map_or_else(|_| value.into(), Value::from)
        }
        _ => value.into(),
    }
}
