//! The account rows that the projection of buckets depends on.

use std::collections::{BTreeMap, BTreeSet};

use bucket_state::{AccountLevel, ResourceId, ResourceState, Snapshot, account_of, project};

use crate::row::Stored;
use crate::store::{StateStore, StoreError};

/// The rows of the accounts that own some buckets. They must be read after the buckets' own: a change of an account
/// marks its buckets after it is saved, so whatever was projected on an older account row is emitted once more.
pub(crate) struct Accounts(BTreeMap<ResourceId, Stored>);

impl Accounts {
    /// Reads the rows of the accounts that these states name as owners.
    pub(crate) async fn read<'a>(
        store: &dyn StateStore,
        buckets: impl IntoIterator<Item = (&'a ResourceId, &'a ResourceState)>,
    ) -> Result<Self, StoreError> {
        let owners = buckets.into_iter().filter_map(|(id, state)| account_of(id, state));
        let owners: Vec<ResourceId> = owners.collect::<BTreeSet<_>>().into_iter().collect();
        let rows = if owners.is_empty() { Vec::new() } else { store.load(&owners).await? };
        Ok(Self(owners.into_iter().zip(rows).collect()))
    }

    /// The part of the graph that a state makes, with its owner's settings.
    pub(crate) fn project(&self, id: &ResourceId, state: &ResourceState) -> Snapshot {
        let row = account_of(id, state).and_then(|owner| self.0.get_key_value(&owner));
        let level = match row {
            None | Some((_, Stored::Nothing)) => AccountLevel::Silent,
            Some((owner, Stored::Row(row))) => AccountLevel::Told(owner, &row.state),
            Some((_, Stored::Damaged { .. })) => AccountLevel::Unreadable,
        };
        project(id, state, level)
    }
}

/// The parts of the graph that these states make, with their owners' settings as they are stored now.
///
/// # Errors
/// When the store does not answer.
pub async fn snapshots(
    store: &dyn StateStore,
    states: &[(&ResourceId, &ResourceState)],
) -> Result<Vec<Snapshot>, StoreError> {
    let accounts = Accounts::read(store, states.iter().copied()).await?;
    Ok(states.iter().map(|(id, state)| accounts.project(id, state)).collect())
}
