//! `graph export --format dot`: the graph for Graphviz.

use std::fmt::Write as _;

use serde_json::Value;

use super::exposure;

/// The graph in Graphviz's language, in the order in which it is given.
pub(super) fn dot(entities: &[Value], relationships: &[Value]) -> String {
    let mut text = String::from(
        "digraph trailgraph {\n  graph [rankdir=LR];\n  \
         node [shape=box, style=filled, fillcolor=\"#ffffff\", fontname=\"sans-serif\"];\n  \
         edge [fontname=\"sans-serif\", fontsize=10];\n",
    );
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _written = writeln!(text, "  {line}");
    };
    for entity in entities {
        let (key, name) = (id(&entity["_key"]), label(&entity["displayName"]));
        let dashes = if entity["placeholder"] == true { ", style=\"filled,dashed\"" } else { "" };
        line(format_args!("{key} [label={name}, tooltip={}{}{dashes}];", label(&entity["_key"]), colour(entity)));
    }
    for edge in relationships {
        let (from, to) = (id(&edge["_fromEntityKey"]), id(&edge["_toEntityKey"]));
        line(format_args!("{from} -> {to} [label={}];", label(&edge["_class"])));
    }
    text.push_str("}\n");
    text
}

/// The exposure of a bucket that is stored; nothing can be said of the others.
fn colour(entity: &Value) -> &'static str {
    if entity["_type"] != "aws_s3_bucket" || entity["placeholder"] == true {
        return "";
    }
    match exposure::word(entity["public"].as_bool()) {
        "public" => ", fillcolor=\"#ff9b94\"",
        "private" => ", fillcolor=\"#a5dfb4\"",
        _ => ", fillcolor=\"#d5dae0\"",
    }
}

/// A quoted identifier.
fn id(key: &Value) -> String {
    let text = super::text::plain(key);
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// A quoted label, in which Graphviz would also read `&…;`.
fn label(text: &Value) -> String {
    id(&Value::String(super::text::plain(text).replace('&', "&amp;")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bucket(name: &str, more: &Value) -> Value {
        let mut bucket = json!({"_key": format!("arn:aws:s3:::{name}"), "_type": "aws_s3_bucket", "displayName": name});
        for (property, value) in more.as_object().into_iter().flatten() {
            bucket[property] = value.clone();
        }
        bucket
    }

    #[test]
    fn a_bucket_has_the_colour_of_its_exposure_and_a_placeholder_is_dashed() {
        for (more, expected) in [
            (json!({"public": true}), "fillcolor=\"#ff9b94\"]"),
            (json!({"public": false}), "fillcolor=\"#a5dfb4\"]"),
            (json!({}), "fillcolor=\"#d5dae0\"]"),
            (json!({"placeholder": true}), "tooltip=\"arn:aws:s3:::app\", style=\"filled,dashed\"]"),
        ] {
            let text = dot(&[bucket("app", &more)], &[]);
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    #[test]
    fn an_edge_is_labelled_with_its_class() {
        let edge = json!({"_fromEntityKey": "a", "_toEntityKey": "b", "_class": "LOGS"});
        assert!(dot(&[], &[edge]).contains("  \"a\" -> \"b\" [label=\"LOGS\"];\n"));
    }

    #[test]
    fn no_name_ends_its_quotes() {
        let entity = json!({"_key": "a\"b\\", "_type": "aws_principal", "displayName": "\"\\N &lt;\n"});
        let text = dot(&[entity], &[]);
        assert!(text.contains(r#""a\"b\\" [label="\"\\N &amp;lt;\\n", tooltip="a\"b\\"];"#), "{text}");
    }
}
