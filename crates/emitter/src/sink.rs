//! Where snapshots go.

use async_trait::async_trait;
use bucket_state::{Digest, ResourceId, Snapshot};
use tokio_util::sync::CancellationToken;

use crate::outbox::OutboxError;
use crate::row::{Generation, SinkName, Version};
use crate::store::StateStore;

/// A graph that shows what is stored.
///
/// A sink that can compare refuses, in the same transaction in which it would write, a snapshot older than
/// the one it last took for that resource, even when that one deleted the resource. It needs no more than
/// [`replace`](Self::replace). One that cannot compare is fenced: between [`begin`](Self::begin) and
/// [`end`](Self::end) no other worker emits to what the turn is about.
#[async_trait]
pub trait GraphSink: Send + Sync {
    /// The name under which progress is kept.
    fn name(&self) -> &SinkName;

    /// Tells this graph from another one that stood under the same name before, and whose content is gone.
    fn instance(&self) -> &str;

    /// Reaches it with its credentials, and changes nothing. Says in a few words what was found.
    async fn check(&self) -> Result<String, SinkError>;

    /// Whether it takes only some of the rows that wait for its name, and so must be told of more than it takes at once.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Makes ready to take some of these pending rows, the longest waiting first. The rows of the turn are read only
    /// after it. Nothing where none can be taken now: another worker is at it. Once `stop` is cancelled, a turn ends
    /// as soon as it can.
    async fn begin(
        &self,
        _store: &dyn StateStore,
        pending: Vec<ResourceId>,
        _stop: &CancellationToken,
    ) -> Result<Option<Turn>, OutboxError> {
        Ok(Some(Turn { resources: pending, account: None }))
    }

    /// Replaces each snapshot's part of the graph: what it does not contain goes. The verdicts stand in the
    /// order of `emissions`.
    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError>;

    /// Called before each batch of a turn is read: the turn goes on. Fails where it has been lost to another worker.
    async fn hold(&self, _store: &dyn StateStore) -> Result<(), OutboxError> {
        Ok(())
    }

    /// Makes everything that was taken since [`begin`](Self::begin) stand: only now are its verdicts true. Tells what
    /// is rejected after all, with the reason.
    async fn commit(&self, _store: &dyn StateStore) -> Result<Vec<(ResourceId, String)>, OutboxError> {
        Ok(Vec::new())
    }

    /// Ends the turn, after its marks were cleared, or it has failed. What cannot be given up properly is left to time.
    async fn end(&self, _store: &dyn StateStore) {}
}

/// What a sink takes in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The rows to read.
    pub resources: Vec<ResourceId>,
    /// All of an account is shown anew: the rows that belong to it now are emitted, whether they are pending or not, and
    /// no others. Else those are that are pending.
    pub account: Option<ResourceId>,
}

/// One snapshot on its way to a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct Emission {
    /// The version of the row that it shows.
    pub version: Version,
    /// The resource's part of the graph.
    pub snapshot: Snapshot,
    /// The snapshot's digest.
    pub digest: Digest,
}

impl Emission {
    /// The emission of a row's projection.
    #[must_use]
    pub fn new(version: Version, snapshot: Snapshot) -> Self {
        Self { version, digest: snapshot.digest(), snapshot }
    }
}

/// What a sink did with one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stands in the graph.
    Applied,
    /// Exactly this stood in the graph already.
    Unchanged,
    /// The graph shows this newer version.
    Newer(Version),
    /// The sink will never take it, for this reason.
    Rejected(String),
}

/// Why a sink took nothing of a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// It may take it later.
    #[error("graph {sink}: {message}")]
    Down {
        /// Which.
        sink: SinkName,
        /// Why.
        message: String,
    },
    /// It does not take these credentials. A person must mend that, so it is tried again only now and then.
    #[error("graph {sink}: {message}")]
    Denied {
        /// Which.
        sink: SinkName,
        /// Why, with the mend.
        message: String,
    },
    /// It shows what a later state store, or a later version than any stored, told it: this store is an old
    /// copy. Nothing is cleared, and a person must decide which of the two is right.
    #[error(
        "graph {sink} is ahead of the state store: for {resource} it shows {shown}, the store has {stored}. \
         Was the state store restored from a backup, or is another one in use? Give this store a graph of its \
         own (a new file), and every bucket will be shown there"
    )]
    Ahead {
        /// Which.
        sink: SinkName,
        /// On what.
        resource: String,
        /// What it shows: generation and version.
        shown: String,
        /// What the store has.
        stored: String,
    },
}

/// What a sink tells of its traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SinkEvent {
    /// A request was answered with this status: an HTTP status, or a word such as `ok` or `error`.
    Answered(&'static str),
    /// So long it waited before a request, to keep the pace.
    Waited(std::time::Duration),
}

/// Hears of a sink's traffic.
pub type Observe = std::sync::Arc<dyn Fn(SinkEvent) + Send + Sync>;
