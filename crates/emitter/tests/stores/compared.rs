//! The same operations on both stores.

use std::sync::Arc;

use bucket_state::{Event, ResourceId};
use emitter::{PendingMark, PendingQuery, Save, Settlement, Settling, SinkName, StateStore, Stored};
use fastrand::Rng;

use crate::support::{NOW, create, id, listed, logging};
use crate::world::{World, of, sink};

const SINKS: [&str; 3] = ["sqlite:a", "sqlite:b", "sqlite:c"];
const ACCOUNTS: [&str; 2] = ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"];
const STEPS: usize = 60;
const SEEDS: std::ops::Range<u64> = 0..6;

/// Everything that there is to be seen of a store.
#[derive(Debug, PartialEq)]
struct View {
    rows: Vec<Stored>,
    sinks: Vec<SinkName>,
    pending: Vec<Vec<ResourceId>>,
    backlogs: Vec<emitter::Backlog>,
    members: Vec<Vec<ResourceId>>,
}

fn resources() -> Vec<ResourceId> {
    let buckets = (0..5).map(|number| id(&format!("b-{number}")));
    buckets.chain(ACCOUNTS.map(ResourceId::from)).collect()
}

async fn view(store: &dyn StateStore) -> View {
    let (mut pending, mut backlogs, mut members) = (Vec::new(), Vec::new(), Vec::new());
    for name in SINKS {
        let query = PendingQuery { sink: sink(name), worker: "worker".into(), others_before_ms: 0, limit: 100 };
        let mut rows = store.pending(&query).await.unwrap();
        // Rows that wait since the same time come in any order.
        rows.sort();
        pending.push(rows);
        backlogs.push(store.backlog(&sink(name)).await.unwrap());
    }
    for account in ACCOUNTS {
        members.push(store.members(&account.into(), None, 100).await.unwrap());
    }
    let rows = store.load(&resources()).await.unwrap();
    View { rows, sinks: store.sinks().await.unwrap(), pending, backlogs, members }
}

/// One operation; what it answers, in words.
#[derive(Clone, Debug)]
enum Step {
    Save(Box<Save>),
    Settle(SinkName, Settlement),
    Mark(ResourceId, PendingMark),
    MarkAll(Option<SinkName>, i64),
    Add(&'static str, &'static str, i64),
    Forget(SinkName),
    Claim(i64),
    End(usize),
}

fn step(random: &mut Rng, now_ms: i64, versions: &[u64], listed: &[SinkName]) -> Step {
    let (all, mark) = (resources(), PendingMark { since_ms: now_ms, arrived_ms: now_ms - 7, happened_ms: now_ms - 9 });
    let place = random.usize(..all.len());
    let (resource, version) = (all[place].clone(), versions[place]);
    let name = sink(SINKS[random.usize(..SINKS.len())]);
    match random.u32(..100) {
        0..45 => {
            let events: Vec<Event> = vec![create("app", 1), logging("app", random.u32(2..3_000), "logs")];
            let mut save = of("app", version, &events, random.bool().then_some(mark));
            if version == 0 {
                save.mark = Some(mark);
            }
            if random.u8(..10) == 0 {
                save.based_on = version.saturating_sub(1);
            }
            let accounts = [0, 1].map(|place| ResourceId::from(ACCOUNTS[place]));
            let is_account = place >= 5;
            save.account = (!is_account).then(|| accounts[random.usize(..2)].clone());
            let former = accounts.into_iter().find(|account| Some(account) != save.account.as_ref());
            save.former_account = former.filter(|_| !is_account && random.u8(..5) == 0);
            Step::Save(Box::new(Save { resource, ..save }))
        }
        45..75 => {
            let verdict = match random.u8(..5) {
                0 => Settling::Rejected,
                1 => Settling::Superseded,
                digest => Settling::Acknowledged([digest; 32]),
            };
            let version = if random.u8(..3) == 0 { version.saturating_sub(1) } else { version };
            Step::Settle(name, Settlement { resource, version, verdict })
        }
        75..80 => Step::Mark(resource, mark),
        80..82 => Step::MarkAll(Some(name).filter(|name| random.bool() && listed.contains(name)), now_ms),
        82..88 => Step::Add(SINKS[random.usize(..3)], ["one", "two"][random.usize(..2)], now_ms),
        88..90 => Step::Forget(name),
        90..96 => Step::Claim(now_ms),
        _ => Step::End(random.usize(..2)),
    }
}

async fn does(store: &dyn StateStore, step: Step, claims: &mut Vec<emitter::FanOut>) -> String {
    match step {
        Step::Save(save) => format!("{:?}", store.save(vec![*save]).await.unwrap()),
        Step::Settle(name, settlement) => store.settle(&name, vec![settlement]).await.unwrap().to_string(),
        Step::Mark(resource, mark) => store.mark(&[resource], mark).await.unwrap().to_string(),
        Step::MarkAll(name, now_ms) => store.mark_all(name.as_ref(), now_ms).await.unwrap().to_string(),
        Step::Add(name, instance, now_ms) => {
            store.add_sinks(&[listed(name, instance)], now_ms).await.unwrap();
            String::new()
        }
        Step::Forget(name) => store.forget_sink(&name).await.unwrap().to_string(),
        Step::Claim(now_ms) => {
            *claims = store.claim_fan_outs("worker", now_ms, now_ms).await.unwrap();
            claims.sort_by(|one, other| one.account.cmp(&other.account));
            format!("{claims:?}")
        }
        Step::End(place) => {
            if let Some(claim) = claims.get(place) {
                store.end_fan_out(claim).await.unwrap();
            }
            String::new()
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_operations_leave_both_stores_alike() {
    for seed in SEEDS {
        let (file, table) = (World::sqlite(), World::table().await);
        let (file, table): (Arc<dyn StateStore>, Arc<dyn StateStore>) =
            (file_store(&file).await, table.worker("worker").await);
        let mut random = Rng::with_seed(seed);
        let (mut file_claims, mut table_claims) = (Vec::new(), Vec::new());
        let mut past = Vec::new();
        for number in 0..STEPS {
            let versions: Vec<u64> = file.load(&resources()).await.unwrap().iter().map(Stored::version).collect();
            let now_ms = NOW + i64::try_from(number).unwrap() * 100;
            let next = step(&mut random, now_ms, &versions, &file.sinks().await.unwrap());
            past.push(format!("{next:?}"));
            let answers =
                [does(&*file, next.clone(), &mut file_claims).await, does(&*table, next, &mut table_claims).await];
            assert_eq!(answers[0], answers[1], "seed {seed}, step {number}: {}", past[number]);
            if number % 5 == 4 {
                let (expected, found) = (view(&*file).await, view(&*table).await);
                assert_eq!(found, expected, "seed {seed}, after step {number}:\n{}", past.join("\n"));
            }
        }
    }
}

async fn file_store(world: &World) -> Arc<dyn StateStore> {
    world.worker("worker").await
}
