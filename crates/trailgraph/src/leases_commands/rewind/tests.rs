use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use shard_consumer::ShardId;

use super::*;

/// Leases in memory, and what goes wrong with the next calls.
#[derive(Default)]
struct Scripted {
    leases: Mutex<Vec<Lease>>,
    faults: Mutex<VecDeque<Fault>>,
}

#[derive(Clone)]
enum Fault {
    None,
    /// The write lands, and its answer is lost.
    Unanswered,
    Fails,
    /// Another worker writes first.
    After(Change),
}

impl Scripted {
    fn new(positions: &[Position], faults: &[Fault]) -> Self {
        Self { leases: Mutex::new(at(positions).leases), faults: Mutex::new(faults.iter().cloned().collect()) }
    }

    fn next(&self) -> Option<Fault> {
        self.faults.lock().unwrap().pop_front()
    }

    fn positions(&self) -> Vec<Position> {
        self.leases.lock().unwrap().iter().map(|lease| lease.checkpoint.clone()).collect()
    }
}

fn failed() -> SourceError {
    SourceError::Failed { what: "use the table".into(), source: "no answer".into() }
}

#[async_trait]
impl LeaseStore for Scripted {
    /// Each fault is of one look at the table; a write of another worker is on the first lease.
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        match self.next() {
            Some(Fault::After(change)) => self.leases.lock().unwrap()[0].apply(&change),
            Some(Fault::None) | None => {}
            Some(_) => return Err(failed()),
        }
        Ok(LeaseTable { leases: self.leases.lock().unwrap().clone(), ..LeaseTable::default() })
    }

    async fn create(&self, _lease: &Lease) -> Result<bool, SourceError> {
        Err(failed())
    }

    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        let fault = self.next();
        let mut leases = self.leases.lock().unwrap();
        let Some(lease) = leases.iter_mut().find(|lease| lease.shard == seen.shard) else {
            return Ok(Written::Refused(None));
        };
        match &fault {
            Some(Fault::Fails) => return Err(failed()),
            Some(Fault::After(change)) => lease.apply(change),
            Some(Fault::Unanswered | Fault::None) | None => {}
        }
        if !lease.is_unchanged(seen) {
            return Ok(Written::Refused(Some(Box::new(lease.clone()))));
        }
        lease.apply(change);
        if matches!(fault, Some(Fault::Unanswered)) { Err(failed()) } else { Ok(Written::Landed) }
    }

    async fn delete(&self, _seen: &Lease) -> Result<bool, SourceError> {
        Err(failed())
    }
}

fn renewal() -> Change {
    Change::Renew { checkpoint: None, throughput_kbps: None }
}

fn take() -> Change {
    Change::Take { owner: "worker-b".into() }
}

fn ask() -> Change {
    Change::Ask { owner: "worker-b".into() }
}

fn at(positions: &[Position]) -> LeaseTable {
    let lease = |(number, position): (usize, &Position)| {
        Lease::unowned(ShardId::from(format!("shard-{number}").as_str()), position.clone(), Vec::new())
    };
    LeaseTable { leases: positions.iter().enumerate().map(lease).collect(), ..LeaseTable::default() }
}

#[test]
fn a_rewind_that_may_go_forward_is_warned_of() {
    let after = || Position::After { sequence: "7".into(), sub_sequence: 0 };
    let noon = 1_772_366_400_000;
    let to = Position::AtTimestamp(noon);
    assert_eq!(skipped(&at(&[Position::TrimHorizon, after()]), &Position::TrimHorizon), None);
    assert_eq!(skipped(&at(&[Position::AtTimestamp(noon), Position::ShardEnd, Position::Latest]), &to), None);
    let said =
        skipped(&at(&[Position::ShardEnd, Position::TrimHorizon, Position::AtTimestamp(noon - 1)]), &to).unwrap();
    assert!(
        said.starts_with("nothing of shard-1, shard-2 was read yet: what arrived before 2026-03-01T12:00:00Z"),
        "{said}"
    );
    let said = skipped(&at(&vec![after(); 6]), &to).unwrap();
    assert!(said.contains("where shard-0, shard-1, shard-2, shard-3, shard-4, … had not been read up to"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_answered_is_repeated_and_known_to_have_landed() {
    for faults in [&[Fault::Fails, Fault::Unanswered][..], &[Fault::Unanswered, Fault::Fails]] {
        let store = Scripted::new(&vec![Position::ShardEnd; 2], faults);
        let leases = store.leases.lock().unwrap().clone();
        let done = rewind_all(&store, &leases, &Position::TrimHorizon, false).await;
        assert!(done.failed.is_none() && done.was == leases, "{:?}", done.failed);
        assert_eq!(store.positions(), vec![Position::TrimHorizon; 2]);
        assert!(store.leases.lock().unwrap().iter().all(|lease| lease.counter == 1), "none is written twice");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_taken_meanwhile_ends_a_rewind_unless_it_is_forced() {
    let faults = [Fault::None, Fault::After(take())];
    let store = Scripted::new(&vec![Position::ShardEnd; 3], &faults);
    let leases = store.leases.lock().unwrap().clone();
    let done = rewind_all(&store, &leases, &Position::TrimHorizon, false).await;
    let said = done.failed.unwrap().to_string();
    assert!(said.contains("worker worker-b is alive: it has written the lease of shard-1. 1 of 3 leases"), "{said}");
    assert_eq!(store.positions(), [Position::TrimHorizon, Position::ShardEnd, Position::ShardEnd]);

    let faults = vec![Fault::After(renewal()); 5];
    let store = Scripted::new(&vec![Position::ShardEnd; 3], &faults);
    let done = rewind_all(&store, &leases, &Position::TrimHorizon, true).await;
    assert!(done.failed.is_none() && done.was.len() == 3);
    assert_eq!(store.positions(), vec![Position::TrimHorizon; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_is_not_asked_for_ever() {
    let store = Scripted::new(&[Position::ShardEnd], &vec![Fault::Fails; 100]);
    let leases = store.leases.lock().unwrap().clone();
    assert!(rewind_all(&store, &leases, &Position::TrimHorizon, true).await.failed.is_some());
    assert!(again(async || store.list().await).await.is_err());
    assert_eq!(store.faults.lock().unwrap().len(), 80);
}

#[test]
fn rows_that_cannot_be_read_are_named_and_left_alone() {
    assert!(nothing_was_left(&[]).is_ok());
    let row = UnreadableLease { shard: ShardId::from("shard-7"), why: "set it to SHARD_END".into() };
    let said = nothing_was_left(&[row]).unwrap_err().to_string();
    assert!(said.starts_with("1 row cannot be read") && said.ends_with("shard-7: set it to SHARD_END"), "{said}");
}

/// How a watch of ten seconds ends that finds one lease of `worker-a` with another lease of nobody, and how long it took.
async fn watched(position: Position, changes: &[Change]) -> (Result<LeaseTable, Lease>, Duration) {
    let store = Scripted::new(&[position, Position::TrimHorizon], &[]);
    store.leases.lock().unwrap()[0].apply(&Change::Take { owner: "worker-a".into() });
    let faults = changes.iter().cloned().map(Fault::After);
    store.faults.lock().unwrap().extend([Fault::Fails].into_iter().chain(faults));
    let begun = tokio::time::Instant::now();
    let ended = watch::for_signs_of_life(&store, Duration::from_secs(10)).await.unwrap();
    (ended, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_alive_when_a_held_lease_changes() {
    // The first change is there at the first look.
    for change in [renewal(), take(), ask()] {
        let (ended, took) = watched(Position::TrimHorizon, &[renewal(), change]).await;
        assert_eq!(ended.unwrap_err().shard, ShardId::from("shard-0"));
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    let (ended, took) = watched(Position::TrimHorizon, &[renewal()]).await;
    assert!(ended.is_ok() && took >= Duration::from_secs(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_nobody_will_renew_is_not_waited_for() {
    let (ended, took) = watched(Position::ShardEnd, &[]).await;
    assert!(ended.is_ok() && took < Duration::from_secs(1), "finished: {took:?}");
    let (ended, took) = watched(Position::TrimHorizon, &[renewal(), Change::Release { checkpoint: None }]).await;
    assert!(ended.is_ok() && took < Duration::from_secs(3), "released: {took:?}");
}
