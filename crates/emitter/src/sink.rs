//! Where snapshots go.

use async_trait::async_trait;
use bucket_state::{Digest, Snapshot};

use crate::row::{Generation, SinkName, Version};

/// A graph that shows what is stored.
///
/// A sink that can compare refuses, in the same transaction in which it would write, a snapshot older than
/// the one it last took for that resource, even when that one deleted the resource.
#[async_trait]
pub trait GraphSink: Send + Sync {
    /// The name under which progress is kept.
    fn name(&self) -> &SinkName;

    /// Tells this graph from another one that stood under the same name before, and whose content is gone.
    fn instance(&self) -> &str;

    /// Replaces each snapshot's part of the graph: what it does not contain goes. The verdicts stand in the
    /// order of `emissions`.
    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError>;
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
