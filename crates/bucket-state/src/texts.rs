//! Texts that records have in common.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// As many as a burst has callers, accounts and Regions at once, and then some.
const TEXTS: usize = 256;

/// The last texts that were seen, each once in memory: accounts, Regions, callers. One that falls out of here is made
/// again when it comes again.
pub(crate) struct Texts {
    places: Vec<Option<Arc<str>>>,
    hasher: RandomState,
}

impl Default for Texts {
    fn default() -> Self {
        Self { places: vec![None; TEXTS], hasher: RandomState::default() }
    }
}

impl Texts {
    /// This text, shared with whoever asked for it before.
    pub(crate) fn share(&mut self, text: &str) -> Arc<str> {
        let hash = usize::try_from(self.hasher.hash_one(text) % TEXTS as u64).unwrap_or_default();
        match &self.places[hash] {
            Some(known) if **known == *text => Arc::clone(known),
            _ => Arc::clone(self.places[hash].insert(text.into())),
        }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").finish_non_exhaustive()
    }
}
