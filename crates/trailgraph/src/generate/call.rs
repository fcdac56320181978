//! The calls that change buckets: their CloudTrail names, and what each asks for.

use fastrand::Rng;

use super::bodies::{self, Subject};
use super::policy;
use super::text::put;
use super::world::percent;

/// A call on a bucket, with the intention behind it: there are several of one name.
pub(super) struct Call {
    /// The `eventName`.
    pub(super) name: &'static str,
    /// The key of the query string, as CloudTrail keeps it; empty where there is none.
    subresource: &'static str,
    /// Writes what `requestParameters` holds besides the bucket, the host and the query.
    body: fn(&mut Vec<u8>, &Subject, &mut Rng),
}

macro_rules! calls {
    ($($id:ident = $name:literal, $subresource:literal, $body:expr;)+) => {
        $( pub(super) static $id: Call = Call { name: $name, subresource: $subresource, body: $body }; )+
    };
}

calls! {
    CREATE = "CreateBucket", "", bodies::creation;
    DELETE = "DeleteBucket", "", bodies::nothing;
    POLICY = "PutBucketPolicy", "policy", policy::closed;
    PUBLIC_POLICY = "PutBucketPolicy", "policy", policy::open;
    POLICY_OFF = "DeleteBucketPolicy", "policy", bodies::nothing;
    ACL = "PutBucketAcl", "acl", bodies::acl;
    BLOCK = "PutBucketPublicAccessBlock", "publicAccessBlock", bodies::block;
    PARTIAL_BLOCK = "PutBucketPublicAccessBlock", "publicAccessBlock", bodies::partial_block;
    BLOCK_OFF = "DeleteBucketPublicAccessBlock", "publicAccessBlock", bodies::nothing;
    ENCRYPTION = "PutBucketEncryption", "encryption", bodies::encryption;
    ENCRYPTION_OFF = "DeleteBucketEncryption", "encryption", bodies::nothing;
    VERSIONING = "PutBucketVersioning", "versioning", bodies::versioning;
    VERSIONING_OFF = "PutBucketVersioning", "versioning", bodies::versioning_suspended;
    LOGGING = "PutBucketLogging", "logging", bodies::logging;
    LOGGING_OFF = "PutBucketLogging", "logging", bodies::logging_off;
    TAGGING = "PutBucketTagging", "tagging", bodies::tagging;
    TAGGING_OFF = "DeleteBucketTagging", "tagging", bodies::nothing;
    TAG = "TagResource", "", bodies::tag;
    UNTAG = "UntagResource", "", bodies::untag;
    OWNERSHIP = "PutBucketOwnershipControls", "ownershipControls", bodies::ownership;
    LIFECYCLE = "PutBucketLifecycle", "lifecycle", bodies::lifecycle;
    LIFECYCLE_OFF = "DeleteBucketLifecycle", "lifecycle", bodies::nothing;
    CORS = "PutBucketCors", "cors", bodies::cors;
    CORS_OFF = "DeleteBucketCors", "cors", bodies::nothing;
    NOTIFICATION = "PutBucketNotification", "notification", bodies::notification;
    REPLICATION = "PutBucketReplication", "replication", bodies::replication;
    WEBSITE = "PutBucketWebsite", "website", bodies::website;
    REQUEST_PAYMENT = "PutBucketRequestPayment", "requestPayment", bodies::request_payment;
    ACCELERATION = "PutAccelerateConfiguration", "accelerate", bodies::nothing;
    OBJECT_LOCK = "PutBucketObjectLockConfiguration", "object-lock", bodies::object_lock;
    METRICS = "PutBucketMetricsConfiguration", "metrics", bodies::metrics;
}

/// What a deployment sets on a new bucket.
pub(super) static DEPLOYED: &[&Call] = &[
    &VERSIONING,
    &ENCRYPTION,
    &BLOCK,
    &POLICY,
    &TAGGING,
    &LOGGING,
    &ACL,
    &OWNERSHIP,
    &LIFECYCLE,
    &CORS,
    &NOTIFICATION,
    &TAG,
    &REPLICATION,
];

/// What happens to a bucket in its life, each with a weight.
pub(super) static CHANGES: &[(u32, &Call)] = &[
    (14, &POLICY),
    (5, &PUBLIC_POLICY),
    (4, &POLICY_OFF),
    (11, &TAGGING),
    (2, &TAGGING_OFF),
    (10, &TAG),
    (6, &UNTAG),
    (7, &ENCRYPTION),
    (4, &ENCRYPTION_OFF),
    (4, &BLOCK),
    (4, &PARTIAL_BLOCK),
    (4, &BLOCK_OFF),
    (5, &LOGGING),
    (4, &LOGGING_OFF),
    (4, &VERSIONING),
    (4, &VERSIONING_OFF),
    (7, &ACL),
    (5, &LIFECYCLE),
    (2, &LIFECYCLE_OFF),
    (3, &CORS),
    (2, &CORS_OFF),
    (4, &NOTIFICATION),
    (3, &OWNERSHIP),
    (2, &REPLICATION),
    (1, &WEBSITE),
    (1, &REQUEST_PAYMENT),
    (1, &ACCELERATION),
    (1, &OBJECT_LOCK),
    (1, &METRICS),
];

/// Pairs that overwrite each other: within one second, their order may be lost.
pub(super) static RIVALS: &[[&Call; 2]] = &[
    [&POLICY, &POLICY_OFF],
    [&POLICY, &PUBLIC_POLICY],
    [&TAGGING, &TAGGING],
    [&TAGGING, &TAG],
    [&TAG, &UNTAG],
    [&ENCRYPTION, &ENCRYPTION_OFF],
    [&BLOCK, &BLOCK_OFF],
    [&VERSIONING, &VERSIONING_OFF],
    [&LOGGING, &LOGGING_OFF],
    [&ACL, &ACL],
];

impl Call {
    /// One of the changes, by weight.
    pub(super) fn change(rng: &mut Rng) -> &'static Self {
        let mut drawn = rng.u32(..CHANGES.iter().map(|(weight, _)| weight).sum::<u32>());
        for (weight, call) in CHANGES {
            match drawn.checked_sub(*weight) {
                Some(rest) => drawn = rest,
                None => return call,
            }
        }
        &POLICY
    }

    /// Whether the call is a creation, which needs no bucket.
    pub(super) fn creates(&self) -> bool {
        std::ptr::eq(self, &CREATE)
    }

    /// Writes the `requestParameters`.
    pub(super) fn put_parameters(&self, text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
        put!(text, r#"{"bucketName":""#, subject.name, r#"","Host":""#);
        // Tags of resources are the control plane's.
        subject.put_host(text, percent(10, rng), self.name.ends_with("Resource"));
        put!(text, r#"""#);
        if !self.subresource.is_empty() {
            put!(text, r#",""#, self.subresource, r#"":"""#);
        }
        (self.body)(text, subject, rng);
        put!(text, "}");
    }
}
