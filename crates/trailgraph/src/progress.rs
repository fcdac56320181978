//! One line that changes, on a terminal only.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};

use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_millis(200);

/// Shows what has been read, folded and emitted, until the guard is dropped.
#[must_use]
pub fn show(metrics: &Arc<Metrics>, sinks: &[String]) -> DropGuard {
    let ended = CancellationToken::new();
    if std::io::stderr().is_terminal() {
        let (ended, metrics, sinks) = (ended.clone(), Arc::clone(metrics), sinks.to_vec());
        tokio::spawn(async move {
            while ended.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
                let totals = metrics.totals();
                let emitted: u64 = sinks.iter().map(|sink| metrics.snapshots(sink, "emitted")).sum();
                let mut out = std::io::stderr().lock();
                let _shown = write!(
                    out,
                    "\r\x1b[2K{} records, {} events applied, {} rows saved, {emitted} snapshots",
                    totals.records, totals.applied, totals.saved
                );
            }
            eprint!("\r\x1b[2K");
        });
    }
    ended.drop_guard()
}
