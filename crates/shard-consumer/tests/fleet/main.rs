//! Fleets of whole workers: in virtual time on services in memory, and as processes on protocol servers.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

#[path = "../../examples/tail/follow.rs"]
mod follow;
mod ledger;
mod processes;
mod simulated;
mod stream;
mod writes;
