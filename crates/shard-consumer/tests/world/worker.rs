//! A source that runs, and everything it told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use shard_consumer::{Batch, Cut, KinesisSource, Position, Record, ShardEvent, ShardSource};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{NEVER, name};

/// Checkpoints what it has handled when a shard ends or another worker asks for it, and when it leaves.
pub(crate) struct Worker {
    pub(crate) source: Arc<KinesisSource>,
    told: watch::Receiver<Vec<ShardEvent>>,
    cut: Arc<Mutex<Cut>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Worker {
    /// `takes` says how long the handling of each event takes, and `note` keeps the cut and says whether it is worth a
    /// checkpoint at once.
    pub(crate) fn start(source: KinesisSource, takes: fn(&ShardEvent) -> Duration, note: Note) -> Self {
        let (source, stop, cut) = (Arc::new(source), CancellationToken::new(), Arc::new(Mutex::new(Cut::default())));
        let (tell, told) = watch::channel(Vec::new());
        let (handled, checkpoints) = (Arc::clone(&cut), Arc::clone(&source));
        let deliver = Arc::new(move |event: ShardEvent| {
            let (handled, checkpoints, tell) = (Arc::clone(&handled), Arc::clone(&checkpoints), tell.clone());
            let takes = takes(&event);
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                let due = note(&mut handled.lock().unwrap(), &event);
                tell.send_modify(|events| events.push(event));
                if due {
                    let cut = handled.lock().unwrap().clone();
                    checkpoints.checkpoint(&cut).await.unwrap();
                }
            }) as futures::future::BoxFuture<'static, ()>
        });
        let (runs, stops) = (Arc::clone(&source), stop.clone());
        let running = tokio::spawn(async move { runs.run(deliver, stops).await.unwrap() });
        Self { source, told, cut, stop, running }
    }

    /// Waits until what was told satisfies `enough`; gives all that was told.
    pub(crate) async fn until(&mut self, enough: impl Fn(&[ShardEvent]) -> bool) -> Vec<ShardEvent> {
        let came = tokio::time::timeout(NEVER, self.told.wait_for(|told| enough(told))).await.is_ok();
        let told = self.told.borrow().clone();
        assert!(came, "it never came; {} records were told", records(&told).count());
        told
    }

    /// Waits until so many records were told.
    pub(crate) async fn until_records(&mut self, count: usize) -> Vec<ShardEvent> {
        self.until(|told| records(told).count() >= count).await
    }

    pub(crate) fn told(&self) -> Vec<ShardEvent> {
        self.told.borrow().clone()
    }

    /// Checkpoints a shard: the next renewal writes it.
    pub(crate) async fn checkpoint(&self, shard: u32, position: Position) {
        let taken = self.told().into_iter().find_map(|event| match event {
            ShardEvent::LeaseTaken { shard: taken, epoch, .. } if taken.as_str() == name(shard) => Some((taken, epoch)),
            _ => None,
        });
        let (shard, epoch) = taken.unwrap();
        let mut cut = Cut::default();
        cut.advance(&shard, epoch, position);
        self.source.checkpoint(&cut).await.unwrap();
    }

    /// Stops in good order, at what was delivered.
    pub(crate) async fn leave(mut self) {
        self.stop().await;
        let cut = self.cut.lock().unwrap().clone();
        self.source.checkpoint(&cut).await.unwrap();
        self.source.release().await.unwrap();
    }

    /// Stops reading; the leases stay.
    pub(crate) async fn stop(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap();
    }

    /// Ends without a word, renewals too.
    pub(crate) async fn crash(self) {
        self.running.abort();
        let _aborted = self.running.await;
    }
}

pub(crate) type Note = fn(&mut Cut, &ShardEvent) -> bool;

/// As an application does that handles each batch as a whole.
pub(crate) fn by_batch(cut: &mut Cut, event: &ShardEvent) -> bool {
    match event {
        ShardEvent::Batch(batch) => cut.advance(&batch.shard, batch.epoch, batch.after.clone()),
        ShardEvent::Finished { shard, epoch } => cut.advance(shard, *epoch, Position::ShardEnd),
        ShardEvent::LeaseLost { shard, epoch } | ShardEvent::HandedOver { shard, epoch } => cut.forget(shard, *epoch),
        ShardEvent::LeaseTaken { .. } | ShardEvent::Leaving { .. } | ShardEvent::Shards { .. } => {}
    }
    matches!(event, ShardEvent::Finished { .. } | ShardEvent::Leaving { .. })
}

pub(crate) fn batches(told: &[ShardEvent]) -> impl Iterator<Item = &Batch> {
    told.iter().filter_map(|event| match event {
        ShardEvent::Batch(batch) => Some(batch),
        _ => None,
    })
}

pub(crate) fn records(told: &[ShardEvent]) -> impl Iterator<Item = &Record> {
    batches(told).flat_map(|batch| &batch.records)
}
