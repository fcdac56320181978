use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use super::*;

const FAILOVER: Duration = Duration::from_secs(9);

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
    async fn list(&self) -> Result<Vec<Lease>, SourceError> {
        Ok(vec![self.row().clone()])
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
        let matches = (&found.owner, found.counter) == (&seen.owner, seen.counter);
        if matches && !matches!(fate, Fate::Fails | Fate::Hangs) {
            self.row().apply(change);
        }
        let written = if matches { Written::Landed } else { Written::Refused(Some(found)) };
        match fate {
            Fate::Lands | Fate::LandsLate => Ok(written),
            Fate::Fails | Fate::LandsUnanswered => {
                Err(SourceError::Failed { what: "write".into(), source: "no answer".into() })
            }
            Fate::Hangs | Fate::LandsAndHangs => std::future::pending().await,
        }
    }
    async fn delete(&self, _: &ShardId) -> Result<(), SourceError> {
        Ok(())
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
    let tenure = Tenure::take(&shared, &row, "me", FAILOVER, &CancellationToken::new()).await.unwrap().unwrap();
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

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_every_third_of_the_failover_time_and_a_checkpoint_counts() {
    let (store, tenure) = kept().await;
    pass(10).await;
    assert_eq!(store.row().counter, 1 + 3, "at 3, 6 and 9 s");
    pass(1).await;
    tenure.checkpoint(&after(11)).await.unwrap();
    pass(2).await;
    assert_eq!(store.row().counter, 1 + 3 + 1, "checkpointed at 11 s, so not renewed at 12 s");
    pass(2).await;
    assert_eq!(store.row().counter, 1 + 3 + 1 + 1, "renewed at 14 s");
    assert!(tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_ends_the_tenure_at_two_thirds_of_the_failover_time() {
    let (store, tenure) = kept().await;
    store.next([Fate::Hangs]);
    let taken = Instant::now();
    tenure.over().await;
    assert_eq!(taken.elapsed().as_secs(), 6);
    assert!(!tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_tenure_survives_failures_that_pass_in_time_and_none_that_do_not() {
    let (store, tenure) = kept().await;
    store.next([Fate::Fails; 5]);
    pass(9).await;
    assert!(tenure.is_held());
    store.next([Fate::Fails; 50]);
    pass(9).await;
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
async fn a_write_that_landed_without_an_answer_does_not_end_the_tenure() {
    let (store, tenure) = kept().await;
    store.next([Fate::LandsUnanswered]);
    pass(5).await;
    assert!(tenure.is_held());
    store.next([Fate::LandsUnanswered]);
    tenure.checkpoint(&after(20)).await.unwrap_err();
    tenure.checkpoint(&after(20)).await.unwrap();
    assert_eq!(store.row().checkpoint, after(20));
    assert!(tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_after_a_renewal_without_an_answer_is_written_all_the_same() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsUnanswered]);
    tenure.write(Change::Renew).await.unwrap_err();
    tenure.checkpoint(&after(20)).await.unwrap();
    assert_eq!(store.row().checkpoint, after(20));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_on_a_checkpoint_may_repeat_it() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsAndHangs]);
    let given_up = tokio::time::timeout(Duration::from_secs(1), tenure.checkpoint(&after(20))).await;
    assert!(given_up.is_err());
    tenure.checkpoint(&after(21)).await.unwrap();
    assert_eq!(store.row().checkpoint, after(21));
    assert!(tenure.is_held());
}

#[tokio::test(start_paused = true)]
async fn once_another_worker_has_written_the_tenure_is_over_and_nothing_is_checkpointed() {
    for fates in [vec![], vec![Fate::Fails]] {
        let (store, tenure) = taken().await;
        store.next(fates.clone());
        if !fates.is_empty() {
            tenure.checkpoint(&after(20)).await.unwrap_err();
        }
        let theirs = Lease { owner: Some("other".into()), counter: 2, ..store.row().clone() };
        *store.row() = theirs.clone();
        tenure.checkpoint(&after(20)).await.unwrap();
        assert!(!tenure.is_held());
        tenure.checkpoint(&after(21)).await.unwrap();
        tenure.release().await.unwrap();
        assert_eq!(*store.row(), theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_is_written_only_if_it_is_further_than_the_one_stored() {
    let (store, tenure) = taken().await;
    for (position, stored) in [(9, 10), (10, 10), (12, 12), (11, 12)] {
        tenure.checkpoint(&after(position)).await.unwrap();
        assert_eq!(store.row().checkpoint, after(stored));
    }
    assert_eq!(store.row().counter, 2, "one write");
    tenure.start_over().await;
    tenure.checkpoint(&after(3)).await.unwrap();
    assert_eq!(store.row().checkpoint, after(3), "the stream no longer knew the former");
}

#[tokio::test(start_paused = true)]
async fn positions_may_still_begin_anew_after_a_write_that_landed_without_an_answer() {
    let (store, tenure) = taken().await;
    tenure.start_over().await;
    store.next([Fate::LandsUnanswered]);
    tenure.write(Change::Renew).await.unwrap_err();
    for sequence in [3, 4] {
        tenure.checkpoint(&after(sequence)).await.unwrap();
        assert_eq!(store.row().checkpoint, after(sequence));
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_waits_for_the_release_is_not_written() {
    let (store, tenure) = taken().await;
    store.next([Fate::LandsLate]);
    let (released, renewed) = tokio::join!(tenure.release(), tenure.write(Change::Renew));
    released.and(renewed).unwrap();
    assert_eq!(*store.asked.lock().unwrap(), [Change::Take { owner: "me".into() }, Change::Release]);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_has_no_owner_and_is_written_no_more() {
    let (store, tenure) = kept().await;
    tenure.release().await.unwrap();
    tenure.checkpoint(&after(20)).await.unwrap();
    pass(20).await;
    let row = store.row().clone();
    assert_eq!((row.owner, row.counter, row.checkpoint), (None, 2, after(10)));
}
