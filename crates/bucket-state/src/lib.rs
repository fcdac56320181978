//! The state of an S3 bucket, folded from CloudTrail events in any order. Access points and what is set for a whole
//! account have states of their own.
//!
//! ```text
//! bytes ─parse─▶ Event ─fold─▶ Delta ─merge─▶ ResourceState ─project─▶ Snapshot
//! ```
//!
//! A state is a join-semilattice: merging is commutative, associative and idempotent, so duplicates, disorder,
//! replays and any split of the work over processes end in the same state. This crate does no I/O and reads
//! no clock, and only [`parse`](Parser::parse) and [`decode`](ResourceState::decode) can fail.

mod access_point;
mod account;
mod acl;
mod blocks;
mod body;
mod catalogue;
mod change;
mod codec;
mod creations;
mod delta;
mod envelope;
mod event;
mod event_id;
mod exposure;
mod facets;
mod graph;
mod head;
mod keyed;
mod living;
mod parameters;
mod parse;
mod parsed;
mod policy;
mod project;
mod provenance;
mod record;
mod register;
mod resource;
mod stamp;
mod state;
mod text;
mod texts;

pub use account::{AccountLevel, account_of, belongs_to};
pub use body::Body;
pub use catalogue::{Call, Facet, supported};
pub use codec::DecodeError;
pub use delta::{Delta, Deltas};
pub use event::{Change, Event, Owner, TagChange};
pub use event_id::EventId;
pub use graph::{Digest, Entity, Relationship, Snapshot, placeholder};
pub use parse::Parser;
pub use parsed::{Ignored, Malformed, Parsed, RECORD_BYTES_MAX, REJECTED_SNAPSHOT};
pub use project::{contested, project};
pub use provenance::Provenance;
pub use register::{Setting, Unknown};
pub use resource::{Kind, ResourceId};
pub use stamp::{Origin, Stamp};
pub use state::ResourceState;
