//! What a turn is about: which of the pending rows a lane takes, and in which order.

use std::collections::BTreeMap;

use bucket_state::{Kind, ResourceId, ResourceState, belongs_to};
use tokio::time::Instant;

use super::params::{Mode, Scope};
use super::turn::Aim;
use super::{JupiterOne, LOOK_AT};
use crate::row::Stored;
use crate::store::{StateStore, StoreError};

/// Whose a row is.
enum Takes {
    Not,
    Of(ResourceId),
    /// No JupiterOne account shows it, for this reason, and this lane says so.
    Nobody(String),
}

impl JupiterOne {
    /// Where a row goes, and whether that is this lane.
    fn takes(&self, id: &ResourceId, state: &ResourceState) -> Takes {
        let owner = if id.kind() == Kind::Account { Some(id.clone()) } else { belongs_to(id, state) };
        let nobody = |why: String| if self.is_default { Takes::Nobody(why) } else { Takes::Not };
        let Some(owner) = owner else { return nobody("no event has told yet which account owns it".to_owned()) };
        match self.params.routes.get(owner.name()).or(self.params.default.as_ref()) {
            Some(route) if route.account == self.client.account => Takes::Of(owner),
            Some(_) => Takes::Not,
            None => nobody(format!(
                "no JupiterOne account is set for AWS account {}: set --jupiterone-account, or \"jupiterone\" in the \
                 permit file",
                owner.name()
            )),
        }
    }

    /// What the next turn is about: the first of the pending rows that this lane takes. A scope whose last turn has failed
    /// stands behind the others for a while, so that its trouble is not theirs.
    pub(super) async fn aim(
        &self,
        store: &dyn StateStore,
        pending: &[ResourceId],
        resting: &BTreeMap<String, Instant>,
    ) -> Result<Option<Aim>, StoreError> {
        let (mut unshown, mut patched, mut rested) = (BTreeMap::new(), Vec::new(), None);
        for ids in pending.chunks(LOOK_AT) {
            for (id, stored) in ids.iter().zip(store.load(ids).await?) {
                let row = match stored {
                    Stored::Row(row) => row,
                    // Whose it is cannot be told; that it cannot be shown is.
                    Stored::Damaged { version, message } if self.is_default => {
                        unshown.insert(id.clone(), (version, message));
                        continue;
                    }
                    Stored::Damaged { .. } | Stored::Nothing => continue,
                };
                let owner = match self.takes(id, &row.state) {
                    Takes::Not => continue,
                    Takes::Of(owner) => owner,
                    Takes::Nobody(why) => {
                        unshown.insert(id.clone(), (row.version, why));
                        continue;
                    }
                };
                let aim = match (&self.params.mode, self.params.scope) {
                    (Mode::Patch { .. }, _) => {
                        patched.push(id.clone());
                        continue;
                    }
                    (Mode::Diff, Scope::Account) => Aim::Account(owner),
                    (Mode::Diff, Scope::Bucket) => Aim::Resource { id: id.clone(), owner },
                };
                let rests =
                    aim.scope().and_then(|scope| resting.get(&scope)).is_some_and(|until| *until > Instant::now());
                if !rests {
                    return Ok(Some(aim));
                }
                rested.get_or_insert(aim);
            }
            if !unshown.is_empty() || !patched.is_empty() {
                break;
            }
        }
        Ok(match &self.params.mode {
            Mode::Patch { scope } if !patched.is_empty() => {
                Some(Aim::Patch { scope: scope.clone(), resources: patched })
            }
            _ if !unshown.is_empty() => Some(Aim::Unshown(unshown)),
            _ => rested,
        })
    }
}
