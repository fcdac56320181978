//! Fetches the protocol servers, at pinned versions, into the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths::target_dir;

const PACKAGE: &str = "kinesis-local";
const VERSION: &str = "0.6.2";

/// Where the servers are installed: `servers` in the target directory of the workspace.
pub fn servers_dir() -> PathBuf {
    target_dir().join("servers")
}

/// The folder of the Kinesis server, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn kinesis_dir() -> Result<PathBuf> {
    let dir = servers_dir().join("node_modules").join(PACKAGE);
    match installed_version_is(&dir, VERSION) {
        true => Ok(dir),
        false => bail!(
            "{PACKAGE}@{VERSION} is not installed in {}: run `cargo xtask test` (or `cargo xtask servers`)",
            dir.display()
        ),
    }
}

/// Installs what is not there yet, and says what it does.
///
/// # Errors
/// Fails with the name of the missing tool when there is no node or npm, and when npm fails.
pub fn install() -> Result<()> {
    require("node", "nodejs")?;
    if let Ok(dir) = kinesis_dir() {
        println!("{PACKAGE}@{VERSION} is installed in {}", dir.display());
        return Ok(());
    }
    require("npm", "npm")?;
    let dir = servers_dir();
    std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    println!("installing {PACKAGE}@{VERSION} in {}", dir.display());
    // Nothing of the package needs to run at installation, and nothing of it should.
    let status = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(&dir)
        .arg(format!("{PACKAGE}@{VERSION}"))
        .stdin(Stdio::null())
        .status()
        .context("run npm")?;
    if !status.success() {
        bail!("npm install {PACKAGE}@{VERSION} failed ({status})");
    }
    kinesis_dir().map(drop)
}

/// Checks that the browser of the tests is there.
///
/// # Errors
/// Fails when it is not, saying what to install.
pub fn require_browser() -> Result<()> {
    require("chromium", "chromium")
}

/// Fails, naming the package that has it, where the tool is missing.
pub(crate) fn require(tool: &str, debian_package: &str) -> Result<()> {
    let found = Command::new(tool).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    match found {
        Ok(status) if status.success() => Ok(()),
        _ => bail!("{tool} is missing: install it first (Debian and Ubuntu: `apt-get install -y {debian_package}`)"),
    }
}

fn installed_version_is(dir: &Path, version: &str) -> bool {
    let manifest = std::fs::read_to_string(dir.join("package.json")).unwrap_or_default();
    let compact: String = manifest.split_whitespace().collect();
    compact.contains(&format!("\"version\":\"{version}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_or_none_counts_as_not_installed() {
        let dir = std::env::temp_dir().join(format!("xtask-install-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(!installed_version_is(&dir, "1.2.3"));
        std::fs::write(dir.join("package.json"), "{\n  \"version\" : \"1.2.3\"\n}").unwrap();
        assert!(installed_version_is(&dir, "1.2.3"));
        assert!(!installed_version_is(&dir, "1.2.30"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
