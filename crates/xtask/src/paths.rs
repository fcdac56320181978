//! Where things lie.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("xtask is in crates/xtask")
}

/// The target directory of the workspace.
pub(crate) fn target_dir() -> PathBuf {
    // `join` lets an absolute CARGO_TARGET_DIR replace the workspace.
    workspace().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
