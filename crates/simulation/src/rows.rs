//! The rows of the state store in memory, with the rules of the real ones.

use std::collections::{BTreeMap, BTreeSet};

use bucket_state::{Digest, Kind, ResourceId, ResourceState};
use emitter::{
    Backlog, FanOut, ListedSink, Mark, PendingMark, PendingQuery, Row, Save, SaveOutcome, Settlement, Settling,
    SinkName, Stored, Version,
};

use crate::witness::Witness;

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

    pub(crate) fn is_pending(&self, sink: &SinkName, id: &ResourceId) -> bool {
        self.states.get(id).and_then(|stored| stored.marks.get(sink)).is_some_and(|mark| mark.pending.is_some())
    }

    /// Whether nothing is left to be emitted or marked.
    pub(crate) fn is_settled(&self) -> bool {
        let pending = |stored: &StoredState| stored.marks.values().any(|mark| mark.pending.is_some());
        self.fan_outs.is_empty() && !self.states.values().any(pending)
    }

    pub(crate) fn save(&mut self, save: &Save, worker: &str, witness: &Witness) -> SaveOutcome {
        if self.version(&save.resource) != save.based_on {
            return SaveOutcome::Conflict;
        }
        self.write(save, worker, witness)
    }

    pub(crate) fn write(&mut self, save: &Save, worker: &str, witness: &Witness) -> SaveOutcome {
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
    pub(crate) fn mark(&mut self, id: &ResourceId, mark: PendingMark, worker: &str) -> bool {
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

    pub(crate) fn settle(&mut self, sink: &SinkName, settlement: &Settlement) -> usize {
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

    pub(crate) fn sinks(&self) -> Vec<SinkName> {
        self.sinks.keys().cloned().collect()
    }

    pub(crate) fn add_sinks(&mut self, sinks: Vec<ListedSink>, now_ms: i64, worker: &str) {
        for ListedSink { name, instance } in sinks {
            let before = self.sinks.insert(name.clone(), instance.clone());
            if before.as_ref() != Some(&instance) {
                self.mark_all(Some(&name), now_ms, worker);
            }
        }
    }

    pub(crate) fn forget_sink(&mut self, sink: &SinkName) -> bool {
        self.sinks.remove(sink).is_some()
    }

    pub(crate) fn members(&self, account: &ResourceId, after: Option<&ResourceId>, limit: usize) -> Vec<ResourceId> {
        let of = self.members.iter().filter(|(owner, _)| owner == account).map(|(_, member)| member);
        of.filter(|member| after.is_none_or(|after| *member > after)).take(limit).cloned().collect()
    }

    pub(crate) fn claim_fan_outs(&mut self, worker: &str, others_before_ms: i64, now_ms: i64) -> Vec<FanOut> {
        let mine = |fan_out: &StoredFanOut| fan_out.worker == worker || fan_out.mark.since_ms < others_before_ms;
        let claimed = self.fan_outs.iter_mut().filter(|(_, fan_out)| mine(fan_out)).map(|(account, fan_out)| {
            fan_out.worker = worker.into();
            fan_out.mark.since_ms = now_ms;
            FanOut { account: account.clone(), version: fan_out.version, mark: fan_out.mark }
        });
        claimed.collect()
    }

    pub(crate) fn end_fan_out(&mut self, fan_out: &FanOut) {
        let Some(stored) = self.fan_outs.get_mut(&fan_out.account) else { return };
        if stored.version == fan_out.version {
            self.fan_outs.remove(&fan_out.account);
        } else {
            let PendingMark { arrived_ms, happened_ms, .. } = stored.last;
            stored.mark = PendingMark { arrived_ms, happened_ms, ..stored.mark };
        }
    }

    pub(crate) fn pending(&self, query: &PendingQuery) -> Vec<ResourceId> {
        let waiting = |(id, stored): (&ResourceId, &StoredState)| {
            let mark = stored.marks.get(&query.sink)?;
            let since_ms = mark.pending?.since_ms;
            let is_due = mark.worker == query.worker || since_ms < query.others_before_ms;
            is_due.then(|| (since_ms, id.clone()))
        };
        let mut found: Vec<(i64, ResourceId)> = self.states.iter().filter_map(waiting).collect();
        found.sort();
        found.into_iter().take(query.limit).map(|(_, id)| id).collect()
    }

    pub(crate) fn backlog(&self, sink: &SinkName) -> Backlog {
        let marks = || self.states.values().filter_map(|stored| Some((stored.version, stored.marks.get(sink)?)));
        let pending = || marks().filter_map(|(_, mark)| mark.pending);
        Backlog {
            rows: pending().count() as u64,
            oldest_ms: pending().map(|mark| mark.since_ms).min(),
            rejected: marks().filter(|(version, mark)| mark.rejected == Some(*version)).count() as u64,
        }
    }

    pub(crate) fn claim(&self, fence: &str) -> Option<String> {
        self.claims.get(fence).cloned()
    }

    pub(crate) fn swap_claim(&mut self, fence: &str, seen: Option<&str>, next: String) -> bool {
        let is_seen = self.claims.get(fence).map(String::as_str) == seen;
        if is_seen {
            self.claims.insert(fence.into(), next);
        }
        is_seen
    }
}
