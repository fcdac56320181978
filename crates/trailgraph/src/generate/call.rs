//! The calls that change buckets, access points and accounts: their CloudTrail names, and what each asks for.

use fastrand::Rng;

use super::bodies;
use super::policy;
use super::subject::{Subject, Target};
use super::text::put;
use super::world::percent;

/// A call, with the intention behind it: there are several of one name.
pub(super) struct Call {
    /// The `eventName`.
    pub(super) name: &'static str,
    pub(super) target: Target,
    /// The key of the query string, as CloudTrail keeps it; empty where there is none.
    subresource: &'static str,
    /// Writes what `requestParameters` holds besides the bucket, the host and the query.
    body: fn(&mut Vec<u8>, &Subject, &mut Rng),
}

macro_rules! calls {
    ($($target:ident { $($id:ident = $name:literal, $subresource:literal, $body:expr;)+ })+) => { $($(
        pub(super) static $id: Call =
            Call { name: $name, target: Target::$target, subresource: $subresource, body: $body };
    )+)+ };
}

calls! {
    Bucket {
        CREATE = "CreateBucket", "", bodies::creation;
        DELETE = "DeleteBucket", "", bodies::nothing;
        POLICY = "PutBucketPolicy", "policy", policy::bucket_closed;
        PUBLIC_POLICY = "PutBucketPolicy", "policy", policy::bucket_open;
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
        OWNERSHIP_OFF = "DeleteBucketOwnershipControls", "ownershipControls", bodies::nothing;
        LIFECYCLE = "PutBucketLifecycle", "lifecycle", bodies::lifecycle;
        LIFECYCLE_OFF = "DeleteBucketLifecycle", "lifecycle", bodies::nothing;
        CORS = "PutBucketCors", "cors", bodies::cors;
        CORS_OFF = "DeleteBucketCors", "cors", bodies::nothing;
        NOTIFICATION = "PutBucketNotification", "notification", bodies::notification;
        REPLICATION = "PutBucketReplication", "replication", bodies::replication;
        REPLICATION_OFF = "DeleteBucketReplication", "replication", bodies::nothing;
        WEBSITE = "PutBucketWebsite", "website", bodies::website;
        WEBSITE_OFF = "DeleteBucketWebsite", "website", bodies::nothing;
        REQUEST_PAYMENT = "PutBucketRequestPayment", "requestPayment", bodies::request_payment;
        ACCELERATION = "PutAccelerateConfiguration", "accelerate", bodies::nothing;
        OBJECT_LOCK = "PutBucketObjectLockConfiguration", "object-lock", bodies::object_lock;
        INVENTORY = "PutBucketInventoryConfiguration", "inventory", bodies::inventory;
        INVENTORY_OFF = "DeleteBucketInventoryConfiguration", "inventory", bodies::inventory_id;
        ANALYTICS = "PutBucketAnalyticsConfiguration", "analytics", bodies::analytics;
        ANALYTICS_OFF = "DeleteBucketAnalyticsConfiguration", "analytics", bodies::analytics;
        METRICS = "PutBucketMetricsConfiguration", "metrics", bodies::metrics;
        METRICS_OFF = "DeleteBucketMetricsConfiguration", "metrics", bodies::metrics;
        TIERING = "PutBucketIntelligentTieringConfiguration", "intelligent-tiering", bodies::tiering;
        TIERING_OFF = "DeleteBucketIntelligentTieringConfiguration", "intelligent-tiering", bodies::tiering_id;
        ABAC = "PutBucketAbac", "abac", bodies::abac;
        ABAC_OFF = "PutBucketAbac", "abac", bodies::abac_off;
    }
    AccessPoint {
        CREATE_POINT = "CreateAccessPoint", "", bodies::access_point;
        DELETE_POINT = "DeleteAccessPoint", "", bodies::nothing;
        POINT_POLICY = "PutAccessPointPolicy", "", bodies::point_policy;
        OPEN_POINT_POLICY = "PutAccessPointPolicy", "", bodies::open_point_policy;
        POINT_POLICY_OFF = "DeleteAccessPointPolicy", "", bodies::nothing;
    }
    Account {
        ACCOUNT_BLOCK = "PutAccountPublicAccessBlock", "", bodies::account_block;
        PARTIAL_ACCOUNT_BLOCK = "PutAccountPublicAccessBlock", "", bodies::partial_account_block;
        ACCOUNT_BLOCK_OFF = "DeleteAccountPublicAccessBlock", "", bodies::nothing;
    }
}

/// Of 1,000 bodies that may be large, how many CloudTrail leaves out.
const OMITTED_PER_MILLE: u32 = 12;

impl Call {
    /// Whether this is the other call: one of its name and intention.
    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    /// Whether the control plane takes the call: tags of resources are its own, too.
    pub(super) fn is_control(&self) -> bool {
        self.target != Target::Bucket || self.name.ends_with("Resource")
    }

    /// Whether the call is as old as the older form of records.
    pub(super) fn has_older_form(&self) -> bool {
        const YOUNGER: &[&Call] = &[&OWNERSHIP, &OWNERSHIP_OFF, &OBJECT_LOCK, &TIERING, &TIERING_OFF, &ABAC, &ABAC_OFF];
        !self.is_control() && !YOUNGER.iter().any(|call| self.is(call))
    }

    /// Whether what is asked for may exceed what CloudTrail keeps: long lists of rules do.
    fn may_be_large(&self) -> bool {
        [&LIFECYCLE, &CORS, &NOTIFICATION, &REPLICATION].iter().any(|call| self.is(call))
    }

    /// Writes the `requestParameters`.
    pub(super) fn put_parameters(&self, text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
        put!(text, "{");
        if self.target == Target::Bucket {
            put!(text, r#""bucketName":""#, subject.name, r#"","#);
        }
        put!(text, if subject.older { r#""host":[""# } else { r#""Host":""# });
        subject.put_host(text, percent(10, rng), self.is_control());
        put!(text, if subject.older { r#""]"# } else { r#"""# });
        if !self.subresource.is_empty() {
            subject.put_header(text, self.subresource, "");
        }
        if self.may_be_large() && rng.u32(..1_000) < OMITTED_PER_MILLE {
            put!(text, r#","omitted":true"#);
        } else {
            (self.body)(text, subject, rng);
        }
        put!(text, "}");
    }
}
