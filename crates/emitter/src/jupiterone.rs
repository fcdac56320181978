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

mod claim;
mod client;
mod http;
mod pace;
mod shape;
mod turn;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bucket_state::{Kind, ResourceId, ResourceState, belongs_to};
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::outbox::OutboxError;
use crate::row::{Generation, SinkName, Stored, Version};
use crate::sink::{Emission, GraphSink, Observe, SinkError, Turn, Verdict};
use crate::store::{StateStore, StoreError};
use claim::{Sighting, Words};
use client::{Client, Trouble};
use pace::Pace;
use turn::{Aim, Fence, Open, Refused};

pub use client::JUPITERONE_STATUSES;
pub use http::{Header, Http, Request, Reqwest, Response};

/// A claim that has not changed for so long is that of a dead worker.
const JOB_DEADLINE: Duration = Duration::from_secs(120);
/// What became of the job of a claim that stands still is asked this often.
const ASK_EVERY: Duration = Duration::from_secs(15);
/// A scope whose turn has failed stands behind the others for so long.
const RESTS_FOR: Duration = Duration::from_secs(60);
/// Pending rows that are looked at together, to find one that a lane takes.
const LOOK_AT: usize = 500;
/// Members of an account listed together.
const MEMBERS: usize = 1_000;
/// What is rejected is remembered, so that it is not sent again as it is; so much at the most.
const REFUSED_MOST: usize = 10_000;

/// A JupiterOne account with a key to it.
#[derive(Clone, Debug)]
pub struct Route {
    /// The account's id.
    pub account: String,
    /// An API key.
    pub key: SecretString,
}

/// What a job replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that belongs to an AWS account: few requests, however many buckets have changed.
    Account,
    /// One bucket: small requests, and four or so for each bucket that has changed.
    Bucket,
}

/// How a job changes its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It replaces it.
    Diff,
    /// It adds properties to the entities of this scope, which others own, and deletes nothing.
    Patch {
        /// The scope.
        scope: String,
    },
}

/// How JupiterOne is reached.
#[derive(Clone)]
pub struct JupiterOneParams {
    /// The name under which progress is kept.
    pub name: SinkName,
    /// Tells this API from others in claims, such as `api.us.jupiterone.io`.
    pub host: String,
    /// Carries requests.
    pub http: Arc<dyn Http>,
    /// The account for all AWS accounts that are not routed otherwise.
    pub default: Option<Route>,
    /// The account of an AWS account.
    pub routes: BTreeMap<String, Route>,
    /// What a job replaces.
    pub scope: Scope,
    /// How.
    pub mode: Mode,
    /// Requests a minute to each account, at the most.
    pub requests_per_minute: u32,
    /// This worker, as claims tell it to people.
    pub worker: String,
    /// Hears of the traffic.
    pub observe: Observe,
}

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

    /// Where a row goes, and whether that is this lane.
    fn takes(&self, id: &ResourceId, state: &ResourceState) -> Takes {
        let owner = if id.kind() == Kind::Account { Some(id.clone()) } else { belongs_to(id, state) };
        let nobody = |why: String| if self.is_default { Takes::Nobody(why) } else { Takes::Not };
        let Some(owner) = owner else { return nobody("no event has told yet which account owns it".to_owned()) };
        match self.params.routes.get(owner.name()).or(self.params.default.as_ref()) {
            Some(route) if route.account == self.client.account => Takes::Of(owner),
            Some(_) => Takes::Not,
            None => nobody(format!(
                "no JupiterOne account is set for AWS account {}: set --jupiterone-account, or \"jupiterone\" in the \
                 permit file",
                owner.name()
            )),
        }
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

    /// What the next turn is about: the first of the pending rows that this lane takes. A scope whose last turn has failed
    /// stands behind the others for a while, so that its trouble is not theirs.
    async fn aim(
        &self,
        store: &dyn StateStore,
        pending: &[ResourceId],
        resting: &BTreeMap<String, Instant>,
    ) -> Result<Option<Aim>, StoreError> {
        let (mut unshown, mut patched, mut rested) = (BTreeMap::new(), Vec::new(), None);
        for ids in pending.chunks(LOOK_AT) {
            for (id, stored) in ids.iter().zip(store.load(ids).await?) {
                let row = match stored {
                    Stored::Row(row) => row,
                    // Whose it is cannot be told; that it cannot be shown is.
                    Stored::Damaged { version, message } if self.is_default => {
                        unshown.insert(id.clone(), (version, message));
                        continue;
                    }
                    Stored::Damaged { .. } | Stored::Nothing => continue,
                };
                let owner = match self.takes(id, &row.state) {
                    Takes::Not => continue,
                    Takes::Of(owner) => owner,
                    Takes::Nobody(why) => {
                        unshown.insert(id.clone(), (row.version, why));
                        continue;
                    }
                };
                let aim = match (&self.params.mode, self.params.scope) {
                    (Mode::Patch { .. }, _) => {
                        patched.push(id.clone());
                        continue;
                    }
                    (Mode::Diff, Scope::Account) => Aim::Account(owner),
                    (Mode::Diff, Scope::Bucket) => Aim::Resource { id: id.clone(), owner },
                };
                let rests =
                    aim.scope().and_then(|scope| resting.get(&scope)).is_some_and(|until| *until > Instant::now());
                if !rests {
                    return Ok(Some(aim));
                }
                rested.get_or_insert(aim);
            }
            if !unshown.is_empty() || !patched.is_empty() {
                break;
            }
        }
        Ok(match &self.params.mode {
            Mode::Patch { scope } if !patched.is_empty() => {
                Some(Aim::Patch { scope: scope.clone(), resources: patched })
            }
            _ if !unshown.is_empty() => Some(Aim::Unshown(unshown)),
            _ => rested,
        })
    }

    /// The words of a claim that is free; nothing where it is another's, who may be at it.
    async fn free(&self, store: &dyn StateStore, state: &mut State) -> Result<Option<Option<String>>, OutboxError> {
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
    async fn claim(
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

    async fn let_go(&self, store: &dyn StateStore, held: &Words) {
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

    async fn give_up(&self, job: &str, reason: &str) {
        if let Err(trouble) = self.client.abort(job, reason).await {
            tracing::debug!(account = self.client.account, job, why = said(trouble), "a job could not be aborted");
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
}

/// Keeps what was rejected, so that it is not sent again as it is.
fn remember(refused: &mut Refused, rejected: &[upload::Rejected]) {
    for upload::Rejected { key, version, .. } in rejected {
        if refused.len() < REFUSED_MOST || refused.contains_key(key) {
            refused.insert(key.clone(), *version);
        }
    }
}

/// Whose a row is.
enum Takes {
    Not,
    Of(ResourceId),
    /// No JupiterOne account shows it, for this reason, and this lane says so.
    Nobody(String),
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
            // The scopes of buckets that have left this account are shown without them.
            let owner = owner.clone();
            let told = |failed: turn::Failed| failed.of(|trouble| self.error(trouble));
            let members = self.members(store, &owner).await?;
            for buckets in members[1..].chunks(LOOK_AT) {
                open.beat(&fence).await.map_err(told)?;
                for (bucket, stored) in buckets.iter().zip(store.load(buckets).await?) {
                    // A damaged row does not tell that its bucket has left.
                    let Some((version, now)) =
                        stored.row().and_then(|row| Some((row.version, belongs_to(bucket, &row.state)?)))
                    else {
                        continue;
                    };
                    let left = (owner.to_string(), bucket.clone());
                    // At another version it may have come back, and left again.
                    if now != owner && emptied.get(&left) != Some(&version) {
                        open.empty(&fence, &turn::scope_of(bucket, &owner)).await.map_err(told)?;
                        emptied.insert(left, version);
                    }
                }
            }
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
