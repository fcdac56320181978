//! The row of a tenure, and what a refusal says of it.

use crate::leases::{Change, Lease};
use crate::record::Position;

/// The row as the last write left it.
pub(super) struct Row {
    pub(super) lease: Lease,
    /// What is stored is this far. Checkpoints up to here are not written: they would go back within the tenure.
    pub(super) floor: Position,
    /// Writes on this very row that were not answered. One of them may have landed all the same.
    pub(super) doubt: Doubt,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Doubt {
    pub(super) renewal: bool,
    pub(super) release: bool,
}

/// What a write is for. Each carries the checkpoint that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Renew,
    Release,
}

/// What the row tells that refused a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A renewal in doubt had landed.
    Renewed,
    /// A release in doubt had landed.
    Released,
    /// Nothing but that another worker asks for the lease, or that another one asks than before, or none any more.
    AskedFor,
    /// It is another's, or gone.
    Lost,
}

impl Row {
    /// What `found` tells, which refused a write on this row.
    pub(super) fn refusal(&self, found: &Lease) -> Refusal {
        let mut released = self.lease.clone();
        released.apply(&Change::Release { checkpoint: None });
        let is_ours = found.holder() == self.lease.holder();
        let (same, next) = (found.counter == self.lease.counter, found.counter == self.lease.counter + 1);
        if next && is_ours && self.doubt.renewal {
            Refusal::Renewed
        } else if next && found.holder() == released.holder() && self.doubt.release {
            Refusal::Released
        } else if same && is_ours {
            Refusal::AskedFor
        } else {
            Refusal::Lost
        }
    }
}
