//! The root filesystem of the container image, started as a container runtime starts it: read-only, and as its own user.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use support::buckets::creations;
use support::stream::{Stream, eventually, free_addr};
use support::{Sandbox, TRAILGRAPH};
use xtask::image::{USER, assemble};
use xtask::install::hadolint;

/// The mounts of a container (`data` is the only place that can be written), then the program as its user. Nothing forks,
/// so that the program has the id of what was started.
const CONTAINER: &str = r#"
root=$1; shift
mount --bind "$root" "$root" && mount -o remount,bind,ro "$root" && mount -t tmpfs -o mode=1777 none "$root/data" || exit 125
cd / && exec unshare --root="$root" --wd=/data $AS /trailgraph "$@"
"#;

fn image() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let root = sandbox.path("root");
    assemble(Path::new(TRAILGRAPH), &root).unwrap();
    (sandbox, root)
}

/// The image's program in its own mounts. Whoever is not root becomes its user in a namespace of his own.
fn container(root: &Path, arguments: &[&str]) -> Command {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let user = USER.to_string();
    let mut command = Command::new("unshare");
    if is_root {
        command.env("AS", format!("--setuid={user} --setgid={user}"));
    } else {
        command.args(["--user", "--keep-caps", &format!("--map-user={user}"), &format!("--map-group={user}")]);
        command.env("AS", "");
    }
    command.args(["--mount", "--propagation", "private", "sh", "-c", CONTAINER, "sh"]).arg(root).args(arguments);
    command.stdin(Stdio::null());
    command
}

fn run(root: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = container(root, arguments).output().expect("unshare is part of util-linux");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Every file, with its size.
fn files(root: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.push((name, path.metadata().unwrap().len()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn it_holds_the_program_its_libraries_and_little_else() {
    let (_sandbox, root) = image();
    let files = files(&root);
    println!("{files:#?}, {} bytes in all", files.iter().map(|(_, size)| size).sum::<u64>());
    let is_library = |name: &str| name.contains(".so");
    let others: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).filter(|name| !is_library(name)).collect();
    let expected = ["etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "trailgraph"];
    assert_eq!(others, expected);
    // No more than the C library has: whatever is linked besides would have to be patched, too.
    let libraries = files.iter().filter(|(name, _)| is_library(name)).count();
    assert!((2..=5).contains(&libraries), "{files:?}");
}

#[test]
fn its_dockerfile_is_clean_and_makes_this_root() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/Dockerfile");
    let output = Command::new(hadolint().unwrap()).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = fs::read_to_string(path).unwrap();
    let (_, last) = text.rsplit_once("\nFROM scratch\n").expect("the last stage begins from nothing");
    let copies: Vec<&str> = last.lines().filter(|line| line.starts_with("COPY")).collect();
    assert_eq!(copies, ["COPY --from=build /rootfs /", "COPY --from=build --chown=65532:65532 /rootfs/data /data"]);
    assert!(text.contains("cargo xtask image --program target/dist/trailgraph /rootfs"));
    assert!(last.contains(&format!("USER {USER}:{USER}\n")) && last.contains("CMD [\"/trailgraph\", \"health\"]"));
}

#[test]
fn its_program_runs_as_its_own_user_and_writes_only_where_it_may() {
    let (_sandbox, root) = image();
    let (code, said) = run(&root, &["--version"]);
    assert_eq!((code, said.trim()), (Some(0), concat!("trailgraph ", env!("CARGO_PKG_VERSION"))));
    let (code, said) = run(&root, &["demo", "--events", "2000", "--buckets", "50"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("trailgraph-demo.db"), "{said}");
    // Outside of /data nothing can be made.
    let (code, said) = run(&root, &["replay", "/etc/passwd", "--state", "sqlite:/state.db", "--graph", "sqlite:/g.db"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--state sqlite:/state.db"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_service_starts_is_healthy_and_drains_on_sigterm() {
    let mut stream = Stream::start(1).await;
    let (sandbox, root) = image();
    let addr = free_addr();
    let everywhere = format!("0.0.0.0:{}", addr.rsplit(':').next().unwrap());
    let mut command = container(&root, &["run", "--stream", "cloudtrail", "--permit-any", "--flush-after", "200ms"]);
    for (name, value) in stream.command(&sandbox, &[]).get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    command.env("TRAILGRAPH_METRICS_ADDR", &everywhere);
    let begun = Instant::now();
    command.stderr(fs::File::create(sandbox.path("run.log")).unwrap()).stdout(Stdio::null());
    let service = stream.adopt(command.spawn().unwrap(), &addr);
    let get = |path: &str| service.get(path).filter(|answer| answer.contains(" 200 "));
    eventually("it answers", async || get("/healthz")).await;
    println!("healthy after {:?}", begun.elapsed());

    let process = PathBuf::from(format!("/proc/{}", service.child.id()));
    let status = fs::read_to_string(process.join("status")).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    if field("Uid:").split_whitespace().all(|id| id == USER.to_string()) {
        assert_eq!(field("CapEff:"), "0000000000000000", "it has no capability");
    }
    let mounts = fs::read_to_string(process.join("mountinfo")).unwrap();
    let root_mount = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap().to_owned();
    assert!(root_mount.split(' ').nth(5).unwrap().starts_with("ro"), "{root_mount}");

    stream.put(&creations(0..5)).await;
    let line = "trailgraph_snapshots_total{outcome=\"emitted\",sink=\"sqlite:/data/trailgraph.db\"} 5";
    eventually(line, async || get("/metrics").filter(|metrics| metrics.contains(line))).await;
    let mut health = container(&root, &["health"]);
    let output = health.env("TRAILGRAPH_METRICS_ADDR", &everywhere).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"ok\n"[..]));
    let (code, took) = service.stop("-TERM");
    println!("drained in {took:?}");
    assert_eq!(code, Some(0));
}
