//! `trailgraph events`: the events that are folded, the EventBridge pattern that takes them, and a check of others' rules.
//!
//! Everything below decides and renders; only this file reads and prints.

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
use crate::summary::print;
use finding::{Finding, Level, Problem};

/// CloudFormation takes templates of 1 MB.
const FILE_BYTES_MAX: u64 = 16 << 20;

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
    let unusable = |why: String| Failure::Usage(format!("{name}: {why}"));
    let text = read(path).map_err(unusable)?;
    let rules = forms::rules(&text).map_err(unusable)?;
    let findings = lint::lint(&rules);
    print(&match json {
        true => lines(&findings.iter().flat_map(Finding::as_json).collect::<Value>())?,
        false => findings.iter().map(|finding| format!("{finding}\n")).collect(),
    })?;
    let known = !findings.iter().any(|finding| matches!(finding.problem, Problem::Unresolved { .. }));
    match findings.iter().filter(|finding| finding.problem.level() == Level::Error).count() {
        0 if json => Ok(()),
        0 if known => print(&format!("{name}: matches all {} supported events\n", supported().len())),
        0 => print(&format!("{name}: no errors, as far as its values are known\n")),
        1 => Err(Failure::Running(anyhow!("{name}: 1 error"))),
        errors => Err(Failure::Running(anyhow!("{name}: {errors} errors"))),
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).map_err(|error| error.to_string())?),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("it is larger than {} MiB, and no template is", FILE_BYTES_MAX >> 20)),
        false => Ok(text),
    }
}

fn lines(value: &Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value).context("print the events")? + "\n")
}
