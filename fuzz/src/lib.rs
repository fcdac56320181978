//! What the fuzz targets share: the promises that are checked, and a mutator that knows CloudTrail's records.
//!
//! `cargo xtask fuzz` needs nothing but the installed toolchain. With cargo-fuzz, from the root of the workspace:
//!
//! ```text
//! cargo fuzz run parse fuzz/corpus/parse fuzz/seeds/parse -- -dict=fuzz/words.dict
//! ```
//!
//! The SDKs of AWS take minutes to build, so modules of crates that need them are included here, without those.

// The unit tests of what is included run in their own crates; here are none.
#![cfg(not(test))]

// What is included asks for DynamoDB's SDK by name; all it needs of it is in `types`.
extern crate self as aws_sdk_dynamodb;

pub mod aggregates;
pub mod answers;
pub mod graph;
pub mod laws;
pub mod mutate;
pub mod permits;
mod pieces;
pub mod rows;
pub mod seeds;
pub mod stored;
#[expect(dead_code, reason = "only what inputs are made from is used")]
#[path = "../../crates/bucket-state/tests/support/mod.rs"]
mod support;
mod types;

use shard_consumer::record;
use support::ARRIVED_MS;

#[expect(dead_code, unreachable_pub, reason = "what the crate has besides is not fuzzed")]
#[path = "../../crates/shard-consumer/src"]
mod shard_consumer {
    pub(crate) mod aggregate;
    pub(crate) mod record;

    pub(crate) mod leases {
        use crate::record::{Position, ShardId};

        mod words;

        pub(crate) mod dynamodb {
            use super::{Lease, UnreadableLease};

            mod row;

            pub(crate) type Item = row::Item;

            /// The lease of the item, if it is one of `stream`.
            pub(crate) fn read(item: &Item, stream: &str) -> Result<Option<Lease>, UnreadableLease> {
                match row::read(item, stream) {
                    row::Row::Lease(lease) => Ok(Some(lease)),
                    row::Row::Unreadable(unreadable) => Err(unreadable),
                    row::Row::Leader | row::Row::OtherStream | row::Row::Other => Ok(None),
                }
            }

            pub(crate) fn item(lease: &Lease, stream: &str) -> Item {
                row::item(lease, stream)
            }
        }

        /// As in the crate.
        #[derive(Debug, PartialEq)]
        pub(crate) struct Lease {
            pub(crate) shard: ShardId,
            pub(crate) owner: Option<String>,
            pub(crate) checkpoint_owner: Option<String>,
            pub(crate) counter: u64,
            pub(crate) checkpoint: Position,
            pub(crate) start_timestamp_ms: Option<i64>,
            pub(crate) parents: Vec<ShardId>,
            pub(crate) children: Vec<ShardId>,
            pub(crate) hash_keys: Option<(String, String)>,
        }

        /// As in the crate.
        pub(crate) struct UnreadableLease {
            pub(crate) shard: ShardId,
            pub(crate) why: String,
        }
    }
}

#[expect(dead_code, unreachable_pub, reason = "what the crate has besides is not fuzzed")]
#[path = "../../crates/trailgraph/src/permit"]
mod permit {
    pub(crate) mod list;
}
