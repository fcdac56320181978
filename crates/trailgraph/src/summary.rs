//! What a replay or a demo came to.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use crate::failure::Failure;
use crate::metrics::Metrics;

/// Prints results. Whoever closes the pipe has seen enough.
///
/// # Errors
/// When standard output cannot be written for another reason.
pub fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Running(anyhow::Error::from(error).context("print the result")))
        }
        _ => Ok(()),
    }
}

/// The summary that is printed at the end, on standard output.
#[must_use]
pub fn summary(metrics: &Metrics, sinks: &[String], took: Duration) -> String {
    let totals = metrics.totals();
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _written = writeln!(text, "  {name:<18}{value}");
    };
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = totals.records as f64 / took.as_secs_f64().max(0.001);
    line("records in", format!("{} in {:.1} s ({rate:.0} a second)", totals.records, took.as_secs_f64()));
    line("events applied", totals.applied.to_string());
    for (reason, count) in &totals.ignored {
        line("ignored", format!("{count} ({})", reason.replace('_', " ")));
    }
    if totals.not_permitted > 0 {
        line("not permitted", totals.not_permitted.to_string());
    }
    for (reason, count) in &totals.dead_letters {
        line("dead letters", format!("{count} ({})", reason.replace('_', " ")));
    }
    line("windows", totals.windows.to_string());
    line("rows saved", totals.saved.to_string());
    for sink in sinks {
        let written = metrics.snapshots(sink, "emitted");
        let same = metrics.snapshots(sink, "unchanged");
        line("snapshots out", format!("{written} to {sink} ({same} more were there already)"));
        if written > 0 {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let ratio = totals.applied as f64 / written as f64;
            line("coalescing", format!("{ratio:.1} events per snapshot"));
        }
    }
    if totals.contested > 0 {
        line("contested facets", format!("{} (two writes in one second)", totals.contested));
    }
    text
}

/// How long after its arrival an event was in the graph, for half of all snapshots and for all but one in a
/// hundred.
#[must_use]
pub fn freshness(metrics: &Metrics) -> Option<String> {
    let half = metrics.freshness_quantile("emit", 0.5)?;
    let most = metrics.freshness_quantile("emit", 0.99)?;
    Some(format!(
        "  {:<18}p50 {:.2} s, p99 {:.2} s from arrival to graph\n",
        "freshness",
        half.as_secs_f64(),
        most.as_secs_f64()
    ))
}
