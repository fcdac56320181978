//! `leases rewind`: sets every lease to a position.

use std::time::Duration;

use shard_consumer::{Change, Lease, LeaseStore, LeaseTable, Position, SourceError, UnreadableLease, Written};

use super::show::{counted, position};
use super::{sorted, watch};
use crate::cli::LeaseArgs;
use crate::clock;
use crate::failure::Failure;
use crate::graph_commands::text::{table as aligned, visible};
use crate::summary::print;

/// A call of the store is made so often at the most, and with `--force` a row is overwritten so often.
const TRIES: u32 = 10;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// A message names no more shards than this.
const NAMED_MOST: usize = 5;

pub(super) async fn run(args: &LeaseArgs, to: &Position, force: bool) -> Result<(), Failure> {
    if to.timestamp_ms().is_some_and(|ms| ms > clock::now_ms()) {
        let why = "is later than now, so records that are still to come would be skipped: name a time in the past";
        return Err(Failure::flag("--to", position(to), why));
    }
    let nothing = || Failure::Running(anyhow::anyhow!("no leases in {}: nothing was rewound", args.described()));
    let store = args.open_existing().await?.ok_or_else(nothing)?;
    let table = if force {
        sorted(again(async || store.list().await).await?)
    } else {
        watch::for_signs_of_life(&*store, args.failover_after).await?.map_err(|lease| refused(&lease, 0, 0))?
    };
    if table.leases.is_empty() && table.unreadable.is_empty() {
        return Err(nothing());
    }
    if let Some(warning) = skipped(&table, to) {
        eprintln!("warning: {warning}");
    }
    let Rewound { was, failed } = rewind_all(&*store, &table.leases, to, force).await;
    if !was.is_empty() {
        print(&as_text(&was, to))?;
    }
    eprintln!("{} rewound to {}", counted(was.len(), "lease"), position(to));
    failed.map_or_else(|| nothing_was_left(&table.unreadable), Err)
}

/// What has been done.
struct Rewound {
    /// The leases that are rewound, as they were before.
    was: Vec<Lease>,
    /// Why the others are not.
    failed: Option<Failure>,
}

/// Parents come first: a worker that goes on meanwhile reads them before their children.
async fn rewind_all(store: &dyn LeaseStore, leases: &[Lease], to: &Position, force: bool) -> Rewound {
    let mut done = Rewound { was: Vec::new(), failed: None };
    for seen in leases {
        match rewind(store, seen, to, force).await {
            Ok(Outcome::Rewound(was)) => done.was.push(was),
            Ok(Outcome::Gone) => {}
            Ok(Outcome::Refused(by)) => done.failed = Some(refused(&by, done.was.len(), leases.len())),
            Err(error) => done.failed = Some(error.into()),
        }
        if done.failed.is_some() {
            break;
        }
    }
    done
}

fn as_text(was: &[Lease], to: &Position) -> String {
    let mut rows = vec![["shard", "was at", "is at", "was owned by"].map(String::from).to_vec()];
    rows.extend(was.iter().map(|was| {
        let holder = was.holder().map_or_else(|| "-".into(), visible);
        vec![visible(was.shard.as_str()), position(&was.checkpoint), position(to), holder]
    }));
    aligned(&rows)
}

fn nothing_was_left(unreadable: &[UnreadableLease]) -> Result<(), Failure> {
    if unreadable.is_empty() {
        return Ok(());
    }
    let why = |row: &UnreadableLease| format!("{}: {}", visible(row.shard.as_str()), visible(&row.why));
    let why: Vec<String> = unreadable.iter().take(NAMED_MOST).map(why).collect();
    Err(Failure::Running(anyhow::anyhow!(
        "{} cannot be read, so left alone, which --force does not change; mend by hand: {}",
        counted(unreadable.len(), "row"),
        why.join("; ")
    )))
}

enum Outcome {
    /// It was this before.
    Rewound(Lease),
    /// Somebody has removed the row.
    Gone,
    /// Somebody has written the row, which is this now.
    Refused(Lease),
}

async fn rewind(store: &dyn LeaseStore, seen: &Lease, to: &Position, force: bool) -> Result<Outcome, SourceError> {
    let change = Change::Rewind { position: to.clone() };
    let mut seen = seen.clone();
    // A write that was not answered may have landed all the same.
    let mut in_doubt = false;
    let mut tries = 1;
    loop {
        match store.update(&seen, &change).await {
            Ok(Written::Landed) => return Ok(Outcome::Rewound(seen)),
            Ok(Written::Refused(None)) => return Ok(Outcome::Gone),
            Ok(Written::Refused(Some(found))) => {
                let mut ours = seen.clone();
                ours.apply(&change);
                if in_doubt && found.is_unchanged(&ours) && found.checkpoint == *to {
                    return Ok(Outcome::Rewound(seen));
                }
                if !force || tries == TRIES {
                    return Ok(Outcome::Refused(*found));
                }
                (seen, in_doubt) = (*found, false);
            }
            Err(error) if tries == TRIES => return Err(error),
            Err(_) => {
                in_doubt = true;
                tokio::time::sleep(TRY_AGAIN_AFTER).await;
            }
        }
        tries += 1;
    }
}

/// Asks until there is an answer, for some seconds.
pub(super) async fn again<T>(mut ask: impl AsyncFnMut() -> Result<T, SourceError>) -> Result<T, SourceError> {
    let mut tries = 1;
    loop {
        match ask().await {
            Err(_) if tries < TRIES => tokio::time::sleep(TRY_AGAIN_AFTER).await,
            answer => return answer,
        }
        tries += 1;
    }
}

fn refused(by: &Lease, done: usize, all: usize) -> Failure {
    let worker = visible(by.holder().unwrap_or("a worker that is stopping"));
    let shard = visible(by.shard.as_str());
    let so_far = if done > 0 { format!(" {done} of {all} leases were rewound before.") } else { String::new() };
    Failure::Running(anyhow::anyhow!(
        "worker {worker} is alive: it has written the lease of {shard}.{so_far} Stop the workers and rewind then, or take the \
         leases away from them with --force"
    ))
}

/// What a rewind to a time may pass over, if anything: rewinding goes forward where a shard has not been read so far.
fn skipped(table: &LeaseTable, to: &Position) -> Option<String> {
    let to_ms = to.timestamp_ms()?;
    let is_before = |at: &Position| match at {
        Position::TrimHorizon => true,
        at => at.timestamp_ms().is_some_and(|ms| ms < to_ms),
    };
    let names = |shards: Vec<&Lease>| {
        let named: Vec<String> = shards.iter().take(NAMED_MOST).map(|lease| visible(lease.shard.as_str())).collect();
        let more = if shards.len() > NAMED_MOST { ", …" } else { "" };
        (!named.is_empty()).then(|| format!("{}{more}", named.join(", ")))
    };
    let of = |is_meant: &dyn Fn(&Position) -> bool| {
        names(table.leases.iter().filter(|lease| is_meant(&lease.checkpoint)).collect())
    };
    let to = position(to);
    let unread = of(&is_before).map(|shards| {
        format!(
            "nothing of {shards} was read yet: what arrived before {to} is skipped; --to trim-horizon skips nothing"
        )
    });
    let unknown = of(&|at| matches!(at, Position::After { .. })).map(|shards| {
        format!(
            "a sequence number does not tell its time: where {shards} had not been read up to {to}, the records in between \
             are skipped"
        )
    });
    let said: Vec<String> = [unread, unknown].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests;
