//! What is stored of one resource.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bucket_state::{Digest, ResourceState};

/// Grows by one with every write of a row; 0 is a row that does not exist.
pub type Version = u64;

/// When the state store was made, in milliseconds since 1970: versions of different stores cannot be compared.
pub type Generation = i64;

/// The name under which a sink's progress is kept: its URL, without credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkName(Arc<str>);

impl SinkName {
    /// The name as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SinkName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a store holds of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Nothing.
    Nothing,
    /// A row.
    Row(Box<Row>),
    /// A row whose state cannot be read. It must not hold back the others.
    Damaged {
        /// The row's version.
        version: Version,
        /// What is wrong with it.
        message: String,
    },
}

impl Stored {
    /// The version; 0 where there is no row.
    #[must_use]
    pub fn version(&self) -> Version {
        match self {
            Self::Nothing => 0,
            Self::Row(row) => row.version,
            Self::Damaged { version, .. } => *version,
        }
    }

    /// The row, if there is one that can be read.
    #[must_use]
    pub fn row(self) -> Option<Row> {
        match self {
            Self::Row(row) => Some(*row),
            _ => None,
        }
    }
}

/// A resource's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// At least 1.
    pub version: Version,
    /// Everything that was saved, merged.
    pub state: ResourceState,
    /// Progress by sink; a sink without a mark has acknowledged nothing.
    pub marks: BTreeMap<SinkName, Mark>,
}

/// One sink's progress with one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Set until exactly the current version is acknowledged.
    pub pending: Option<PendingMark>,
    /// The digest of the snapshot that the sink last acknowledged.
    pub digest: Option<Digest>,
    /// The version that the sink refused for good.
    pub rejected: Option<Version>,
}

/// Since when a row waits for a sink, and how old the news in it is. In milliseconds since 1970; a row that is
/// saved again while it waits keeps the oldest of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingMark {
    /// When the row was first marked.
    pub since_ms: i64,
    /// When the oldest event in it arrived.
    pub arrived_ms: i64,
    /// When the oldest event in it happened.
    pub happened_ms: i64,
}

impl Row {
    /// Whether a row with these marks is pending for no sink. Only then may a save go without marks: a row that is
    /// pending may have emissions under way that would stick if the one after them were left out.
    pub(crate) fn is_quiet(marks: &BTreeMap<SinkName, Mark>) -> bool {
        marks.values().all(|mark| mark.pending.is_none())
    }

    /// Whether each of `sinks` has acknowledged a projection with this digest.
    pub(crate) fn shows(marks: Option<&BTreeMap<SinkName, Mark>>, digest: &Digest, sinks: &[SinkName]) -> bool {
        let acknowledged = |sink| marks.and_then(|marks| marks.get(sink)).and_then(|mark| mark.digest);
        sinks.iter().all(|sink| acknowledged(sink) == Some(*digest))
    }
}
