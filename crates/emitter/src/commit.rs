//! The forward half of the protocol: save, then checkpoint.
//!
//! Each step consumes the one before it. A checkpoint can only be had from a [`Saved`], and that only from a
//! [`Sealed`] all of whose resources are stored.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use bucket_state::{Delta, Kind, ResourceId, ResourceState, belongs_to, contested};

use crate::accounts::Accounts;
use crate::row::{Mark, PendingMark, Row, SinkName, Stored, Version};
use crate::store::{Save, SaveOutcome, StateStore, StoreError};
use crate::window::Sealed;

/// Rows loaded and written together.
const BATCH: usize = 500;
const BACK_OFF_FIRST: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// A window every resource of which is stored.
#[derive(Debug)]
pub struct Saved<C> {
    cut: C,
    /// What the saves came to.
    pub report: SaveReport,
}

/// What became of a window's resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaveReport {
    /// Rows written and marked for every sink.
    pub saved: u64,
    /// Rows written without marks: every sink shows this already.
    pub deduplicated: u64,
    /// Merges that changed nothing, and wrote nothing.
    pub unchanged: u64,
    /// Writes that found the row moved, and were tried again.
    pub conflicts: u64,
    /// Facets that became contested.
    pub contested: u64,
    /// Arrival times (milliseconds since 1970) of the oldest event of each stored resource.
    pub arrived_ms: Vec<i64>,
}

impl<C> Sealed<C> {
    /// Merges each delta into its row, and writes what changed on the condition that the row has not moved. The
    /// store is asked until it answers; dropping the future gives up, and the cut is then not checkpointed.
    ///
    /// # Errors
    /// What waiting cannot mend: a row of a newer build, or a damaged one.
    pub async fn save(self, store: &dyn StateStore, clock: impl Fn() -> i64) -> Result<Saved<C>, StoreError> {
        let mut report = SaveReport::default();
        let mut left = self.deltas;
        let (mut failures, mut moved) = (0_u32, false);
        while !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(BATCH));
            match save_batch(&batch, store, moved, &clock, &mut report).await {
                Ok(conflicting) => {
                    failures = 0;
                    moved = conflicting.contains(&true);
                    left.extend(batch.into_iter().zip(conflicting).filter(|(_, again)| *again).map(|(delta, _)| delta));
                }
                Err(error) if error.is_transient() => {
                    left.extend(batch);
                    let wait = back_off(failures);
                    tracing::warn!(%error, wait_ms = wait.as_millis(), "states could not be saved; trying again");
                    failures += 1;
                    tokio::time::sleep(wait).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Saved { cut: self.cut, report })
    }
}

impl<C> Saved<C> {
    /// Hands the cut to whoever keeps checkpoints.
    ///
    /// # Errors
    /// The keeper's own: a later cut covers this one.
    pub async fn checkpoint<F, E>(self, keep: impl FnOnce(C) -> F) -> Result<SaveReport, E>
    where
        F: Future<Output = Result<(), E>>,
    {
        keep(self.cut).await.map(|()| self.report)
    }
}

/// Tells for each delta whether its row had moved. Nothing is counted before the store has answered. Rows that moved
/// under a former try are `anew` read as they are now.
async fn save_batch(
    batch: &[(ResourceId, Delta)],
    store: &dyn StateStore,
    anew: bool,
    clock: &impl Fn() -> i64,
    report: &mut SaveReport,
) -> Result<Vec<bool>, StoreError> {
    let ids: Vec<ResourceId> = batch.iter().map(|(id, _)| id.clone()).collect();
    let sinks = store.sinks().await?;
    let stored = if anew { store.load(&ids).await? } else { store.load_bases(&ids).await? };
    let merged: Vec<Option<Merged>> =
        batch.iter().zip(stored).map(|((id, delta), stored)| Merged::of(id, delta, stored, &sinks)).collect();
    let quiet = merged.iter().zip(&ids).filter_map(|(merged, id)| Some((id, &merged.as_ref()?.quiet()?.state)));
    let accounts = Accounts::read(store, quiet).await?;

    let now_ms = clock();
    let mut saves = Vec::new();
    let mut decisions = Vec::with_capacity(batch.len());
    for ((id, delta), merged) in batch.iter().zip(merged) {
        decisions.push(merged.map(|merged| {
            let newly_contested = merged.newly_contested;
            let save = merged.decide(id, delta, &accounts, &sinks, now_ms);
            let marked = save.mark.is_some();
            saves.push(save);
            (marked, newly_contested)
        }));
    }
    let mut outcomes = if saves.is_empty() { Vec::new() } else { store.save(saves).await? }.into_iter();

    let mut again = vec![false; batch.len()];
    for (place, decision) in decisions.into_iter().enumerate() {
        let (_, delta) = &batch[place];
        let Some((marked, newly_contested)) = decision else {
            report.unchanged += 1;
            report.arrived_ms.push(delta.arrived_ms);
            continue;
        };
        if let Some(SaveOutcome::Saved(_)) = outcomes.next() {
            *(if marked { &mut report.saved } else { &mut report.deduplicated }) += 1;
            report.contested += newly_contested;
            report.arrived_ms.push(delta.arrived_ms);
        } else {
            report.conflicts += 1;
            again[place] = true;
        }
    }
    Ok(again)
}

/// A delta merged into what is stored, where that changes anything.
struct Merged {
    based_on: Version,
    state: ResourceState,
    /// The row's progress by sink; nothing where there was no row, or none that could be read.
    marks: Option<BTreeMap<SinkName, Mark>>,
    /// The stored state is damaged.
    set_aside: bool,
    /// Facets that became contested.
    newly_contested: u64,
    /// The account that the stored row belongs to.
    former_account: Option<ResourceId>,
}

impl Merged {
    fn of(id: &ResourceId, delta: &Delta, stored: Stored, sinks: &[SinkName]) -> Option<Self> {
        let based_on = stored.version();
        let anew = |set_aside| {
            let state = delta.state.clone();
            let newly_contested = contested(id, &state).len() as u64;
            Self { based_on, state, marks: None, set_aside, newly_contested, former_account: None }
        };
        let Row { mut state, marks, .. } = match stored {
            Stored::Row(row) => *row,
            Stored::Nothing => return Some(anew(false)),
            Stored::Damaged { message, .. } => {
                tracing::error!(
                    resource = %id,
                    message,
                    "the stored state is damaged: it is kept aside and begun anew; replay the trail's files to restore it"
                );
                return Some(anew(true));
            }
        };
        let (before, former_account) = (contested(id, &state), belongs_to(id, &state));
        // A row without a mark for a sink was first saved while that was being added, by a worker that did not know.
        let told = |sink| marks.contains_key(sink);
        if !state.merge(delta.state.clone()) && sinks.iter().all(told) {
            return None;
        }
        let after = contested(id, &state);
        let newly_contested = after.iter().filter(|facet| !before.contains(facet)).count() as u64;
        Some(Self { based_on, state, marks: Some(marks), set_aside: false, newly_contested, former_account })
    }

    /// The merged row, if it is pending for no sink: only then may it be saved without marks.
    fn quiet(&self) -> Option<&Self> {
        self.marks.as_ref().is_some_and(Row::is_quiet).then_some(self)
    }

    /// Judges whether the outbox must hear of it. What is set for an account shows in its buckets, so its change is
    /// always told.
    fn decide(self, id: &ResourceId, delta: &Delta, accounts: &Accounts, sinks: &[SinkName], now_ms: i64) -> Save {
        let shown = id.kind() != Kind::Account
            && self.quiet().is_some()
            && Row::shows(self.marks.as_ref(), &accounts.project(id, &self.state).digest(), sinks);
        let mark = PendingMark { since_ms: now_ms, arrived_ms: delta.arrived_ms, happened_ms: delta.happened_ms };
        let account = belongs_to(id, &self.state);
        Save {
            resource: id.clone(),
            based_on: self.based_on,
            former_account: self.former_account.filter(|former| Some(former) != account.as_ref()),
            account,
            state: self.state,
            mark: (!shown).then_some(mark),
            set_aside: self.set_aside,
        }
    }
}

/// Full jitter: anything up to a bound that doubles with each failure in a row.
pub(crate) fn back_off(failures: u32) -> Duration {
    let bound = BACK_OFF_FIRST.saturating_mul(1 << failures.min(16)).min(BACK_OFF_MAX);
    bound.mul_f64(fastrand::f64())
}
