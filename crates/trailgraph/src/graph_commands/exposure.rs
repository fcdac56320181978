//! Whether a bucket is open to the public, as it is told to people.

use serde_json::{Value, json};

/// The verdict in a word. Unknown is never told as private.
pub(super) fn word(public: Option<bool>) -> &'static str {
    match public {
        Some(true) => "public",
        Some(false) => "private",
        None => "unknown",
    }
}

/// The verdict with its reasons: each is an event on a facet, and `facets` (the bucket's provenance) knows when it was
/// and who made it.
pub(super) fn verdict(entity: &Value, facets: &Value) -> Value {
    let reason = |reason: &str| {
        let (facet, event) = reason.split_once(':').unwrap_or((reason, ""));
        let spoke = |entry: &&Value| entry["facet"] == facet && entry["eventId"] == event;
        let entry = facets.as_array().into_iter().flatten().find(spoke).unwrap_or(&Value::Null);
        json!({"facet": facet, "eventId": event, "eventTime": entry["eventTime"], "actor": entry["actor"]})
    };
    let reasons = entity["publicReasons"].as_array().into_iter().flatten();
    json!({
        "exposure": word(entity["public"].as_bool()),
        "reasons": reasons.filter_map(Value::as_str).map(reason).collect::<Vec<_>>(),
        "assumes": entity["publicAssumes"].as_array().cloned().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_with_the_time_and_the_actor_of_its_event() {
        let entity = json!({"public": true, "publicReasons": ["acl:e1", "ownership:e9"], "publicAssumes": ["x"]});
        let facets = json!([
            {"facet": "creation", "eventId": "e1", "eventTime": 1, "actor": "creator"},
            {"facet": "acl", "eventId": "e1", "eventTime": 2_000, "actor": "arn:aws:iam::111122223333:user/ada"},
        ]);
        let expected = json!({
            "exposure": "public",
            "reasons": [
                {"facet": "acl", "eventId": "e1", "eventTime": 2_000, "actor": "arn:aws:iam::111122223333:user/ada"},
                {"facet": "ownership", "eventId": "e9", "eventTime": null, "actor": null},
            ],
            "assumes": ["x"],
        });
        assert_eq!(verdict(&entity, &facets), expected);
    }

    #[test]
    fn an_absent_verdict_is_unknown_and_not_private() {
        for (entity, expected) in
            [(json!({}), "unknown"), (json!({"public": false}), "private"), (json!({"public": true}), "public")]
        {
            assert_eq!(verdict(&entity, &Value::Null)["exposure"], expected, "{entity}");
        }
    }
}
