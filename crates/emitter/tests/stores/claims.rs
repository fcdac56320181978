//! Fences.

use futures::future::join_all;

use crate::world::World;

pub(crate) async fn a_claim_is_set_only_by_who_has_seen_the_last_one(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    assert_eq!(store.claim("scope").await.unwrap(), None);
    assert!(!store.swap_claim("scope", Some("mine"), "other").await.unwrap());
    assert!(store.swap_claim("scope", None, "mine").await.unwrap());
    assert!(!colleague.swap_claim("scope", None, "other").await.unwrap());
    assert!(!colleague.swap_claim("scope", Some("else"), "other").await.unwrap());
    assert_eq!(colleague.claim("scope").await.unwrap().as_deref(), Some("mine"));
    assert!(colleague.swap_claim("scope", Some("mine"), "").await.unwrap());
    assert_eq!(store.claim("scope").await.unwrap().as_deref(), Some(""));
    assert_eq!(store.claim("another").await.unwrap(), None);
}

pub(crate) async fn of_twenty_that_claim_at_once_one_wins(world: &World) {
    let mut workers = Vec::new();
    for number in 0..4 {
        workers.push(world.worker(&format!("w-{number}")).await);
    }
    let mut seen: Option<String> = None;
    for round in 0..3 {
        let swaps = (0..20).map(|number| {
            let (store, seen, next) = (&workers[number % 4], seen.as_deref(), format!("{round}-{number}"));
            async move { store.swap_claim("scope", seen, &next).await.unwrap().then_some(next) }
        });
        let winners: Vec<String> = join_all(swaps).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        seen = workers[0].claim("scope").await.unwrap();
        assert_eq!(seen, winners.first().cloned());
    }
}
