//! A Kinesis stream as a [`ShardSource`].

mod budget;
mod client;
mod consumer;
mod coordinator;
mod cursor;
mod fault;
mod lineage;
mod lister;
mod pace;
mod plan;
mod reader;
mod rows;
mod sightings;
mod stream;
mod subscription;
mod tenure;
mod wire;
mod withdraw;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::StreamExt;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::aggregate::Misplaced;
use crate::cut::Cut;
use crate::leases::LeaseStore;
use crate::record::{Position, ShardId};
use crate::source::{Deliver, ShardSource, SourceError};
use budget::Budget;
use consumer::Consumer;
use coordinator::Coordinator;
use plan::Here;
use stream::Stream;
use tenure::Tenure;

pub use client::{kinesis_client, sdk_config};
pub use wire::Wire;

/// Where a stream without leases begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that the stream holds.
    TrimHorizon,
    /// At the time of the first run. It is written into the leases, so a restart loses nothing.
    Latest,
    /// At the first record that arrived at or after this time, in milliseconds since 1970.
    At(i64),
}

impl Start {
    /// Where a row begins whose position only the configuration of another consumer library knows.
    fn resolved(self, position: &Position) -> Position {
        match (position, self) {
            (Position::Latest, _) => Position::AtTimestamp(now_ms()),
            (Position::AtUnknownTime, Self::At(ms)) => Position::AtTimestamp(ms),
            // Earlier than any time: nothing is lost.
            (Position::AtUnknownTime, _) => Position::TrimHorizon,
            (known, _) => known.clone(),
        }
    }

    /// `since_ms` is the instant that "latest" was resolved to before, if any lease tells.
    fn position(self, since_ms: Option<i64>) -> Position {
        match self {
            Self::TrimHorizon => Position::TrimHorizon,
            Self::At(ms) => Position::AtTimestamp(ms),
            Self::Latest => Position::AtTimestamp(since_ms.unwrap_or_else(now_ms)),
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How records are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// GetRecords: five calls and two megabytes per second and shard, which all applications on the stream share.
    Polling,
    /// Enhanced fan-out: the service pushes, two megabytes per second and shard to this application alone, for a price.
    FanOut {
        /// The name of the registered consumer; registered if there is none of that name.
        consumer: String,
    },
}

/// What a [`KinesisSource`] needs.
pub struct KinesisParams {
    /// Such as [`kinesis_client`] makes.
    pub client: aws_sdk_kinesis::Client,
    /// The stream's name or ARN.
    pub stream: String,
    /// The leases of this stream and application.
    pub leases: Arc<dyn LeaseStore>,
    /// How records are fetched.
    pub reading: Reading,
    /// What becomes of user records that an aggregate brought to the wrong shard.
    pub misplaced: Misplaced,
    /// Unique among the workers that are alive. Leases are owned under this name and a mark of the run; what an earlier
    /// run of the same name has left is taken at once.
    pub worker_id: String,
    /// Where to begin when there are no leases.
    pub start: Start,
    /// A lease that its owner did not renew for this long is taken. The same in all workers.
    pub failover_after: Duration,
}

/// Reads every shard of a Kinesis stream whose lease it can take, parents before children.
///
/// Leases are renewed apart from reading and delivery: from the moment of taking, also after [`ShardSource::run`]
/// has returned, until [`ShardSource::release`] or until the source is dropped. Call `release` after `run`, and `run` not
/// again before the former call has returned.
pub struct KinesisSource {
    stream: Stream,
    leases: Arc<dyn LeaseStore>,
    /// The worker, and this run of it: a row of this name is this run's, whatever it remembers.
    owner: String,
    start: Start,
    failover_after: Duration,
    misplaced: Misplaced,
    budget: Budget,
    /// Absent where shards are polled.
    consumer: Option<Consumer>,
    tenures: Tenures,
    alive: CancellationToken,
    _end_tenures: DropGuard,
}

/// Between the worker and the run in the names of owners.
const RUN_MARK: char = '/';
/// A run is so many hexadecimal digits.
const RUN_DIGITS: usize = 8;

/// At most this many lease writes are under way at once.
const WRITES_AT_ONCE: usize = 16;

/// Giving up all leases takes no longer, however many there are: what is left expires.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

impl KinesisSource {
    /// A source that has not read anything yet.
    #[must_use]
    pub fn new(params: KinesisParams) -> Self {
        let KinesisParams { client, stream, leases, reading, misplaced, worker_id, start, failover_after } = params;
        let alive = CancellationToken::new();
        let stream = Stream::new(&client, stream);
        let consumer = match reading {
            Reading::Polling => None,
            Reading::FanOut { consumer } => Some(Consumer::new(stream.clone(), &consumer)),
        };
        Self {
            stream,
            consumer,
            leases,
            owner: format!("{worker_id}{RUN_MARK}{:0RUN_DIGITS$x}", fastrand::u32(..)),
            start,
            failover_after,
            misplaced,
            budget: Budget::new(),
            tenures: Tenures::default(),
            _end_tenures: alive.clone().drop_guard(),
            alive,
        }
    }
}

#[async_trait]
impl ShardSource for KinesisSource {
    async fn run(&self, deliver: Deliver, stop: CancellationToken) -> Result<(), SourceError> {
        Coordinator::new(self, deliver, stop).run().await
    }

    async fn checkpoint(&self, cut: &Cut) -> Result<(), SourceError> {
        let held = cut.iter().filter_map(|(shard, epoch, position)| {
            let tenure = self.tenures.of(shard).filter(|tenure| tenure.epoch == epoch)?;
            Some((tenure, position.clone()))
        });
        let mut ended = Vec::new();
        for (tenure, position) in held {
            if position == Position::ShardEnd && !tenure.is_finished() {
                // The children may have no rows yet: past this checkpoint, nobody would look for them.
                tracing::error!(shard = %tenure.shard, "the end of a shard was checkpointed before it was read");
                continue;
            }
            if position == Position::ShardEnd {
                ended.push(Arc::clone(&tenure));
            }
            tenure.reach(position);
        }
        // The end does not wait for the next renewal: nothing is left to be renewed.
        let writes = ended.into_iter().map(async |tenure| {
            if tenure.release().await? {
                self.tenures.forget(&tenure);
            }
            Ok(())
        });
        first_error(futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).collect().await)
    }

    async fn release(&self) -> Result<(), SourceError> {
        // However this ends, nothing is renewed any more.
        let tenures = Drained(self.tenures.drain());
        let writes = tenures.0.clone().into_iter().map(async |tenure| tenure.release().await.map(drop));
        let writes = futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).collect();
        let released = timeout(RELEASE_WITHIN, writes).await;
        released.map_or_else(
            |late| Err(SourceError::Failed { what: "release every lease".into(), source: late.into() }),
            first_error,
        )
    }
}

/// Tenures that end with this value.
struct Drained(Vec<Arc<Tenure>>);

impl Drop for Drained {
    fn drop(&mut self) {
        self.0.iter().for_each(|tenure| tenure.end());
    }
}

fn first_error(results: Vec<Result<(), SourceError>>) -> Result<(), SourceError> {
    results.into_iter().collect()
}

/// The latest tenure of each shard. Shared by the coordinator, which adds to them, and the callers that checkpoint.
#[derive(Default)]
struct Tenures(Mutex<BTreeMap<ShardId, Arc<Tenure>>>);

impl Tenures {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, Arc<Tenure>>> {
        // Each change is one call on the map, so a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, shard: &ShardId) -> Option<Arc<Tenure>> {
        self.lock().get(shard).cloned()
    }

    fn begin(&self, tenure: &Arc<Tenure>) {
        if let Some(former) = self.lock().insert(tenure.shard.clone(), Arc::clone(tenure)) {
            former.end();
        }
    }

    fn forget(&self, tenure: &Tenure) {
        let mut tenures = self.lock();
        if tenures.get(&tenure.shard).is_some_and(|known| known.epoch == tenure.epoch) {
            tenures.remove(&tenure.shard);
        }
    }

    /// The shards that were read to their end, though that is not checkpointed.
    fn finished(&self) -> HashMap<ShardId, Here> {
        let tenures = self.lock();
        let finished = tenures.values().filter(|tenure| tenure.is_finished() && tenure.is_held());
        finished.map(|tenure| (tenure.shard.clone(), Here::ReadToEnd)).collect()
    }

    /// Removes the tenures that were lost between the end of their shard and its checkpoint, and have no reader.
    fn lost_at_the_end(&self, is_reading: impl Fn(&ShardId) -> bool) -> Vec<Arc<Tenure>> {
        let mut tenures = self.lock();
        let lost = tenures.extract_if(.., |shard, tenure| {
            let is_lost = tenure.is_finished() && !tenure.is_held();
            is_lost && !is_reading(shard)
        });
        lost.map(|(_, tenure)| tenure).filter(|tenure| !tenure.is_given_up()).collect()
    }

    fn drain(&self) -> Vec<Arc<Tenure>> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }
}
