//! How a lane acquires the claim on its JupiterOne account, and gives it up.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::claim::Words;
use super::client::Trouble;
use super::params::Mode;
use super::{JupiterOne, State, said};
use crate::outbox::OutboxError;
use crate::store::StateStore;

/// A claim that has not changed for so long is that of a dead worker.
const JOB_DEADLINE: Duration = Duration::from_secs(120);
/// What became of the job of a claim that stands still is asked this often.
const ASK_EVERY: Duration = Duration::from_secs(15);

impl JupiterOne {
    /// The words of a claim that is free; nothing where it is another's, who may be at it.
    pub(super) async fn free(
        &self,
        store: &dyn StateStore,
        state: &mut State,
    ) -> Result<Option<Option<String>>, OutboxError> {
        let Some(text) = store.claim(&self.fence).await? else { return Ok(Some(None)) };
        let words = Words::read(&text);
        if !words.held {
            state.sighting.forget();
            self.client.pace.lock().await.inherit(words.debt());
            return Ok(Some(Some(text)));
        }
        let is_old = state.sighting.of(&text) >= JOB_DEADLINE;
        // One whose job was never told has none that will ever be finalized.
        let is_over = match &words.job {
            Some(job) if is_old || state.sighting.is_due(ASK_EVERY) => self.is_over(job, is_old, &words.worker).await?,
            Some(_) => false,
            None => is_old,
        };
        if !is_over {
            return Ok(None);
        }
        let mut pace = self.client.pace.lock().await;
        let spent = pace.all();
        pace.inherit(spent);
        drop(pace);
        state.sighting.forget();
        Ok(Some(Some(text)))
    }

    /// Whether the job of a claim that stands still has ended. That of a worker that is taken for dead is aborted first.
    async fn is_over(&self, job: &str, is_old: bool, worker: &str) -> Result<bool, OutboxError> {
        if is_old {
            let account = &self.client.account;
            tracing::warn!(account, job, worker, "the claim of a worker that is gone: its job is aborted");
            // One that is finalizing or done cannot be aborted: how it is, is asked below.
            if let Err(trouble @ Trouble::Denied(_)) = self.client.abort(job, "its worker is gone").await {
                return Err(self.error(trouble).into());
            }
        }
        match self.client.status(job).await {
            Ok(found) => Ok(found.is_done()),
            Err(Trouble::NoJob) => Ok(true),
            Err(trouble) => Err(self.error(trouble).into()),
        }
    }

    /// Claims the account, starts a job on the scope, and says so; nothing where another worker was faster. That the
    /// claim is held before the job is started saves requests; what fences is that the job is told before rows are read.
    pub(super) async fn claim(
        &self,
        store: &dyn StateStore,
        seen: Option<&str>,
        scope: &str,
        stop: &CancellationToken,
    ) -> Result<Option<(String, Words)>, OutboxError> {
        let mut words = Words {
            worker: self.params.worker.clone(),
            held: true,
            job: None,
            scope: Some(scope.to_owned()),
            // No two holders ever write the same words.
            beat: seen.map_or(0, |seen| Words::read(seen).beat) + 1,
            debt_ms: self.debt_ms().await,
        };
        if !store.swap_claim(&self.fence, seen, &words.text()).await? {
            return Ok(None);
        }
        let mode = if self.params.mode == Mode::Diff { "DIFF" } else { "PATCH" };
        let job = match self.client.start(scope, mode, stop).await {
            Ok(job) => job.id,
            Err(trouble) => {
                self.let_go(store, &words).await;
                return Err(self.error(trouble).into());
            }
        };
        let held = words.clone();
        words.job = Some(job.clone());
        words.beat += 1;
        match store.swap_claim(&self.fence, Some(&held.text()), &words.text()).await {
            Ok(true) => Ok(Some((job, words))),
            Ok(false) => {
                self.give_up(&job, "another worker has taken the claim over").await;
                Ok(None)
            }
            Err(error) => {
                // Nobody else would know of the job.
                self.give_up(&job, "the claim could not tell of it").await;
                self.let_go(store, &held).await;
                Err(error.into())
            }
        }
    }

    pub(super) async fn let_go(&self, store: &dyn StateStore, held: &Words) {
        let beat = held.beat + 1;
        let free = Words { held: false, job: None, scope: None, beat, debt_ms: self.debt_ms().await, ..held.clone() };
        if let Err(error) = store.swap_claim(&self.fence, Some(&held.text()), &free.text()).await {
            let account = &self.client.account;
            tracing::warn!(%error, account, "the claim could not be freed; it is when it has stood still for long");
        }
    }

    async fn debt_ms(&self) -> u64 {
        u64::try_from(self.client.pace.lock().await.debt().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) async fn give_up(&self, job: &str, reason: &str) {
        if let Err(trouble) = self.client.abort(job, reason).await {
            tracing::debug!(account = self.client.account, job, why = said(trouble), "a job could not be aborted");
        }
    }
}
