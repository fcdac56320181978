//! A graph in memory that compares, as SQLite's and openCypher's do, and a worker's view of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bucket_state::{Digest, Entity, Relationship, ResourceId, Snapshot};
use emitter::{Emission, Generation, GraphSink, SinkError, SinkName, Verdict, Version};

use crate::calls::Calls;
use crate::planted::Planted;
use crate::rows::Rows;
use crate::witness::Witness;

/// What it shows: for each resource, its head and its part of the graph.
pub(crate) struct Graph {
    name: SinkName,
    shown: Mutex<BTreeMap<ResourceId, Head>>,
    mood: Mutex<Mood>,
    forgets_the_gone: bool,
}

#[derive(Default)]
struct Mood {
    /// While it is moody, it rejects some snapshots for good.
    moody: bool,
    has_rejected: bool,
}

struct Head {
    version: Version,
    digest: Digest,
    part: Part,
}

/// A resource's entities and relationships, by their keys.
pub(crate) type Part = BTreeMap<String, String>;

pub(crate) fn part(snapshot: &Snapshot) -> Part {
    let entity = |entity: &Entity| (entity.key().to_owned(), format!("{:?}", entity.0));
    let edge = |edge: &Relationship| (edge.key().to_owned(), format!("{:?}", edge.properties));
    snapshot.entities.iter().map(entity).chain(snapshot.relationships.iter().map(edge)).collect()
}

impl Graph {
    pub(crate) fn new(name: &str, planted: Option<Planted>) -> Self {
        let forgets_the_gone = planted == Some(Planted::NoHeadRow);
        Self { name: SinkName::from(name), shown: Mutex::default(), mood: Mutex::default(), forgets_the_gone }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Head>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, some snapshots are rejected for good, or none.
    pub(crate) fn set_moody(&self, moody: bool) {
        self.mood().moody = moody;
    }

    pub(crate) fn has_rejected(&self) -> bool {
        self.mood().has_rejected
    }

    fn mood(&self) -> MutexGuard<'_, Mood> {
        self.mood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn replace(&self, emission: &Emission) -> Verdict {
        self.put(emission, part(&emission.snapshot))
    }

    /// In place of what the worker emitted before, instead of what is shown.
    fn replace_by_diff(&self, emission: &Emission, before: &Part) -> Verdict {
        let mut next = self.lock().get(&emission.snapshot.resource).map(|head| head.part.clone()).unwrap_or_default();
        next.retain(|key, _| !before.contains_key(key));
        next.extend(part(&emission.snapshot));
        self.put(emission, next)
    }

    fn put(&self, emission: &Emission, part: Part) -> Verdict {
        let Emission { version, snapshot, digest } = emission;
        let mut shown = self.lock();
        let head = shown.get(&snapshot.resource);
        if let Some(head) = head.filter(|head| head.version > *version) {
            return Verdict::Newer(head.version);
        }
        let mut mood = self.mood();
        if mood.moody && version.is_multiple_of(3) {
            mood.has_rejected = true;
            return Verdict::Rejected("moody".into());
        }
        let unchanged = head.is_some_and(|head| head.digest == *digest);
        if part.is_empty() && self.forgets_the_gone {
            shown.remove(&snapshot.resource);
            return Verdict::Applied;
        }
        shown.insert(snapshot.resource.clone(), Head { version: *version, digest: *digest, part });
        if unchanged { Verdict::Unchanged } else { Verdict::Applied }
    }

    /// The version that is shown of a resource.
    pub(crate) fn version(&self, id: &ResourceId) -> Option<Version> {
        self.lock().get(id).map(|head| head.version)
    }

    /// What is shown of each resource of which anything is.
    pub(crate) fn parts(&self) -> BTreeMap<ResourceId, Part> {
        let shown = self.lock();
        shown
            .iter()
            .filter(|(_, head)| !head.part.is_empty())
            .map(|(id, head)| (id.clone(), head.part.clone()))
            .collect()
    }
}

/// A worker's view of a graph.
pub(crate) struct WorkerGraph {
    pub(crate) graph: Arc<Graph>,
    pub(crate) rows: Arc<Mutex<Rows>>,
    pub(crate) calls: Arc<Calls>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) planted: Option<Planted>,
    pub(crate) emitted: Arc<Mutex<BTreeMap<ResourceId, Part>>>,
}

#[async_trait]
impl GraphSink for WorkerGraph {
    fn name(&self) -> &SinkName {
        &self.graph.name
    }

    fn instance(&self) -> &str {
        "the only one"
    }

    async fn check(&self) -> Result<String, SinkError> {
        Ok("simulated".into())
    }

    async fn replace(&self, _: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let (emissions, graph, witness) = (emissions.to_vec(), Arc::clone(&self.graph), Arc::clone(&self.witness));
        let (planted, rows, emitted) = (self.planted, Arc::clone(&self.rows), Arc::clone(&self.emitted));
        let worker = self.calls.worker.clone();
        let told: Vec<(&ResourceId, Version)> =
            emissions.iter().map(|emission| (&emission.snapshot.resource, emission.version)).collect();
        self.calls.tell(format_args!("emits {told:?}"));
        // Decided when it is sent, not when it lands.
        let elided: Vec<bool> = emissions
            .iter()
            .map(|emission| {
                let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                let row = rows.load(&emission.snapshot.resource).row();
                let mark = row.and_then(|row| row.marks.get(&graph.name)?.digest);
                planted == Some(Planted::ElideAtEmission) && mark == Some(emission.digest)
            })
            .collect();
        let call = self.calls.make("emit", move || {
            let mut verdicts = Vec::with_capacity(emissions.len());
            for (emission, elided) in emissions.iter().zip(elided) {
                let id = &emission.snapshot.resource;
                let verdict = if elided {
                    Verdict::Unchanged
                } else if planted == Some(Planted::DeleteByDiff) {
                    let mut emitted = emitted.lock().unwrap_or_else(PoisonError::into_inner);
                    let before = emitted.insert(id.clone(), part(&emission.snapshot)).unwrap_or_default();
                    graph.replace_by_diff(emission, &before)
                } else {
                    graph.replace(emission)
                };
                if !matches!(verdict, Verdict::Rejected(_)) {
                    witness.acknowledged(&graph.name, id, emission.version);
                }
                verdicts.push(verdict);
            }
            witness.trace(&worker, format_args!("emission lands: {verdicts:?}"));
            verdicts
        });
        call.await.map_err(|_| SinkError::Down { sink: self.graph.name.clone(), message: "no answer".into() })
    }
}
