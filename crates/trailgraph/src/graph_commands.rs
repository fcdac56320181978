//! `trailgraph graph`: looks at a graph in a SQLite file.

use std::fmt::Write as _;

use anyhow::Context;
use emitter::{BucketView, SqliteGraph};
use serde_json::{Value, json};

use crate::cli::{ExportFormat, GraphArgs, GraphCommand, SqliteUrl};
use crate::clock;
use crate::failure::Failure;
use crate::parts::sink_name;
use crate::summary::print;

/// Runs one of them.
///
/// # Errors
/// [`Failure::Usage`] when there is no such file, [`Failure::Running`] when there is no such bucket.
pub async fn run(args: GraphArgs) -> Result<(), Failure> {
    let text = match args.command {
        GraphCommand::Export { format: ExportFormat::Json, graph } => {
            let (entities, relationships) = open(&graph)?.export().await.map_err(|error| unread(&graph, &error))?;
            let mut text = serde_json::to_string_pretty(&json!({"entities": entities, "relationships": relationships}))
                .context("print the graph")?;
            text.push('\n');
            text
        }
        GraphCommand::Show { bucket, graph, json } => {
            let found = open(&graph)?.bucket(&bucket).await.map_err(|error| unread(&graph, &error))?;
            let view = found.ok_or_else(|| {
                let why = "it does not exist, or no event has spoken of it";
                Failure::Running(anyhow::anyhow!("{graph} shows no bucket {bucket:?}: {why}"))
            })?;
            if json { as_json(&view)? } else { as_text(&view) }
        }
    };
    print(&text)
}

fn open(url: &SqliteUrl) -> Result<SqliteGraph, Failure> {
    SqliteGraph::open_to_read(&url.0, sink_name(url)).map_err(|error| Failure::flag("--graph", url, error))
}

fn unread(url: &SqliteUrl, error: &str) -> Failure {
    Failure::Running(anyhow::anyhow!("--graph {url}: {error}"))
}

fn as_json(view: &BucketView) -> Result<String, Failure> {
    let BucketView { entity, others, relationships, provenance } = view;
    let whole = json!({"entity": entity, "others": others, "relationships": relationships, "facets": provenance});
    let mut text = serde_json::to_string_pretty(&whole).context("print the bucket")?;
    text.push('\n');
    Ok(text)
}

fn as_text(view: &BucketView) -> String {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _written = writeln!(text, "{line}");
    };
    line(format_args!("{}", plain(&view.entity["_key"])));
    for (name, value) in view.entity.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('_')) {
        line(format_args!("  {name:<26}{}", if is_time(name) { time(value) } else { plain(value) }));
    }
    line(format_args!(
        "\nfacet              source   event time            event                                 actor"
    ));
    for facet in view.provenance.as_array().into_iter().flatten() {
        let contested = if facet["contested"] == true { "  (contested: two writes in one second)" } else { "" };
        line(format_args!(
            "{:<19}{:<9}{:<22}{:<38}{}{contested}",
            plain(&facet["facet"]),
            plain(&facet["source"]),
            time(&facet["eventTime"]),
            plain(&facet["eventId"]),
            plain(&facet["actor"])
        ));
    }
    if !view.relationships.is_empty() {
        line(format_args!("\nrelationships"));
    }
    for edge in &view.relationships {
        let (from, to) = (plain(&edge["_fromEntityKey"]), plain(&edge["_toEntityKey"]));
        line(format_args!("  {from} -{}-> {to}", plain(&edge["_class"])));
    }
    text
}

fn is_time(property: &str) -> bool {
    matches!(property, "createdOn" | "updatedOn")
}

fn time(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".into(), clock::rfc3339)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}
