//! Blocks of public access: of a bucket, of an account, of an access point.

use serde_json::Value;

use super::exposure::Finding;
use super::facets::{Described, Known};

/// AWS begins to make buckets with public access blocked and ACLs disabled in April 2023, and is done by May.
const SECURE_BY_DEFAULT: std::ops::Range<i64> = 1_680_307_200..1_682_899_200;
const PROPERTIES: [&str; 4] = ["blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets"];

/// The four flags, in the order of `PROPERTIES`.
pub(super) type Block = [bool; 4];

/// The flags of a configuration: those that it does not name are off.
pub(super) fn flags(body: &Value) -> Block {
    PROPERTIES.map(|name| body[name[..1].to_uppercase() + &name[1..]] == true)
}

impl Described<'_> {
    pub(super) fn set_block(&mut self, block: Block) {
        for (name, flag) in PROPERTIES.into_iter().zip(block) {
            self.set(name, flag);
        }
    }

    /// The last word on a block, from a call that sets it and one that clears it.
    pub(super) fn block(&mut self, facet: &'static str, calls: [&str; 2], default: Option<Block>) -> Finding<Block> {
        let known = self.last(facet, &calls);
        let block = match known {
            Known::Set(event) => Some(flags(event.body())),
            Known::Cleared(_) => Some([false; 4]),
            Known::Default => default,
            Known::Unknown => None,
        };
        if let Some(block) = block {
            self.set_block(block);
        }
        Finding { value: block, reason: known.reason(facet) }
    }

    pub(super) fn public_access_block(&mut self) -> Finding<Block> {
        let calls = ["PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"];
        self.block("publicAccessBlock", calls, self.is_secure_by_default().map(|secure| [secure; 4]))
    }

    /// Whether a new bucket was made with public access blocked and ACLs disabled, if the time of it tells.
    pub(super) fn is_secure_by_default(&self) -> Option<bool> {
        // A bucket whose making nobody saw was made after the former one was deleted.
        let (from, until) = match self.creation("CreateBucket").map(|creation| creation.stamp.second) {
            Some(created) => (created, created),
            None => (self.life.deleted()?, i64::MAX),
        };
        if from >= SECURE_BY_DEFAULT.end {
            return Some(true);
        }
        (until < SECURE_BY_DEFAULT.start).then_some(false)
    }
}
