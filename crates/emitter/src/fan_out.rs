//! What an account's change means for its buckets: each is marked pending, for it is shown otherwise now.
//!
//! The row of a changed account is saved with a mark of its own, which is cleared when every member has been marked
//! after it. So a crash in between loses nothing: whoever finds the mark goes through the members again. Marking counts
//! the version up, also of a member that is pending already: its emission may have read the old account row, and is now
//! an older one.

use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::commit::back_off;
use crate::store::{StateStore, StoreError};

/// Members marked together.
const BATCH: usize = 500;
/// Marks of dead workers are looked for this often.
const SWEEP: Duration = Duration::from_secs(5);

/// What one pass over the changed accounts came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FanOutReport {
    /// Accounts all of whose members have been marked.
    pub accounts: u64,
    /// Rows marked. One that another account owns by now is among them, and is emitted as it was.
    pub marked: u64,
}

/// Marks every member of every account that has changed.
///
/// # Errors
/// [`StoreError`]; what is not cleared is done again.
pub async fn fan_out(store: &dyn StateStore) -> Result<FanOutReport, StoreError> {
    let mut report = FanOutReport::default();
    for change in store.fan_outs().await? {
        let mut after = None;
        loop {
            let members = store.members(&change.account, after.as_ref(), BATCH).await?;
            let Some(last) = members.last() else { break };
            after = Some(last.clone());
            report.marked += store.mark(&members, change.mark).await?;
        }
        store.end_fan_out(&change).await?;
        report.accounts += 1;
    }
    Ok(report)
}

/// Works when it is asked to by `wake`, and from time to time by itself, until `stop`. Calls `tell` after each pass
/// that found anything.
///
/// # Errors
/// What waiting cannot mend.
pub async fn run_fan_out(
    store: &dyn StateStore,
    wake: &Notify,
    stop: &CancellationToken,
    tell: impl Fn(&FanOutReport),
) -> Result<(), StoreError> {
    let mut failures = 0_u32;
    loop {
        let wait = match fan_out(store).await {
            Ok(report) => {
                failures = 0;
                if report.accounts > 0 {
                    tell(&report);
                }
                SWEEP.mul_f64(0.5 + fastrand::f64() / 2.0)
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the buckets of changed accounts could not all be marked; trying again");
                failures += 1;
                back_off(failures - 1)
            }
            Err(error) => return Err(error),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = wake.notified() => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
