//! `graph export --format html`: one page for a browser, with everything in it.
//!
//! Names and tags are others' text. They reach the page as JSON in an element that is not run, with every `<` escaped,
//! and are shown as text only. The page's content security policy runs nothing but the script that is written here, and
//! lets nothing be fetched or sent.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emitter::WholeGraph;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// In the order in which they need each other.
const SCRIPT: &str = concat!(
    "\"use strict\";\n{\n",
    include_str!("page/model.js"),
    include_str!("page/layout.js"),
    include_str!("page/camera.js"),
    include_str!("page/labels.js"),
    include_str!("page/canvas.js"),
    include_str!("page/panel.js"),
    include_str!("page/page.js"),
    "}\n",
);

/// The page that draws `graph`.
pub(super) fn page(graph: WholeGraph) -> String {
    let policy = format!("default-src 'none'; style-src '{}'; script-src '{}'", hash(STYLE), hash(SCRIPT));
    let frame = FRAME.replace("{{policy}}", &policy).replace("{{style}}", STYLE).replace("{{script}}", SCRIPT);
    // The data comes last: whatever it contains is not replaced any more.
    frame.replacen("{{data}}", &data(graph).to_string().replace('<', "\\u003c"), 1)
}

/// How a content security policy names a text that may be used.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// `{"entities": […], "relationships": [[from, to, class, type, properties], …]}`: ends are positions among the
/// entities, and a stored entity has its provenance as `_facets`. What is implied is left out: there may be 5,000
/// buckets.
fn data(graph: WholeGraph) -> Value {
    let WholeGraph { mut entities, relationships, mut provenance } = graph;
    let mut positions = BTreeMap::new();
    for (position, entity) in entities.iter_mut().enumerate() {
        let key = entity["_key"].as_str().unwrap_or_default().to_owned();
        if let Some(facets) = provenance.remove(&key) {
            entity["_facets"] = facets.as_array().into_iter().flatten().map(told).collect();
        }
        positions.insert(key, position);
    }
    let position = |key: &Value| key.as_str().and_then(|key| positions.get(key));
    let edge = |edge: Value| {
        // Every end is an entity, if only a placeholder: the graph is read so.
        let (from, to) = (position(&edge["_fromEntityKey"])?, position(&edge["_toEntityKey"])?);
        let is_own = |name: &str| !name.starts_with('_') && name != "displayName";
        let properties: Map<String, Value> =
            edge.as_object()?.iter().filter(|(name, _)| is_own(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
        Some(json!([from, to, edge["_class"], edge["_type"], properties]))
    };
    let relationships: Vec<Value> = relationships.into_iter().filter_map(edge).collect();
    json!({"entities": entities, "relationships": relationships})
}

/// A facet without the members that say nothing.
fn told(facet: &Value) -> Value {
    let says = |value: &Value| !value.is_null() && *value != Value::Bool(false);
    let members = facet.as_object().into_iter().flatten();
    Value::Object(members.filter(|(_, value)| says(value)).map(|(n, v)| (n.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(name: &str) -> WholeGraph {
        let key = "arn:aws:s3:::app";
        WholeGraph {
            entities: vec![
                json!({"_key": key, "_type": "aws_s3_bucket", "name": "app", "tag.note": name}),
                json!({"_key": "global:everyone", "_type": "everyone", "name": "Everyone", "placeholder": true}),
            ],
            relationships: vec![json!({
                "_key": "k", "_type": "aws_s3_bucket_grant", "_class": "ALLOWS", "_fromEntityKey": key,
                "_toEntityKey": "global:everyone", "displayName": "ALLOWS", "permission": "READ",
            })],
            provenance: [(
                key.to_owned(),
                json!([{"facet": "acl", "eventId": "e", "reason": null, "contested": false}]),
            )]
            .into(),
        }
    }

    fn embedded(page: &str) -> &str {
        let begin = "<script type=\"application/json\" id=\"graph\">";
        let after = page.split_once(begin).map(|(_, after)| after).unwrap_or_default();
        after.split_once("</script>").map(|(data, _)| data).unwrap_or_default()
    }

    #[test]
    fn what_is_embedded_is_the_graph_with_its_provenance() {
        let expected = json!({
            "entities": [
                {"_key": "arn:aws:s3:::app", "_type": "aws_s3_bucket", "name": "app", "tag.note": "x",
                 "_facets": [{"facet": "acl", "eventId": "e"}]},
                {"_key": "global:everyone", "_type": "everyone", "name": "Everyone", "placeholder": true},
            ],
            "relationships": [[0, 1, "ALLOWS", "aws_s3_bucket_grant", {"permission": "READ"}]],
        });
        assert_eq!(serde_json::from_str::<Value>(embedded(&page(graph("x")))).unwrap(), expected);
    }

    #[test]
    fn no_tag_breaks_out_of_the_data() {
        for tag in ["</script><script>alert(1)</script>", "<!--<script>", "{{data}}{{script}}", "\u{2028}\"\\"] {
            let page = page(graph(tag));
            let data: Value = serde_json::from_str(embedded(&page)).unwrap();
            assert_eq!(data["entities"][0]["tag.note"], tag);
            assert_eq!(page.matches("<script").count(), 2, "{tag}");
        }
    }

    #[test]
    fn the_policy_names_exactly_what_stands_in_the_page() {
        let page = page(graph("x"));
        for (begin, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let text = page.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).unwrap().0;
            assert!(page.contains(&format!("'{}'", hash(text))), "{begin}");
        }
        assert!(!page.contains("{{"), "everything is filled in");
    }
}
