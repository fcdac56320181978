//! What every graph promises, held against each of them: conformance, and the commit protocol with two writers.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod conformance;
mod history;
mod interleavings;
mod moody;
#[expect(dead_code, reason = "its own tests ask more of it")]
#[path = "../jupiterone/server.rs"]
mod server;
mod subject;
mod subjects;
#[path = "../support/mod.rs"]
mod support;
mod two_writers;
