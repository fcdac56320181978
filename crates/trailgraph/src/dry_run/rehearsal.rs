//! A state store that tells what it would save.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bucket_state::{Kind, ResourceId};
use emitter::{
    Backlog, FanOut, Generation, ListedSink, Mark, PendingMark, PendingQuery, Row, Save, SaveOutcome, Settlement,
    SinkName, StateStore, StoreError, Stored, snapshots,
};

/// Rows that are remembered, some 200 MB of them; then all are forgotten, and what is saved next is told as compared with
/// the real ones.
const ROWS_MOST: usize = 20_000;

/// The rows that there are, and over them those that would have been saved since. Every graph takes at once what it would
/// be given.
pub(super) struct Rehearsal {
    real: Option<Arc<dyn StateStore>>,
    sinks: Vec<SinkName>,
    rows: Mutex<BTreeMap<ResourceId, Row>>,
}

impl Rehearsal {
    /// On what is stored; on nothing where there is no store yet. `sinks` would be added to the list.
    pub(super) fn on(real: Option<Arc<dyn StateStore>>, sinks: &[String]) -> Self {
        let sinks = sinks.iter().map(|name| SinkName::from(name.as_str())).collect();
        Self { real, sinks, rows: Mutex::default() }
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what was saved, unless the row has moved.
    fn remember(&self, save: &Save, seen: Stored) -> Option<Row> {
        let version = seen.version() + 1;
        if save.based_on + 1 != version {
            return None;
        }
        let mut rows = self.rows();
        if rows.len() >= ROWS_MOST {
            tracing::info!(
                rows = ROWS_MOST,
                "enough is remembered: from here on, saves are compared with what is stored"
            );
            rows.clear();
        }
        let row =
            Row { version, state: save.state.clone(), marks: seen.row().map(|row| row.marks).unwrap_or_default() };
        rows.insert(save.resource.clone(), row.clone());
        Some(row)
    }

    /// Logs what each graph would be told of these rows, and remembers that it was.
    async fn emit(&self, saved: &[(ResourceId, Row)]) -> Result<(), StoreError> {
        let sinks = self.sinks().await?;
        let states: Vec<_> = saved.iter().map(|(id, row)| (id, &row.state)).collect();
        for ((id, row), snapshot) in saved.iter().zip(snapshots(self, &states).await?) {
            let digest = snapshot.digest();
            let shown = Mark { digest: Some(digest), ..Mark::default() };
            if let Some(row) = self.rows().get_mut(id) {
                row.marks = sinks.iter().map(|sink| (sink.clone(), shown.clone())).collect();
            }
            tracing::info!(
                resource = %id,
                version = row.version,
                graphs = sinks.len(),
                entities = snapshot.entities.len(),
                relationships = snapshot.relationships.len(),
                "would save, and emit"
            );
        }
        Ok(())
    }
}

#[async_trait]
impl StateStore for Rehearsal {
    fn generation(&self) -> Generation {
        self.real.as_ref().map_or(0, |real| real.generation())
    }

    async fn sinks(&self) -> Result<Vec<SinkName>, StoreError> {
        let listed = match &self.real {
            Some(real) => real.sinks().await?,
            None => Vec::new(),
        };
        let all: BTreeSet<SinkName> = listed.into_iter().chain(self.sinks.iter().cloned()).collect();
        Ok(all.into_iter().collect())
    }

    async fn add_sinks(&self, _sinks: &[ListedSink], _now_ms: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget_sink(&self, _sink: &SinkName) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        match &self.real {
            Some(real) => real.is_empty().await,
            None => Ok(true),
        }
    }

    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let mut stored = match &self.real {
            Some(real) => real.load(resources).await?,
            None => vec![Stored::Nothing; resources.len()],
        };
        let rows = self.rows();
        for (id, stored) in resources.iter().zip(&mut stored) {
            if let Some(row) = rows.get(id) {
                *stored = Stored::Row(Box::new(row.clone()));
            }
        }
        Ok(stored)
    }

    async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        let ids: Vec<ResourceId> = saves.iter().map(|save| save.resource.clone()).collect();
        let seen = self.load(&ids).await?;
        let (mut outcomes, mut emitted) = (Vec::with_capacity(saves.len()), Vec::new());
        for (save, seen) in saves.into_iter().zip(seen) {
            let Some(row) = self.remember(&save, seen) else {
                outcomes.push(SaveOutcome::Conflict);
                continue;
            };
            outcomes.push(SaveOutcome::Saved(row.version));
            if save.mark.is_some() {
                emitted.push((save.resource, row));
            } else {
                tracing::info!(resource = %save.resource, version = row.version, "would save: every graph shows it already");
            }
        }
        self.emit(&emitted).await?;
        for (account, _) in emitted.iter().filter(|(id, _)| id.kind() == Kind::Account) {
            tracing::info!(%account, "would emit the buckets of this account, too");
        }
        Ok(outcomes)
    }

    async fn mark(&self, _resources: &[ResourceId], _mark: PendingMark) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn mark_all(&self, _sink: Option<&SinkName>, _now_ms: i64) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn members(
        &self,
        _account: &ResourceId,
        _after: Option<&ResourceId>,
        _limit: usize,
    ) -> Result<Vec<ResourceId>, StoreError> {
        Ok(Vec::new())
    }

    async fn claim_fan_outs(
        &self,
        _worker: &str,
        _others_before_ms: i64,
        _now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        Ok(Vec::new())
    }

    async fn end_fan_out(&self, _fan_out: &FanOut) -> Result<(), StoreError> {
        Ok(())
    }

    async fn pending(&self, _query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        Ok(Vec::new())
    }

    async fn settle(&self, _sink: &SinkName, _settlements: Vec<Settlement>) -> Result<usize, StoreError> {
        Ok(0)
    }

    async fn backlog(&self, _sink: &SinkName) -> Result<Backlog, StoreError> {
        Ok(Backlog::default())
    }

    async fn claim(&self, _fence: &str) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn swap_claim(&self, _fence: &str, _seen: Option<&str>, _next: &str) -> Result<bool, StoreError> {
        Ok(false)
    }
}
