//! `trailgraph run --dry-run`: the same pipeline on stores that only remember.

mod leases;
mod rehearsal;

use std::sync::Arc;

use shard_consumer::LeaseStore;

use crate::cli::RunArgs;
use crate::dead_letters::DeadLetters;
use crate::failure::Failure;
use crate::stores::{Stores, open_state_to_read, sink_names};
use leases::RememberedLeases;
use rehearsal::Rehearsal;

/// Stores and leases that begin as the real ones stand, which are read and never written. No graph is asked.
///
/// # Errors
/// As of the real ones.
pub async fn open(args: &RunArgs, worker: &str) -> Result<(Stores, Arc<dyn LeaseStore>), Failure> {
    let real = open_state_to_read(&args.stores.state.state, worker).await?;
    let state = Rehearsal::on(real, &sink_names(&args.stores));
    let leases = match args.leases.open_to_read().await? {
        Some(leases) => RememberedLeases::of(leases.list().await?.leases),
        None => RememberedLeases::default(),
    };
    let stores = Stores {
        state: Arc::new(state),
        sinks: Vec::new(),
        files: Vec::new(),
        dead_letters: Arc::new(DeadLetters::nowhere()),
    };
    Ok((stores, Arc::new(leases)))
}
