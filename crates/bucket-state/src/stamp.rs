//! When a change happened, as exactly as CloudTrail tells.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event_id::EventId;

/// The order of changes: by second, then millisecond (absent before any), then identity.
///
/// The same identity always has the same stamp, so duplicates need no memory of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// `eventTime`, in seconds since 1970.
    #[serde(rename = "s")]
    pub second: i64,
    /// `additionalEventData.endTime` in milliseconds since 1970; only newer records carry it.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<i64>,
    /// `sharedEventID` where present, else `eventID`: the copies of one cross-account call share it.
    #[serde(rename = "i")]
    pub identity: EventId,
}

impl Stamp {
    /// The second, in milliseconds since 1970.
    #[must_use]
    pub fn happened_ms(&self) -> i64 {
        self.second.saturating_mul(1_000)
    }
}

/// The event that something came from.
///
/// Ordered by stamp; between two copies of one call the one that names its actor is the greater. Where a value came
/// along, that decides before the actor does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// When.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Who: the caller's ARN, or the service or principal that stands in its place.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Arc<str>>,
    /// `eventID` of this copy.
    #[serde(rename = "e")]
    pub event_id: EventId,
}
