//! Whether a worker is alive: its leases' counters move.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use shard_consumer::{Lease, LeaseStore, LeaseTable, ShardId};
use tokio::time::Instant;

use super::rewind::again;
use super::show::counted;
use super::sorted;
use crate::failure::Failure;

/// The table is looked at as often as this in the failover time, within the bounds below.
const LOOKS: u32 = 10;
const LOOK_LEAST: Duration = Duration::from_millis(50);
const LOOK_MOST: Duration = Duration::from_secs(1);

/// The table, once no holder of a lease in it has shown a sign of life for `failover_after`; else the lease of one that
/// has. Where nobody holds a lease there is nothing to wait for.
pub(super) async fn for_signs_of_life(
    store: &dyn LeaseStore,
    failover_after: Duration,
) -> Result<Result<LeaseTable, Lease>, Failure> {
    let first = sorted(again(async || store.list().await).await?);
    let seen: HashMap<&ShardId, &Lease> = first.leases.iter().map(|lease| (&lease.shard, lease)).collect();
    let until = Instant::now() + failover_after;
    let mut table = first.clone();
    let progress = Progress(std::io::stderr().is_terminal());
    loop {
        let held = table.leases.iter().filter(|lease| is_held(lease)).count();
        let left = until.saturating_duration_since(Instant::now());
        if held == 0 || left.is_zero() {
            return Ok(Ok(table));
        }
        progress.show(held, left);
        tokio::time::sleep(left.min((failover_after / LOOKS).clamp(LOOK_LEAST, LOOK_MOST))).await;
        table = sorted(again(async || store.list().await).await?);
        let is_same = |lease: &Lease| seen.get(&lease.shard).is_some_and(|seen| seen.is_unchanged(lease));
        if let Some(alive) = table.leases.iter().find(|lease| is_held(lease) && !is_same(lease)) {
            return Ok(Err(alive.clone()));
        }
    }
}

/// The row of a finished shard keeps its last owner, who renews it no more.
fn is_held(lease: &Lease) -> bool {
    lease.holder().is_some() && !lease.is_finished()
}

/// One line that changes, on a terminal only.
struct Progress(bool);

impl Progress {
    fn show(&self, held: usize, left: Duration) {
        if self.0 {
            let (held, left) = (counted(held, "lease"), left.as_secs() + 1);
            eprint!("\r\x1b[2K{held} with an owner: watching for {left} s whether a worker renews one");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.0 {
            eprint!("\r\x1b[2K");
        }
    }
}
