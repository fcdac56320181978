//! The calls that are folded, by the names that CloudTrail gives them.
//!
//! CloudTrail's names differ from the API's for some calls; the API's spelling is accepted as an alias.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::resource::Kind;

/// A part of a resource's configuration that is written as a whole, or by the ids of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Facet {
    /// The access control list.
    Acl,
    /// The policy of a bucket or an access point.
    Policy,
    /// The bucket's own public access block.
    PublicAccessBlock,
    /// Default encryption.
    Encryption,
    /// Versioning and MFA delete.
    Versioning,
    /// Server access logging.
    Logging,
    /// The rules that expire and move objects.
    LifecycleRules,
    /// Replication to other buckets.
    Replication,
    /// Object lock and its default retention.
    ObjectLock,
    /// Who owns new objects, and whether ACLs count.
    Ownership,
    /// The whole set of tags.
    Tags,
    /// Event notifications.
    Notification,
    /// Inventory reports, by id.
    Inventory,
    /// Analytics configurations, by id.
    Analytics,
    /// Request metrics, by id.
    Metrics,
    /// Intelligent-Tiering configurations, by id.
    IntelligentTiering,
    /// Static website hosting.
    Website,
    /// Cross-origin access.
    Cors,
    /// Who pays for requests.
    RequestPayment,
    /// Transfer acceleration.
    Acceleration,
    /// Access control by the bucket's tags.
    Abac,
    /// The public access block of a whole account.
    AccountPublicAccessBlock,
    /// What an access point was created with.
    AccessPoint,
}

impl Facet {
    /// The facets of a bucket, in the order in which they are shown.
    pub(crate) const OF_BUCKET: [Self; 21] = [
        Self::Acl,
        Self::Policy,
        Self::PublicAccessBlock,
        Self::Encryption,
        Self::Versioning,
        Self::Logging,
        Self::LifecycleRules,
        Self::Replication,
        Self::ObjectLock,
        Self::Ownership,
        Self::Tags,
        Self::Notification,
        Self::Inventory,
        Self::Analytics,
        Self::Metrics,
        Self::IntelligentTiering,
        Self::Website,
        Self::Cors,
        Self::RequestPayment,
        Self::Acceleration,
        Self::Abac,
    ];

    /// Whether the value is known that something new has. A bucket can be created with object lock, and CloudTrail leaves
    /// that header out; an access point has what it was created with.
    pub(crate) fn has_default(self) -> bool {
        !matches!(self, Self::ObjectLock | Self::AccessPoint | Self::AccountPublicAccessBlock)
    }

    /// The schema version with which the facet came (`codec.rs`).
    pub(crate) fn since_schema(self) -> u8 {
        match self {
            Self::Acl
            | Self::Policy
            | Self::PublicAccessBlock
            | Self::Encryption
            | Self::Versioning
            | Self::Logging
            | Self::Tags => 1,
            _ => 2,
        }
    }

    /// The name in the command line, in `contestedFacets`, in `publicReasons` and in provenance.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::Policy => "policy",
            Self::PublicAccessBlock => "publicAccessBlock",
            Self::Encryption => "encryption",
            Self::Versioning => "versioning",
            Self::Logging => "logging",
            Self::LifecycleRules => "lifecycleRules",
            Self::Replication => "replication",
            Self::ObjectLock => "objectLock",
            Self::Ownership => "ownership",
            Self::Tags => "tags",
            Self::Notification => "notification",
            Self::Inventory => "inventory",
            Self::Analytics => "analytics",
            Self::Metrics => "metrics",
            Self::IntelligentTiering => "intelligentTiering",
            Self::Website => "website",
            Self::Cors => "cors",
            Self::RequestPayment => "requestPayment",
            Self::Acceleration => "acceleration",
            Self::Abac => "abac",
            Self::AccountPublicAccessBlock => "accountPublicAccessBlock",
            Self::AccessPoint => "accessPoint",
        }
    }
}

/// The existence of a bucket, as the command line, `contestedFacets` and provenance name it.
pub(crate) const CREATION: &str = "creation";

/// Where a record carries what a call set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// The request's XML, under its root element. S3 takes other roots, too; the record shows what was sent.
    Xml(&'static str),
    /// Any of these request parameters.
    Keys(&'static [&'static str]),
    /// XML, or headers instead: canned or by grants.
    Acl,
    /// Nowhere: CloudTrail leaves it out.
    Never,
}

/// What a call does to the state of its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    CreateBucket,
    DeleteBucket,
    CreateAccessPoint,
    DeleteAccessPoint,
    /// Sets a facet.
    Put(Facet, Recorded),
    /// Removes a facet's configuration.
    Delete(Facet),
    /// Sets one of a facet's configurations.
    PutById(Facet, Recorded),
    /// Removes one of a facet's configurations.
    DeleteById(Facet),
    TagResource,
    UntagResource,
}

/// One call that is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// CloudTrail's `eventName`.
    pub name: &'static str,
    /// Other spellings that mean the same, which CloudTrail is not known to emit.
    pub aliases: &'static [&'static str],
    /// What the call is about.
    pub(crate) kind: Kind,
    pub(crate) effect: Effect,
}

impl Call {
    const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The facet that the call writes; `creation` for the calls that make and remove a bucket.
    #[must_use]
    pub fn facet(&self) -> &'static str {
        match self.effect {
            Effect::CreateBucket | Effect::DeleteBucket => CREATION,
            Effect::CreateAccessPoint | Effect::DeleteAccessPoint => Facet::AccessPoint.as_str(),
            Effect::TagResource | Effect::UntagResource => Facet::Tags.as_str(),
            Effect::Put(facet, _) | Effect::Delete(facet) | Effect::PutById(facet, _) | Effect::DeleteById(facet) => {
                facet.as_str()
            }
        }
    }

    /// Whether CloudTrail records what the call sets; nothing where it only removes.
    #[must_use]
    pub fn records_body(&self) -> Option<bool> {
        match self.effect {
            Effect::DeleteBucket | Effect::DeleteAccessPoint | Effect::Delete(_) | Effect::DeleteById(_) => None,
            Effect::Put(_, recorded) | Effect::PutById(_, recorded) => Some(recorded != Recorded::Never),
            Effect::CreateBucket | Effect::CreateAccessPoint | Effect::TagResource | Effect::UntagResource => {
                Some(true)
            }
        }
    }
}

/// The request parameters that can carry an access control list: a document, or headers.
pub(crate) const ACL_KEYS: &[&str] = &[
    "AccessControlPolicy",
    "x-amz-acl",
    "accessControlList",
    "x-amz-grant-read",
    "x-amz-grant-write",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-grant-full-control",
];
/// Those of a creation, whose document is another one.
pub(crate) const ACL_HEADERS: &[&str] = ACL_KEYS.split_at(1).1;

const fn call(name: &'static str, effect: Effect) -> Call {
    Call { name, aliases: &[], kind: Kind::Bucket, effect }
}

const fn put(name: &'static str, facet: Facet, root: &'static str) -> Call {
    call(name, Effect::Put(facet, Recorded::Xml(root)))
}

const fn delete(name: &'static str, facet: Facet) -> Call {
    call(name, Effect::Delete(facet))
}

const fn put_by_id(name: &'static str, facet: Facet, recorded: Recorded) -> Call {
    call(name, Effect::PutById(facet, recorded))
}

const fn delete_by_id(name: &'static str, facet: Facet) -> Call {
    call(name, Effect::DeleteById(facet))
}

/// Whoever adds a call adds its event to `tests/every_call.rs` and its meaning to the oracle.
static CALLS: &[Call] = &[
    call("CreateBucket", Effect::CreateBucket),
    call("DeleteBucket", Effect::DeleteBucket),
    call("PutBucketAcl", Effect::Put(Facet::Acl, Recorded::Acl)),
    call("PutBucketPolicy", Effect::Put(Facet::Policy, Recorded::Keys(&["bucketPolicy"]))),
    delete("DeleteBucketPolicy", Facet::Policy),
    put("PutBucketPublicAccessBlock", Facet::PublicAccessBlock, "PublicAccessBlockConfiguration")
        .also(&["PutPublicAccessBlock"]),
    delete("DeleteBucketPublicAccessBlock", Facet::PublicAccessBlock).also(&["DeletePublicAccessBlock"]),
    put("PutBucketEncryption", Facet::Encryption, "ServerSideEncryptionConfiguration"),
    delete("DeleteBucketEncryption", Facet::Encryption),
    put("PutBucketVersioning", Facet::Versioning, "VersioningConfiguration"),
    put("PutBucketLogging", Facet::Logging, "BucketLoggingStatus"),
    put("PutBucketLifecycle", Facet::LifecycleRules, "LifecycleConfiguration")
        .also(&["PutBucketLifecycleConfiguration"]),
    delete("DeleteBucketLifecycle", Facet::LifecycleRules),
    put("PutBucketReplication", Facet::Replication, "ReplicationConfiguration"),
    delete("DeleteBucketReplication", Facet::Replication),
    put("PutBucketObjectLockConfiguration", Facet::ObjectLock, "ObjectLockConfiguration")
        .also(&["PutObjectLockConfiguration"]),
    put("PutBucketOwnershipControls", Facet::Ownership, "OwnershipControls"),
    delete("DeleteBucketOwnershipControls", Facet::Ownership),
    put("PutBucketTagging", Facet::Tags, "Tagging"),
    delete("DeleteBucketTagging", Facet::Tags),
    call("TagResource", Effect::TagResource),
    call("UntagResource", Effect::UntagResource),
    put("PutBucketNotification", Facet::Notification, "NotificationConfiguration")
        .also(&["PutBucketNotificationConfiguration"]),
    put_by_id("PutBucketInventoryConfiguration", Facet::Inventory, Recorded::Xml("InventoryConfiguration")),
    delete_by_id("DeleteBucketInventoryConfiguration", Facet::Inventory),
    put_by_id("PutBucketAnalyticsConfiguration", Facet::Analytics, Recorded::Never),
    delete_by_id("DeleteBucketAnalyticsConfiguration", Facet::Analytics),
    put_by_id("PutBucketMetricsConfiguration", Facet::Metrics, Recorded::Never),
    delete_by_id("DeleteBucketMetricsConfiguration", Facet::Metrics),
    put_by_id("PutBucketIntelligentTieringConfiguration", Facet::IntelligentTiering, Recorded::Never)
        .also(&["PutIntelligentTieringConfiguration"]),
    delete_by_id("DeleteBucketIntelligentTieringConfiguration", Facet::IntelligentTiering)
        .also(&["DeleteIntelligentTieringConfiguration"]),
    put("PutBucketWebsite", Facet::Website, "WebsiteConfiguration"),
    delete("DeleteBucketWebsite", Facet::Website),
    put("PutBucketCors", Facet::Cors, "CORSConfiguration"),
    delete("DeleteBucketCors", Facet::Cors),
    put("PutBucketRequestPayment", Facet::RequestPayment, "RequestPaymentConfiguration"),
    call("PutAccelerateConfiguration", Effect::Put(Facet::Acceleration, Recorded::Never))
        .also(&["PutBucketAccelerateConfiguration"]),
    put("PutBucketAbac", Facet::Abac, "AbacStatus"),
    put("PutAccountPublicAccessBlock", Facet::AccountPublicAccessBlock, "PublicAccessBlockConfiguration")
        .of(Kind::Account),
    delete("DeleteAccountPublicAccessBlock", Facet::AccountPublicAccessBlock).of(Kind::Account),
    call("CreateAccessPoint", Effect::CreateAccessPoint).of(Kind::AccessPoint),
    call("DeleteAccessPoint", Effect::DeleteAccessPoint).of(Kind::AccessPoint),
    put("PutAccessPointPolicy", Facet::Policy, "PutAccessPointPolicyRequest").of(Kind::AccessPoint),
    delete("DeleteAccessPointPolicy", Facet::Policy).of(Kind::AccessPoint),
];

/// Every call that is folded.
#[must_use]
pub fn supported() -> &'static [Call] {
    CALLS
}

pub(crate) fn find(event_name: &[u8]) -> Option<&'static Call> {
    static BY_NAME: LazyLock<HashMap<&[u8], &Call, RandomState>> = LazyLock::new(|| {
        let names =
            |call: &'static Call| call.aliases.iter().chain([&call.name]).map(move |name| (name.as_bytes(), call));
        CALLS.iter().flat_map(names).collect()
    });
    BY_NAME.get(event_name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_means_the_call_that_cloudtrail_names_otherwise() {
        assert_eq!(find(b"PutPublicAccessBlock").map(|call| call.name), Some("PutBucketPublicAccessBlock"));
        assert_eq!(find(b"GetBucketAcl"), None);
        // The names of permissions are not those of events.
        assert_eq!(find(b"PutLifecycleConfiguration"), None);
    }

    #[test]
    fn a_facet_is_stored_under_the_name_by_which_it_is_shown() {
        for facet in Facet::OF_BUCKET.into_iter().chain([Facet::AccountPublicAccessBlock, Facet::AccessPoint]) {
            assert_eq!(serde_json::to_value(facet).expect("a name"), facet.as_str());
        }
        let of_bucket: Vec<&str> = Facet::OF_BUCKET.iter().map(|facet| facet.as_str()).collect();
        let calls = CALLS.iter().filter(|call| call.kind == Kind::Bucket && call.facet() != CREATION);
        assert!(calls.map(Call::facet).all(|facet| of_bucket.contains(&facet)));
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
