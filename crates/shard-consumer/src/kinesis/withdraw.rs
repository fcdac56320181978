//! What a worker that stops does about the leases that are on their way to it.

use std::time::Duration;

use tokio::time::timeout;

use super::KinesisSource;
use crate::leases::{Change, Written};
use crate::source::SourceError;

/// It takes no longer than this: what is left expires.
const WITHIN: Duration = Duration::from_secs(1);
/// A holder may let go at the same moment: then there is something else to give back.
const TRIES: usize = 3;

/// Gives back what was asked for, and what was handed over and not begun: nobody would read it.
pub(super) async fn withdraw(source: &KinesisSource) {
    match timeout(WITHIN, give_back(source)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => complain(&error.chain()),
        Err(_) => complain("no answer in time"),
    }
}

fn complain(error: &str) {
    tracing::warn!(error, "leases that were asked for were not given back: others take them when they expire");
}

async fn give_back(source: &KinesisSource) -> Result<(), SourceError> {
    let me = Some(source.owner.as_str());
    for _ in 0..TRIES {
        let table = source.leases.list().await?;
        let mut refused = false;
        for lease in table.leases.iter().filter(|lease| !lease.is_finished()) {
            let is_held = source.tenures.of(&lease.shard).is_some_and(|tenure| tenure.is_held());
            let change = match (lease.holder() == me, lease.owner.as_deref() == me) {
                _ if is_held => continue,
                (true, _) => Change::Release { checkpoint: None },
                (false, true) => Change::Withdraw,
                (false, false) => continue,
            };
            refused |= source.leases.update(lease, &change).await? != Written::Landed;
        }
        if !refused {
            break;
        }
    }
    Ok(())
}
