//! What the fuzz targets share: the promises that are checked, and a mutator that knows CloudTrail's records.
//!
//! `cargo xtask fuzz` needs nothing but the installed toolchain. With cargo-fuzz, from the root of the workspace:
//!
//! ```text
//! cargo fuzz run parse fuzz/corpus/parse fuzz/seeds/parse -- -dict=fuzz/words.dict
//! ```

pub mod answers;
pub mod graph;
pub mod laws;
pub mod mutate;
mod pieces;
pub mod seeds;
pub mod stored;
#[path = "../../crates/bucket-state/tests/support/mod.rs"]
mod support;

use support::ARRIVED_MS;
