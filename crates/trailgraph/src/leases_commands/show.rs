//! The lease table for people, and for other programs.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Value, json};
use shard_consumer::{Lease, LeaseTable, Position};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::LeaseArgs;
use crate::failure::Failure;
use crate::graph_commands::text::{table as aligned, visible};

/// What becomes of a shard. A row does not tell whether its owner is alive.
enum State<'a> {
    Reading,
    HandingOver { to: &'a str },
    Unowned,
    Finished,
}

impl<'a> State<'a> {
    fn of(lease: &'a Lease) -> Self {
        match (&lease.checkpoint_owner, &lease.owner) {
            _ if lease.is_finished() => Self::Finished,
            (Some(_), Some(to)) => Self::HandingOver { to },
            (None, None) => Self::Unowned,
            _ => Self::Reading,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::HandingOver { .. } => "handing_over",
            Self::Unowned => "unowned",
            Self::Finished => "finished",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::HandingOver { to } => format!("handing over to {}", visible(to)),
            other => other.word().into(),
        }
    }
}

/// One line per shard, then why rows cannot be read; nothing of an empty table.
pub(super) fn as_text(table: &LeaseTable) -> String {
    if table.leases.is_empty() && table.unreadable.is_empty() {
        return String::new();
    }
    let mut rows: Vec<Vec<String>> = table.leases.iter().map(cells).collect();
    rows.extend(table.unreadable.iter().map(|row| {
        let name = visible(row.shard.as_str());
        [&name, "unreadable", "-", "-", "-", "-"].map(String::from).to_vec()
    }));
    rows.sort();
    rows.insert(0, ["shard", "state", "owner", "position", "counter", "parents"].map(String::from).to_vec());
    let mut text = aligned(&rows);
    for row in &table.unreadable {
        text.push_str(&format!("{} is unreadable: {}\n", visible(row.shard.as_str()), visible(&row.why)));
    }
    text
}

fn cells(lease: &Lease) -> Vec<String> {
    let parents: Vec<String> = lease.parents.iter().map(|parent| visible(parent.as_str())).collect();
    vec![
        visible(lease.shard.as_str()),
        State::of(lease).text(),
        lease.holder().map_or_else(|| "-".into(), visible),
        position(&lease.checkpoint),
        lease.counter.to_string(),
        if parents.is_empty() { "-".into() } else { parents.join(" ") },
    ]
}

/// A position in one word: a time, a sequence number (with the sub-sequence number, unless it is 0), or a name.
pub(super) fn position(position: &Position) -> String {
    match position {
        Position::TrimHorizon => "trim-horizon".into(),
        Position::Latest => "latest".into(),
        Position::AtUnknownTime => "at-timestamp".into(),
        Position::AtTimestamp(ms) => time(*ms),
        Position::After { sequence, sub_sequence: 0 } => sequence.to_string(),
        Position::After { sequence, sub_sequence } => format!("{sequence}.{sub_sequence}"),
        Position::ShardEnd => "shard-end".into(),
    }
}

/// RFC 3339, to the millisecond where there are any: positions are that exact.
fn time(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| ms.to_string())
}

/// Everything that the table tells, and in `state` what follows from it.
pub(super) fn as_json(args: &LeaseArgs, table: &LeaseTable) -> Result<String, Failure> {
    let document = json!({
        "stream": args.stream,
        "appName": args.app_name,
        "leasesUrl": args.leases.to_string(),
        "leases": table.leases.iter().map(row).collect::<Vec<_>>(),
        "unreadable":
            table.unreadable.iter().map(|row| json!({"shard": row.shard.as_str(), "why": row.why})).collect::<Vec<_>>(),
        "leader": table.leader.as_ref().map(|leader| {
            json!({"name": leader.name, "beat": leader.beat, "lastsSeconds": leader.lasts.as_secs_f64()})
        }),
    });
    let mut text = serde_json::to_string_pretty(&document).context("print the leases")?;
    text.push('\n');
    Ok(text)
}

fn row(lease: &Lease) -> Value {
    let names =
        |shards: &[shard_consumer::ShardId]| shards.iter().map(|shard| json!(shard.as_str())).collect::<Value>();
    json!({
        "shard": lease.shard.as_str(),
        "state": State::of(lease).word(),
        "owner": lease.owner,
        "checkpointOwner": lease.checkpoint_owner,
        "counter": lease.counter,
        "position": position_as_json(&lease.checkpoint),
        "startedAt": lease.start_timestamp_ms.map(time),
        "parents": names(&lease.parents),
        "children": names(&lease.children),
        "hashKeys": lease.hash_keys.as_ref().map(|(first, last)| json!({"first": first, "last": last})),
    })
}

fn position_as_json(at: &Position) -> Value {
    match at {
        Position::After { sequence, sub_sequence } => {
            json!({"kind": "after", "sequenceNumber": sequence, "subSequenceNumber": sub_sequence})
        }
        Position::AtTimestamp(ms) => json!({"kind": "at-timestamp", "time": time(*ms)}),
        other => json!({"kind": position(other)}),
    }
}

/// How many leases there are, and whose; for an empty table, where it was looked for.
pub(super) fn summary(args: &LeaseArgs, table: &LeaseTable) -> String {
    let mut said = Vec::new();
    if table.leases.is_empty() && table.unreadable.is_empty() {
        said.push(format!(
            "no leases in {}: nothing has run with these settings, or they differ from its own",
            args.described()
        ));
    } else {
        let finished = table.leases.iter().filter(|lease| lease.is_finished()).count();
        said.push(format!("{}, {finished} finished", counted(table.leases.len(), "lease")));
        let mut owners = BTreeMap::new();
        let unfinished = || table.leases.iter().filter(|lease| !lease.is_finished());
        unfinished().filter_map(Lease::holder).for_each(|owner| *owners.entry(owner).or_insert(0_usize) += 1);
        let unowned = unfinished().filter(|lease| lease.holder().is_none()).count();
        if unowned > 0 {
            said.push(format!("{unowned} unowned"));
        }
        if !table.unreadable.is_empty() {
            said.push(format!("{} unreadable", table.unreadable.len()));
        }
        said.extend(owners.iter().map(|(owner, count)| format!("{} holds {count}", visible(owner))));
    }
    if let Some(leader) = &table.leader {
        let name = visible(&leader.name);
        said.push(format!("a leader of the Kinesis Client Library has been here: {name}"));
    }
    said.join(", ")
}

/// `1 lease`, `2 leases`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
