//! One turn: what it is about, what has been taken, and how it becomes a finished job.

use std::collections::BTreeMap;
use std::time::Duration;

use bucket_state::{Kind, Relationship, ResourceId};
use tokio_util::sync::CancellationToken;

use super::claim::Words;
use super::client::{Client, Job, Trouble};
use super::shape::{self, Keys};
use super::upload::{self, ENTITIES, Part, RELATIONSHIPS, Rejected, Upload};
use crate::outbox::OutboxError;
use crate::row::Version;
use crate::sink::{Emission, SinkError};
use crate::store::{StateStore, StoreError};

const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_MOST: Duration = Duration::from_secs(15);
/// A large account takes minutes; the claim is shown to be alive meanwhile.
const FINALIZED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Keys of entities and relationships that were rejected, with the version at which they were.
pub(super) type Refused = BTreeMap<String, Version>;

/// What a turn is about.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// All of an AWS account.
    Account(ResourceId),
    /// One resource of an AWS account.
    Resource { id: ResourceId, owner: ResourceId },
    /// Properties of entities that others own.
    Patch { scope: String, resources: Vec<ResourceId> },
    /// Rows that no JupiterOne account shows, and why.
    Unshown(BTreeMap<ResourceId, (Version, String)>),
}

impl Aim {
    pub(super) fn scope(&self) -> Option<String> {
        match self {
            Self::Account(account) => Some(format!("trailgraph:{}", account.name())),
            Self::Resource { id, owner } => Some(scope_of(id, owner)),
            Self::Patch { scope, .. } => Some(scope.clone()),
            Self::Unshown(_) => None,
        }
    }

    pub(super) fn resources(&self) -> Vec<ResourceId> {
        match self {
            Self::Account(account) => vec![account.clone()],
            Self::Resource { id, .. } => vec![id.clone()],
            Self::Patch { resources, .. } => resources.clone(),
            Self::Unshown(why) => why.keys().cloned().collect(),
        }
    }
}

/// The scope of one resource. A bucket's name has neither colon nor slash, so no two are the same.
pub(super) fn scope_of(id: &ResourceId, owner: &ResourceId) -> String {
    let account = owner.name();
    match id.kind() {
        Kind::Bucket => format!("trailgraph:{account}:{}", id.name()),
        Kind::Account => format!("trailgraph:{account}:account/"),
        Kind::AccessPoint => {
            let region = id.as_str().split(':').nth(3).unwrap_or_default();
            format!("trailgraph:{account}:accesspoint/{region}/{}", id.name())
        }
    }
}

/// Where the claim is.
pub(super) struct Fence<'a> {
    pub(super) client: &'a Client,
    pub(super) store: &'a dyn StateStore,
    pub(super) name: &'a str,
}

/// Why a turn failed.
pub(super) enum Failed {
    Store(StoreError),
    Api(Trouble),
}

impl Failed {
    pub(super) fn of(self, told: impl FnOnce(Trouble) -> SinkError) -> OutboxError {
        match self {
            Self::Store(error) => error.into(),
            Self::Api(trouble) => told(trouble).into(),
        }
    }
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Api(trouble)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none.
    NoJob,
    /// It takes uploads.
    Open,
    /// The request to finalize it may have been sent.
    Finalizing,
    /// It has ended, and not as finished.
    Failed,
    /// It has finished.
    Done,
}

/// A turn that has begun.
pub(super) struct Open {
    pub(super) aim: Aim,
    pub(super) job: String,
    /// The claim as this worker last wrote it.
    pub(super) words: Words,
    /// Keys that this job may have entities for.
    pub(super) may_own: Keys,
    pub(super) rejected: Vec<Rejected>,
    stop: CancellationToken,
    stage: Stage,
    received: usize,
    own: Keys,
    entities: Upload,
    relationships: Upload,
    /// Relationships whose far end this job may have an entity for: how they are sent shows when all have come.
    held: Vec<(ResourceId, Version, Relationship)>,
}

impl Open {
    pub(super) fn of(aim: Aim, job: String, words: Words, stop: &CancellationToken) -> Self {
        Self {
            aim,
            job,
            words,
            may_own: Keys::new(),
            rejected: Vec::new(),
            stop: stop.clone(),
            stage: Stage::Open,
            received: 0,
            own: Keys::new(),
            entities: Upload::default(),
            relationships: Upload::default(),
            held: Vec::new(),
        }
    }

    pub(super) fn without_job(aim: Aim, stop: &CancellationToken) -> Self {
        let mut open = Self::of(aim, String::new(), Words::default(), stop);
        open.stage = Stage::NoJob;
        open
    }

    pub(super) fn has_job(&self) -> bool {
        self.stage != Stage::NoJob
    }

    pub(super) fn has_received(&self) -> bool {
        self.received > 0
    }

    pub(super) fn may_be_finalizing(&self) -> bool {
        self.stage == Stage::Finalizing
    }

    /// Whether there is nothing to give up.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done | Stage::Failed)
    }

    /// Whether all of it stands, or there was nothing to do.
    pub(super) fn has_succeeded(&self) -> bool {
        self.stage == Stage::Done || !self.has_received()
    }

    /// Takes one snapshot; sends what makes a chunk full.
    pub(super) async fn take(
        &mut self,
        client: &Client,
        emission: &Emission,
        refused: &Refused,
    ) -> Result<(), Trouble> {
        let (resource, version) = (&emission.snapshot.resource, emission.version);
        self.received += 1;
        for entity in &emission.snapshot.entities {
            let key = entity.key().to_owned();
            let mut value = shape::entity(entity, matches!(self.aim, Aim::Patch { .. }));
            if refused.get(&key) == Some(&version) {
                value = shape::bare(&value);
                self.reject_again(resource, version, &key);
            }
            self.own.insert(key);
            if let Some(chunk) = self.entities.push(Part { resource: resource.clone(), version, value }) {
                self.send(client, ENTITIES, chunk).await?;
            }
        }
        if matches!(self.aim, Aim::Patch { .. }) {
            return Ok(());
        }
        for edge in &emission.snapshot.relationships {
            if refused.get(edge.key()) == Some(&version) {
                self.reject_again(resource, version, edge.key());
                continue;
            }
            match edge.far_key() {
                Some(far) if self.may_own.contains(far) => self.held.push((resource.clone(), version, edge.clone())),
                _ => self.relate(client, resource, version, edge).await?,
            }
        }
        Ok(())
    }

    fn reject_again(&mut self, resource: &ResourceId, version: Version, key: &str) {
        let why = "it was rejected before, and has not changed since".to_owned();
        self.rejected.push(Rejected { resource: resource.clone(), version, key: key.to_owned(), why });
    }

    async fn relate(
        &mut self,
        client: &Client,
        resource: &ResourceId,
        version: Version,
        edge: &Relationship,
    ) -> Result<(), Trouble> {
        let value = shape::relationship(edge, |key| self.own.contains(key));
        if let Some(chunk) = self.relationships.push(Part { resource: resource.clone(), version, value }) {
            self.send(client, RELATIONSHIPS, chunk).await?;
        }
        Ok(())
    }

    async fn send(&mut self, client: &Client, what: &'static str, parts: Vec<Part>) -> Result<(), Trouble> {
        upload::send(client, &self.job, what, parts, &self.stop, &mut self.rejected).await
    }

    /// Sends the rest, and makes it stand.
    pub(super) async fn finish(&mut self, fence: &Fence<'_>) -> Result<(), Failed> {
        let rest = self.entities.take();
        self.send(fence.client, ENTITIES, rest).await?;
        for (resource, version, edge) in std::mem::take(&mut self.held) {
            self.relate(fence.client, &resource, version, &edge).await?;
        }
        let rest = self.relationships.take();
        self.send(fence.client, RELATIONSHIPS, rest).await?;
        self.finalize(fence).await
    }

    /// Replaces a scope of which nothing is left by nothing, in a job of its own.
    pub(super) async fn empty(&mut self, fence: &Fence<'_>, scope: &str) -> Result<(), Failed> {
        let job = fence.client.start(scope, "DIFF", &self.stop).await?.id;
        self.stage = Stage::Open;
        self.job.clone_from(&job);
        let next = Words { job: Some(job), scope: Some(scope.to_owned()), ..self.words.clone() };
        self.claim_on(fence, next).await?;
        self.finalize(fence).await
    }

    /// Shows that this worker is alive, and that it still holds the claim.
    pub(super) async fn beat(&mut self, fence: &Fence<'_>) -> Result<(), Failed> {
        let next = Words { beat: self.words.beat + 1, ..self.words.clone() };
        self.claim_on(fence, next).await
    }

    async fn claim_on(&mut self, fence: &Fence<'_>, mut next: Words) -> Result<(), Failed> {
        next.debt_ms = u64::try_from(fence.client.pace.lock().await.debt().as_millis()).unwrap_or(u64::MAX);
        next.beat = next.beat.max(self.words.beat + 1);
        if fence.store.swap_claim(fence.name, Some(&self.words.text()), &next.text()).await? {
            self.words = next;
            return Ok(());
        }
        Err(Failed::Api(Trouble::Down("another worker has taken the claim over: this one was too slow".into())))
    }

    /// The claim is still held; finalize; poll to the end.
    async fn finalize(&mut self, fence: &Fence<'_>) -> Result<(), Failed> {
        if self.stop.is_cancelled() {
            return Err(Failed::Api(Trouble::Stopped));
        }
        self.beat(fence).await?;
        self.stage = Stage::Finalizing;
        match fence.client.finalize(&self.job).await {
            // Also where a repeat found that the first request, whose answer was lost, had been heard.
            Ok(_) | Err(Trouble::NotAwaiting | Trouble::Down(_)) => {}
            Err(trouble) => {
                // Only where there is no job is it sure that none is finalizing: an earlier try may have been heard.
                if trouble == Trouble::NoJob {
                    self.stage = Stage::Open;
                }
                return Err(trouble.into());
            }
        }
        let ended = self.poll(fence).await?;
        self.stage = if ended.status == "FINISHED" { Stage::Done } else { Stage::Failed };
        if let Some((entities, relationships)) = ended.errors() {
            tracing::warn!(job = self.job, entities, relationships, "JupiterOne could not apply all of a job");
        }
        match ended.status.as_str() {
            "FINISHED" => Ok(()),
            status => Err(Failed::Api(Trouble::Down(format!("job {} has ended as {status}", self.job)))),
        }
    }

    async fn poll(&mut self, fence: &Fence<'_>) -> Result<Job, Failed> {
        let (begun, mut pause, mut finalized_again) = (tokio::time::Instant::now(), POLL_FIRST, false);
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_MOST);
            match fence.client.status(&self.job).await? {
                job if job.is_done() => return Ok(job),
                job if job.status == "AWAITING_UPLOADS" && !finalized_again => {
                    // The request was lost on its way.
                    finalized_again = true;
                    let _answered_by_the_next_poll = fence.client.finalize(&self.job).await;
                }
                _ if begun.elapsed() >= FINALIZED_WITHIN => {
                    let why = format!("job {} has not ended within {} s", self.job, FINALIZED_WITHIN.as_secs());
                    return Err(Failed::Api(Trouble::Down(why)));
                }
                _ => self.beat(fence).await?,
            }
        }
    }
}
