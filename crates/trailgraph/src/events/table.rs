//! The supported events, for people and for programs.

use std::fmt::Write as _;

use bucket_state::Call;
use serde_json::{Value, json};

/// An aligned table.
pub(crate) fn text(calls: &[Call]) -> String {
    let rows: Vec<[String; 4]> = calls
        .iter()
        .map(|call| {
            let body = match call.records_body() {
                Some(true) => "recorded",
                Some(false) => "not recorded",
                None => "-",
            };
            [call.name.into(), call.facet().into(), body.into(), call.aliases.join(", ")]
        })
        .collect();
    let head = ["event", "facet", "body", "also accepted as"].map(String::from);
    let width = |column: usize| [&head].into_iter().chain(&rows).map(|row| row[column].len()).max().unwrap_or(0) + 2;
    let (event, facet, body) = (width(0), width(1), width(2));
    let mut text = String::new();
    for row in [&head].into_iter().chain(&rows) {
        let line = format!("{:<event$}{:<facet$}{:<body$}{}", row[0], row[1], row[2], row[3]);
        let _written = writeln!(text, "{}", line.trim_end());
    }
    text
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
