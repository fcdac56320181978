//! The backward half of the protocol: emit what is pending, then clear exactly that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bucket_state::{Digest, ResourceId, Snapshot, belongs_to};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::commit::back_off;
use crate::row::{PendingMark, Row, SinkName, Stored, Version};
use crate::sink::{Emission, GraphSink, SinkError, Turn, Verdict};
use crate::store::{PendingQuery, Settlement, Settling, StateStore, StoreError};

/// Rows of other workers are looked for no more often than this.
const SWEEP_LEAST: Duration = Duration::from_millis(200);

/// A sink that does not take its credentials is asked again only so often.
const DENIED_PAUSE: Duration = Duration::from_secs(60);

/// Batches of pending rows that a sink is told of which takes only some of them.
const LOOKS_AHEAD: usize = 20;

/// How an outbox works.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// The worker that marks the rows.
    pub worker: String,
    /// Rows of other workers are taken over when they have waited this long: their worker may be dead.
    pub adopt_after: Duration,
    /// Snapshots emitted together.
    pub batch: usize,
}

/// Rows read for one turn of a sink, as they are now: the first step.
pub(crate) struct Pending<'a> {
    sink: &'a dyn GraphSink,
    store: &'a dyn StateStore,
    /// Beside each emission: how old its news is, where the row is pending.
    marks: Vec<Option<PendingMark>>,
    emissions: Vec<Emission>,
    /// Rows that cannot be read: settled as rejected, so that they hold back no other.
    damaged: Vec<Settlement>,
}

/// Rows that the sink has taken, which may not stand in the graph yet.
#[derive(Default)]
pub(crate) struct Taken {
    settled: Vec<Settled>,
    damaged: Vec<Settlement>,
}

/// Rows on which the sink has spoken: the last step but one.
pub(crate) struct Acknowledged<'a> {
    sink: &'a dyn GraphSink,
    store: &'a dyn StateStore,
    taken: Taken,
}

/// What became of one pending row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The row.
    pub resource: ResourceId,
    /// The version emitted.
    pub version: Version,
    /// The sink's word.
    pub verdict: Verdict,
    /// How old the news in it was.
    pub mark: PendingMark,
    digest: Digest,
}

/// What one round of an outbox came to.
#[derive(Clone, Debug, Default)]
pub struct EmitReport {
    /// Each row on which the sink has spoken.
    pub settled: Vec<Settled>,
    /// Marks that were cleared; fewer where a row has moved meanwhile, and is still pending.
    pub cleared: usize,
    /// How long the sink took.
    pub took: Duration,
}

/// Why a round of an outbox failed.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The store did not answer, or cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sink took nothing.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl OutboxError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Sink(error) => matches!(error, SinkError::Down { .. }),
        }
    }

    /// Whether the sink does not take its credentials.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Sink(SinkError::Denied { .. }))
    }
}

impl<'a> Pending<'a> {
    /// Reads and projects those of `ids` that the turn is about; their accounts after them.
    async fn read(
        store: &'a dyn StateStore,
        sink: &'a dyn GraphSink,
        account: Option<&ResourceId>,
        ids: &[ResourceId],
    ) -> Result<Self, StoreError> {
        let mut pending = Self { sink, store, marks: Vec::new(), emissions: Vec::new(), damaged: Vec::new() };
        let (mut rows, mut bare) = (Vec::with_capacity(ids.len()), Vec::new());
        for (id, stored) in ids.iter().zip(store.load(ids).await?) {
            match stored {
                Stored::Nothing => {}
                Stored::Damaged { version, message } => {
                    tracing::error!(resource = %id, message, "the stored state is damaged and not shown: replay its events");
                    if account.is_some() {
                        // What is left out here would be deleted there.
                        bare.push(Emission::new(version, Snapshot::bare(id)));
                    }
                    let verdict = Settling::Rejected;
                    pending.damaged.push(Settlement { resource: id.clone(), version, verdict });
                }
                Stored::Row(row) => {
                    let mark = row.marks.get(sink.name()).and_then(|mark| mark.pending);
                    let is_shown = match account {
                        Some(account) => id == account || belongs_to(id, &row.state).as_ref() == Some(account),
                        None => mark.is_some(),
                    };
                    if is_shown {
                        pending.marks.push(mark);
                        rows.push((id, row));
                    }
                }
            }
        }
        let accounts = Accounts::read(store, rows.iter().map(|(id, row)| (*id, &row.state))).await?;
        let emission =
            |(id, row): (&ResourceId, Box<Row>)| Emission::new(row.version, accounts.project(id, &row.state));
        pending.emissions = rows.into_iter().map(emission).chain(bare).collect();
        pending.marks.resize(pending.emissions.len(), None);
        Ok(pending)
    }

    /// Replaces each row's part of the graph. A pending row is always emitted, even where the sink is thought to
    /// show it already: an older emission may still be under way.
    async fn emit(self) -> Result<Taken, OutboxError> {
        let Self { sink, store, marks, emissions, damaged } = self;
        let verdicts =
            if emissions.is_empty() { Vec::new() } else { sink.replace(store.generation(), &emissions).await? };
        debug_assert_eq!(verdicts.len(), emissions.len(), "a verdict for each emission");
        let settled = emissions.into_iter().zip(marks).zip(verdicts).filter_map(|((emission, mark), verdict)| {
            Some(Settled {
                resource: emission.snapshot.resource,
                version: emission.version,
                verdict,
                mark: mark?,
                digest: emission.digest,
            })
        });
        Ok(Taken { settled: settled.collect(), damaged })
    }
}

impl Taken {
    fn add(&mut self, more: Self) {
        self.settled.extend(more.settled);
        self.damaged.extend(more.damaged);
    }

    /// Makes it stand.
    async fn commit<'a>(
        mut self,
        store: &'a dyn StateStore,
        sink: &'a dyn GraphSink,
    ) -> Result<Acknowledged<'a>, OutboxError> {
        let rejected: BTreeMap<ResourceId, String> = sink.commit(store).await?.into_iter().collect();
        for settled in &mut self.settled {
            if let Some(reason) = rejected.get(&settled.resource) {
                settled.verdict = Verdict::Rejected(reason.clone());
            }
        }
        Ok(Acknowledged { sink, store, taken: self })
    }
}

impl Acknowledged<'_> {
    /// Clears each mark on the version that was emitted; a row that has moved stays pending.
    async fn clear(self) -> Result<(Vec<Settled>, usize), OutboxError> {
        self.refuse_to_be_outrun().await?;
        let Taken { settled, damaged } = self.taken;
        let settlement = |settled: &Settled| Settlement {
            resource: settled.resource.clone(),
            version: settled.version,
            verdict: match &settled.verdict {
                Verdict::Applied | Verdict::Unchanged => Settling::Acknowledged(settled.digest),
                Verdict::Newer(_) => Settling::Superseded,
                Verdict::Rejected(_) => Settling::Rejected,
            },
        };
        let settlements: Vec<Settlement> = settled.iter().map(settlement).chain(damaged).collect();
        let cleared = if settlements.is_empty() { 0 } else { self.store.settle(self.sink.name(), settlements).await? };
        Ok((settled, cleared))
    }

    /// A graph that shows a version above the stored one was fed by a store of which this is an old copy.
    async fn refuse_to_be_outrun(&self) -> Result<(), OutboxError> {
        let newer: Vec<(&ResourceId, Version)> = self
            .taken
            .settled
            .iter()
            .filter_map(|settled| match settled.verdict {
                Verdict::Newer(version) => Some((&settled.resource, version)),
                _ => None,
            })
            .collect();
        if newer.is_empty() {
            return Ok(());
        }
        let ids: Vec<ResourceId> = newer.iter().map(|(id, _)| (*id).clone()).collect();
        for ((id, shown), row) in newer.into_iter().zip(self.store.load(&ids).await?) {
            let stored = row.version();
            if shown > stored {
                return Err(OutboxError::Sink(SinkError::Ahead {
                    sink: self.sink.name().clone(),
                    resource: id.to_string(),
                    shown: format!("version {shown}"),
                    stored: format!("version {stored}"),
                }));
            }
        }
        Ok(())
    }
}

/// One sink's share of the store's pending rows.
pub struct Outbox {
    store: Arc<dyn StateStore>,
    sink: Arc<dyn GraphSink>,
    settings: OutboxSettings,
}

impl Outbox {
    /// The outbox of `sink`.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, sink: Arc<dyn GraphSink>, settings: OutboxSettings) -> Self {
        Self { store, sink, settings }
    }

    /// The sink's name.
    #[must_use]
    pub fn sink(&self) -> &SinkName {
        self.sink.name()
    }

    /// Emits one batch of what is pending, the longest waiting first; nothing where nothing is, or where the sink can
    /// take none of it now. After `stop`, the sink ends what would take long.
    ///
    /// # Errors
    /// [`OutboxError`]; whatever was not cleared is still pending.
    pub async fn round(&self, now_ms: i64, stop: &CancellationToken) -> Result<Option<EmitReport>, OutboxError> {
        let adopt_after = i64::try_from(self.settings.adopt_after.as_millis()).unwrap_or(i64::MAX);
        let (store, sink) = (self.store.as_ref(), self.sink.as_ref());
        let query = PendingQuery {
            sink: sink.name().clone(),
            worker: self.settings.worker.clone(),
            others_before_ms: now_ms.saturating_sub(adopt_after),
            limit: self.settings.batch * if sink.looks_ahead() { LOOKS_AHEAD } else { 1 },
        };
        let ids = store.pending(&query).await?;
        if ids.is_empty() {
            return Ok(None);
        }
        let begun = Instant::now();
        let Some(turn) = sink.begin(store, ids, stop).await? else { return Ok(None) };
        let done = self.take(&turn).await;
        sink.end(store).await;
        let (settled, cleared) = done?;
        // Another worker may have been faster with all of them: then there is nothing to go on with.
        let took = begun.elapsed();
        Ok((cleared > 0 || !settled.is_empty()).then_some(EmitReport { settled, cleared, took }))
    }

    /// Emits the rows of a turn, a batch in memory at a time, and clears their marks.
    async fn take(&self, turn: &Turn) -> Result<(Vec<Settled>, usize), OutboxError> {
        let (store, sink) = (self.store.as_ref(), self.sink.as_ref());
        let mut taken = Taken::default();
        for ids in turn.resources.chunks(self.settings.batch.max(1)) {
            sink.hold(store).await?;
            taken.add(Pending::read(store, sink, turn.account.as_ref(), ids).await?.emit().await?);
        }
        taken.commit(store, sink).await?.clear().await
    }

    /// Works when it is asked to by `wake`, and from time to time by itself, so that rows of dead workers are found.
    /// After `stop` it goes on until nothing is left for it, or the sink takes nothing.
    ///
    /// # Errors
    /// What waiting cannot mend: the sink is ahead of the store.
    pub async fn run(
        &self,
        wake: &Notify,
        stop: &CancellationToken,
        clock: impl Fn() -> i64,
        tell: impl Fn(Result<&EmitReport, &OutboxError>),
    ) -> Result<(), OutboxError> {
        loop {
            let mut pause = self.settings.adopt_after.max(SWEEP_LEAST).mul_f64(0.5 + fastrand::f64() / 2.0);
            match self.drain(stop, Duration::MAX, &clock, &tell).await {
                Err(error) if error.is_denied() && !stop.is_cancelled() => {
                    stop.run_until_cancelled(tokio::time::sleep(DENIED_PAUSE)).await;
                    pause = Duration::ZERO;
                }
                Err(error) if !error.is_transient() => return Err(error),
                _ if stop.is_cancelled() => return Ok(()),
                _ => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Emits until nothing is pending. Gives up when the sink has taken nothing for `patience`; after `stop`, at the
    /// first failure. Calls `tell` after each round.
    ///
    /// # Errors
    /// The failure that it gave up at.
    pub async fn drain(
        &self,
        stop: &CancellationToken,
        patience: Duration,
        clock: impl Fn() -> i64,
        tell: impl Fn(Result<&EmitReport, &OutboxError>),
    ) -> Result<(), OutboxError> {
        let (mut taken, mut failures) = (Instant::now(), 0_u32);
        loop {
            match self.round(clock(), stop).await {
                Ok(None) => return Ok(()),
                Ok(Some(report)) => {
                    tell(Ok(&report));
                    (taken, failures) = (Instant::now(), 0);
                }
                Err(error) => {
                    tell(Err(&error));
                    if !error.is_transient() || stop.is_cancelled() || taken.elapsed() >= patience {
                        return Err(error);
                    }
                    stop.run_until_cancelled(tokio::time::sleep(back_off(failures))).await;
                    failures += 1;
                }
            }
        }
    }
}
