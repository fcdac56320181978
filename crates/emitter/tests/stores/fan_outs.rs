//! Changed accounts, until their members are marked.

use bucket_state::ResourceId;
use emitter::{FanOut, PendingMark, Save, SaveOutcome, StateStore};

use crate::support::{NOW, create, mark};
use crate::world::{World, of, save};

const ACCOUNT: &str = "arn:aws:iam::111122223333:root";

async fn change(store: &dyn StateStore, based_on: u64, mark: PendingMark) {
    let resource = ResourceId::from(ACCOUNT);
    let save_of = Save { resource, account: None, ..of("-", based_on, &[create("app", 1)], Some(mark)) };
    assert_eq!(save(store, save_of).await, SaveOutcome::Saved(based_on + 1));
}

async fn claimed(store: &dyn StateStore, worker: &str, others_before_ms: i64, now_ms: i64) -> Vec<FanOut> {
    store.claim_fan_outs(worker, others_before_ms, now_ms).await.unwrap()
}

fn fan_out(version: u64, mark: PendingMark) -> FanOut {
    FanOut { account: ACCOUNT.into(), version, mark }
}

pub(crate) async fn a_saved_account_is_handed_to_its_worker_until_it_is_ended(world: &World) {
    let store = world.store().await;
    assert_eq!(claimed(&*store, "worker", i64::MAX, NOW).await, []);
    change(&*store, 0, mark(NOW)).await;
    let waits = |now_ms| PendingMark { since_ms: now_ms, ..mark(NOW) };
    assert_eq!(claimed(&*store, "worker", 0, NOW + 1).await, [fan_out(1, waits(NOW + 1))]);
    let again = claimed(&*store, "worker", 0, NOW + 2).await;
    assert_eq!(again, [fan_out(1, waits(NOW + 2))]);
    for _ in 0..2 {
        store.end_fan_out(&again[0]).await.unwrap();
        assert_eq!(claimed(&*store, "worker", i64::MAX, NOW).await, []);
    }
}

pub(crate) async fn another_worker_adopts_a_fan_out_that_has_waited(world: &World) {
    let (store, heir) = (world.store().await, world.worker("heir").await);
    change(&*store, 0, mark(NOW)).await;
    assert_eq!(claimed(&*heir, "heir", NOW, NOW + 1).await, []);
    assert_eq!(claimed(&*heir, "heir", NOW + 1, NOW + 5).await.len(), 1);
    assert_eq!(claimed(&*store, "worker", NOW + 5, NOW + 6).await, [], "it is the heir's now");
    assert_eq!(claimed(&*heir, "heir", 0, NOW + 7).await.len(), 1);
    change(&*store, 1, mark(NOW + 8)).await;
    assert_eq!(claimed(&*store, "worker", 0, NOW + 9).await.len(), 1, "who saves it last has it");
}

pub(crate) async fn a_fan_out_is_ended_only_for_the_news_that_it_was_claimed_with(world: &World) {
    let store = world.store().await;
    change(&*store, 0, mark(1_000)).await;
    let first = claimed(&*store, "worker", 0, NOW).await.remove(0);
    change(&*store, 1, mark(9_000)).await;
    let both = claimed(&*store, "worker", 0, NOW).await.remove(0);
    assert_eq!((both.version, both.mark.arrived_ms), (2, 995), "the first change may not be marked yet");
    store.end_fan_out(&first).await.unwrap();
    let second = claimed(&*store, "worker", 0, NOW).await.remove(0);
    assert_eq!((second.version, second.mark.arrived_ms, second.mark.happened_ms), (2, 8_995, 8_990));
}

pub(crate) async fn an_account_that_is_only_marked_does_not_fan_out(world: &World) {
    let store = world.store().await;
    change(&*store, 0, mark(NOW)).await;
    let claim = claimed(&*store, "worker", 0, NOW).await.remove(0);
    store.end_fan_out(&claim).await.unwrap();
    store.mark(&[ACCOUNT.into()], mark(NOW)).await.unwrap();
    store.mark_all(None, NOW).await.unwrap();
    assert_eq!(claimed(&*store, "worker", i64::MAX, NOW).await, []);
}
