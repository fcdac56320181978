//! `graph export --format html`: one page for a browser, with everything in it.
//!
//! Names and tags are others' text. They reach the page packed (gzip, base64), in an element that is not run, and are
//! shown as text only. The page's content security policy runs nothing but the script that is written here, and
//! lets nothing be fetched or sent.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emitter::WholeGraph;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// In the order in which they need each other.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(async () => {\n",
    include_str!("page/model.js"),
    include_str!("page/layout.js"),
    include_str!("page/camera.js"),
    include_str!("page/labels.js"),
    include_str!("page/canvas.js"),
    include_str!("page/panel.js"),
    include_str!("page/page.js"),
    "})();\n",
);
/// The greatest integer up to which JavaScript tells every two apart.
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The page that draws `graph`.
///
/// # Errors
/// If it cannot be packed, which takes more than memory can hold.
pub(super) fn page(graph: WholeGraph) -> std::io::Result<String> {
    let policy = format!("default-src 'none'; style-src '{}'; script-src '{}'", hash(STYLE), hash(SCRIPT));
    let frame = FRAME.replace("{{policy}}", &policy).replace("{{style}}", STYLE).replace("{{script}}", SCRIPT);
    Ok(frame.replacen("{{data}}", &packed(&data(graph))?, 1))
}

/// The data as text that means nothing in HTML, an eighth as long as its JSON.
fn packed(data: &Value) -> std::io::Result<String> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&serde_json::to_vec(data)?)?;
    Ok(STANDARD.encode(gzip.finish()?))
}

/// How a content security policy names a text that may be used.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// `{"entities": […], "relationships": [[from, to, class, type, properties], …]}`: ends are positions among the
/// entities, and a stored entity has its provenance as `_facets`. What is implied is left out.
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
    let mut data = json!({"entities": entities, "relationships": relationships});
    make_exact(&mut data);
    data
}

/// Has integers that JavaScript would round be texts.
fn make_exact(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            if size.is_some_and(|size| size > INTEGER_MAX) {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_exact),
        Value::Object(members) => members.values_mut().for_each(make_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// A facet without the members that say nothing.
fn told(facet: &Value) -> Value {
    let says = |value: &Value| !value.is_null() && *value != Value::Bool(false);
    let members = facet.as_object().into_iter().flatten();
    Value::Object(members.filter(|(_, value)| says(value)).map(|(n, v)| (n.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;

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

    /// What a page carries.
    fn embedded(page: &str) -> Value {
        let begin = "<script type=\"text/plain\" id=\"graph\">";
        let after = page.split_once(begin).unwrap().1;
        let packed = STANDARD.decode(after.split_once("</script>").unwrap().0).unwrap();
        serde_json::from_reader(GzDecoder::new(&packed[..])).unwrap()
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
        assert_eq!(embedded(&page(graph("x")).unwrap()), expected);
    }

    #[test]
    fn no_tag_breaks_out_of_the_data() {
        for tag in ["</script><script>alert(1)</script>", "<!--<script>", "{{data}}{{script}}", "\u{2028}\"\\"] {
            let page = page(graph(tag)).unwrap();
            assert_eq!(embedded(&page)["entities"][0]["tag.note"], tag);
            assert_eq!(page.matches("<script").count(), 2, "{tag}");
        }
    }

    #[test]
    fn an_integer_that_a_browser_would_round_is_a_text() {
        let exact = 9_007_199_254_740_991_i64;
        for (given, expected) in [
            (json!(exact), json!(exact)),
            (json!(-exact), json!(-exact)),
            (json!(exact + 1), json!("9007199254740992")),
            (json!(-exact - 1), json!("-9007199254740992")),
            (json!(u64::MAX), json!("18446744073709551615")),
            (json!([{"days": i64::MAX}, 1.5, null]), json!([{"days": "9223372036854775807"}, 1.5, null])),
        ] {
            let mut value = given.clone();
            make_exact(&mut value);
            assert_eq!(value, expected, "{given}");
        }
        let mut graph = graph("x");
        graph.entities[0]["lifecycleDays"] = json!(i64::MAX);
        graph.relationships[0]["days"] = json!(i64::MIN);
        let data = embedded(&page(graph).unwrap());
        assert_eq!(data["entities"][0]["lifecycleDays"], i64::MAX.to_string());
        assert_eq!(data["relationships"][0][4]["days"], i64::MIN.to_string());
    }

    #[test]
    fn the_policy_names_exactly_what_stands_in_the_page() {
        let page = page(graph("x")).unwrap();
        for (begin, end) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let text = page.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).unwrap().0;
            assert!(page.contains(&format!("'{}'", hash(text))), "{begin}");
        }
        assert!(!page.contains("{{"), "everything is filled in");
    }
}
