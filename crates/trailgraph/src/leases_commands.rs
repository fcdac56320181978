//! `trailgraph leases`: the lease table, read and mended.

mod rewind;
mod show;
mod watch;

use shard_consumer::LeaseTable;

use crate::cli::{LeaseArgs, LeasesArgs, LeasesCommand};
use crate::failure::Failure;
use crate::logs;
use crate::summary::print;

/// Runs one of them.
///
/// # Errors
/// [`Failure::Usage`] when the leases cannot be used, [`Failure::Running`] when they cannot be read or written, or when
/// a worker holds some that were to be rewound.
pub async fn run(args: LeasesArgs) -> Result<(), Failure> {
    logs::start(None, tracing::Level::WARN);
    match args.command {
        LeasesCommand::Show { leases, json } => show(&leases, json).await,
        LeasesCommand::Rewind { leases, to, force } => rewind::run(&leases, &to, force).await,
    }
}

async fn show(args: &LeaseArgs, json: bool) -> Result<(), Failure> {
    let table = match args.open_existing().await? {
        Some(store) => sorted(store.list().await?),
        None => LeaseTable::default(),
    };
    print(&if json { show::as_json(args, &table)? } else { show::as_text(&table) })?;
    eprintln!("{}", show::summary(args, &table));
    Ok(())
}

/// By shard, parents before their children: the service numbers shards in the order in which they come to be.
fn sorted(mut table: LeaseTable) -> LeaseTable {
    table.leases.sort_by(|a, b| a.shard.cmp(&b.shard));
    table.unreadable.sort_by(|a, b| a.shard.cmp(&b.shard));
    table
}
