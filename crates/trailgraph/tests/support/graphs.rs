//! Two graphs, compared so that a difference can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

const DIFFERENCES_SHOWN: usize = 12;

/// Panics with the first differences, by key and property.
pub(crate) fn assert_same(graph: &Value, expected: &Value, why: &str) {
    if graph == expected {
        return;
    }
    let mut differences = Vec::new();
    for part in ["entities", "relationships"] {
        let (ours, theirs) = (by_key(&graph[part]), by_key(&expected[part]));
        for key in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            let (ours, theirs) = (ours.get(key), theirs.get(key));
            match (ours, theirs) {
                (Some(_), None) => differences.push(format!("{key}: should not be there")),
                (None, Some(_)) => differences.push(format!("{key}: is missing")),
                _ => {}
            }
            let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
            let members = [ours, theirs].into_iter().filter_map(|one| one.as_object());
            let names: BTreeSet<&String> = members.flat_map(|members| members.keys()).collect();
            for name in names.iter().filter(|name| ours[name.as_str()] != theirs[name.as_str()]) {
                differences.push(format!(
                    "{key}: {name} is {}, expected {}",
                    ours[name.as_str()],
                    theirs[name.as_str()]
                ));
            }
        }
    }
    let mut message = format!("{why}: {} differences", differences.len());
    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        let _written = write!(message, "\n  {}", difference.chars().take(400).collect::<String>());
    }
    panic!("{message}");
}

fn by_key(part: &Value) -> BTreeMap<&str, &Value> {
    part.as_array().into_iter().flatten().map(|one| (one["_key"].as_str().unwrap_or_default(), one)).collect()
}
