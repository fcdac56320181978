//! The calls that count: CloudTrail's names, other spellings of them, and where a record keeps what was asked for.

use serde_json::Value;

/// A supported call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: &'static str,
    spellings: &'static [&'static str],
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// There is none, or CloudTrail never tells it: the call itself is all there is to know.
    Never,
    /// An element that a call may do without.
    Perhaps(&'static str),
    /// An element without which nothing is known of what the call wrote.
    Xml(&'static str),
    /// The same, of a call that takes JSON.
    Json(&'static str),
}

impl Call {
    const fn new(name: &'static str, body: Body) -> Self {
        Self { name, spellings: &[], body }
    }

    const fn also(mut self, spellings: &'static [&'static str]) -> Self {
        self.spellings = spellings;
        self
    }

    /// The call that a record names.
    pub(super) fn named(said: &str) -> Option<&'static Self> {
        CALLS.iter().find(|call| call.name == said || call.spellings.contains(&said))
    }

    /// What the call asked for. S3 takes XML whatever its root is called; the only object beside is the one.
    pub(super) fn body<'a>(&self, parameters: &'a Value) -> &'a Value {
        let (Body::Perhaps(root) | Body::Xml(root) | Body::Json(root)) = self.body else { return &Value::Null };
        let expected = &parameters[root];
        if !expected.is_null() || self.body == Body::Json(root) {
            return expected;
        }
        let objects = parameters.as_object().into_iter().flatten();
        let others = objects.filter(|(name, value)| value.is_object() && *name != "accessControlList");
        match &others.collect::<Vec<_>>()[..] {
            [(_, only)] => only,
            _ => expected,
        }
    }

    /// Whether the record holds what the call asked for: a large body is left out, and says nothing of the facet.
    pub(super) fn is_recorded(&self, parameters: &Value) -> bool {
        let by_headers = || {
            let headers = ["x-amz-acl", "accessControlList"];
            self.name == "PutBucketAcl" && headers.iter().any(|header| !parameters[*header].is_null())
        };
        let whole = parameters["omitted"] != true;
        match self.body {
            Body::Never => true,
            Body::Perhaps(_) => whole,
            Body::Xml(_) | Body::Json(_) => whole && (!self.body(parameters).is_null() || by_headers()),
        }
    }
}

use Body::{Json, Never, Perhaps, Xml};

const CALLS: &[Call] = &[
    Call::new("CreateBucket", Perhaps("CreateBucketConfiguration")),
    Call::new("DeleteBucket", Never),
    Call::new("PutBucketAcl", Xml("AccessControlPolicy")),
    Call::new("PutBucketPolicy", Json("bucketPolicy")),
    Call::new("DeleteBucketPolicy", Never),
    Call::new("PutBucketPublicAccessBlock", Xml("PublicAccessBlockConfiguration")).also(&["PutPublicAccessBlock"]),
    Call::new("DeleteBucketPublicAccessBlock", Never).also(&["DeletePublicAccessBlock"]),
    Call::new("PutBucketEncryption", Xml("ServerSideEncryptionConfiguration")),
    Call::new("DeleteBucketEncryption", Never),
    Call::new("PutBucketVersioning", Xml("VersioningConfiguration")),
    Call::new("PutBucketLogging", Xml("BucketLoggingStatus")),
    Call::new("PutBucketLifecycle", Xml("LifecycleConfiguration")).also(&["PutBucketLifecycleConfiguration"]),
    Call::new("DeleteBucketLifecycle", Never),
    Call::new("PutBucketReplication", Xml("ReplicationConfiguration")),
    Call::new("DeleteBucketReplication", Never),
    Call::new("PutBucketObjectLockConfiguration", Xml("ObjectLockConfiguration")).also(&["PutObjectLockConfiguration"]),
    Call::new("PutBucketOwnershipControls", Xml("OwnershipControls")),
    Call::new("DeleteBucketOwnershipControls", Never),
    Call::new("PutBucketTagging", Xml("Tagging")),
    Call::new("DeleteBucketTagging", Never),
    Call::new("TagResource", Perhaps("TagResourceRequest")),
    Call::new("UntagResource", Never),
    Call::new("PutBucketNotification", Xml("NotificationConfiguration")).also(&["PutBucketNotificationConfiguration"]),
    Call::new("PutBucketInventoryConfiguration", Xml("InventoryConfiguration")),
    Call::new("DeleteBucketInventoryConfiguration", Never),
    Call::new("PutBucketAnalyticsConfiguration", Never),
    Call::new("DeleteBucketAnalyticsConfiguration", Never),
    Call::new("PutBucketMetricsConfiguration", Never),
    Call::new("DeleteBucketMetricsConfiguration", Never),
    Call::new("PutBucketIntelligentTieringConfiguration", Never).also(&["PutIntelligentTieringConfiguration"]),
    Call::new("DeleteBucketIntelligentTieringConfiguration", Never).also(&["DeleteIntelligentTieringConfiguration"]),
    Call::new("PutBucketWebsite", Xml("WebsiteConfiguration")),
    Call::new("DeleteBucketWebsite", Never),
    Call::new("PutBucketCors", Xml("CORSConfiguration")),
    Call::new("DeleteBucketCors", Never),
    Call::new("PutBucketRequestPayment", Xml("RequestPaymentConfiguration")),
    Call::new("PutAccelerateConfiguration", Never).also(&["PutBucketAccelerateConfiguration"]),
    Call::new("PutBucketAbac", Xml("AbacStatus")),
    Call::new("PutAccountPublicAccessBlock", Xml("PublicAccessBlockConfiguration")),
    Call::new("DeleteAccountPublicAccessBlock", Never),
    Call::new("CreateAccessPoint", Xml("CreateAccessPointRequest")),
    Call::new("DeleteAccessPoint", Never),
    Call::new("PutAccessPointPolicy", Xml("PutAccessPointPolicyRequest")),
    Call::new("DeleteAccessPointPolicy", Never),
];
