//! Who belongs to an account.

use bucket_state::{Owner, ResourceId, ResourceState};
use emitter::{Save, SaveOutcome};

use crate::support::{NOW, SINK, create, id, mark};
use crate::world::{World, of, pending, row, save, sink};

const OWNER: &str = "arn:aws:iam::111122223333:root";
const BUYER: &str = "arn:aws:iam::444455556666:root";

pub(crate) async fn members_are_listed_in_order_page_by_page_and_stay(world: &World) {
    let store = world.store().await;
    let point = ResourceId::from("arn:aws:s3:eu-west-1:111122223333:accesspoint/door");
    let mut expected: Vec<ResourceId> = ["app", "app-1", "app-10", "app-2", "app.1", "apps"].map(id).into();
    let saves = expected.iter().map(|id| of(id.name(), 0, &[create(id.name(), 1)], Some(mark(NOW))));
    store.save(saves.collect()).await.unwrap();
    let of_point = Save {
        resource: point.clone(),
        account: Some(OWNER.into()),
        ..of("app", 0, &[create("app", 1)], Some(mark(NOW)))
    };
    save(&*store, of_point).await;
    expected.push(point);
    expected.sort();
    let account = ResourceId::from(OWNER);
    let mut listed: Vec<ResourceId> = Vec::new();
    loop {
        let page = store.members(&account, listed.last(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
    let after_none = store.members(&account, Some(&id("app-15")), 1).await.unwrap();
    assert_eq!(after_none, [id("app-2")], "from after one that is no member");

    let sold = Save { account: Some(BUYER.into()), ..of("app", 1, &[create("app", 1)], Some(mark(NOW))) };
    assert_eq!(save(&*store, sold).await, SaveOutcome::Saved(2));
    assert_eq!(store.members(&BUYER.into(), None, 10).await.unwrap(), [id("app")]);
    assert_eq!(store.members(&account, None, 100).await.unwrap(), expected, "a member stays listed");
}

pub(crate) async fn the_former_account_is_marked_or_made_with_the_save(world: &World) {
    let store = world.store().await;
    let owned = [create("app", 1)];
    assert_eq!(save(&*store, of("app", 0, &owned, Some(mark(NOW)))).await, SaveOutcome::Saved(1));
    let owner = Some(Owner { named: true, account: "444455556666".into() });
    let events = owned.map(|event| bucket_state::Event { owner: owner.clone(), ..event });
    for (version, account_version) in [(1, 1), (2, 2)] {
        let sold = || Save {
            former_account: Some(OWNER.into()),
            account: Some(BUYER.into()),
            ..of("app", version, &events, Some(mark(NOW)))
        };
        assert_eq!(save(&*store, sold()).await, SaveOutcome::Saved(version + 1));
        assert_eq!(save(&*store, sold()).await, SaveOutcome::Conflict);
        let former = row(&*store, &OWNER.into()).await;
        assert_eq!((former.version, &former.state), (account_version, &ResourceState::default()));
        assert_eq!(former.marks[&sink(SINK)].pending, Some(mark(NOW)));
    }
    assert_eq!(pending(&*store, "worker", 0).await.len(), 2);
    assert_eq!(store.claim_fan_outs("worker", i64::MAX, NOW).await.unwrap(), [], "nothing is set for it");
}
