//! Writes generated events to standard output, one JSON object a line:
//! `cargo run --release --example generate -- --events 5000 --buckets 150 --seed 7 > events.jsonl`

use std::io::{BufWriter, Write, stdout};

use anyhow::{Context, Result};
use clap::Parser;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trailgraph::generate::Traffic;

#[derive(Parser)]
struct Arguments {
    /// How many events
    #[arg(long, default_value_t = Traffic::default().events)]
    events: u64,
    /// How many bucket names
    #[arg(long, default_value_t = Traffic::default().buckets)]
    buckets: u32,
    /// The same seed gives the same events
    #[arg(long, default_value_t = Traffic::default().seed)]
    seed: u64,
    /// The time of the first event: epoch milliseconds, or RFC 3339
    #[arg(long, value_parser = epoch_ms, default_value = "2026-03-01T00:00:00Z")]
    start_ms: i64,
    /// The event time from one event to the next, in milliseconds
    #[arg(long, default_value_t = Traffic::default().spacing_ms)]
    spacing_ms: u32,
}

fn epoch_ms(text: &str) -> Result<i64> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).context("neither epoch milliseconds nor RFC 3339")?;
    Ok(time.unix_timestamp() * 1_000 + i64::from(time.millisecond()))
}

fn main() -> Result<()> {
    let Arguments { events, buckets, seed, start_ms, spacing_ms } = Arguments::parse();
    let mut out = BufWriter::with_capacity(1 << 20, stdout().lock());
    for event in (Traffic { seed, events, buckets, start_ms, spacing_ms }).generate() {
        out.write_all(&event.body)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}
