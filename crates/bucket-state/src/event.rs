//! One successful mutation of one resource.

use std::sync::Arc;

use crate::catalogue::Facet;
use crate::register::Setting;
use crate::resource::ResourceId;
use crate::stamp::Origin;

/// A change, parsed and judged: everything in it is folded as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The bucket, the account or the access point.
    pub resource: ResourceId,
    /// CloudTrail's name of the call.
    pub name: &'static str,
    /// When, by whom, and the event's identity.
    pub origin: Arc<Origin>,
    /// The Region that the resource lives in; of an account, where the call was made.
    pub region: Arc<str>,
    /// The account that owns the resource, where the record tells.
    pub owner: Option<Owner>,
    /// The account whose trail this record came from.
    pub recipient: Arc<str>,
    /// What changed.
    pub change: Change,
}

/// An owning account, and how surely it is one: of two copies of one call, the surer wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// Whether the record names the owner (`resources`), rather than only its own recipient.
    #[serde(rename = "n")]
    pub named: bool,
    /// Twelve digits.
    #[serde(rename = "a")]
    pub account: Arc<str>,
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The resource was created. In us-east-1 creating one's own bucket again succeeds and keeps its configuration;
    /// everywhere else, success proves that there was none.
    Create {
        /// What the request wrote by the way: a bucket's ACL in any case.
        writes: Vec<(Facet, Setting)>,
        /// Whether the resource cannot have existed before.
        proves_new: bool,
    },
    /// The resource was deleted.
    Delete,
    /// A facet was set, cleared, or set to something not recorded.
    Write(Facet, Setting),
    /// One of a facet's configurations was set or cleared. (Where the record does not tell which, all of them are
    /// unknown: a [`Change::Write`].)
    WriteById(Facet, Box<str>, Setting),
    /// Single tags were set or removed. (Where the record does not tell which, the whole set is unknown: a
    /// [`Change::Write`].)
    Tags(Vec<TagChange>),
}

/// One tag, set or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagChange {
    /// The key.
    pub key: Box<str>,
    /// The value as recorded, or `None` where the tag was removed.
    pub value: Option<Box<str>>,
}
