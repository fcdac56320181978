//! Writing rows: each is read, changed and written on the condition that it has not moved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bucket_state::{Kind, ResourceId, ResourceState};

use super::Shared;
use super::call::all;
use super::fan_outs::FanOutRow;
use super::item::{Item, key};
use super::listing::Listing;
use super::record::{Kept, Record};
use super::write::{Outcome, Refusal};
use crate::row::PendingMark;
use crate::store::{Save, SaveOutcome, StoreError};

/// How often a write that others came before is made anew: the marks of a row are settled by one worker for each sink.
pub(super) const REDONE_MOST: usize = 20;

/// Rows beside a saved one, which are written with it or not at all.
#[derive(Default)]
struct Beside {
    former: Option<(ResourceId, Option<Record>)>,
    fan_out: Option<Option<FanOutRow>>,
}

/// A row that was made, and its mark.
type Made = (ResourceId, PendingMark);

impl Shared {
    pub(super) async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        if saves.is_empty() {
            return Ok(Vec::new());
        }
        let unknown = saves.iter().filter(|save| save.based_on > 0);
        let unknown = unknown.filter(|save| self.seen.at(&save.resource, save.based_on).is_none());
        let mut read = self.records(&unknown.map(|save| save.resource.clone()).collect()).await?;
        let bases: Vec<Option<Arc<Record>>> = saves
            .iter()
            .map(|save| read.remove(&save.resource).or_else(|| self.seen.at(&save.resource, save.based_on)))
            .collect();
        // After the rows: see `Record::mark`.
        let listing = self.table.listing().await?;
        let (gives_up, listing_ref) = (AtomicBool::new(false), &listing);
        let work = saves.into_iter().zip(bases).map(|(save, base)| {
            let gives_up = &gives_up;
            async move {
                if gives_up.load(Ordering::Relaxed) {
                    return Err(self.table.unavailable("it does not answer: the rest of the rows was not written"));
                }
                let saved = self.save_row(save, base, listing_ref).await;
                gives_up.fetch_or(saved.is_err(), Ordering::Relaxed);
                saved
            }
        });
        let saved: Vec<(SaveOutcome, Option<Made>)> = all(work).await?;
        let made: BTreeMap<ResourceId, PendingMark> = saved.iter().filter_map(|(_, made)| made.clone()).collect();
        if !made.is_empty() {
            self.mark_made(&made, &listing).await?;
        }
        Ok(saved.into_iter().map(|(outcome, _)| outcome).collect())
    }

    /// A sink that was listed while rows were made has marked all rows but, perhaps, these.
    async fn mark_made(&self, made: &BTreeMap<ResourceId, PendingMark>, listing: &Listing) -> Result<(), StoreError> {
        let now = self.table.listing().await?;
        if now.listed().all(|(name, _)| listing.names(name)) {
            return Ok(());
        }
        for (resource, record) in self.records(&made.keys().cloned().collect()).await? {
            if now.listed().any(|(name, _)| !record.marks.contains_key(name)) {
                self.mark(std::slice::from_ref(&resource), made[&resource]).await?;
            }
        }
        Ok(())
    }

    /// Tells whether it was saved, and which row was made by it, with what mark.
    async fn save_row(
        &self,
        save: Save,
        base: Option<Arc<Record>>,
        listing: &Listing,
    ) -> Result<(SaveOutcome, Option<Made>), StoreError> {
        let resource = save.resource.clone();
        let mut base = base.map(|base| (*base).clone());
        if base.as_ref().map_or(0, |base| base.version) != save.based_on {
            self.seen.forget(&resource);
            return Ok((SaveOutcome::Conflict, None));
        }
        if let Some(base) = base.as_ref().filter(|_| save.set_aside) {
            self.set_aside(&resource, base).await?;
        }
        if let Some(account) = &save.account
            && base.as_ref().and_then(|base| base.account.as_ref()) != Some(account)
        {
            self.list_member(account, &resource).await?;
        }
        let state = self.keep(&resource, save.based_on + 1, save.state.encode()).await?;
        let mut beside = self.beside(&save).await?;
        let (mut anew, mut left_over) = (None::<Listing>, false);
        for _ in 0..REDONE_MOST {
            let listing = anew.as_ref().unwrap_or(listing);
            let mut next = base.clone().unwrap_or_default();
            next.version = save.based_on + 1;
            next.state = Some(state.clone());
            next.account = save.account.clone().or(next.account);
            if let Some(mark) = save.mark {
                next.mark(listing, mark, self.own.worker());
            }
            left_over |= base.iter().chain([&next]).any(|record| matches!(record.state, Some(Kept::Apart(_))));
            match self.write_row(&save, base.as_ref(), &mut next, &mut beside, listing).await? {
                None => {
                    if left_over && let Err(error) = self.remove_parts(&resource, &next).await {
                        tracing::debug!(%error, resource = %resource, "parts of former states are left for the next save");
                    }
                    let made = save.mark.filter(|_| save.based_on == 0).map(|mark| (resource, mark));
                    return Ok((SaveOutcome::Saved(save.based_on + 1), made));
                }
                Some(now) if now.as_ref().map_or(0, |now| now.version) == save.based_on => base = now,
                Some(now) => {
                    match now {
                        Some(now) => self.seen.keep(&resource, Arc::new(now)),
                        None => self.seen.forget(&resource),
                    }
                    return Ok((SaveOutcome::Conflict, None));
                }
            }
            anew = Some(self.table.listing().await?);
        }
        Err(self.outdone(&resource))
    }

    /// One try; nothing where it landed, else the row as it is now. What is beside is then known anew, too.
    async fn write_row(
        &self,
        save: &Save,
        base: Option<&Record>,
        next: &mut Record,
        beside: &mut Beside,
        listing: &Listing,
    ) -> Result<Option<Option<Record>>, StoreError> {
        let (resource, worker) = (&save.resource, self.own.worker());
        let mut changes = vec![next.change_from(base, resource)];
        let mut former_next = None;
        if let (Some((former, row)), Some(mark)) = (&beside.former, save.mark) {
            let mut changed = row.clone().unwrap_or_else(|| Record {
                state: Some(Kept::Here(ResourceState::default().encode().into())),
                ..Record::default()
            });
            changed.version += 1;
            changed.mark(listing, mark, worker);
            changes.push(changed.change_from(row.as_ref(), former));
            former_next = Some(changed);
        }
        if let (Some(row), Some(mark)) = (&beside.fan_out, save.mark) {
            let changed = FanOutRow::of(row.as_ref(), next.version, mark, worker);
            changes.push(changed.change_from(row.as_ref(), resource));
        }
        let written = self.table.write(&changes, &format!("save {resource}")).await;
        let refusals = match written {
            Ok(Outcome::Landed) => {
                self.landed(resource, base, next);
                if let (Some((former, row)), Some(changed)) = (&beside.former, &former_next) {
                    self.landed(former, row.as_ref(), changed);
                }
                return Ok(None);
            }
            Ok(Outcome::Refused(refusals)) => refusals,
            Err(error) => {
                self.seen.forget(resource);
                if let Some(mark) = save.mark {
                    self.own.suspect(resource, save.based_on, listing.listed().map(|(name, _)| name), mark.since_ms);
                }
                return Err(error);
            }
        };
        let mut refusals = refusals.into_iter();
        let now = as_it_is(refusals.next(), base)?;
        if let Some((_, row)) = &mut beside.former {
            *row = as_it_is(refusals.next(), row.as_ref())?;
        }
        if let (Some(row), Some(refusal)) = (&mut beside.fan_out, refusals.next()) {
            match refusal {
                Refusal::None => {}
                Refusal::Moved(item) => *row = Some(FanOutRow::read(&item)?),
                Refusal::Gone => *row = None,
            }
        }
        Ok(Some(now))
    }

    async fn beside(&self, save: &Save) -> Result<Beside, StoreError> {
        let mut beside = Beside::default();
        if save.mark.is_none() {
            return Ok(beside);
        }
        if let Some(former) = &save.former_account {
            let row = self.table.rows(&BTreeSet::from([former.clone()])).await?.remove(former);
            beside.former = Some((former.clone(), row));
        }
        if save.resource.kind() == Kind::Account {
            let item = self.table.get(FanOutRow::key(&save.resource), "read a changed account").await?;
            beside.fan_out = Some(item.as_ref().map(FanOutRow::read).transpose()?);
        }
        Ok(beside)
    }

    /// Before the row that names the account is written, so that nobody who goes through the members misses it.
    async fn list_member(&self, account: &ResourceId, resource: &ResourceId) -> Result<(), StoreError> {
        let item: Item = key(account.as_str(), super::member_key(resource));
        self.table.put(item, &format!("list {resource} as a member of {account}")).await
    }

    pub(super) fn landed(&self, resource: &ResourceId, base: Option<&Record>, record: &Record) {
        self.seen.wrote(resource, base, record);
        self.own.observe(resource, record);
    }

    pub(super) fn outdone(&self, resource: &ResourceId) -> StoreError {
        self.table.unavailable(&format!("{resource} was written by others at each of {REDONE_MOST} tries"))
    }
}

/// A row after a refused write.
pub(super) fn as_it_is(refusal: Option<Refusal>, seen: Option<&Record>) -> Result<Option<Record>, StoreError> {
    match refusal {
        None | Some(Refusal::None) => Ok(seen.cloned()),
        Some(Refusal::Moved(item)) => Record::read(&item).map(Some),
        Some(Refusal::Gone) => Ok(None),
    }
}
