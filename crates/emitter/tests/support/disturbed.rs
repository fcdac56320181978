//! A store on which something happens, once, that its user does not expect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use emitter::{SaveOutcome, SqliteStore, StoreError, Version};

use super::stepped::{Stepped, Steps};
use super::{World, logging, save};

/// What happens before the first save, or the first mark.
pub(crate) enum Before {
    /// Another worker saves the row that has this version.
    AnotherSave(Version),
    /// The store does not answer.
    Failure,
}

/// See [`Before`].
pub(crate) struct Once {
    colleague: SqliteStore,
    before: Before,
    done: AtomicBool,
}

/// A store on which something happens before the first save.
pub(crate) type Disturbed = Stepped<Once>;

/// The store of `world`, disturbed.
pub(crate) fn disturbed(world: &World, before: Before) -> Disturbed {
    let steps = Once { colleague: world.store.clone(), before, done: AtomicBool::new(false) };
    Stepped { inner: Arc::new(world.store.clone()), steps }
}

#[async_trait]
impl Steps for Once {
    async fn step(&self, name: &'static str) -> Result<(), StoreError> {
        let is_due = match self.before {
            Before::AnotherSave(_) => name == "before save",
            Before::Failure => matches!(name, "before save" | "before a fan-out marks"),
        };
        if !is_due || self.done.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        match self.before {
            Before::AnotherSave(version) => {
                let saved = save(&self.colleague, "app", version, &[logging("app", 2, "logs")]).await;
                assert_eq!(saved, SaveOutcome::Saved(version + 1));
                Ok(())
            }
            Before::Failure => Err(StoreError::Unavailable { store: "test".into(), message: "not now".into() }),
        }
    }
}
