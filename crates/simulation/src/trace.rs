//! What happened, line by line: the same seed gives the same bytes.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, PoisonError};

use foldhash::quality::FixedState;
use tokio::time::Instant;

/// The lines of a run, or only their digest.
pub(crate) struct Trace {
    begun: Instant,
    lines: Mutex<Lines>,
}

struct Lines {
    hasher: <FixedState as BuildHasher>::Hasher,
    count: u64,
    kept: Option<String>,
    scratch: String,
}

impl Trace {
    pub(crate) fn new(keep: bool) -> Self {
        let lines = Lines {
            hasher: FixedState::with_seed(0).build_hasher(),
            count: 0,
            kept: keep.then(String::new),
            scratch: String::new(),
        };
        Self { begun: Instant::now(), lines: Mutex::new(lines) }
    }

    /// Virtual time since the begin of the run.
    pub(crate) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn tell(&self, who: &str, what: fmt::Arguments<'_>) {
        let ms = self.elapsed_ms();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = &mut *lines;
        lines.scratch.clear();
        let _infallible = fmt::write(&mut lines.scratch, format_args!("{ms:>7} {who:<12} {what}\n"));
        lines.hasher.write(lines.scratch.as_bytes());
        lines.count += 1;
        if let Some(kept) = &mut lines.kept {
            kept.push_str(&lines.scratch);
        }
    }

    /// The digest of all lines, how many there are, and the lines themselves where they were kept.
    pub(crate) fn end(&self) -> (u64, u64, String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.hasher.finish(), lines.count, lines.kept.take().unwrap_or_default())
    }
}
