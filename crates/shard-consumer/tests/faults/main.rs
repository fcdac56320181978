//! How a source takes what the services can do to it: the real clients, Kinesis and DynamoDB in memory, virtual time.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod budget;
mod denied;
mod ends;
mod fencing;
mod hand_over;
mod leases;
mod limits;
mod listing;
mod positions;
mod reading;
mod restarts;
mod starts;
mod strangers;
mod unread;
mod wire;
#[path = "../kinesis/worker.rs"]
mod worker;
mod world;
