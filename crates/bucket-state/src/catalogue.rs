//! The calls that are folded, by the names that CloudTrail gives them.
//!
//! CloudTrail's names differ from the API's for some calls; the API's spelling is accepted as an alias.

use serde::{Deserialize, Serialize};

/// A part of a bucket's configuration that is written as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Facet {
    /// The access control list.
    Acl,
    /// The bucket policy.
    Policy,
    /// The bucket's own public access block.
    PublicAccessBlock,
    /// Default encryption.
    Encryption,
    /// Versioning and MFA delete.
    Versioning,
    /// Server access logging.
    Logging,
    /// The whole set of tags.
    Tags,
}

impl Facet {
    /// Every facet.
    pub(crate) const ALL: [Self; 7] = [
        Self::Acl,
        Self::Policy,
        Self::PublicAccessBlock,
        Self::Encryption,
        Self::Versioning,
        Self::Logging,
        Self::Tags,
    ];

    /// The name in the command line, in `contestedFacets` and in provenance.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Policy => "policy",
            Self::PublicAccessBlock => "publicAccessBlock",
            Self::Encryption => "encryption",
            Self::Versioning => "versioning",
            Self::Logging => "logging",
            Self::Tags => "tags",
        }
    }
}

/// What a call does to a bucket's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    CreateBucket,
    DeleteBucket,
    /// Sets a facet to the body under these keys of the request parameters; a record with none of them tells
    /// only that something was set.
    Put(Facet, &'static [&'static str]),
    /// Removes a facet's configuration.
    Delete(Facet),
    TagResource,
    UntagResource,
}

/// One call that is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// CloudTrail's `eventName`.
    pub name: &'static str,
    /// Other spellings that mean the same.
    pub(crate) aliases: &'static [&'static str],
    pub(crate) effect: Effect,
}

/// The keys that can carry an access control list.
pub(crate) const ACL_KEYS: &[&str] = &["x-amz-acl", "AccessControlPolicy", "accessControlList"];

const fn call(name: &'static str, effect: Effect) -> Call {
    Call { name, aliases: &[], effect }
}

static CALLS: &[Call] = &[
    call("CreateBucket", Effect::CreateBucket),
    call("DeleteBucket", Effect::DeleteBucket),
    call("PutBucketAcl", Effect::Put(Facet::Acl, ACL_KEYS)),
    call("PutBucketPolicy", Effect::Put(Facet::Policy, &["bucketPolicy"])),
    call("DeleteBucketPolicy", Effect::Delete(Facet::Policy)),
    Call {
        name: "PutBucketPublicAccessBlock",
        aliases: &["PutPublicAccessBlock"],
        effect: Effect::Put(Facet::PublicAccessBlock, &["PublicAccessBlockConfiguration"]),
    },
    Call {
        name: "DeleteBucketPublicAccessBlock",
        aliases: &["DeletePublicAccessBlock"],
        effect: Effect::Delete(Facet::PublicAccessBlock),
    },
    call("PutBucketEncryption", Effect::Put(Facet::Encryption, &["ServerSideEncryptionConfiguration"])),
    call("DeleteBucketEncryption", Effect::Delete(Facet::Encryption)),
    call("PutBucketVersioning", Effect::Put(Facet::Versioning, &["VersioningConfiguration"])),
    call("PutBucketLogging", Effect::Put(Facet::Logging, &["BucketLoggingStatus"])),
    call("PutBucketTagging", Effect::Put(Facet::Tags, &["Tagging"])),
    call("DeleteBucketTagging", Effect::Delete(Facet::Tags)),
    call("TagResource", Effect::TagResource),
    call("UntagResource", Effect::UntagResource),
];

/// Every call that is folded.
#[must_use]
pub fn supported() -> &'static [Call] {
    CALLS
}

pub(crate) fn find(event_name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == event_name || call.aliases.contains(&event_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_means_the_call_that_cloudtrail_names_otherwise() {
        assert_eq!(find("PutPublicAccessBlock").map(|call| call.name), Some("PutBucketPublicAccessBlock"));
        assert_eq!(find("GetBucketAcl"), None);
    }

    #[test]
    fn no_name_or_alias_stands_twice() {
        let mut names: Vec<_> = CALLS.iter().flat_map(|call| call.aliases.iter().chain([&call.name])).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
