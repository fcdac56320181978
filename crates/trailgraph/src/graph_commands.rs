//! `trailgraph graph`: looks at a graph in a SQLite file.
//!
//! Reading is done here; each form in which a graph is shown is a pure function in a file of its own.

mod dot;
mod exposure;
mod list;
mod page;
mod show;
pub(crate) mod text;

use anyhow::Context;
use emitter::SqliteGraph;
use serde_json::{Value, json};

use crate::cli::{ExportFormat, GraphArgs, GraphCommand, SqliteUrl};
use crate::failure::Failure;
use crate::stores::of_file;
use crate::summary::print;

/// Runs one of them.
///
/// # Errors
/// [`Failure::Usage`] when there is no such file, [`Failure::Running`] when there is no such bucket.
pub async fn run(args: GraphArgs) -> Result<(), Failure> {
    let text = match args.command {
        GraphCommand::Export { format, graph } => export(format, &graph.graph).await?,
        GraphCommand::List { public, since, graph, json } => {
            let keep = list::Filter { public, since };
            let buckets = open(&graph.graph)?.buckets(move |bucket| keep.keeps(bucket)).await;
            let buckets = buckets.map_err(|error| unread(&graph.graph, &error))?;
            if json { pretty(&list::as_json(&buckets))? } else { list::as_text(&buckets) }
        }
        GraphCommand::Show { bucket, graph, json } => {
            let found = open(&graph.graph)?.bucket(&bucket).await.map_err(|error| unread(&graph.graph, &error))?;
            let view = found.ok_or_else(|| {
                let why = "it does not exist, or no event has spoken of it";
                Failure::Running(anyhow::anyhow!("{} shows no bucket {bucket:?}: {why}", graph.graph))
            })?;
            if json { pretty(&show::as_json(&view))? } else { show::as_text(&view) }
        }
    };
    print(&text)
}

async fn export(format: ExportFormat, url: &SqliteUrl) -> Result<String, Failure> {
    let graph = open(url)?;
    if format == ExportFormat::Html {
        let graph = graph.export_with_provenance().await.map_err(|error| unread(url, &error))?;
        return Ok(page::page(graph).context("print the graph")?);
    }
    let (entities, relationships) = graph.export().await.map_err(|error| unread(url, &error))?;
    match format {
        ExportFormat::Dot => Ok(dot::dot(&entities, &relationships)),
        _ => pretty(&json!({"entities": entities, "relationships": relationships})),
    }
}

fn open(url: &SqliteUrl) -> Result<SqliteGraph, Failure> {
    SqliteGraph::open_to_read(&url.0, of_file(&url.0)).map_err(|error| Failure::flag("--graph", url, error))
}

fn unread(url: &SqliteUrl, error: &str) -> Failure {
    Failure::Running(anyhow::anyhow!("--graph {url}: {error}"))
}

fn pretty(value: &Value) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(value).context("print the graph")?;
    text.push('\n');
    Ok(text)
}
