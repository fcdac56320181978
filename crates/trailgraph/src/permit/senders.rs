//! The accounts that send events: who is permitted now, who was last heard of when, and who is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bucket_state::Event;

use super::{Account, Permit, is_account};
use crate::metrics::{LastSeen, Metrics};

/// Refused accounts that are told apart; any more are counted together.
const REFUSED_MOST: usize = 1_000;
/// A refused account is logged at once, and again after this time if it is still sending.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// What the accounts are called that are no accounts, or too many.
const OTHERS: &str = "others";

/// All senders. Shared by every reader; the list is exchanged whole.
pub struct Senders {
    admitted: RwLock<Arc<Admitted>>,
    refused: Mutex<BTreeMap<String, Refused>>,
    metrics: Arc<Metrics>,
}

/// The permitted accounts, with what shows when each was last heard of.
pub enum Admitted {
    /// All of them; none is watched.
    Any,
    /// These.
    Listed(BTreeMap<String, (Account, LastSeen)>),
}

/// An account that is refused.
struct Refused {
    said: Instant,
    /// Events since then.
    unsaid: u64,
}

impl Senders {
    /// These accounts, of which none was heard of yet.
    #[must_use]
    pub fn new(permit: &Permit, metrics: Arc<Metrics>) -> Self {
        let admitted = RwLock::new(Arc::new(Admitted::of(permit, &metrics)));
        Self { admitted, refused: Mutex::default(), metrics }
    }

    /// From now on these.
    pub fn permit(&self, permit: &Permit) {
        let next = Arc::new(Admitted::of(permit, &self.metrics));
        let before = std::mem::replace(&mut *self.admitted.write().unwrap_or_else(PoisonError::into_inner), next);
        if let Admitted::Listed(before) = &*before {
            let gone = before.keys().filter(|id| permit.listed().is_none_or(|listed| !listed.contains_key(*id)));
            gone.for_each(|id| self.metrics.account_not_permitted_any_more(id));
        }
        // Should it be refused again, that is news.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The list as it is now.
    #[must_use]
    pub fn admitted(&self) -> Arc<Admitted> {
        Arc::clone(&self.admitted.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a refused event; tells of it in the log, though not each time.
    pub fn refused(&self, event: &Event) {
        let (account, region) = (&*event.recipient, &*event.region);
        self.metrics.event_not_permitted(event.name);
        if let Some((account, events)) = self.count(account, Instant::now()) {
            tracing::warn!(
                account,
                region,
                events,
                "events of an account or Region that is not permitted are refused: name it in --permit, or take away the \
                 rule that sends them"
            );
        }
    }

    /// The account and how many of its events were refused since that was last said, if it is to be said now.
    fn count<'a>(&self, account: &'a str, now: Instant) -> Option<(&'a str, u64)> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told_apart = is_account(account) && (refused.len() < REFUSED_MOST || refused.contains_key(account));
        let account = if is_told_apart { account } else { OTHERS };
        let Some(known) = refused.get_mut(account) else {
            refused.insert(account.to_owned(), Refused { said: now, unsaid: 0 });
            self.metrics.account_refused();
            return Some((account, 1));
        };
        known.unsaid += 1;
        if now.saturating_duration_since(known.said) < SAY_AGAIN_AFTER {
            return None;
        }
        known.said = now;
        Some((account, std::mem::take(&mut known.unsaid)))
    }
}

impl Admitted {
    fn of(permit: &Permit, metrics: &Metrics) -> Self {
        let watched =
            |(id, account): (&String, &Account)| (id.clone(), (account.clone(), metrics.account_permitted(id)));
        permit.listed().map_or(Self::Any, |accounts| Self::Listed(accounts.iter().map(watched).collect()))
    }

    /// Whether the event is folded; if so, its account was heard of when the event arrived.
    #[must_use]
    pub fn admits(&self, event: &Event, arrived_ms: i64) -> bool {
        let Self::Listed(accounts) = self else { return true };
        let Some((account, seen)) = accounts.get(&*event.recipient) else { return false };
        let admits = account.permits(&event.region);
        if admits {
            seen.at(arrived_ms);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn senders() -> (Senders, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new(&[]));
        (Senders::new(&Permit::accounts(["111122223333"]), Arc::clone(&metrics)), metrics)
    }

    #[test]
    fn a_refused_account_is_said_at_once_and_again_with_its_count_after_a_while() {
        let (senders, metrics) = senders();
        let (account, begun) = ("444455556666", Instant::now());
        assert_eq!(senders.count(account, begun), Some((account, 1)));
        assert_eq!(senders.count(account, begun), None);
        assert_eq!(senders.count(account, begun + SAY_AGAIN_AFTER), Some((account, 2)));
        assert_eq!(senders.count(account, begun + SAY_AGAIN_AFTER), None);
        assert!(metrics.render().contains("trailgraph_refused_accounts_total 1\n"));
    }

    #[test]
    fn whoever_invents_accounts_takes_no_memory_by_it() {
        let (senders, metrics) = senders();
        let now = Instant::now();
        let said =
            (0..3 * REFUSED_MOST).filter(|number| senders.count(&format!("{number:012}"), now).is_some()).count();
        assert_eq!(said, REFUSED_MOST + 1);
        assert_eq!(senders.count("no account at all", now), None);
        assert_eq!(senders.refused.lock().unwrap().len(), REFUSED_MOST + 1);
        assert!(metrics.render().contains("trailgraph_refused_accounts_total 1001\n"));
    }

    #[test]
    fn a_list_that_changes_keeps_when_an_account_was_last_heard_of() {
        let (senders, metrics) = senders();
        let series = |account: &str| {
            let name = format!("trailgraph_account_last_seen_timestamp_seconds{{account=\"{account}\"}} ");
            metrics.render().lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
        };
        let Admitted::Listed(accounts) = &*senders.admitted() else { panic!("a list") };
        accounts["111122223333"].1.at(1_772_323_260_500);
        accounts["111122223333"].1.at(1_772_323_200_000);
        senders.permit(&Permit::accounts(["111122223333", "444455556666"]));
        assert_eq!(series("111122223333").as_deref(), Some("1772323260.5"));
        assert_eq!(series("444455556666").as_deref(), Some("0"));
        senders.permit(&Permit::accounts(["444455556666"]));
        assert_eq!(series("111122223333"), None);
    }
}
