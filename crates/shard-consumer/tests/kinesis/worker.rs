//! A source that runs, and everything that it told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use shard_consumer::{Cut, KinesisSource, Position, ShardEvent, ShardSource, SourceError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the caller does with an event before it has handled it.
pub(crate) type Handling = Arc<dyn Fn(&ShardEvent) -> BoxFuture<'static, ()> + Send + Sync>;

/// Nothing.
pub(crate) fn at_once() -> Handling {
    Arc::new(|_| Box::pin(async {}))
}

pub(crate) struct Worker {
    pub(crate) source: Arc<KinesisSource>,
    told: watch::Receiver<Vec<ShardEvent>>,
    /// When each of them was told.
    times: Arc<Mutex<Vec<Instant>>>,
    cut: Arc<Mutex<Cut>>,
    stop: CancellationToken,
    running: JoinHandle<Result<(), SourceError>>,
    /// What takes longer never happens.
    patience: Duration,
}

impl Worker {
    pub(crate) fn start(source: KinesisSource, patience: Duration, handling: Handling) -> Self {
        let source = Arc::new(source);
        let (tell, told) = watch::channel(Vec::new());
        let (cut, times) = (Arc::new(Mutex::new(Cut::default())), Arc::new(Mutex::new(Vec::new())));
        let (handled, noted, tell) = (Arc::clone(&cut), Arc::clone(&times), Arc::new(tell));
        let deliver = Arc::new(move |event: ShardEvent| {
            let (handled, noted, tell) = (Arc::clone(&handled), Arc::clone(&noted), Arc::clone(&tell));
            let handling = handling(&event);
            Box::pin(async move {
                handling.await;
                advance(&mut handled.lock().unwrap(), &event);
                noted.lock().unwrap().push(Instant::now());
                tell.send_modify(|events| events.push(event));
            }) as BoxFuture<'static, ()>
        });
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (source, stop) = (Arc::clone(&source), stop.clone());
            async move { source.run(deliver, stop).await }
        });
        Self { source, told, times, cut, stop, running, patience }
    }

    /// Waits until what was told satisfies `enough`; gives all of it.
    pub(crate) async fn until(&mut self, mut enough: impl FnMut(&[ShardEvent]) -> bool) -> Vec<ShardEvent> {
        let waiting = self.told.wait_for(|told| enough(told));
        let told = tokio::time::timeout(self.patience, waiting).await.map(|told| told.unwrap().clone());
        told.unwrap_or_else(|_| panic!("it never came; told so far: {:#?}", outline(&self.told())))
    }

    /// Waits until so many records were told.
    pub(crate) async fn until_records(&mut self, count: usize) -> Vec<ShardEvent> {
        self.until(|told| texts(told).values().map(Vec::len).sum::<usize>() >= count).await
    }

    pub(crate) fn told(&self) -> Vec<ShardEvent> {
        self.told.borrow().clone()
    }

    /// When the first such event was told.
    pub(crate) fn when(&self, which: impl FnMut(&ShardEvent) -> bool) -> Instant {
        let first = self.told().iter().position(which).unwrap();
        self.times.lock().unwrap()[first]
    }

    pub(crate) fn cut(&self) -> Cut {
        self.cut.lock().unwrap().clone()
    }

    /// Checkpoints everything that was handled.
    pub(crate) async fn checkpoint(&self) -> Result<(), SourceError> {
        self.source.checkpoint(&self.cut()).await
    }

    /// Stops reading; the leases stay.
    pub(crate) async fn drain(&mut self) {
        self.stop.cancel();
        (&mut self.running).await.unwrap().unwrap();
    }

    /// What `run` returns by itself.
    pub(crate) async fn ended(self) -> Result<(), SourceError> {
        self.running.await.unwrap()
    }

    /// Ends without a word, renewals too.
    pub(crate) async fn crash(self) -> Vec<ShardEvent> {
        self.running.abort();
        let _ = self.running.await;
        self.told.borrow().clone()
    }
}

fn advance(cut: &mut Cut, event: &ShardEvent) {
    match event {
        ShardEvent::Batch(batch) => cut.advance(&batch.shard, batch.epoch, batch.after.clone()),
        ShardEvent::Finished { shard, epoch } => cut.advance(shard, *epoch, Position::ShardEnd),
        _ => {}
    }
}

/// What was told, without the records.
fn outline(told: &[ShardEvent]) -> Vec<String> {
    let lines = told.iter().map(|event| match event {
        ShardEvent::Batch(batch) => format!("{}: {} records up to {:?}", batch.shard, batch.records.len(), batch.after),
        other => format!("{other:?}"),
    });
    let mut lines: Vec<_> = lines.collect();
    lines.dedup();
    lines
}

/// The texts delivered, by shard.
pub(crate) fn texts(told: &[ShardEvent]) -> BTreeMap<String, Vec<String>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in told {
        if let ShardEvent::Batch(batch) = event {
            let records = batch.records.iter().map(|record| String::from_utf8(record.data.clone()).unwrap());
            texts.entry(batch.shard.to_string()).or_default().extend(records);
        }
    }
    texts.retain(|_, texts| !texts.is_empty());
    texts
}

pub(crate) fn name(number: u32) -> String {
    format!("shardId-{number:012}")
}

pub(crate) fn numbered(what: &str, numbers: std::ops::Range<u32>) -> impl Iterator<Item = String> {
    numbers.map(move |number| format!("{what}-{number}"))
}

/// Which event took the lease of the shard.
pub(crate) fn taken(told: &[ShardEvent], number: u32) -> Option<usize> {
    told.iter()
        .position(|event| matches!(event, ShardEvent::LeaseTaken { shard, .. } if shard.as_str() == name(number)))
}

/// Which event told the end of the shard.
pub(crate) fn finished(told: &[ShardEvent], number: u32) -> Option<usize> {
    told.iter().position(|event| matches!(event, ShardEvent::Finished { shard, .. } if shard.as_str() == name(number)))
}

/// Whether a listing was told with so many open shards, and so many of them that nobody reads.
pub(crate) fn shards(told: &[ShardEvent], open: usize, unread: usize) -> bool {
    let is_it = |event: &ShardEvent| match event {
        ShardEvent::Shards { open: all, unread: without, .. } => (*all, *without) == (open, unread),
        _ => false,
    };
    told.iter().any(is_it)
}
