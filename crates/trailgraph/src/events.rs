//! `trailgraph events`: the events that are folded, the EventBridge pattern that takes them, and a check of others' rules.
//!
//! Everything below decides and renders; only this file reads and prints.

mod checks;
mod document;
mod finding;
mod forms;
mod lint;
mod matcher;
mod names;
mod offer;
mod pattern;
mod table;
mod template;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, anyhow};
use bucket_state::supported;
use serde_json::Value;

use crate::cli::EventsArgs;
use crate::failure::Failure;
use crate::graph_commands::text::visible;
use crate::summary::print;
use finding::Finding;

/// CloudFormation takes no larger template.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Runs it.
///
/// # Errors
/// [`Failure::Usage`] when an event is unknown or a file cannot be read, [`Failure::Running`] when a checked rule has
/// errors.
pub fn run(args: &EventsArgs) -> Result<(), Failure> {
    if let Some(path) = &args.check {
        return check(path, args.json);
    }
    print(&match (args.pattern, args.json) {
        (true, _) => offer::pattern(&offer::chosen(&args.only).map_err(Failure::Usage)?) + "\n",
        (false, true) => lines(&table::json(supported()))?,
        (false, false) => table::text(supported()),
    })
}

fn check(path: &Path, json: bool) -> Result<(), Failure> {
    let name = if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() };
    let unusable = |why: String| Failure::Usage(visible(&format!("{name}: {why}")));
    let text = read(path).map_err(unusable)?;
    let rules = forms::rules(&text).map_err(unusable)?;
    let findings = lint::lint(&rules);
    print(&match json {
        true => lines(&findings.iter().flat_map(Finding::as_json).collect::<Value>())?,
        false => findings.iter().map(|finding| format!("{finding}\n")).collect(),
    })?;
    match findings.iter().filter(|finding| finding.is_error).count() {
        0 if json => Ok(()),
        0 => print(&format!("{name}: matches all {} supported events{}\n", supported().len(), reservation(&findings))),
        1 => Err(Failure::Running(anyhow!("{name}: 1 error"))),
        errors => Err(Failure::Running(anyhow!("{name}: {errors} errors"))),
    }
}

/// What a check without errors leaves open.
fn reservation(findings: &[Finding]) -> String {
    let open: Vec<&str> =
        [("unresolved-value", "its values are known"), ("narrowed", "its other conditions let them through")]
            .into_iter()
            .filter(|(code, _)| findings.iter().any(|finding| finding.code == *code))
            .map(|(_, what)| what)
            .collect();
    if open.is_empty() { String::new() } else { format!(", as far as {}", open.join(" and ")) }
}

fn read(path: &Path) -> Result<String, String> {
    let file: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(|error| error.to_string())?),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err("it is larger than 1 MiB, and CloudFormation takes no larger template".into()),
        false => Ok(text),
    }
}

fn lines(value: &Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).context("print the events")? + "\n")
}
