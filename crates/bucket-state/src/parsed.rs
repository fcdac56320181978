//! What a record can turn out to be.

use crate::event::Event;

/// A record larger than this, after decompression, is a dead letter.
pub const RECORD_BYTES_MAX: usize = 10 << 20;

/// What one record turned out to be.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// A successful mutation of a resource.
    Event(Event),
    /// Well formed, and without effect.
    Ignored {
        /// Why.
        reason: Ignored,
        /// The call, where it is one that would be folded.
        call: Option<&'static str>,
    },
    /// Not to be understood: a dead letter.
    Malformed {
        /// What kind of fault.
        reason: Malformed,
        /// The fault in words.
        message: String,
        /// The smallest part of the input that holds it.
        data: &'a [u8],
    },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Malformed {
    /// The gzip stream is damaged or cut.
    BadGzip,
    /// Larger than [`RECORD_BYTES_MAX`].
    TooLarge,
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON, or cut.
    NotJson,
    /// JSON, but none of the forms, or a field is missing or of another type.
    UnexpectedShape,
    /// A body nested too deeply.
    TooDeep,
    /// Not a time.
    BadTime,
    /// Further in the future than clocks may differ.
    FutureEvent,
    /// A major version of the record format that this build does not know.
    UnsupportedVersion,
    /// The call names no bucket, account or access point that there can be.
    NoResource,
    /// A dead letter that holds only the beginning of its record.
    Truncated,
    /// An envelope that does not fit its record: somebody else than CloudTrail wrote it.
    Forged,
}

impl Malformed {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::BadGzip,
        Self::TooLarge,
        Self::NotUtf8,
        Self::NotJson,
        Self::UnexpectedShape,
        Self::TooDeep,
        Self::BadTime,
        Self::FutureEvent,
        Self::UnsupportedVersion,
        Self::NoResource,
        Self::Truncated,
        Self::Forged,
    ];

    /// The reason as a metric's label and in a dead letter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadGzip => "bad_gzip",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::UnexpectedShape => "unexpected_shape",
            Self::TooDeep => "too_deep",
            Self::BadTime => "bad_time",
            Self::FutureEvent => "future_event",
            Self::UnsupportedVersion => "unsupported_version",
            Self::NoResource => "no_resource",
            Self::Truncated => "truncated",
            Self::Forged => "forged",
        }
    }
}

/// Why a well-formed record changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ignored {
    /// A message about the subscription itself, or an EventBridge event of another kind.
    NotCloudTrail,
    /// The record of another service.
    OtherService,
    /// A call to S3 that does not change a bucket's folded configuration.
    OtherCall,
    /// The call failed, so it changed nothing.
    FailedCall,
    /// The call is not about a bucket (it tags another kind of resource).
    OtherResource,
    /// A dead letter about a snapshot that a graph rejects: its events have been folded.
    RejectedSnapshot,
}

/// The reason of a dead letter that holds no record, but tells of a snapshot that a graph rejects.
pub const REJECTED_SNAPSHOT: &str = "rejected_snapshot";

impl Ignored {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NotCloudTrail,
        Self::OtherService,
        Self::OtherCall,
        Self::FailedCall,
        Self::OtherResource,
        Self::RejectedSnapshot,
    ];

    /// The reason as a metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotCloudTrail => "not_cloudtrail",
            Self::OtherService => "other_service",
            Self::OtherCall => "other_call",
            Self::FailedCall => "failed_call",
            Self::OtherResource => "other_resource",
            Self::RejectedSnapshot => REJECTED_SNAPSHOT,
        }
    }
}

pub(crate) fn too_large(bytes: &[u8], bytes_max: usize) -> Parsed<'_> {
    let message = format!("the record has more than {bytes_max} bytes");
    Parsed::Malformed { reason: Malformed::TooLarge, message, data: bytes }
}
