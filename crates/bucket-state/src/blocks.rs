//! The four switches of a public access block.

use serde_json::Value;

use crate::body::flag;
use crate::graph::Entity;

/// The switches of a bucket, an access point or an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    pub(crate) block_public_acls: bool,
    pub(crate) ignore_public_acls: bool,
    pub(crate) block_public_policy: bool,
    pub(crate) restrict_public_buckets: bool,
}

impl Blocks {
    /// All on, or all off.
    pub(crate) fn all(on: bool) -> Self {
        Self { block_public_acls: on, ignore_public_acls: on, block_public_policy: on, restrict_public_buckets: on }
    }

    /// As a `PublicAccessBlockConfiguration` says; a switch that it leaves out is off.
    pub(crate) fn read(configuration: &Value) -> Self {
        Self {
            block_public_acls: flag(&configuration["BlockPublicAcls"]),
            ignore_public_acls: flag(&configuration["IgnorePublicAcls"]),
            block_public_policy: flag(&configuration["BlockPublicPolicy"]),
            restrict_public_buckets: flag(&configuration["RestrictPublicBuckets"]),
        }
    }

    pub(crate) fn describe(self, entity: &mut Entity) {
        entity.set("blockPublicAcls", self.block_public_acls);
        entity.set("ignorePublicAcls", self.ignore_public_acls);
        entity.set("blockPublicPolicy", self.block_public_policy);
        entity.set("restrictPublicBuckets", self.restrict_public_buckets);
    }
}
