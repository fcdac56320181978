//! Leases that are lost, and a store that does not answer, at an awkward moment.

use async_trait::async_trait;
use shard_consumer::{Change, Written};
use tokio::sync::watch;

use super::*;

/// Leases that answer only while the gate is open.
struct Gate {
    leases: SqliteLeases,
    is_open: watch::Sender<bool>,
}

impl Gate {
    async fn pass(&self) {
        let _ = self.is_open.subscribe().wait_for(|is_open| *is_open).await;
    }
}

#[async_trait]
impl LeaseStore for Gate {
    async fn list(&self) -> Result<Vec<Lease>, SourceError> {
        self.pass().await;
        self.leases.list().await
    }
    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        self.pass().await;
        self.leases.create(lease).await
    }
    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        self.pass().await;
        self.leases.update(seen, change).await
    }
    async fn delete(&self, shard: &ShardId) -> Result<(), SourceError> {
        self.pass().await;
        self.leases.delete(shard).await
    }
}

async fn gate(dir: &tempfile::TempDir) -> Arc<Gate> {
    let leases = SqliteLeases::open(dir.path().join("leases.db"), "test", "stream").await.unwrap();
    Arc::new(Gate { leases, is_open: watch::Sender::new(true) })
}

#[tokio::test]
async fn a_delivery_that_waits_is_dropped_when_the_lease_is_lost() {
    let server = Server::start(scripted([page(&[1], Some("next"))])).await;
    let dir = tempfile::tempdir().unwrap();
    let gate = gate(&dir).await;
    let source = source("stream", &server, Arc::clone(&gate) as _, Duration::from_secs(2));
    let (tell, mut told) = mpsc::unbounded_channel();
    let deliver: Deliver = Arc::new(move |event| {
        let tell = tell.clone();
        Box::pin(async move {
            let waits = matches!(event, ShardEvent::Batch(_));
            let _ = tell.send(event);
            if waits {
                std::future::pending::<()>().await;
            }
        })
    });
    tokio::spawn(async move { source.run(deliver, CancellationToken::new()).await });
    while !matches!(told.recv().await, Some(ShardEvent::Batch(_))) {}
    gate.is_open.send_replace(false);
    while !matches!(told.recv().await.unwrap(), ShardEvent::LeaseLost { .. }) {}
}

#[tokio::test]
async fn a_lease_that_is_lost_after_the_end_of_its_shard_is_told() {
    let mut rest = scripted([page(&[1], None)]);
    let mut listings = 0;
    let server = Server::start(Box::new(move |operation, input| match operation {
        "ListShards" => {
            listings += 1;
            let shards = [("shard-0", None), ("shard-1", Some("shard-0"))];
            Ok(listing(if listings == 1 { &shards[..1] } else { &shards }))
        }
        _ => rest(operation, input),
    }))
    .await;
    let dir = tempfile::tempdir().unwrap();
    let leases = Arc::new(SqliteLeases::open(dir.path().join("leases.db"), "test", "stream").await.unwrap());
    let mut run = start(source("stream", &server, Arc::clone(&leases) as _, Duration::from_secs(3)), leases, dir);
    run.until_finished().await;
    let thief = Change::Take { owner: "other".into() };
    loop {
        let row = run.leases.list().await.unwrap().remove(0);
        if run.leases.update(&row, &thief).await.unwrap() == Written::Landed {
            break;
        }
    }
    let shard = ShardId::from("shard-0");
    while run.next().await != (ShardEvent::LeaseLost { shard: shard.clone(), epoch: 1 }) {}
}

#[tokio::test]
async fn a_run_stops_though_the_leases_do_not_answer() {
    let server = Server::start(scripted([])).await;
    let dir = tempfile::tempdir().unwrap();
    let gate = gate(&dir).await;
    let source = source("stream", &server, Arc::clone(&gate) as _, Duration::from_secs(120));
    gate.is_open.send_replace(false);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { source.run(Arc::new(|_| Box::pin(async {})), stop).await }
    });
    while gate.is_open.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("the run should stop").unwrap().unwrap();
}
