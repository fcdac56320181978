//! The supported events, for people and for programs.

use bucket_state::Call;
use serde_json::{Value, json};

use crate::graph_commands::text::table;

/// An aligned table.
pub(crate) fn text(calls: &[Call]) -> String {
    let row = |call: &Call| {
        let body = match call.records_body() {
            Some(true) => "recorded",
            Some(false) => "not recorded",
            None => "-",
        };
        vec![call.name.into(), call.facet().into(), body.into(), call.aliases.join(", ")]
    };
    let head = ["event", "facet", "body", "also accepted as"].map(String::from).to_vec();
    table(&[head].into_iter().chain(calls.iter().map(row)).collect::<Vec<_>>())
}

/// One object for each event.
pub(crate) fn json(calls: &[Call]) -> Value {
    let object = |call: &Call| {
        json!({
            "event": call.name,
            "aliases": call.aliases,
            "facet": call.facet(),
            "bodyRecorded": call.records_body(),
        })
    };
    calls.iter().map(object).collect()
}
