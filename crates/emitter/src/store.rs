//! Where states live.

use async_trait::async_trait;
use bucket_state::{Digest, ResourceId, ResourceState};

use crate::row::{Generation, PendingMark, SinkName, Stored, Version};

/// One conditional write.
#[derive(Clone, Debug)]
pub struct Save {
    /// The row.
    pub resource: ResourceId,
    /// The version that was loaded; 0 if there was no row. The write fails if it has moved.
    pub based_on: Version,
    /// The new state.
    pub state: ResourceState,
    /// The account that the resource belongs to. Before the row is written, the store keeps that it is a member; a
    /// member it stays, whoever owns it later.
    pub account: Option<ResourceId>,
    /// The account that it belonged to until now. Its row is marked in the same transaction, and made where there is
    /// none: a graph that shows accounts as a whole must show this one without the resource.
    pub former_account: Option<ResourceId>,
    /// Marks the row pending for every sink in the store's list; `None` leaves all marks as they are.
    pub mark: Option<PendingMark>,
    /// The stored state is damaged: its bytes are kept aside before they are overwritten.
    pub set_aside: bool,
}

/// A sink, as the store lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSink {
    /// The name under which progress is kept.
    pub name: SinkName,
    /// Tells a graph from another one that stood under the same name before; empty where that is not known yet.
    pub instance: String,
}

/// A change of an account, not all of whose members have been marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOut {
    /// The account.
    pub account: ResourceId,
    /// The version of its row.
    pub version: Version,
    /// How old the news is.
    pub mark: PendingMark,
}

/// What became of one [`Save`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// Written, as this version.
    Saved(Version),
    /// The row had moved: load and merge again.
    Conflict,
}

/// Which pending rows to look for.
#[derive(Clone, Debug)]
pub struct PendingQuery {
    /// Rows pending for this sink.
    pub sink: SinkName,
    /// Rows that this worker marked, whatever their age …
    pub worker: String,
    /// … and rows of any worker that have waited since before this time, in milliseconds since 1970.
    pub others_before_ms: i64,
    /// At most this many, the longest waiting first.
    pub limit: usize,
}

/// The word of a sink on one version of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The row.
    pub resource: ResourceId,
    /// The version that was emitted; the settlement has no effect if the row has moved.
    pub version: Version,
    /// Acknowledged with this digest, or rejected for good.
    pub verdict: Settling,
}

/// How a sink settled a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// It shows the snapshot with this digest.
    Acknowledged(Digest),
    /// It shows something newer: the mark is cleared, and nothing is known of the digest.
    Superseded,
    /// It will not take this version.
    Rejected,
}

/// How much waits for a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Rows pending.
    pub rows: u64,
    /// Since when the oldest waits, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// Rows whose current version was rejected.
    pub rejected: u64,
}

/// The rows, the marks on them and the list of sinks. All reads are consistent.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// When the store was made.
    fn generation(&self) -> Generation;

    /// The sinks for which a save marks its row.
    async fn sinks(&self) -> Result<Vec<SinkName>, StoreError>;

    /// Adds sinks to the list; for one that is new, or that was made anew, every stored row is marked (a save:
    /// version + 1). An instance that is not known yet changes nothing of what is listed, and becoming known is no news.
    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError>;

    /// Takes a sink off the list, with all marks for it; tells whether it was listed.
    async fn forget_sink(&self, sink: &SinkName) -> Result<bool, StoreError>;

    /// Whether no row is stored.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// What is stored of each, in the order asked for.
    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError>;

    /// What is stored of each, or was when this worker last saw it: good enough to base a save on, whose condition finds
    /// out, and for nothing else.
    async fn load_bases(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        self.load(resources).await
    }

    /// Writes each row on its condition; an account's row that is marked is also marked for its members. The answers
    /// stand in the order of `saves`.
    async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError>;

    /// Marks rows pending for every listed sink, as a save of their unchanged states would: version + 1. Those that do
    /// not exist are passed over. Tells how many were marked.
    async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError>;

    /// Marks every stored row pending for every listed sink, or for one of them (a save: version + 1). Tells how many rows
    /// were marked; none for a sink that is not listed.
    async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError>;

    /// The members of an account (buckets and access points), in the order of their keys, from after the given one; at most `limit`.
    async fn members(
        &self,
        account: &ResourceId,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<ResourceId>, StoreError>;

    /// Accounts whose rows were saved with a mark and whose members have not all been marked since: those that this
    /// worker saved or claimed, and those of others that have waited since before `others_before_ms`, which it claims
    /// now. All of them wait anew from `now_ms` on (milliseconds since 1970), so that no other takes them meanwhile.
    async fn claim_fan_outs(&self, worker: &str, others_before_ms: i64, now_ms: i64)
    -> Result<Vec<FanOut>, StoreError>;

    /// Clears an account's mark. One whose row has been saved again since keeps it, but only for the news of the last save:
    /// its members have been marked for what came before.
    async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError>;

    /// Rows pending for a sink.
    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError>;

    /// Clears marks, each on its version; tells how many were cleared. A row that has moved stays pending, but waits
    /// only since its last save: what it knew before is shown.
    async fn settle(&self, sink: &SinkName, settlements: Vec<Settlement>) -> Result<usize, StoreError>;

    /// What waits for a sink.
    async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError>;

    /// The words of whoever last claimed this fence; nothing where nobody ever did.
    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError>;

    /// Compares and sets: claims the fence in the words `next`, if the last ones are still `seen`. Tells whether they were.
    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError>;
}

/// Why a store did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It may answer later.
    #[error("state store {store}: {message}")]
    Unavailable {
        /// Which.
        store: String,
        /// Why.
        message: String,
    },
    /// A newer build wrote this: going on would overwrite what this build cannot read.
    #[error("{what} was written by a newer trailgraph: run that version; nothing was overwritten")]
    Newer {
        /// The row or file.
        what: String,
    },
    /// The store cannot be used at all.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
