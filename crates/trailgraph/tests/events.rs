//! The events, the pattern that takes them, and the check of others' rules, as a user runs them.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::Sandbox;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rules").join(name)
}

/// Exit code, standard output, standard error.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> (i32, String, String) {
    let output = sandbox.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn check(sandbox: &Sandbox, name: &str, content: &str) -> (i32, String, String) {
    std::fs::write(sandbox.path(name), content).unwrap();
    run(sandbox, &["events", "--check", name])
}

/// Level and code of each line.
fn codes(printed: &str) -> Vec<String> {
    printed.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_table_shows_each_event_with_its_facet() {
    let sandbox = Sandbox::new();
    let table = sandbox.succeed(&["events"]);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(rows[0], ["event", "facet", "body", "also accepted as"]);
    for row in [
        vec!["CreateBucket", "creation", "recorded"],
        vec!["DeleteBucketPolicy", "policy", "-"],
        vec!["PutBucketLifecycle", "lifecycleRules", "recorded", "PutBucketLifecycleConfiguration"],
        vec!["PutAccelerateConfiguration", "acceleration", "not recorded", "PutBucketAccelerateConfiguration"],
    ] {
        assert!(rows.contains(&row), "{row:?}");
    }
    let objects: Value = serde_json::from_str(&sandbox.succeed(&["events", "--json"])).unwrap();
    let objects = objects.as_array().unwrap();
    assert_eq!(objects.len() + 1, rows.len());
    assert!(objects.contains(
        &json!({"event": "PutBucketPublicAccessBlock", "aliases": ["PutPublicAccessBlock"], "facet": "publicAccessBlock", "bodyRecorded": true})
    ));
    assert!(
        objects.contains(&json!({"event": "DeleteBucket", "aliases": [], "facet": "creation", "bodyRecorded": null}))
    );
}

#[test]
fn the_pattern_is_one_line_that_passes_its_own_check() {
    let sandbox = Sandbox::new();
    let pattern = sandbox.succeed(&["events", "--pattern"]);
    assert_eq!(pattern.lines().count(), 1);
    let value: Value = serde_json::from_str(&pattern).unwrap();
    assert_eq!(value["source"], json!(["aws.s3"]));
    assert_eq!(value["detail"]["errorCode"], json!([{"exists": false}]));
    let count = value["detail"]["eventName"].as_array().unwrap().len();
    assert_eq!(
        check(&sandbox, "pattern.json", &pattern),
        (0, format!("pattern.json: matches all {count} supported events\n"), String::new())
    );
    // As `aws events describe-rule` prints it.
    let rule = json!({"Name": "changes", "Arn": "arn:aws:events:eu-west-1:111122223333:rule/changes", "EventPattern": pattern.trim(), "State": "ENABLED"});
    assert_eq!(check(&sandbox, "rule.json", &rule.to_string()).0, 0);
    let template =
        format!("Resources: {{Changes: {{Type: AWS::Events::Rule, Properties: {{EventPattern: {pattern}}}}}}}");
    assert_eq!(check(&sandbox, "template.yaml", &template).0, 0);
    let mut from_input = sandbox.command(&["events", "--check", "-", "--json"]);
    let input = std::fs::File::open(sandbox.path("rule.json")).unwrap();
    let output = from_input.stdin(input).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"[]\n".to_vec()));
}

#[test]
fn only_the_events_that_are_asked_for_are_in_the_pattern() {
    let sandbox = Sandbox::new();
    let pattern = sandbox.succeed(&["events", "--pattern", "--only", "PutPublicAccessBlock,CreateBucket"]);
    let pattern: Value = serde_json::from_str(&pattern).unwrap();
    assert_eq!(pattern["detail"]["eventName"], json!(["CreateBucket", "PutBucketPublicAccessBlock"]));
    let (code, printed, said) =
        run(&sandbox, &["events", "--pattern", "--only", "CreateBucket,PutLifecycleConfiguration"]);
    assert_eq!((code, printed.as_str()), (2, ""));
    assert!(said.contains("PutLifecycleConfiguration: ") && said.contains("PutBucketLifecycle"), "{said}");
    assert_eq!(run(&sandbox, &["events", "--only", "CreateBucket"]).0, 2);
    assert_eq!(run(&sandbox, &["events", "--pattern", "--json"]).0, 2);
}

#[test]
fn a_rule_of_many_services_is_told_what_it_loses() {
    let sandbox = Sandbox::new();
    for (file, rule) in [("many-services.json", ""), ("template.yaml", "Changes: ")] {
        let path = fixture(file);
        let path = path.to_str().unwrap();
        let (code, printed, said) = run(&sandbox, &["events", "--check", path]);
        assert_eq!(said, format!("trailgraph: {path}: 4 errors\n"));
        let expected = [
            "error missing-source",
            "error wrong-name",
            "error wrong-name",
            "error missing-event",
            "note failed-calls",
        ];
        assert_eq!((code, codes(&printed)), (1, expected.map(String::from).to_vec()));
        assert!(printed.lines().all(|line| line.contains(rule)), "{printed}");
        for part in [
            "have source aws.elasticloadbalancing",
            "PutObjectLockConfiguration for S3; there it is PutBucketObjectLockConfiguration",
            "PutPublicAccessBlock for S3; there it is PutBucketPublicAccessBlock",
            "policy (DeleteBucketPolicy",
        ] {
            assert!(printed.contains(part), "{part:?} in {printed}");
        }
    }
}

#[test]
fn what_a_check_without_errors_leaves_open_is_said() {
    let sandbox = Sandbox::new();
    let pattern = sandbox.succeed(&["events", "--pattern"]);
    let with = |field: &str| pattern.replace("\"detail\":{", &format!("\"detail\":{{{field},"));
    for (field, last) in [
        (r#""readOnly":[false]"#, "events"),
        (r#""recipientAccountId":["111122223333"]"#, "events, as far as its other conditions let them through"),
        (r#""requestParameters":{"bucketName":["a"]}"#, "events, as far as its other conditions let them through"),
        (r#""eventCategory":["${Category}"]"#, "events, as far as its values are known"),
    ] {
        let (code, printed, _) = check(&sandbox, "pattern.json", &with(field));
        assert!(code == 0 && printed.ends_with(&format!("{last}\n")), "{field}: {printed}");
        assert_eq!(printed.contains("have no bucketName"), field.contains("bucketName"));
    }
}

#[test]
fn what_the_file_says_cannot_move_the_cursor() {
    let sandbox = Sandbox::new();
    let rule = json!({"Name": "a\u{1b}[2J", "EventPattern": {"source": ["aws.s3"], "detail-type": ["b\nc\u{9b}"], "detail": {"eventName": ["CreateBucket"]}}});
    let (_, printed, _) = check(&sandbox, "rule.json", &rule.to_string());
    assert!(printed.contains(r"a\u{1b}[2J: detail-type is") && printed.contains(r"b\nc\u{9b}"), "{printed}");
}

#[test]
fn findings_as_json_name_each_event() {
    let sandbox = Sandbox::new();
    let path = fixture("template.yaml");
    let (code, printed, _) = run(&sandbox, &["events", "--check", path.to_str().unwrap(), "--json"]);
    assert_eq!(code, 1);
    let findings: Value = serde_json::from_str(&printed).unwrap();
    let findings = findings.as_array().unwrap();
    let field = |finding: &Value, name: &str| finding[name].as_str().map(String::from);
    let found = |code: &str, value: &str| {
        let finding = findings.iter().find(|finding| finding["code"] == code && finding["value"] == value);
        let finding = finding.unwrap_or_else(|| panic!("{code} {value}"));
        ["rule", "level", "use", "facet"].map(|name| field(finding, name).unwrap_or_default())
    };
    assert_eq!(found("wrong-name", "PutPublicAccessBlock"), ["Changes", "error", "PutBucketPublicAccessBlock", ""]);
    assert_eq!(
        found("missing-source", "elasticloadbalancing.amazonaws.com"),
        ["Changes", "error", "aws.elasticloadbalancing", ""]
    );
    assert_eq!(found("missing-event", "DeleteBucketPolicy"), ["Changes", "error", "", "policy"]);
}

#[test]
fn what_cannot_be_checked_is_named_with_what_was_expected() {
    let sandbox = Sandbox::new();
    for (name, content, part) in [
        ("broken.json", "{\"source\": [\n\"aws.s3\"", "broken.json: it is no JSON: "),
        ("broken.json", "{\"source\": [\n\"aws.s3\"", "line 2"),
        ("broken.yaml", "source:\n  - a\n b: [\n", "line 3"),
        ("records.json", "{\"Records\": []}", "found an object with Records"),
        ("twice.json", "{\"source\": [\"aws.s3\"], \"source\": []}", "the key \"source\" stands twice"),
        ("large.yaml", &" ".repeat(1_048_577), "larger than 1 MiB"),
        ("odd.json", "{\"a\\u001b[2J\\u009b\": []}", "an object with a\\u{1b}[2J\\u{9b}"),
    ] {
        let (code, printed, said) = check(&sandbox, name, content);
        assert_eq!((code, printed.as_str(), said.lines().count()), (2, "", 1), "{name}");
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let (code, _, said) = run(&sandbox, &["events", "--check", "nowhere.json"]);
    assert!(code == 2 && said.starts_with("trailgraph: nowhere.json: "), "{said}");
}
