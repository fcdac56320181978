//! One snapshot that the server does not take.

use emitter::{Emission, GraphSink, Verdict};
use serde_json::json;

use crate::support::create;
use crate::{World, connect, emission, snapshot};

/// A key longer than the server's index takes.
fn poisoned(bucket: &str) -> Emission {
    let mut snapshot = snapshot(bucket, &[create(bucket, 1)]);
    let mut extra = snapshot.entities[0].clone();
    extra.0.insert("_key".to_owned(), json!("x".repeat(400_000)));
    snapshot.entities.push(extra);
    Emission::new(1, snapshot)
}

#[tokio::test]
async fn a_snapshot_that_is_not_taken_holds_back_no_other() {
    let world = World::new().await;
    let mut emissions: Vec<Emission> =
        (0..20).map(|number| format!("b-{number}")).map(|name| emission(1, &name, &[create(&name, 1)])).collect();
    emissions.insert(0, poisoned("bad"));
    let verdicts = world.replace(&emissions).await;
    for (at, verdict) in verdicts.iter().enumerate() {
        match at {
            0 => assert!(matches!(verdict, Verdict::Rejected(reason) if !reason.contains('\n')), "{verdict:?}"),
            _ => assert_eq!(*verdict, Verdict::Applied, "{at}"),
        }
    }
    assert_eq!(world.shown().await.0.len(), 21, "20 buckets and their account");
    assert_eq!(world.replace(&[emission(2, "bad", &[create("bad", 1)])]).await, [Verdict::Applied], "mended");
}

#[tokio::test]
async fn a_snapshot_that_is_not_taken_is_rejected_even_if_it_is_the_first() {
    let world = World::new().await;
    let verdicts = world.replace(&[poisoned("bad")]).await;
    assert!(matches!(verdicts[..], [Verdict::Rejected(_)]), "{verdicts:?}");
    assert_eq!(world.shown().await, (vec![], vec![]));
}

#[tokio::test]
async fn a_name_that_is_no_label_is_rejected_without_being_sent() {
    let world = World::new().await;
    let mut odd = snapshot("odd", &[create("odd", 1)]);
    odd.entities[0].0.insert("_type".to_owned(), json!("x`) DETACH DELETE (n"));
    let good = emission(1, "good", &[create("good", 1)]);
    let verdicts = connect().await.replace(crate::GENERATION, &[good, Emission::new(1, odd)]).await.unwrap();
    assert!(matches!(verdicts[..], [Verdict::Applied, Verdict::Rejected(_)]), "{verdicts:?}");
    assert_eq!(world.shown().await.1.len(), 1);
}
