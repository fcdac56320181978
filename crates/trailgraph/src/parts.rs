//! What several commands make of their flags.

use emitter::Limits;

use crate::cli::WindowArgs;

/// Readers wait while this many resources are dirty.
const DIRTY_MAX: usize = 200_000;

/// The window that the flags ask for.
#[must_use]
pub fn limits(args: WindowArgs) -> Limits {
    let flush_at = args.flush_at.min(DIRTY_MAX);
    Limits { flush_after: args.flush_after, flush_at, dirty_max: DIRTY_MAX }
}

/// A name for this worker that no other has.
#[must_use]
pub fn worker_id() -> String {
    let host = gethostname::gethostname();
    format!("{}-{}-{:08x}", host.to_string_lossy(), std::process::id(), fastrand::u32(..))
}
