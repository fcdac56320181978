//! `graph show`: one bucket, and where each of its properties comes from.

use std::fmt::Write as _;

use emitter::BucketView;
use serde_json::{Value, json};

use super::exposure;
use super::text::{plain, table, time, visible};

pub(super) fn as_json(view: &BucketView) -> Value {
    let BucketView { entity, others, relationships, provenance } = view;
    let exposure = exposure::verdict(entity, provenance);
    json!({
        "entity": entity, "exposure": exposure, "others": others, "relationships": relationships, "facets": provenance,
    })
}

pub(super) fn as_text(view: &BucketView) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _written = writeln!(text, "{line}");
    };
    line(format_args!("{}", plain(&view.entity["_key"])));
    let verdict = exposure::verdict(&view.entity, &view.provenance);
    line(format_args!("  {:<26}{}", "exposure", plain(&verdict["exposure"])));
    for reason in verdict["reasons"].as_array().into_iter().flatten() {
        let (facet, event) = (plain(&reason["facet"]), plain(&reason["eventId"]));
        let (when, actor) = (time(&reason["eventTime"]), plain(&reason["actor"]));
        line(format_args!("    because of {facet}: event {event}, {when}, {actor}"));
    }
    for assumed in verdict["assumes"].as_array().into_iter().flatten() {
        let facet = plain(assumed);
        line(format_args!("    assumes AWS's default of {facet}: no event has spoken of it"));
    }
    for (name, value) in properties(&view.entity) {
        let value = if is_time(name) { time(value) } else { plain(value) };
        line(format_args!("  {:<26}{value}", visible(name)));
    }
    line(format_args!("\n{}", facets(&view.provenance).trim_end()));
    if !view.relationships.is_empty() {
        line(format_args!("\nrelationships"));
    }
    for edge in &view.relationships {
        let (from, to) = (plain(&edge["_fromEntityKey"]), plain(&edge["_toEntityKey"]));
        line(format_args!("  {from} -{}-> {to}", plain(&edge["_class"])));
    }
    text
}

/// What the head of the text has not told yet.
fn properties(entity: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let told = ["public", "publicReasons", "publicAssumes"];
    let all = entity.as_object().into_iter().flatten();
    all.filter(move |(name, _)| !name.starts_with('_') && !told.contains(&name.as_str()))
}

fn facets(provenance: &Value) -> String {
    let header = ["facet", "source", "event time", "event", "actor"];
    let mut rows = vec![header.map(String::from).to_vec()];
    for facet in provenance.as_array().into_iter().flatten() {
        let contested = if facet["contested"] == true { "  (contested: two writes in one second)" } else { "" };
        let because = facet["reason"].as_str().map(|reason| format!("  ({})", visible(reason))).unwrap_or_default();
        rows.push(vec![
            plain(&facet["facet"]),
            plain(&facet["source"]),
            time(&facet["eventTime"]),
            plain(&facet["eventId"]),
            format!("{}{because}{contested}", plain(&facet["actor"])),
        ]);
    }
    table(&rows)
}

fn is_time(property: &str) -> bool {
    matches!(property, "createdOn" | "updatedOn")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> BucketView {
        let key = "arn:aws:s3:::app";
        BucketView {
            entity: json!({
                "_key": key, "_type": "aws_s3_bucket", "name": "app", "updatedOn": 1_772_366_400_000_i64,
                "public": true, "publicReasons": ["acl:e1"], "publicAssumes": ["accountPublicAccessBlock"],
                "tag.a\u{202e}b": "c",
            }),
            others: vec![],
            relationships: vec![json!({"_fromEntityKey": key, "_toEntityKey": "global:everyone", "_class": "ALLOWS"})],
            provenance: json!([
                {"facet": "acl", "source": "event", "eventId": "e1", "eventTime": 1_772_366_400_000_i64, "actor": "ada",
                 "contested": true},
                {"facet": "tags", "source": "unknown", "eventId": null, "eventTime": null, "actor": null,
                 "contested": false, "reason": "too \u{2028}large"},
            ]),
        }
    }

    #[test]
    fn the_text_begins_with_the_exposure_and_its_reasons() {
        let expected = "\
arn:aws:s3:::app
  exposure                  public
    because of acl: event e1, 2026-03-01T12:00:00Z, ada
    assumes AWS's default of accountPublicAccessBlock: no event has spoken of it
  name                      app
  tag.a\\u{202e}b            c
  updatedOn                 2026-03-01T12:00:00Z

facet  source   event time            event  actor
acl    event    2026-03-01T12:00:00Z  e1     ada  (contested: two writes in one second)
tags   unknown  -                     -      -  (too \\u{2028}large)

relationships
  arn:aws:s3:::app -ALLOWS-> global:everyone
";
        assert_eq!(as_text(&view()), expected);
    }

    #[test]
    fn the_json_carries_all_of_it() {
        let shown = as_json(&view());
        assert_eq!(shown["entity"]["publicReasons"], json!(["acl:e1"]));
        assert_eq!(shown["exposure"]["reasons"][0]["actor"], "ada");
        assert_eq!(shown["facets"][1]["reason"], "too \u{2028}large");
        assert_eq!(shown["relationships"][0]["_class"], "ALLOWS");
    }
}
