use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::*;
use crate::leases::LeaseTable;

const FAILOVER: Duration = Duration::from_secs(10);

/// One row, and what becomes of the next writes. Those that the script does not name land.
struct Scripted {
    row: Mutex<Lease>,
    script: Mutex<VecDeque<Fate>>,
    asked: Mutex<Vec<Change>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Lands,
    LandsLate,
    LandsUnanswered,
    Fails,
    Hangs,
    LandsAndHangs,
}

impl Scripted {
    fn row(&self) -> MutexGuard<'_, Lease> {
        self.row.lock().unwrap()
    }

    fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.script.lock().unwrap().extend(fates);
    }
}

#[async_trait]
impl LeaseStore for Scripted {
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        Ok(LeaseTable { leases: vec![self.row().clone()], ..LeaseTable::default() })
    }
    async fn create(&self, _: &Lease) -> Result<bool, SourceError> {
        Ok(false)
    }
    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        self.asked.lock().unwrap().push(change.clone());
        let fate = self.script.lock().unwrap().pop_front().unwrap_or(Fate::Lands);
        if fate == Fate::LandsLate {
            pass(1).await;
        }
        let found = self.row().clone();
        let matches = found.is_unchanged(seen);
        if matches && !matches!(fate, Fate::Fails | Fate::Hangs) {
            self.row().apply(change);
        }
        let written = if matches { Written::Landed } else { Written::Refused(Some(Box::new(found))) };
        match fate {
            Fate::Lands | Fate::LandsLate => Ok(written),
            Fate::Fails | Fate::LandsUnanswered => {
                Err(SourceError::Failed { what: "write".into(), source: "no answer".into() })
            }
            Fate::Hangs | Fate::LandsAndHangs => std::future::pending().await,
        }
    }
    async fn delete(&self, _: &Lease) -> Result<bool, SourceError> {
        Ok(false)
    }
}

fn after(sequence: u32) -> Position {
    Position::After { sequence: sequence.to_string().into(), sub_sequence: 0 }
}

/// A lease that was just taken: epoch 1, not renewed by itself.
async fn taken() -> (Arc<Scripted>, Arc<Tenure>) {
    let row = Lease::unowned(ShardId::from("shard-0"), after(10), vec![]);
    let store = Arc::new(Scripted { row: Mutex::new(row.clone()), script: Mutex::default(), asked: Mutex::default() });
    let shared: Arc<dyn LeaseStore> = Arc::clone(&store) as _;
    let tenure =
        Tenure::take(&shared, &row, after(10), "me", FAILOVER, &CancellationToken::new()).await.unwrap().unwrap();
    assert_eq!(tenure.epoch, 1);
    (store, tenure)
}

/// As [`taken`], and renewed.
async fn kept() -> (Arc<Scripted>, Arc<Tenure>) {
    let (store, tenure) = taken().await;
    tokio::spawn(Arc::clone(&tenure).keep());
    (store, tenure)
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Checkpoints, now.
async fn checkpoint(tenure: &Tenure, sequence: u32) -> Result<bool, SourceError> {
    tenure.reach(after(sequence));
    tenure.write(Purpose::Renew).await
}

fn asked_for(row: &Lease) -> Lease {
    let mut asked = row.clone();
    asked.apply(&Change::Ask { owner: "other".into() });
    asked
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_written_less_than_nine_times_a_minute_at_a_failover_time_of_ten_seconds_whatever_is_checkpointed() {
    let (store, tenure) = kept().await;
    for second in 0..60 {
        tenure.reach(after(100 + second));
        pass(1).await;
    }
    assert_eq!(store.row().counter, 1 + 8);
    assert_eq!(store.row().checkpoint, after(154), "as of the last renewal, at 54.4 s");
    assert!(tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_tells_the_mean_throughput_since_the_last_one() {
    let (store, tenure) = kept().await;
    tenure.read(68 * 1024);
    pass(7).await;
    let told = |kbps| Change::Renew { checkpoint: None, throughput_kbps: Some(kbps) };
    assert_eq!(store.asked.lock().unwrap().last(), Some(&told(10)));
    pass(7).await;
    assert_eq!(store.asked.lock().unwrap().last(), Some(&told(0)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_ends_the_tenure_before_others_may_take_the_lease() {
    let (store, tenure) = kept().await;
    store.next([Fate::Hangs; 9]);
    let taken = Instant::now();
    tenure.over().await;
    assert_eq!(taken.elapsed().as_secs(), 9);
    assert!(!tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_an_answer_is_repeated_in_time() {
    for fate in [Fate::Hangs, Fate::LandsAndHangs] {
        let (store, tenure) = kept().await;
        store.next([fate]);
        pass(30).await;
        assert!(tenure.is_held());
    }
}

#[tokio::test(start_paused = true)]
async fn a_tenure_survives_failures_that_pass_in_time_and_none_that_do_not() {
    let (store, tenure) = kept().await;
    store.next([Fate::Fails; 3]);
    pass(10).await;
    assert!(tenure.is_held());
    store.next([Fate::Fails; 50]);
    pass(10).await;
    assert!(!tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_paused_process_knows_that_its_lease_is_gone_before_any_timer_fires() {
    let (_store, tenure) = taken().await;
    tokio::time::advance(FAILOVER).await;
    assert!(!tenure.is_held());
    tokio::select! {
        biased;
        () = tenure.over() => {}
        () = async {} => panic!("went on under a lease that others may have taken"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_landed_without_an_answer_does_not_end_the_tenure_and_what_follows_is_written() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsUnanswered]);
    checkpoint(&tenure, 20).await.unwrap_err();
    assert!(checkpoint(&tenure, 21).await.unwrap());
    assert_eq!(store.row().checkpoint, after(21));
    assert!(tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_on_a_write_may_repeat_it() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsAndHangs]);
    tokio::time::timeout(Duration::from_secs(1), checkpoint(&tenure, 20)).await.unwrap_err();
    assert!(checkpoint(&tenure, 21).await.unwrap());
    assert_eq!(store.row().checkpoint, after(21));
    assert!(tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_landed_without_an_answer_is_a_release() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsUnanswered]);
    tenure.release().await.unwrap_err();
    assert!(tenure.release().await.unwrap());
    assert!(!tenure.is_held());
    let row = store.row().clone();
    assert_eq!((row.owner, row.counter), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn once_another_worker_has_written_the_tenure_is_over_and_nothing_is_checkpointed() {
    for fates in [vec![], vec![Fate::Fails]] {
        let (store, tenure) = taken().await;
        store.next(fates.clone());
        if !fates.is_empty() {
            checkpoint(&tenure, 20).await.unwrap_err();
        }
        let theirs = Lease { owner: Some("other".into()), counter: 2, ..store.row().clone() };
        *store.row() = theirs.clone();
        assert!(!checkpoint(&tenure, 20).await.unwrap());
        assert!(!tenure.is_held());
        assert!(!tenure.release().await.unwrap());
        assert_eq!(*store.row(), theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn a_namesake_that_took_the_lease_is_not_taken_for_an_answer_that_was_lost() {
    let (store, tenure) = taken().await;
    store.row().apply(&Change::Take { owner: "me".into() });
    assert!(!checkpoint(&tenure, 20).await.unwrap());
    assert_eq!(store.row().checkpoint, after(10));
}

#[tokio::test(start_paused = true)]
async fn a_position_is_written_only_if_it_is_further_than_the_one_stored() {
    let (store, tenure) = taken().await;
    for (position, stored) in [(9, 10), (10, 10), (12, 12), (11, 12)] {
        checkpoint(&tenure, position).await.unwrap();
        assert_eq!(store.row().checkpoint, after(stored));
    }
    tenure.start_over().await;
    checkpoint(&tenure, 3).await.unwrap();
    assert_eq!(store.row().checkpoint, after(3), "the stream no longer knew the former");
}

#[tokio::test(start_paused = true)]
async fn positions_may_still_begin_anew_after_a_renewal_that_told_none_and_one_that_got_no_answer() {
    let (store, tenure) = taken().await;
    tenure.start_over().await;
    tenure.write(Purpose::Renew).await.unwrap();
    store.next([Fate::LandsUnanswered]);
    tenure.write(Purpose::Renew).await.unwrap_err();
    for sequence in [3, 4] {
        checkpoint(&tenure, sequence).await.unwrap();
        assert_eq!(store.row().checkpoint, after(sequence));
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_that_only_the_former_owners_configuration_knew_is_written_down_before_the_first_read() {
    let mut row = Lease::unowned(ShardId::from("shard-0"), Position::Latest, vec![]);
    row.counter = 4;
    let store = Arc::new(Scripted { row: Mutex::new(row.clone()), script: Mutex::default(), asked: Mutex::default() });
    let shared: Arc<dyn LeaseStore> = Arc::clone(&store) as _;
    let from = Position::AtTimestamp(77);
    let alive = CancellationToken::new();
    let tenure = Tenure::take(&shared, &row, from.clone(), "me", FAILOVER, &alive).await.unwrap().unwrap();
    let row = store.row().clone();
    assert_eq!((tenure.epoch, row.counter), (5, 6));
    assert_eq!((row.checkpoint, row.start_timestamp_ms), (from, Some(77)));
    assert!(checkpoint(&tenure, 1).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_waits_for_the_release_is_not_written() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsLate]);
    let (released, renewed) = tokio::join!(tenure.release(), tenure.write(Purpose::Renew));
    assert!(released.unwrap() && !renewed.unwrap());
    let released = Change::Release { checkpoint: None };
    assert_eq!(*store.asked.lock().unwrap(), [Change::Take { owner: "me".into() }, released]);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_has_the_last_checkpoint_and_no_owner_and_is_written_no_more() {
    let (store, tenure) = kept().await;
    tenure.reach(after(20));
    assert!(tenure.release().await.unwrap());
    tenure.reach(after(30));
    pass(20).await;
    let row = store.row().clone();
    assert_eq!((row.owner, row.counter, row.checkpoint), (None, 2, after(20)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_worker_asks_for_is_renewed_until_the_last_batch_is_checkpointed_and_then_handed_over() {
    let (store, tenure) = kept().await;
    let asked = asked_for(&store.row());
    *store.row() = asked;
    tokio::time::timeout(FAILOVER, tenure.asked()).await.expect("the next renewal finds it out");
    let giving = tokio::spawn({
        let tenure = Arc::clone(&tenure);
        async move { tenure.hand_over(&after(30)).await }
    });
    tenure.reach(after(29));
    pass(15).await;
    assert!(tenure.is_held(), "renewed while the caller saves");
    assert_eq!(store.row().checkpoint_owner.as_deref(), Some("me"));
    tenure.reach(after(30));
    assert!(giving.await.unwrap());
    let row = store.row().clone();
    assert_eq!((row.owner.as_deref(), row.checkpoint_owner, row.checkpoint), (Some("other"), None, after(30)));
    assert!(!tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_checkpoint_keeps_a_lease_that_was_asked_for_no_longer_than_half_a_minute() {
    let (store, tenure) = kept().await;
    let asked = asked_for(&store.row());
    *store.row() = asked;
    let begun = Instant::now();
    assert!(tenure.hand_over(&after(30)).await);
    assert_eq!(begun.elapsed().as_secs(), 30);
    let row = store.row().clone();
    assert_eq!((row.owner.as_deref(), row.checkpoint), (Some("other"), after(10)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_taken_during_the_hand_over_was_not_handed_over() {
    let (store, tenure) = kept().await;
    let asked = asked_for(&store.row());
    *store.row() = asked;
    let last = after(30);
    let giving = tenure.hand_over(&last);
    let taking = async {
        pass(1).await;
        store.row().apply(&Change::Take { owner: "other".into() });
    };
    assert!(!tokio::join!(giving, taking).0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_another_worker_asks_for_after_the_first_has_withdrawn_is_handed_over_with_its_checkpoint() {
    let (store, tenure) = kept().await;
    let asked = asked_for(&store.row());
    *store.row() = asked;
    pass(7).await;
    store.row().apply(&Change::Withdraw);
    store.row().apply(&Change::Ask { owner: "third".into() });
    tenure.reach(after(30));
    assert!(tenure.release().await.unwrap());
    let row = store.row().clone();
    assert_eq!((row.owner.as_deref(), row.checkpoint_owner, row.checkpoint), (Some("third"), None, after(30)));
}
