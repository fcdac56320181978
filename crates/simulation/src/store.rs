//! A worker's view of the state store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bucket_state::{AccountLevel, ResourceId, project};
use emitter::{
    Backlog, Emission, FanOut, Generation, ListedSink, PendingMark, PendingQuery, Save, SaveOutcome, Settlement,
    Settling, SinkName, StateStore, StoreError, Stored,
};

use crate::calls::{Calls, NoAnswer};
use crate::graph::Graph;
use crate::planted::Planted;
use crate::rows::Rows;
use crate::source::Live;
use crate::witness::Witness;

/// The only generation that there is.
pub(crate) const GENERATION: Generation = 1;

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
        self.on("sinks", |rows| rows.sinks()).await
    }

    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        let (sinks, worker) = (sinks.to_vec(), self.calls.worker.clone());
        self.on("add sinks", move |rows| rows.add_sinks(sinks, now_ms, &worker)).await
    }

    async fn forget_sink(&self, sink: &SinkName) -> Result<bool, StoreError> {
        let sink = sink.clone();
        self.on("forget sink", move |rows| rows.forget_sink(&sink)).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.on("is empty", |rows| rows.states().next().is_none()).await
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
        self.on("members", move |rows| rows.members(&account, after.as_ref(), limit)).await
    }

    async fn claim_fan_outs(
        &self,
        worker: &str,
        others_before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        let worker = worker.to_owned();
        self.on("claim fan-outs", move |rows| rows.claim_fan_outs(&worker, others_before_ms, now_ms)).await
    }

    async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError> {
        let fan_out = fan_out.clone();
        self.on("end fan-out", move |rows| rows.end_fan_out(&fan_out)).await
    }

    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        let query = query.clone();
        self.on("pending", move |rows| rows.pending(&query)).await
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
        self.on("backlog", move |rows| rows.backlog(&sink)).await
    }

    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError> {
        let fence = fence.to_owned();
        self.on("claim", move |rows| rows.claim(&fence)).await
    }

    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError> {
        let (fence, seen, next) = (fence.to_owned(), seen.map(str::to_owned), next.to_owned());
        self.on("swap claim", move |rows| rows.swap_claim(&fence, seen.as_deref(), next)).await
    }
}
