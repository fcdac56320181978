//! The graph in JupiterOne, against its contract: failures, claims, pace, shapes.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod burst;
mod claims;
mod failures;
#[cfg(feature = "recordings")]
mod recordings;
mod requests;
mod routing;
mod served;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod wire;
mod world;
