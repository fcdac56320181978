//! The root filesystem of the container image: the program, what its loader needs, and the few files that a process
//! without a distribution misses. `deploy/Dockerfile` makes the image of it, and tests start it.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

/// The user that the image runs as; distroless images have the same.
pub const USER: u32 = 65_532;

/// Certificate authorities, where Debian keeps them and the program looks for them.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Folders that may be written, if the one who runs it lets them be: the working directory, and temporary files.
const WRITABLE: [&str; 2] = ["data", "tmp"];

const FILES: [(&str, &str); 3] = [
    ("etc/passwd", "root:x:0:0:root:/:/sbin/nologin\ntrailgraph:x:65532:65532:trailgraph:/data:/sbin/nologin\n"),
    ("etc/group", "root:x:0:\ntrailgraph:x:65532:\n"),
    // Names are looked up in /etc/hosts, then asked for.
    ("etc/nsswitch.conf", "hosts: files dns\n"),
];

/// Assembles it in `root`, a folder that is made, from a program that this machine can run. The same input gives the same
/// bytes, owners and times.
///
/// # Errors
/// When the folder is there already, the program's libraries cannot be told, or something cannot be copied.
pub fn assemble(program: &Path, root: &Path) -> Result<()> {
    fs::create_dir(root).with_context(|| format!("make {}, which must not be there yet", root.display()))?;
    copy(program, &root.join("trailgraph"), 0o755)?;
    for library in libraries(program)? {
        copy(&library, &under(root, &library), 0o755)?;
    }
    let certificates = Path::new(CERTIFICATES);
    copy(certificates, &under(root, certificates), 0o644).context("the package ca-certificates has it")?;
    for (name, text) in FILES {
        let path = root.join(name);
        make_parent(&path)?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    for name in WRITABLE {
        let path = root.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        // Who is not root assembles for himself.
        if let Err(error) = chown(&path, Some(USER), Some(USER)) {
            println!("{} stays its maker's: {error}", path.display());
        }
    }
    settle(root)
}

/// What the dynamic loader loads, itself included, by the paths at which it looks.
fn libraries(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("run ldd, which is part of the C library")?;
    if !output.status.success() {
        bail!("ldd {}: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("ldd prints text")?;
    if text.contains("not found") {
        bail!("a library is missing:\n{text}");
    }
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("below the root")?;
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))
}

/// A link is followed: the root holds files only.
fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_parent(to)?;
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, Permissions::from_mode(mode))?;
    Ok(())
}

/// Gives everything the time of `SOURCE_DATE_EPOCH`, or none, children first.
fn settle(path: &Path) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            settle(&entry?.path())?;
        }
    }
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    File::open(path)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(epoch))?;
    Ok(())
}
