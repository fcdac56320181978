//! The leader of a fleet of the Kinesis Client Library 3: its lock is a row of the lease table, or of the table that
//! versions before 3.5 keep beside it.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use super::super::Leader;
use super::fault::Fault;
use super::row::{Item, string};
use crate::source::SourceError;

/// A leader's heart beats as often (`LeaseManagementConfig`: 30 s).
const ASK_EVERY: Duration = Duration::from_secs(30);
/// The library's own duration of the lock, where the row does not tell.
const LASTS: Duration = Duration::from_secs(120);

/// The leader that a row names, unless it has stepped down.
pub(super) fn live(item: &Item) -> Option<Leader> {
    let text = |name: &str| match item.get(name) {
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => Some(text.as_str()),
        _ => None,
    };
    if text("isReleased") == Some("1") {
        return None;
    }
    Some(Leader {
        name: text("ownerName")?.to_owned(),
        beat: text("recordVersionNumber").unwrap_or_default().to_owned(),
        lasts: text("leaseDuration").and_then(|ms| ms.parse().ok()).map_or(LASTS, Duration::from_millis),
    })
}

/// The leader's lock in a table of its own. Rarely asked for: few fleets have it.
pub(super) struct LegacyLeader {
    table: String,
    answer: Mutex<Answer>,
}

#[derive(Default)]
struct Answer {
    at: Option<Instant>,
    leader: Option<Leader>,
    denial_told: bool,
}

impl LegacyLeader {
    pub(super) fn beside(table: &str) -> Self {
        Self { table: format!("{table}-CoordinatorState"), answer: Mutex::default() }
    }

    /// The leader, as of at most half a minute ago; older where the table does not answer.
    pub(super) async fn ask(&self, client: &Client) -> Result<Option<Leader>, SourceError> {
        let mut answer = self.answer.lock().await;
        if answer.at.is_none_or(|at| at.elapsed() >= ASK_EVERY) {
            let get = client.get_item().table_name(&self.table).consistent_read(true);
            let got = get.key("key", string("Leader")).send().await.map_err(|error| Fault::of(&error));
            answer.leader = match got {
                Ok(got) => got.item.as_ref().and_then(live),
                Err(fault) if fault.is("ResourceNotFoundException") => None,
                Err(fault) if fault.is_denied() => {
                    if !answer.denial_told {
                        answer.denial_told = true;
                        warn!(
                            table = self.table,
                            error = fault.text(),
                            "whether a leader of the Kinesis Client Library balances these leases is not known, so none \
                             is assumed: allow dynamodb:GetItem on this table, also if it does not exist"
                        );
                    }
                    None
                }
                // Better the last answer than no leases; and better no leases than two that balance them.
                Err(_) if answer.at.is_some() => answer.leader.clone(),
                Err(fault) => return Err(fault.failed("read the leader", "GetItem", &self.table)),
            };
            answer.at = Some(Instant::now());
        }
        Ok(answer.leader.clone())
    }
}
