//! The graph in JupiterOne.
//!
//! JupiterOne cannot compare: whatever is finalized last stands. So a worker emits to a JupiterOne account only while it
//! holds the account's claim, and a turn goes
//!
//! ```text
//! begin: claim free ─▶ hold it ─▶ start a job ─▶ tell it      (lost: abort the job)
//!        rows are read from here on
//! replace: upload, chunk by chunk; each counts the claim up   (lost: abort the job)
//! commit: count the claim up ─▶ finalize ─▶ poll to the end
//!        marks are cleared
//! end: free the claim                                         (failed: abort the job, free the claim)
//! ```
//!
//! The claim of a worker that is gone is freed by aborting its job and polling until that is done: what that worker may
//! still send finds a job that takes nothing any more.

mod acquire;
mod choice;
mod claim;
mod client;
mod http;
mod pace;
mod params;
mod shape;
mod turn;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bucket_state::{ResourceId, belongs_to};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outbox::OutboxError;
use crate::row::{Generation, SinkName, Version};
use crate::sink::{Emission, GraphSink, SinkError, Turn, Verdict};
use crate::store::{StateStore, StoreError};
use claim::Sighting;
use client::{Client, Trouble};
use pace::Pace;
use turn::{Aim, Fence, Open, Refused};

pub use client::JUPITERONE_STATUSES;
pub use http::{Header, Http, Request, Reqwest, Response};
pub use params::{JupiterOneParams, Mode, Route, Scope};

/// A scope whose turn has failed stands behind the others for so long.
const RESTS_FOR: Duration = Duration::from_secs(60);
/// Pending rows that are looked at together, to find one that a lane takes.
const LOOK_AT: usize = 500;
/// Members of an account listed together.
const MEMBERS: usize = 1_000;
/// What is rejected is remembered, so that it is not sent again as it is; so much at the most.
const REFUSED_MOST: usize = 10_000;

/// One JupiterOne account of a sink: a lane of its own, so that no account's trouble or pace holds back another's.
pub struct JupiterOne {
    params: JupiterOneParams,
    client: Client,
    fence: String,
    /// Whether this lane takes the AWS accounts that are not routed, and speaks for those that nobody takes.
    is_default: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    sighting: Sighting,
    refused: Refused,
    /// Until when scopes stand behind others, since their last turn failed.
    resting: BTreeMap<String, Instant>,
    /// Buckets whose former account has been told, and their versions then.
    emptied: BTreeMap<(String, ResourceId), Version>,
}

impl JupiterOne {
    /// A lane for each JupiterOne account, all of one name.
    #[must_use]
    pub fn lanes(params: &JupiterOneParams) -> Vec<Arc<dyn GraphSink>> {
        let default = params.default.as_ref().map(|route| route.account.clone());
        let routes = params.default.iter().chain(params.routes.values());
        let accounts: BTreeMap<&str, &Route> = routes.rev().map(|route| (route.account.as_str(), route)).collect();
        let first = accounts.keys().next().map(|first| (*first).to_owned());
        let speaks_for_all = default.or(first);
        let lane = |(account, route): (&str, &Route)| {
            let client = Client {
                http: Arc::clone(&params.http),
                account: account.to_owned(),
                key: route.key.clone(),
                pace: Mutex::new(Pace::of(params.requests_per_minute)),
                observe: Arc::clone(&params.observe),
            };
            let fence = format!("jupiterone:{}/{account}", params.host);
            let is_default = speaks_for_all.as_deref() == Some(account);
            let lane = Self { params: params.clone(), client, fence, is_default, state: Mutex::default() };
            Arc::new(lane) as Arc<dyn GraphSink>
        };
        accounts.into_iter().map(lane).collect()
    }

    fn error(&self, trouble: Trouble) -> SinkError {
        let sink = self.params.name.clone();
        match trouble {
            Trouble::Denied(message) => SinkError::Denied { sink, message },
            other => SinkError::Down {
                sink,
                message: format!("JupiterOne account {}: {}", self.client.account, said(other)),
            },
        }
    }

    /// Everything of an account, as far as the store knows.
    async fn members(&self, store: &dyn StateStore, account: &ResourceId) -> Result<Vec<ResourceId>, StoreError> {
        let mut all = vec![account.clone()];
        loop {
            let after = all.last().filter(|_| all.len() > 1);
            let more = store.members(account, after, MEMBERS).await?;
            if more.is_empty() {
                return Ok(all);
            }
            all.extend(more);
        }
    }

    /// Shows the scopes of buckets that have left this account without them.
    async fn empty_what_has_left(
        &self,
        fence: &Fence<'_>,
        owner: &ResourceId,
        open: &mut Open,
        emptied: &mut BTreeMap<(String, ResourceId), Version>,
    ) -> Result<(), OutboxError> {
        let told = |failed: turn::Failed| failed.of(|trouble| self.error(trouble));
        let members = self.members(fence.store, owner).await?;
        for buckets in members[1..].chunks(LOOK_AT) {
            open.beat(fence).await.map_err(told)?;
            for (bucket, stored) in buckets.iter().zip(fence.store.load(buckets).await?) {
                // A damaged row does not tell that its bucket has left.
                let Some((version, now)) =
                    stored.row().and_then(|row| Some((row.version, belongs_to(bucket, &row.state)?)))
                else {
                    continue;
                };
                let left = (owner.to_string(), bucket.clone());
                // At another version it may have come back, and left again.
                if now != *owner && emptied.get(&left) != Some(&version) {
                    open.empty(fence, &turn::scope_of(bucket, owner)).await.map_err(told)?;
                    emptied.insert(left, version);
                }
            }
        }
        Ok(())
    }
}

/// Keeps what was rejected, so that it is not sent again as it is.
fn remember(refused: &mut Refused, rejected: &[upload::Rejected]) {
    for upload::Rejected { key, version, .. } in rejected {
        if refused.len() < REFUSED_MOST || refused.contains_key(key) {
            refused.insert(key.clone(), *version);
        }
    }
}

fn said(trouble: Trouble) -> String {
    match trouble {
        Trouble::Denied(why) | Trouble::Down(why) | Trouble::Refused(why) => why,
        Trouble::Stopped => "this worker stops; the next one goes on".into(),
        Trouble::NotAwaiting => "the job takes no uploads any more; a new one is started".into(),
        Trouble::TooLarge => "a request was too large".into(),
        Trouble::NoJob => "there is no such job any more".into(),
    }
}

#[async_trait]
impl GraphSink for JupiterOne {
    fn name(&self) -> &SinkName {
        &self.params.name
    }

    /// JupiterOne keeps nothing by which one graph could be told from another.
    fn instance(&self) -> &str {
        "jupiterone"
    }

    async fn check(&self) -> Result<String, SinkError> {
        match self.client.status("00000000-0000-0000-0000-000000000000").await {
            Ok(_) | Err(Trouble::NoJob | Trouble::Refused(_)) => {
                Ok(format!("the key of JupiterOne account {} is taken", self.client.account))
            }
            Err(trouble) => Err(self.error(trouble)),
        }
    }

    /// Other lanes' rows may wait for longer than all of this one's.
    fn looks_ahead(&self) -> bool {
        !self.params.routes.is_empty()
    }

    async fn begin(
        &self,
        store: &dyn StateStore,
        pending: Vec<ResourceId>,
        stop: &CancellationToken,
    ) -> Result<Option<Turn>, OutboxError> {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let mut state = self.state.lock().await;
        let Some(aim) = self.aim(store, &pending, &state.resting).await? else { return Ok(None) };
        let Some(scope) = aim.scope() else {
            let turn = Turn { resources: aim.resources(), account: None };
            state.open = Some(Open::without_job(aim, stop));
            return Ok(Some(turn));
        };
        let Some(seen) = self.free(store, &mut state).await? else { return Ok(None) };
        let claimed = self.claim(store, seen.as_deref(), &scope, stop).await;
        if claimed.as_ref().is_err_and(OutboxError::is_transient) {
            state.resting.insert(scope, Instant::now() + RESTS_FOR);
        }
        let Some((job, words)) = claimed? else { return Ok(None) };
        let mut open = Open::of(aim, job, words, stop);
        // From here on the claim is held: whatever fails, the caller does not end a turn that has not begun.
        let resources = match &open.aim {
            Aim::Account(account) => match self.members(store, account).await {
                Ok(members) => members,
                Err(error) => {
                    state.open = Some(open);
                    drop(state);
                    self.end(store).await;
                    return Err(error.into());
                }
            },
            aim => aim.resources(),
        };
        open.may_own = resources.iter().map(ToString::to_string).collect();
        let account = match &open.aim {
            Aim::Account(account) => Some(account.clone()),
            _ => None,
        };
        state.open = Some(open);
        Ok(Some(Turn { resources, account }))
    }

    async fn replace(&self, _generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let mut state = self.state.lock().await;
        let State { open, refused, .. } = &mut *state;
        let Some(open) = open else {
            return Err(self.error(Trouble::Down("a turn must begin first".into())));
        };
        if let Aim::Unshown(why) = &open.aim {
            let verdict = |emission: &Emission| match why.get(&emission.snapshot.resource) {
                Some((version, why)) if *version == emission.version => Ok(Verdict::Rejected(why.clone())),
                _ => Err(self.error(Trouble::Down("a row has changed meanwhile".into()))),
            };
            return emissions.iter().map(verdict).collect();
        }
        for emission in emissions {
            if let Aim::Resource { owner, .. } = &open.aim
                && shape::owner(&emission.snapshot).is_some_and(|now| now != owner.name())
            {
                // It would be shown in the scope of an account that it has just left.
                return Err(self.error(Trouble::Down("a bucket has changed hands meanwhile".into())));
            }
            open.take(&self.client, emission, refused).await.map_err(|trouble| self.error(trouble))?;
        }
        Ok(vec![Verdict::Applied; emissions.len()])
    }

    async fn hold(&self, store: &dyn StateStore) -> Result<(), OutboxError> {
        let mut state = self.state.lock().await;
        let Some(open) = state.open.as_mut().filter(|open| open.has_job()) else { return Ok(()) };
        let fence = Fence { client: &self.client, store, name: &self.fence };
        open.beat(&fence).await.map_err(|failed| failed.of(|trouble| self.error(trouble)))
    }

    async fn commit(&self, store: &dyn StateStore) -> Result<Vec<(ResourceId, String)>, OutboxError> {
        let mut state = self.state.lock().await;
        let State { open, refused, emptied, .. } = &mut *state;
        let Some(open) = open.as_mut().filter(|open| open.has_job()) else { return Ok(Vec::new()) };
        if !open.has_received() {
            // Nothing is pending any more: another worker was faster. An empty job would empty the scope.
            return Ok(Vec::new());
        }
        let fence = Fence { client: &self.client, store, name: &self.fence };
        open.finish(&fence).await.map_err(|failed| failed.of(|trouble| self.error(trouble)))?;
        if let Aim::Resource { id, owner } = &open.aim
            && id == owner
        {
            let owner = owner.clone();
            self.empty_what_has_left(&fence, &owner, open, emptied).await?;
        }
        remember(refused, &open.rejected);
        Ok(open.rejected.drain(..).map(|part| (part.resource, format!("{}: {}", part.key, part.why))).collect())
    }

    async fn end(&self, store: &dyn StateStore) {
        let mut state = self.state.lock().await;
        let Some(open) = state.open.take().filter(Open::has_job) else { return };
        // What a turn that failed has found need not be found again.
        remember(&mut state.refused, &open.rejected);
        state.resting.retain(|_, until| *until > Instant::now());
        if let Some(scope) = open.aim.scope().filter(|_| !open.has_succeeded()) {
            state.resting.insert(scope, Instant::now() + RESTS_FOR);
        }
        if open.may_be_finalizing() {
            // It is for whoever comes next to see how it ended: until then, the claim says that it is open.
            return;
        }
        if !open.is_done() {
            self.give_up(&open.job, "its turn has failed").await;
        }
        self.let_go(store, &open.words).await;
    }
}
