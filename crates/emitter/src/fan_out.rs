//! What an account's change means for its buckets: each is marked pending, for it is shown otherwise now.
//!
//! The row of a changed account is saved with a mark of its own, which is cleared when every member has been marked
//! after it. So a crash in between loses nothing: whoever finds the mark goes through the members again. Marking counts
//! the version up, also of a member that is pending already: its emission may have read the old account row, and is now
//! an older one.

use std::time::Duration;

use bucket_state::Kind;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commit::back_off;
use crate::row::PendingMark;
use crate::store::{FanOut, StateStore, StoreError};

/// Members marked together.
const BATCH: usize = 500;
/// What dead workers left is looked for this often.
const SWEEP: Duration = Duration::from_secs(5);

/// What one pass over the changed accounts came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FanOutReport {
    /// Accounts all of whose members have been marked.
    pub accounts: u64,
    /// Rows marked. One that another account owns by now is among them, and is emitted as it was.
    pub marked: u64,
}

/// Whose fan-outs a worker works on, and until when.
pub struct FanOutWork<'a> {
    /// Where the rows are.
    pub store: &'a dyn StateStore,
    /// The worker: what it saved itself is marked at once …
    pub worker: &'a str,
    /// … and what others saved after this time, since they may be dead.
    pub adopt_after: Duration,
    /// Tells the time, in milliseconds since 1970.
    pub clock: &'a (dyn Fn() -> i64 + Sync),
}

impl FanOutWork<'_> {
    /// Marks every member of every account that has changed. After `stop`, leaves the rest to whoever comes next.
    ///
    /// # Errors
    /// [`StoreError`]; what is not cleared is done again.
    pub async fn pass(&self, stop: &CancellationToken) -> Result<FanOutReport, StoreError> {
        let mut report = FanOutReport::default();
        for change in self.claim().await? {
            if !self.mark_members(&change, stop, &mut report).await? {
                break;
            }
            self.store.end_fan_out(&change).await?;
            report.accounts += 1;
        }
        Ok(report)
    }

    /// What this worker is to do; done again meanwhile, it keeps others from taking it over.
    async fn claim(&self) -> Result<Vec<FanOut>, StoreError> {
        let (now_ms, adopt_after) = ((self.clock)(), i64::try_from(self.adopt_after.as_millis()).unwrap_or(i64::MAX));
        self.store.claim_fan_outs(self.worker, now_ms.saturating_sub(adopt_after), now_ms).await
    }

    /// Tells whether all were marked.
    async fn mark_members(
        &self,
        change: &FanOut,
        stop: &CancellationToken,
        report: &mut FanOutReport,
    ) -> Result<bool, StoreError> {
        let mut after = None;
        loop {
            let mut members = self.store.members(&change.account, after.as_ref(), BATCH).await?;
            let Some(last) = members.last() else { return Ok(true) };
            if stop.is_cancelled() {
                return Ok(false);
            }
            after = Some(last.clone());
            // What is set for the account has no say in how its access points look.
            members.retain(|member| member.kind() == Kind::Bucket);
            // They wait since now: the news of a large account must not go before that of all others.
            let mark = PendingMark { since_ms: (self.clock)(), ..change.mark };
            report.marked += self.store.mark(&members, mark).await?;
            self.claim().await?;
        }
    }

    /// Works when it is asked to by `wake`, and from time to time by itself, until `stop`. Calls `tell` after each pass
    /// that marked anything.
    ///
    /// # Errors
    /// What waiting cannot mend.
    pub async fn run(
        &self,
        wake: &Notify,
        stop: &CancellationToken,
        tell: impl Fn(&FanOutReport),
    ) -> Result<(), StoreError> {
        let mut failures = 0_u32;
        while !stop.is_cancelled() {
            let wait = match self.pass(stop).await {
                Ok(report) => {
                    failures = 0;
                    if report != FanOutReport::default() {
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
                biased;
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// Goes on until nothing is left for this worker; gives up when the store has failed for longer than `patience`.
    ///
    /// # Errors
    /// The failure that it gave up at.
    pub async fn drain(&self, patience: Duration) -> Result<FanOutReport, StoreError> {
        let (mut total, mut failing_since, mut failures) = (FanOutReport::default(), None, 0_u32);
        loop {
            match self.pass(&CancellationToken::new()).await {
                Ok(report) if report == FanOutReport::default() => return Ok(total),
                Ok(FanOutReport { accounts, marked }) => {
                    total.accounts += accounts;
                    total.marked += marked;
                    (failing_since, failures) = (None, 0);
                }
                Err(error) if error.is_transient() => {
                    if failing_since.get_or_insert_with(Instant::now).elapsed() >= patience {
                        return Err(error);
                    }
                    tracing::warn!(%error, "the buckets of changed accounts could not all be marked; trying again");
                    tokio::time::sleep(back_off(failures)).await;
                    failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
