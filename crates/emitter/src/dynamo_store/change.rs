//! Changing all of a row but its state: marks that come and go.

use std::sync::Arc;

use bucket_state::ResourceId;

use super::Shared;
use super::call::all;
use super::listing::Listing;
use super::record::{Effect, Record};
use super::save::{REDONE_MOST, as_it_is};
use super::write::Outcome;
use crate::row::{PendingMark, SinkName, Version};
use crate::store::{Settlement, StoreError};

impl Shared {
    /// Rows as this worker knows them, else as they are: whoever changes one finds out.
    async fn known(
        &self,
        resources: &[ResourceId],
        is_good: impl Fn(usize, Version) -> bool,
    ) -> Result<Vec<Option<Arc<Record>>>, StoreError> {
        let known = |(place, resource): (usize, &ResourceId)| {
            self.seen.get(resource).filter(|record| is_good(place, record.version))
        };
        let mut known: Vec<_> = resources.iter().enumerate().map(known).collect();
        let unknown = resources.iter().zip(&known).filter(|(_, known)| known.is_none());
        let read = self.records(&unknown.map(|(resource, _)| resource.clone()).collect()).await?;
        for (resource, known) in resources.iter().zip(&mut known) {
            if known.is_none() {
                *known = read.get(resource).cloned();
            }
        }
        Ok(known)
    }

    pub(super) async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError> {
        let known = self.known(resources, |_, _| true).await?;
        let listing = &self.table.listing().await?;
        let stored = resources.iter().zip(known).filter_map(|(resource, known)| Some((resource, known?)));
        let change = |record: &mut Record, listing: &Listing| {
            record.version += 1;
            record.mark(listing, mark, self.own.worker());
            Effect::Cleared
        };
        let work = stored.map(|(resource, known)| self.change_row(resource, known, Some(listing), change));
        let marked = all(work).await?;
        Ok(marked.iter().filter(|effect| **effect == Effect::Cleared).count() as u64)
    }

    pub(super) async fn settle(&self, sink: &SinkName, settlements: &[Settlement]) -> Result<usize, StoreError> {
        let resources: Vec<ResourceId> = settlements.iter().map(|settlement| settlement.resource.clone()).collect();
        let known = self.known(&resources, |place, version| version >= settlements[place].version).await?;
        let stored = settlements.iter().zip(known).filter_map(|(settlement, known)| Some((settlement, known?)));
        let work = stored.map(|(settlement, known)| {
            let change = |record: &mut Record, _: &Listing| record.settle(sink, settlement);
            self.change_row(&settlement.resource, known, None, change)
        });
        let settled = all(work).await?;
        Ok(settled.iter().filter(|effect| **effect == Effect::Cleared).count())
    }

    /// Changes all but the state of a row, until it lands on the row that it was made of. `listing` is read again with
    /// the row, unless the change needs none.
    pub(super) async fn change_row(
        &self,
        resource: &ResourceId,
        known: Arc<Record>,
        listing: Option<&Listing>,
        change: impl Fn(&mut Record, &Listing) -> Effect,
    ) -> Result<Effect, StoreError> {
        let nobody = Listing::default();
        let (mut base, mut anew) = ((*known).clone(), None::<Listing>);
        for _ in 0..REDONE_MOST {
            let mut next = base.clone();
            let effect = change(&mut next, anew.as_ref().or(listing).unwrap_or(&nobody));
            if effect == Effect::Nothing {
                self.own.observe(resource, &base);
                return Ok(effect);
            }
            let write = next.change_from(Some(&base), resource);
            match self.table.write(&[write], &format!("mark {resource}")).await {
                Ok(Outcome::Landed) => {
                    self.landed(resource, Some(&base), &next);
                    return Ok(effect);
                }
                Ok(Outcome::Refused(refusals)) => match as_it_is(refusals.into_iter().next(), Some(&base))? {
                    Some(now) => base = now,
                    None => return Ok(Effect::Nothing),
                },
                Err(error) => {
                    self.seen.forget(resource);
                    if next.version != base.version {
                        let waiting =
                            next.marks.iter().filter(|(_, mark)| mark.waiting.is_some()).map(|(name, _)| name);
                        let since = next.pending(resource).map_or(0, |(_, since)| since);
                        self.own.suspect(resource, base.version, waiting, since);
                    }
                    return Err(error);
                }
            }
            if listing.is_some() {
                anew = Some(self.table.listing().await?);
            }
        }
        Err(self.outdone(resource))
    }
}
