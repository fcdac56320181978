//! States that are too large for their row: an item takes 400 KB. They are cut into items of their own, which are written
//! before the row that names them.

use std::sync::Arc;

use bucket_state::ResourceId;

use super::Shared;
use super::item::{Item, SK, bytes, key, nonce, text};
use super::record::{Kept, Parts, Record};
use crate::row::Version;
use crate::store::StoreError;

/// What an item takes (400 KB, with the names and the other attributes), less what else a row or a part holds.
const INLINE_MOST: usize = 350 << 10;
const PART: usize = 380 << 10;

/// Of one resource: a state of 160 MB, the largest there can be, and as much again that was left behind.
const LEFT_MOST: usize = 1_000;

pub(super) const BYTES: &str = "bytes";

impl Parts {
    /// The version comes first, so that what an abandoned save has left is known by its key.
    pub(super) fn key(&self, number: usize) -> String {
        format!("part#{:020}#{}#{number:04}", self.version, self.write)
    }
}

impl Shared {
    /// Puts a state where it fits, for a row of this version.
    pub(super) async fn keep(
        &self,
        resource: &ResourceId,
        version: Version,
        state: Vec<u8>,
    ) -> Result<Kept, StoreError> {
        if state.len() <= INLINE_MOST {
            return Ok(Kept::Here(state.into()));
        }
        let parts = Parts { version, write: nonce(), count: state.len().div_ceil(PART) };
        for (number, part) in state.chunks(PART).enumerate() {
            self.put_bytes(resource, parts.key(number), part).await?;
        }
        Ok(Kept::Apart(parts))
    }

    /// Removes the parts that no row will ever name, after the row of `record` was written: those for its version or an
    /// earlier one, but for its own. Whoever wrote them wanted to write that version, and cannot any more; parts for later
    /// versions may be of somebody who is about to.
    pub(super) async fn remove_parts(&self, resource: &ResourceId, record: &Record) -> Result<(), StoreError> {
        let named = match &record.state {
            Some(Kept::Apart(parts)) => (0..parts.count).map(|number| parts.key(number)).collect(),
            _ => Vec::new(),
        };
        let range = ["part#", &format!("part#{:020}$", record.version)];
        let items =
            self.table.range(resource.as_str(), range, true, LEFT_MOST, "look for parts of former states").await?;
        let left = items.iter().filter_map(|item| text(item, SK)).filter(|key| !named.iter().any(|named| named == key));
        for sort in left {
            self.table.delete(key(resource.as_str(), sort), "remove a part of a former state").await?;
        }
        Ok(())
    }

    /// Keeps the bytes of a damaged state, whole or as far as they are there, where nobody overwrites them.
    pub(super) async fn set_aside(&self, resource: &ResourceId, record: &Record) -> Result<(), StoreError> {
        let sort = |number: usize| format!("damaged#{:020}#{number:04}", record.version);
        let (here, count) = match &record.state {
            Some(Kept::Here(bytes)) => (Some(Arc::clone(bytes)), 0),
            Some(Kept::Apart(parts)) => (None, parts.count),
            None => (None, 0),
        };
        if let Some(here) = here {
            self.put_bytes(resource, sort(0), &here).await?;
        }
        for number in 0..count {
            let Some(Kept::Apart(parts)) = &record.state else { break };
            let part = self.table.get(key(resource.as_str(), parts.key(number)), "read a damaged state").await?;
            if let Some(bytes) = part.as_ref().and_then(|part| super::item::blob(part, BYTES)) {
                self.put_bytes(resource, sort(number), bytes).await?;
            }
        }
        Ok(())
    }

    async fn put_bytes(&self, resource: &ResourceId, sort: String, part: &[u8]) -> Result<(), StoreError> {
        let mut item: Item = key(resource.as_str(), sort);
        item.insert(BYTES.into(), bytes(part));
        self.table.put(item, &format!("write a part of {resource}")).await
    }
}
