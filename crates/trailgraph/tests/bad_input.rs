//! What a person sees who got something wrong: one line that names the thing, the value and the mend.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

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
    let cases: [(&[&str], &str); 13] = [
        (&["run"], "--stream <NAME|ARN>"),
        (
            &["run", "--stream", "s"],
            "--permit FILE is missing: name the permitted accounts in a file, or permit all with --permit-any",
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
        (&["run", "--stream", "s", "--permit-any", "--graph", "bolt://x"], "expected sqlite:PATH"),
        (
            &["run", "--stream", "s", "--permit-any", "--state", "sqlite:a-file/x.db"],
            "--state sqlite:a-file/x.db: a-file/x.db: unable to open database file",
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
    let cases: [(&str, Environment<'_>, &[&str]); 4] = [
        (
            "no such stream",
            [&keys[..], &region, &at(endpoint.as_str())].concat(),
            &["no stream \"absent\"", "check the stream's name"],
        ),
        ("no Region", [&keys[..], &region[1..], &at(endpoint.as_str())].concat(), &["AWS_REGION"]),
        ("no credentials", [&region[..], &at(endpoint.as_str())].concat(), &["credentials"]),
        ("no answer", [&keys[..], &region, &at("http://127.0.0.1:1")].concat(), &["http://127.0.0.1:1"]),
    ];
    for (case, environment, expected) in cases {
        let (code, text) = said(&sandbox, &run, &environment);
        println!("{case}: {text}");
        assert_eq!(code, Some(2), "{case}: {text}");
        let line = text.lines().last().unwrap_or_default();
        assert!(expected.iter().all(|part| line.contains(part)), "{case}: {line}");
    }
}
