//! What a person sees who got something wrong: one line that names the thing, the value and the mend.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::io::Write;
use std::process::Stdio;

use support::Sandbox;
use support::stream::Stream;

type Environment<'a> = Vec<(&'a str, &'a str)>;

/// The exit code and what was said, which must be one line.
fn said(sandbox: &Sandbox, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = sandbox.command(arguments).envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    (output.status.code(), lines.join("\n"))
}

#[test]
fn a_wrong_command_line_is_answered_before_anything_happens() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("a-file"), "x").unwrap();
    std::fs::write(sandbox.path("permit.json"), "{\"accounts\": {\"12\": {}}}").unwrap();
    let cases: [(&[&str], &str); 20] = [
        (&["run"], "--stream <NAME|ARN>"),
        (
            &["run", "--stream", "s"],
            "--permit FILE|ssm:NAME is missing: name the permitted accounts in a file or a parameter, or permit all with --permit-any",
        ),
        (&["run", "--stream", "s", "--permit", "absent.json"], "--permit absent.json: No such file or directory"),
        (
            &["run", "--stream", "s", "--permit", "permit.json"],
            "--permit permit.json: account \"12\" has not 12 digits",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--flush-after", "soon"],
            "invalid value 'soon' for '--flush-after <DURATION>': expected a time longer than nothing, such as 500ms, 5s or 2m",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--flush-at", "0"],
            "invalid value '0' for '--flush-at <N>': expected a whole number from 1",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--start", "noon"],
            "expected trim-horizon, latest, or a time such as 2026-03-01T12:00:00Z",
        ),
        (&["run", "--stream", "s", "--permit-any", "--graph", "http://x"], "expected sqlite:PATH, jupiterone:"),
        (
            &["run", "--stream", "s", "--permit-any", "--graph", "bolt://neo4j:word@x"],
            "holds credentials: name the user by --bolt-user, and put the password into TRAILGRAPH_BOLT_PASSWORD",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--graph", "bolt://x"],
            "the password of neo4j is missing: put it into TRAILGRAPH_BOLT_PASSWORD",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--graph", "jupiterone:"],
            "names no account: set --jupiterone-account, or \"jupiterone\" of accounts in the permit file",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--graph", "jupiterone:", "--jupiterone-account", "acme"],
            "the API key is missing: put it into TRAILGRAPH_JUPITERONE_API_KEY",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--graph", "jupiterone:", "--jupiterone-mode", "patch"],
            "--jupiterone-mode patch: name the scope that is patched: --graph jupiterone:SCOPE",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--graph", "sqlite:a.db", "--graph", "sqlite:./a.db"],
            "this graph is named twice",
        ),
        (
            &["run", "--stream", "s", "--permit-any", "--state", "sqlite:a-file/x.db"],
            "--state sqlite:a-file/x.db: a-file/x.db: unable to open database file",
        ),
        (
            &["replay", "a-file", "--dead-letters", "file:./a-file"],
            "--dead-letters file:./a-file: this replay reads that file",
        ),
        (&["replay", "absent.jsonl"], "absent.jsonl: No such file or directory"),
        (
            &["replay", "a-file", "--dead-letters", "file:a-file/x"],
            "--dead-letters file:a-file/x: a-file/x: Not a directory",
        ),
        (&["replay", "a-file", "--graph", "sqlite:a-file"], "--graph sqlite:a-file: a-file: file is not a database"),
        (&["graph", "export", "--graph", "sqlite:absent.db"], "--graph sqlite:absent.db: absent.db: no such file"),
    ];
    for (arguments, expected) in cases {
        let (code, text) = said(&sandbox, arguments, &[]);
        assert!(text.contains(expected), "{arguments:?} said: {text}");
        assert_eq!(code, Some(2), "{arguments:?}");
    }
}

#[test]
fn what_cannot_be_found_in_a_graph_is_a_finding_and_no_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.replay(&[], &[]);
    let (code, text) = said(&sandbox, &["graph", "show", "nobody"], &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("sqlite:trailgraph.db shows no bucket \"nobody\""), "{text}");
    let (code, text) = said(&sandbox, &["health", "--metrics-addr", "127.0.0.1:1"], &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("--metrics-addr 127.0.0.1:1: "), "{text}");
}

#[test]
fn a_graph_of_a_time_needs_an_empty_one() {
    let sandbox = Sandbox::new();
    let record = include_bytes!("fixtures/create.json").to_vec();
    sandbox.replay(&[record], &[]);
    let (code, text) = said(&sandbox, &["replay", "-", "--until", "2026-01-01T00:00:00Z"], &[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("--state is not empty; --until shows the graph as it was then"), "{text}");
}

#[test]
fn records_that_cannot_be_understood_are_kept_and_the_rest_goes_on() {
    let sandbox = Sandbox::new();
    let good = include_bytes!("fixtures/create.json").to_vec();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes();
    let mut huge = b"{\"pad\":\"".to_vec();
    huge.resize(11 << 20, b'x');
    huge.extend(b"\"}");
    let records = [b"garbage".to_vec(), good[..good.len() / 2].to_vec(), vec![0xff, 0xff], deep, huge, good];
    let summary = sandbox.replay(&records, &[]);
    assert!(summary.contains("events applied    1\n"), "{summary}");
    let letters = std::fs::read_to_string(sandbox.path("dead-letters.jsonl")).unwrap();
    assert_eq!(letters.lines().count(), 5);
    assert_eq!(sandbox.graph()["entities"].as_array().unwrap().len(), 2, "the bucket, and its account");

    // After a fix they are replayed from the file; nothing was fixed here, so they die again, whole.
    let again = Sandbox::new();
    std::fs::copy(sandbox.path("dead-letters.jsonl"), again.path("letters.jsonl")).unwrap();
    again.succeed(&["replay", "letters.jsonl"]);
    let again = std::fs::read_to_string(again.path("dead-letters.jsonl")).unwrap();
    assert!(data(&again) == data(&letters), "what is replayed is what was kept");
}

/// What the letters hold, sorted.
fn data(letters: &str) -> Vec<String> {
    let letter = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["data"].to_string();
    let mut data: Vec<String> = letters.lines().map(letter).collect();
    data.sort();
    data
}

#[test]
fn a_row_of_a_newer_version_is_not_overwritten_and_fails_the_replay_that_needs_it() {
    let sandbox = Sandbox::new();
    let record = include_bytes!("fixtures/create.json").to_vec();
    sandbox.replay(std::slice::from_ref(&record), &[]);
    let sql = rusqlite::Connection::open(sandbox.path("trailgraph.db")).unwrap();
    assert_eq!(sql.execute("UPDATE states SET state = x'63'", []).unwrap(), 1);
    let later = String::from_utf8(record).unwrap().replace("12:00:00", "12:00:01").replace("5f6a", "5f6b");
    std::fs::write(sandbox.path("later.json"), later).unwrap();
    let (code, text) = said(&sandbox, &["replay", "later.json"], &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("was written by a newer trailgraph: run that version; nothing was overwritten"), "{text}");
    let state: Vec<u8> = sql.query_row("SELECT state FROM states", [], |row| row.get(0)).unwrap();
    assert_eq!(state, [0x63]);
}

#[test]
fn a_replay_that_has_failed_does_not_wait_for_more_input() {
    let sandbox = Sandbox::new();
    let record = include_bytes!("fixtures/create.json").to_vec();
    sandbox.replay(std::slice::from_ref(&record), &[]);
    let sql = rusqlite::Connection::open(sandbox.path("trailgraph.db")).unwrap();
    sql.execute("UPDATE states SET state = x'63'", []).unwrap();
    let mut child = sandbox.command(&["replay", "-", "--flush-after", "10ms"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let later = String::from_utf8(record).unwrap().replace("12:00:00", "12:00:01").replace("5f6a", "5f6b");
    // Batches are handed over when they are full.
    let records: String = (0..500).map(|number| later.replace("5f6b", &format!("{number:04}")) + "\n").collect();
    input.write_all(records.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "although its input is still open");
}

#[test]
fn a_graph_that_was_removed_is_made_whole_again() {
    let sandbox = Sandbox::new();
    let record = include_bytes!("fixtures/create.json").to_vec();
    let flags = ["--graph", "sqlite:graph.db"];
    sandbox.replay(std::slice::from_ref(&record), &flags);
    let export = || sandbox.succeed(&["graph", "export", "--graph", "sqlite:graph.db"]);
    let before = export();
    for suffix in ["", "-wal", "-shm"] {
        let _absent = std::fs::remove_file(sandbox.path(&format!("graph.db{suffix}")));
    }
    sandbox.replay(&[], &flags);
    assert_eq!(export(), before);
    // Another spelling of the same path is the same graph.
    let absolute = format!("sqlite:{}", sandbox.path("graph.db").display());
    assert!(sandbox.replay(&[record], &["--graph", &absolute]).contains("snapshots out     0 to"));
}

#[test]
fn looking_at_a_database_of_others_changes_nothing_in_it() {
    let sandbox = Sandbox::new();
    let foreign = sandbox.path("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    let (code, text) = said(&sandbox, &["graph", "export", "--graph", "sqlite:foreign.db"], &[]);
    assert_eq!(code, Some(2));
    assert!(text.contains("foreign.db: holds no graph of trailgraph"), "{text}");
    assert!(std::fs::read(&foreign).unwrap() == before);
}

#[test]
fn who_closes_the_pipe_has_seen_enough() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("create.json"), include_bytes!("fixtures/create.json")).unwrap();
    let mut child = sandbox.command(&["replay", "create.json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_cannot_be_read_is_named_with_the_mend() {
    let stream = Stream::start(1).await;
    let sandbox = Sandbox::new();
    let run = ["run", "--permit-any", "--metrics-addr", "127.0.0.1:0", "--stream", "absent"];
    let endpoint = stream.endpoint();
    let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let region = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    let at = |endpoint| [("AWS_ENDPOINT_URL", endpoint)];
    let cases: [(&str, i32, Environment<'_>, &[&str]); 4] = [
        (
            "no such stream",
            2,
            [&keys[..], &region, &at(endpoint.as_str())].concat(),
            &["no stream \"absent\"", "check the stream's name"],
        ),
        ("no Region", 2, [&keys[..], &region[1..], &at(endpoint.as_str())].concat(), &["AWS_REGION"]),
        ("no credentials", 2, [&region[..], &at(endpoint.as_str())].concat(), &["credentials"]),
        ("no answer", 1, [&keys[..], &region, &at("http://127.0.0.1:1")].concat(), &["http://127.0.0.1:1"]),
    ];
    for (case, ends_with, environment, expected) in cases {
        let (code, text) = said(&sandbox, &run, &environment);
        println!("{case}: {text}");
        assert_eq!(code, Some(ends_with), "{case}: {text}");
        let line = text.lines().last().unwrap_or_default();
        assert!(expected.iter().all(|part| line.contains(part)), "{case}: {line}");
    }
}
