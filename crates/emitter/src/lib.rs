//! From sealed windows to graphs: save, outbox, project, replace.
//!
//! ```text
//! Window ─seal─▶ Sealed ─save─▶ Saved ─checkpoint─▶ (the source)        commit.rs
//!                                 │ rows marked pending
//!                                 ▼
//!                 Pending ─emit─▶ Acknowledged ─clear─▶ (the store)     outbox.rs
//! ```
//!
//! The stored row is the one truth and `pending` is durable: whoever finds a pending row emits it, so no crash
//! loses an emission. Nothing here knows where events come from.

mod accounts;
mod bolt_graph;
mod commit;
mod dynamo_store;
mod fan_out;
mod jupiterone;
mod outbox;
mod row;
mod sink;
mod sqlite;
mod sqlite_graph;
mod sqlite_store;
mod store;
mod window;

pub use accounts::snapshots;
pub use bolt_graph::{BOLT_STATUSES, BoltGraph, BoltParams};
pub use commit::{SaveReport, Saved};
pub use dynamo_store::{DynamoStore, DynamoStoreParams};
pub use fan_out::{FanOutReport, FanOutWork};
pub use jupiterone::{
    Header, Http, JUPITERONE_STATUSES, JupiterOne, JupiterOneParams, Mode, Request, Reqwest, Response, Route, Scope,
};
pub use outbox::{EmitReport, Outbox, OutboxError, OutboxSettings, Settled};
pub use row::{Generation, Mark, PendingMark, Row, SinkName, Stored, Version};
pub use sink::{Emission, GraphSink, Observe, SinkError, SinkEvent, Turn, Verdict};
pub use sqlite::SqliteFile;
pub use sqlite_graph::{BucketSummary, BucketView, SqliteGraph, WholeGraph};
pub use sqlite_store::SqliteStore;
pub use store::{
    Backlog, FanOut, ListedSink, PendingQuery, Save, SaveOutcome, Settlement, Settling, StateStore, StoreError,
};
pub use window::{Limits, Sealed, Window};
