//! What is written down: the dashboard, the rules, the runbook, the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Labels whose every value is known beforehand.
const KNOWN: [&str; 6] = ["stage", "outcome", "kind", "reason", "event", "le"];

pub(crate) struct Written {
    pub(crate) alerts: BTreeMap<String, Value>,
    pub(crate) panels: Vec<Value>,
    /// The titles of the dashboard's rows.
    pub(crate) rows: Vec<String>,
    pub(crate) runbook: String,
    rules: String,
    queries: String,
    metrics: String,
    docs: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn alerts_dir() -> PathBuf {
    root().join("deploy/alerts")
}

impl Written {
    pub(crate) fn load() -> Self {
        let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
        let rules = read("deploy/alerts/trailgraph.rules.yaml");
        let document: Value = yaml_serde::from_str(&rules).unwrap();
        let groups = document["groups"].as_array().unwrap().iter();
        let all = groups.flat_map(|group| group["rules"].as_array().unwrap());
        let alerts = all.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule.clone()))).collect();
        let dashboard: Value = serde_json::from_str(&read("deploy/dashboards/trailgraph.json")).unwrap();
        let (rows, panels): (Vec<Value>, Vec<Value>) =
            dashboard["panels"].as_array().unwrap().iter().cloned().partition(|panel| panel["type"] == "row");
        let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        let queries: Vec<&str> = queries.map(|target| target["expr"].as_str().unwrap()).collect();
        let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let docs =
            docs.filter(|path| path.extension().is_some_and(|kind| kind == "md") && !path.ends_with("metrics.md"));
        Self {
            alerts,
            queries: queries.join("\n"),
            panels,
            rows: rows.iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect(),
            runbook: read("deploy/runbook.md"),
            rules,
            metrics: read("docs/metrics.md"),
            docs: docs.chain([root().join("README.md")]).map(|path| fs::read_to_string(path).unwrap()).collect(),
        }
    }

    /// Everything that names metrics.
    pub(crate) fn texts(&self) -> [(&'static str, &str); 5] {
        [
            ("the dashboard", &self.queries),
            ("the alerts", &self.rules),
            ("the runbook", &self.runbook),
            ("docs/metrics.md", &self.metrics),
            ("docs", &self.docs),
        ]
    }

    /// The rows of the reference: type and labels by name.
    pub(crate) fn reference(&self) -> BTreeMap<String, (String, BTreeSet<String>)> {
        let rows = self.metrics.lines().filter_map(|line| line.strip_prefix("| `trailgraph_"));
        let row = |row: &str| {
            let mut cells = row.split('|').map(str::trim);
            let name = format!("trailgraph_{}", cells.next().unwrap().trim_end_matches('`'));
            let kind = cells.next().unwrap().to_owned();
            let labels = cells.next().unwrap().split(',').map(|label| label.trim_matches([' ', '`']).to_owned());
            (name, (kind, labels.filter(|label| !label.is_empty()).collect()))
        };
        rows.map(row).collect()
    }
}

/// Names of metrics in a text; recorded series begin otherwise.
pub(crate) fn names(text: &str) -> BTreeSet<String> {
    let of_name = |one: char| one.is_ascii_alphanumeric() || one == '_' || one == ':';
    let words = text.split(|one: char| !of_name(one));
    words.filter(|word| word.starts_with("trailgraph_") && !word.ends_with('_')).map(str::to_owned).collect()
}

/// The family of a series: histograms have three.
pub(crate) fn family(name: &str, is_family: &dyn Fn(&str) -> bool) -> String {
    let mut stems = ["_bucket", "_sum", "_count"].iter().filter_map(|suffix| name.strip_suffix(suffix));
    stems.find(|stem| is_family(stem)).unwrap_or(name).to_owned()
}

/// `label="value"` of labels whose values are known, alternatives apart; none of what is excluded.
pub(crate) fn selected(text: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for label in KNOWN {
        for (at, _) in text.match_indices(label) {
            let rest = &text[at + label.len()..];
            let Some(rest) = rest.strip_prefix("=\"").or_else(|| rest.strip_prefix("=~\"")) else { continue };
            let whole = !text[..at].ends_with(|one: char| one.is_ascii_alphanumeric() || one == '_');
            let values = rest.split('"').next().unwrap();
            found.extend(values.split('|').filter(|_| whole).map(|value| (label.to_owned(), value.to_owned())));
        }
    }
    found
}
