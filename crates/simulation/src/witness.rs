//! Sees every step, knows every event, and says which invariant is broken first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bucket_state::{AccountLevel, Event, Kind, Parsed, Parser, ResourceId, ResourceState, account_of, project};
use emitter::{SinkName, Version};
use shard_consumer::{Batch, Position, ShardId};
use tokio_util::sync::CancellationToken;

use crate::calls::Weather;
use crate::graph::{Graph, Part, part};
use crate::leases::Table;
use crate::rows::Rows;

/// What a record says of one resource, if it says anything.
type Told = Option<(ResourceId, ResourceState)>;

pub(crate) struct Witness {
    weather: Arc<Weather>,
    rows: OnceLock<Arc<Mutex<Rows>>>,
    table: OnceLock<Arc<Mutex<Table>>>,
    seen: Mutex<Seen>,
    /// Cancelled at the first broken invariant.
    pub(crate) broke: CancellationToken,
    /// What is written into a state by the planted fault that stores defaults.
    default: Event,
}

#[derive(Default)]
struct Seen {
    /// In the order of the shard.
    records: BTreeMap<ShardId, Vec<(Position, Told)>>,
    acknowledged: BTreeSet<(SinkName, ResourceId, Version)>,
    violation: Option<String>,
}

/// Reads one record as every worker reads it.
pub(crate) fn told(body: &[u8], arrived_ms: i64) -> Option<Event> {
    let mut told = None;
    Parser::default().parse(body, arrived_ms, &mut |parsed| {
        if let Parsed::Event(event) = parsed {
            told = Some(event);
        }
    });
    told
}

fn state_of(event: &Event) -> ResourceState {
    let mut state = ResourceState::default();
    state.fold(event.clone());
    state
}

impl Witness {
    pub(crate) fn new(weather: Arc<Weather>, default: Event) -> Self {
        Self {
            weather,
            rows: OnceLock::new(),
            table: OnceLock::new(),
            seen: Mutex::default(),
            broke: CancellationToken::new(),
            default,
        }
    }

    pub(crate) fn watch(&self, rows: &Arc<Mutex<Rows>>, table: &Arc<Mutex<Table>>) {
        let _first = self.rows.set(Arc::clone(rows));
        let _first = self.table.set(Arc::clone(table));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trace(&self, who: &str, what: fmt::Arguments<'_>) {
        self.weather.trace.tell(who, what);
    }

    /// Notes what is broken, if nothing was before.
    pub(crate) fn broken(&self, what: String) {
        self.trace("witness", format_args!("BROKEN {what}"));
        self.seen().violation.get_or_insert(what);
        self.broke.cancel();
    }

    pub(crate) fn violation(&self) -> Option<String> {
        self.seen().violation.clone()
    }

    /// A record has been put into the stream.
    pub(crate) fn put(&self, shard: &str, sequence: &str, body: &[u8], arrived_ms: i64) {
        let told = told(body, arrived_ms).map(|event| (event.resource.clone(), state_of(&event)));
        let what = told.as_ref().map(|(id, _)| id.as_str()).unwrap_or("nothing").to_owned();
        self.trace("stream", format_args!("{shard} {sequence}: about {what}"));
        let position = Position::After { sequence: sequence.into(), sub_sequence: 0 };
        self.seen().records.entry(ShardId::from(shard)).or_default().push((position, told));
    }

    /// Invariant 1: a checkpoint never passes state that is not saved.
    pub(crate) fn checkpointed(&self, shard: &ShardId, before: &Position, after: &Position) {
        if before == after {
            return;
        }
        let lost = {
            let seen = self.seen();
            let Some(rows) = self.rows.get() else { return };
            let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            let records = seen.records.get(shard).into_iter().flatten();
            let passed = records.filter(|(position, _)| before < position && position <= after);
            let mut lost =
                passed.filter_map(|(position, told)| Some((position, told.as_ref()?))).filter(|(_, (id, told))| {
                    let mut stored = rows.state(id).cloned().unwrap_or_default();
                    stored.merge(told.clone())
                });
            lost.next().map(|(position, (id, _))| (position.clone(), id.clone()))
        };
        if let Some((position, id)) = lost {
            self.broken(format!("invariant 1: {shard} is checkpointed past {position:?}, which is not saved in {id}"));
        }
    }

    /// A sink has taken this version, or shows a newer one.
    pub(crate) fn acknowledged(&self, sink: &SinkName, id: &ResourceId, version: Version) {
        self.seen().acknowledged.insert((sink.clone(), id.clone(), version));
    }

    /// Invariant 2: a mark is cleared only by the acknowledged emission of exactly the current version.
    pub(crate) fn cleared(&self, sink: &SinkName, id: &ResourceId, version: Version) {
        let is_acknowledged = self.seen().acknowledged.contains(&(sink.clone(), id.clone(), version));
        if !is_acknowledged {
            self.broken(format!("invariant 2: {id} is not pending for {sink}, which never took version {version}"));
        }
    }

    /// Invariant 9: nobody folds a shard whose lease another one holds.
    pub(crate) fn delivered(&self, worker: &str, batch: &Batch) {
        let holder = self.table.get().and_then(|table| {
            let table = table.lock().unwrap_or_else(PoisonError::into_inner);
            table.get(&batch.shard).and_then(|row| row.holder().map(str::to_owned))
        });
        self.trace(worker, format_args!("{} records of {} at {:?}", batch.records.len(), batch.shard, batch.after));
        let is_own = |holder: &str| holder.rsplit_once('/').map_or(holder, |(name, _)| name) == worker;
        if let Some(holder) = holder.filter(|holder| !is_own(holder)) {
            self.broken(format!("invariant 9: {worker} reads {}, whose lease {holder} holds", batch.shard));
        }
    }

    /// Whether everything of the stream is checkpointed.
    pub(crate) fn is_read(&self) -> bool {
        let seen = self.seen();
        let Some(table) = self.table.get() else { return false };
        let table = table.lock().unwrap_or_else(PoisonError::into_inner);
        seen.records.iter().all(|(shard, records)| {
            let last = records.last().map(|(position, _)| position);
            table.get(shard).is_some_and(|row| last.is_none_or(|last| *last <= row.checkpoint))
        })
    }

    /// What a planted fault does to the state of a bucket.
    pub(crate) fn store_a_default(&self, id: &ResourceId, state: &mut ResourceState) {
        if id.kind() == Kind::Bucket {
            state.fold(self.default.clone());
        }
    }

    /// The plain fold of all events.
    fn folded(&self) -> BTreeMap<ResourceId, ResourceState> {
        let mut folded: BTreeMap<ResourceId, ResourceState> = BTreeMap::new();
        for (id, state) in self.seen().records.values().flatten().filter_map(|(_, told)| told.as_ref()) {
            folded.entry(id.clone()).or_default().merge(state.clone());
        }
        folded
    }

    /// Invariant 3: states and graphs are those of the plain fold of all events.
    pub(crate) fn compare(&self, graphs: &[Arc<Graph>], when: &str) {
        let folded = self.folded();
        let Some(rows) = self.rows.get() else { return };
        let differs = {
            let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            let nothing = ResourceState::default();
            let missing = folded.iter().find(|(id, state)| rows.state(id) != Some(*state)).map(|(id, _)| id.clone());
            missing.or_else(|| {
                let mut extra = rows.states().filter(|(id, state)| **state != nothing && !folded.contains_key(id));
                extra.next().map(|(id, _)| id.clone())
            })
        };
        if let Some(id) = differs {
            return self.broken(format!("invariant 3: the stored state of {id} is not the fold of all events, {when}"));
        }
        let expected = expected(&folded);
        for graph in graphs {
            let shown = graph.parts();
            let ids: BTreeSet<&ResourceId> = shown.keys().chain(expected.keys()).collect();
            if let Some(id) = ids.into_iter().find(|id| shown.get(*id) != expected.get(*id)) {
                let version = graph.version(id);
                return self
                    .broken(format!("invariant 3: the graph does not show the fold of {id} but {version:?}, {when}"));
            }
        }
    }
}

/// The parts of the graph that these states make.
fn expected(folded: &BTreeMap<ResourceId, ResourceState>) -> BTreeMap<ResourceId, Part> {
    let part_of = |(id, state): (&ResourceId, &ResourceState)| {
        let owner = account_of(id, state);
        let row = owner.as_ref().and_then(|owner| folded.get_key_value(owner));
        let level = row.map_or(AccountLevel::Silent, |(owner, state)| AccountLevel::Told(owner, state));
        let part = part(&project(id, state, level));
        (!part.is_empty()).then(|| (id.clone(), part))
    };
    folded.iter().filter_map(part_of).collect()
}
