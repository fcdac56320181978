//! The state store in memory, with the rules of the real ones, and a worker's view of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bucket_state::{AccountLevel, Digest, Kind, ResourceId, ResourceState, project};
use emitter::{
    Backlog, Emission, FanOut, Generation, ListedSink, Mark, PendingMark, PendingQuery, Row, Save, SaveOutcome,
    Settlement, Settling, SinkName, StateStore, StoreError, Stored, Version,
};

use crate::calls::{Calls, NoAnswer};
use crate::graph::Graph;
use crate::planted::Planted;
use crate::source::Live;
use crate::witness::Witness;

/// The only generation that there is.
pub(crate) const GENERATION: Generation = 1;

/// Everything that is stored.
#[derive(Default)]
pub(crate) struct Rows {
    sinks: BTreeMap<SinkName, String>,
    states: BTreeMap<ResourceId, StoredState>,
    members: BTreeSet<(ResourceId, ResourceId)>,
    fan_outs: BTreeMap<ResourceId, StoredFanOut>,
    claims: BTreeMap<String, String>,
}

#[derive(Default)]
struct StoredState {
    version: Version,
    state: ResourceState,
    marks: BTreeMap<SinkName, StoredMark>,
}

#[derive(Clone)]
struct StoredMark {
    pending: Option<PendingMark>,
    last: PendingMark,
    worker: String,
    digest: Option<Digest>,
    rejected: Option<Version>,
}

struct StoredFanOut {
    version: Version,
    mark: PendingMark,
    last: PendingMark,
    worker: String,
}

fn older(one: PendingMark, other: PendingMark) -> PendingMark {
    PendingMark {
        since_ms: one.since_ms.min(other.since_ms),
        arrived_ms: one.arrived_ms.min(other.arrived_ms),
        happened_ms: one.happened_ms.min(other.happened_ms),
    }
}

impl Rows {
    pub(crate) fn load(&self, id: &ResourceId) -> Stored {
        let Some(stored) = self.states.get(id) else { return Stored::Nothing };
        let marks = stored.marks.iter().filter(|(sink, _)| self.sinks.contains_key(*sink)).map(|(sink, mark)| {
            (sink.clone(), Mark { pending: mark.pending, digest: mark.digest, rejected: mark.rejected })
        });
        Stored::Row(Box::new(Row { version: stored.version, state: stored.state.clone(), marks: marks.collect() }))
    }

    pub(crate) fn version(&self, id: &ResourceId) -> Version {
        self.states.get(id).map_or(0, |stored| stored.version)
    }

    pub(crate) fn states(&self) -> impl Iterator<Item = (&ResourceId, &ResourceState)> {
        self.states.iter().map(|(id, stored)| (id, &stored.state))
    }

    pub(crate) fn state(&self, id: &ResourceId) -> Option<&ResourceState> {
        self.states.get(id).map(|stored| &stored.state)
    }

    fn is_pending(&self, sink: &SinkName, id: &ResourceId) -> bool {
        self.states.get(id).and_then(|stored| stored.marks.get(sink)).is_some_and(|mark| mark.pending.is_some())
    }

    /// Whether nothing is left to be emitted or marked.
    pub(crate) fn is_settled(&self) -> bool {
        let pending = |stored: &StoredState| stored.marks.values().any(|mark| mark.pending.is_some());
        self.fan_outs.is_empty() && !self.states.values().any(pending)
    }

    fn save(&mut self, save: &Save, worker: &str, witness: &Witness) -> SaveOutcome {
        if self.version(&save.resource) != save.based_on {
            return SaveOutcome::Conflict;
        }
        self.write(save, worker, witness)
    }

    fn write(&mut self, save: &Save, worker: &str, witness: &Witness) -> SaveOutcome {
        if let Some(before) = self.state(&save.resource)
            && save.state.clone().merge(before.clone())
        {
            witness.broken(format!("invariant 3: a save of {} forgets what was stored", save.resource));
        }
        let stored = self.states.entry(save.resource.clone()).or_default();
        stored.version += 1;
        stored.state = save.state.clone();
        let version = stored.version;
        if let Some(account) = &save.account {
            self.members.insert((account.clone(), save.resource.clone()));
        }
        if let (Some(former), Some(mark)) = (&save.former_account, save.mark) {
            self.states.entry(former.clone()).or_default();
            self.mark(former, mark, worker);
        }
        if let Some(mark) = save.mark {
            self.set_mark(&save.resource, mark, worker);
            if save.resource.kind() == Kind::Account {
                let new = StoredFanOut { version, mark, last: mark, worker: worker.into() };
                let fan_out = self.fan_outs.entry(save.resource.clone()).or_insert(new);
                fan_out.version = version;
                fan_out.mark = older(fan_out.mark, mark);
                fan_out.last = mark;
                fan_out.worker = worker.into();
            }
        }
        SaveOutcome::Saved(version)
    }

    /// Marks a row as a save of its unchanged state would; tells whether there is one.
    fn mark(&mut self, id: &ResourceId, mark: PendingMark, worker: &str) -> bool {
        let Some(stored) = self.states.get_mut(id) else { return false };
        stored.version += 1;
        self.set_mark(id, mark, worker);
        true
    }

    fn set_mark(&mut self, id: &ResourceId, mark: PendingMark, worker: &str) {
        let Some(stored) = self.states.get_mut(id) else { return };
        for sink in self.sinks.keys() {
            let new = StoredMark { pending: None, last: mark, worker: worker.into(), digest: None, rejected: None };
            let known = stored.marks.entry(sink.clone()).or_insert(new);
            known.pending = Some(known.pending.map_or(mark, |pending| older(pending, mark)));
            known.last = mark;
            known.worker = worker.into();
        }
    }

    /// Marks every row for every sink, or for one.
    pub(crate) fn mark_all(&mut self, sink: Option<&SinkName>, now_ms: i64, worker: &str) -> u64 {
        let mark = PendingMark { since_ms: now_ms, arrived_ms: now_ms, happened_ms: now_ms };
        for stored in self.states.values_mut() {
            stored.version += 1;
            for name in self.sinks.keys().filter(|name| sink.is_none_or(|sink| sink == *name)) {
                let anew =
                    StoredMark { pending: Some(mark), last: mark, worker: worker.into(), digest: None, rejected: None };
                stored.marks.insert(name.clone(), anew);
            }
        }
        self.states.len() as u64
    }

    fn settle(&mut self, sink: &SinkName, settlement: &Settlement) -> usize {
        let (digest, rejected) = match settlement.verdict {
            Settling::Acknowledged(digest) => (Some(digest), None),
            Settling::Superseded => (None, None),
            Settling::Rejected => (None, Some(settlement.version)),
        };
        let Some(stored) = self.states.get_mut(&settlement.resource) else { return 0 };
        let is_current = stored.version == settlement.version;
        let Some(mark) = stored.marks.get_mut(sink).filter(|mark| mark.pending.is_some()) else { return 0 };
        if is_current {
            (mark.pending, mark.digest, mark.rejected) = (None, digest, rejected);
        } else if rejected.is_none() {
            mark.pending = Some(mark.last);
        }
        usize::from(is_current)
    }
}

/// A worker's view of the store. It bases saves on what it last saw, as with the cache of the DynamoDB store.
pub(crate) struct WorkerStore {
    pub(crate) rows: Arc<Mutex<Rows>>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) planted: Option<Planted>,
    pub(crate) graphs: Vec<Arc<Graph>>,
    pub(crate) live: Arc<Live>,
    pub(crate) bases: Option<Mutex<BTreeMap<ResourceId, Stored>>>,
}

fn unavailable(_: NoAnswer) -> StoreError {
    StoreError::Unavailable { store: "simulated".into(), message: "no answer".into() }
}

impl WorkerStore {
    async fn on<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut Rows) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let rows = Arc::clone(&self.rows);
        let call = self.calls.make(what, move || act(&mut rows.lock().unwrap_or_else(PoisonError::into_inner)));
        call.await.map_err(unavailable)
    }

    fn remember(&self, ids: &[ResourceId], rows: &[Stored]) {
        if let Some(bases) = &self.bases {
            let mut bases = bases.lock().unwrap_or_else(PoisonError::into_inner);
            bases.extend(ids.iter().cloned().zip(rows.iter().cloned()));
        }
    }

    /// What a planted fault does to the saves before they are made.
    async fn spoil(&self, saves: &mut [Save]) {
        match self.planted {
            Some(Planted::EmitBeforeSave) => {
                for save in saves.iter() {
                    let snapshot = project(&save.resource, &save.state, AccountLevel::Silent);
                    let emission = Emission::new(save.based_on + 1, snapshot);
                    self.graphs.iter().for_each(|graph| drop(graph.replace(&emission)));
                }
            }
            Some(Planted::CheckpointBeforeSave) => self.live.checkpoint().await,
            Some(Planted::DefaultsStoredByTheFold) => {
                saves.iter_mut().for_each(|save| self.witness.store_a_default(&save.resource, &mut save.state));
            }
            _ => {}
        }
    }
}

#[async_trait]
impl StateStore for WorkerStore {
    fn generation(&self) -> Generation {
        GENERATION
    }

    async fn sinks(&self) -> Result<Vec<SinkName>, StoreError> {
        self.on("sinks", |rows| rows.sinks.keys().cloned().collect()).await
    }

    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        let (sinks, worker) = (sinks.to_vec(), self.calls.worker.clone());
        self.on("add sinks", move |rows| {
            for ListedSink { name, instance } in sinks {
                if rows.sinks.insert(name.clone(), instance.clone()).as_ref() != Some(&instance) {
                    rows.mark_all(Some(&name), now_ms, &worker);
                }
            }
        })
        .await
    }

    async fn forget_sink(&self, sink: &SinkName) -> Result<bool, StoreError> {
        let sink = sink.clone();
        self.on("forget sink", move |rows| rows.sinks.remove(&sink).is_some()).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.on("is empty", |rows| rows.states.is_empty()).await
    }

    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let ids = resources.to_vec();
        let rows = self.on("load", move |rows| ids.iter().map(|id| rows.load(id)).collect::<Vec<_>>()).await?;
        self.remember(resources, &rows);
        Ok(rows)
    }

    async fn load_bases(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let known = self.bases.as_ref().and_then(|bases| {
            let bases = bases.lock().unwrap_or_else(PoisonError::into_inner);
            resources.iter().map(|id| bases.get(id).cloned()).collect::<Option<Vec<_>>>()
        });
        match known {
            Some(known) => Ok(known),
            None => self.load(resources).await,
        }
    }

    async fn save(&self, mut saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        self.spoil(&mut saves).await;
        let (worker, witness) = (self.calls.worker.clone(), Arc::clone(&self.witness));
        let unconditional = self.planted == Some(Planted::UnconditionalSave);
        let ids: Vec<ResourceId> = saves.iter().map(|save| save.resource.clone()).collect();
        self.calls.tell(format_args!("saves {ids:?}"));
        let saved = self.on("save", move |rows| {
            let save = |save: &Save| match unconditional {
                true => rows.write(save, &worker, &witness),
                false => rows.save(save, &worker, &witness),
            };
            let outcomes: Vec<SaveOutcome> = saves.iter().map(save).collect();
            witness.trace(&worker, format_args!("save lands: {outcomes:?}"));
            outcomes
        });
        if let Some(bases) = &self.bases {
            let mut bases = bases.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().for_each(|id| drop(bases.remove(id)));
        }
        saved.await
    }

    async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError> {
        let (ids, worker) = (resources.to_vec(), self.calls.worker.clone());
        self.on("mark", move |rows| ids.iter().map(|id| u64::from(rows.mark(id, mark, &worker))).sum()).await
    }

    async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError> {
        let (sink, worker) = (sink.cloned(), self.calls.worker.clone());
        self.on("mark all", move |rows| rows.mark_all(sink.as_ref(), now_ms, &worker)).await
    }

    async fn members(
        &self,
        account: &ResourceId,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<ResourceId>, StoreError> {
        let (account, after) = (account.clone(), after.cloned());
        self.on("members", move |rows| {
            let of = rows.members.iter().filter(|(owner, _)| *owner == account).map(|(_, member)| member);
            of.filter(|member| after.as_ref().is_none_or(|after| *member > after)).take(limit).cloned().collect()
        })
        .await
    }

    async fn claim_fan_outs(
        &self,
        worker: &str,
        others_before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        let worker = worker.to_owned();
        self.on("claim fan-outs", move |rows| {
            let mine = |fan_out: &StoredFanOut| fan_out.worker == worker || fan_out.mark.since_ms < others_before_ms;
            let claimed = rows.fan_outs.iter_mut().filter(|(_, fan_out)| mine(fan_out)).map(|(account, fan_out)| {
                fan_out.worker.clone_from(&worker);
                fan_out.mark.since_ms = now_ms;
                FanOut { account: account.clone(), version: fan_out.version, mark: fan_out.mark }
            });
            claimed.collect()
        })
        .await
    }

    async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError> {
        let fan_out = fan_out.clone();
        self.on("end fan-out", move |rows| {
            let Some(stored) = rows.fan_outs.get_mut(&fan_out.account) else { return };
            if stored.version == fan_out.version {
                rows.fan_outs.remove(&fan_out.account);
            } else {
                let PendingMark { arrived_ms, happened_ms, .. } = stored.last;
                stored.mark = PendingMark { arrived_ms, happened_ms, ..stored.mark };
            }
        })
        .await
    }

    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        let query = query.clone();
        self.on("pending", move |rows| {
            let mut found: Vec<(i64, ResourceId)> = Vec::new();
            for (id, stored) in &rows.states {
                let Some(mark) = stored.marks.get(&query.sink) else { continue };
                let Some(pending) = mark.pending else { continue };
                if mark.worker == query.worker || pending.since_ms < query.others_before_ms {
                    found.push((pending.since_ms, id.clone()));
                }
            }
            found.sort();
            found.into_iter().take(query.limit).map(|(_, id)| id).collect()
        })
        .await
    }

    async fn settle(&self, sink: &SinkName, mut settlements: Vec<Settlement>) -> Result<usize, StoreError> {
        let (sink, witness, worker) = (sink.clone(), Arc::clone(&self.witness), self.calls.worker.clone());
        let versionless = self.planted == Some(Planted::ClearWithoutTheVersion);
        self.on("settle", move |rows| {
            let mut cleared = 0;
            for settlement in &mut settlements {
                let id = &settlement.resource;
                if versionless {
                    settlement.version = rows.version(id);
                }
                let was_pending = rows.is_pending(&sink, id);
                cleared += rows.settle(&sink, settlement);
                if was_pending && !rows.is_pending(&sink, id) && settlement.verdict != Settling::Rejected {
                    witness.cleared(&sink, id, rows.version(id));
                }
            }
            witness.trace(&worker, format_args!("settled {cleared} of {}", settlements.len()));
            cleared
        })
        .await
    }

    async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError> {
        let sink = sink.clone();
        self.on("backlog", move |rows| {
            let marks = rows.states.values().filter_map(|stored| Some((stored.version, stored.marks.get(&sink)?)));
            let mut backlog = Backlog::default();
            for (version, mark) in marks {
                if let Some(pending) = mark.pending {
                    backlog.rows += 1;
                    backlog.oldest_ms = Some(backlog.oldest_ms.map_or(pending.since_ms, |ms| ms.min(pending.since_ms)));
                }
                backlog.rejected += u64::from(mark.rejected == Some(version));
            }
            backlog
        })
        .await
    }

    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError> {
        let fence = fence.to_owned();
        self.on("claim", move |rows| rows.claims.get(&fence).cloned()).await
    }

    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError> {
        let (fence, seen, next) = (fence.to_owned(), seen.map(str::to_owned), next.to_owned());
        self.on("swap claim", move |rows| {
            let is_seen = rows.claims.get(&fence) == seen.as_ref();
            if is_seen {
                rows.claims.insert(fence, next);
            }
            is_seen
        })
        .await
    }
}
