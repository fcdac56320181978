//! `graph list`, `graph show` and `graph export` on a graph that is written by hand.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;
#[path = "support/written.rs"]
mod written;

use bucket_state::Snapshot;
use serde_json::{Value, json};
use support::Sandbox;
use written::{ADA, EVENT, NOON, bucket};

const HOUR: i64 = 3_600_000;

/// Four buckets, one of them abroad, and the placeholder of everyone.
async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let snapshots = vec![
        bucket("arn:aws:s3:::open", NOON, &json!({"public": true})),
        bucket("arn:aws:s3:::closed", NOON - HOUR, &json!({"public": false})),
        bucket("arn:aws:s3:::undecided", NOON + HOUR, &json!({})),
        bucket("arn:aws-cn:s3:::abroad", NOON, &json!({"public": false})),
    ];
    written::write(&sandbox.path("trailgraph.db"), snapshots).await;
    sandbox
}

/// `bucket`, in which a block of the whole account has a say, set by `actor` at `set_on`.
fn with_account_block(bucket: Snapshot, set_on: i64, actor: &str) -> Snapshot {
    let mut snapshot = serde_json::to_value(bucket).expect("JSON");
    let provenance = snapshot["provenance"].as_array_mut().expect("a list");
    provenance.push(json!({
        "facet": "accountPublicAccessBlock", "source": "event", "eventId": EVENT, "eventTime": set_on, "actor": actor,
        "contested": false,
    }));
    serde_json::from_value(snapshot).expect("a snapshot")
}

#[tokio::test]
async fn buckets_are_listed_with_exposure_last_change_and_actor() {
    let sandbox = sandbox().await;
    let actor = format!("{:<1$}", "actor", ADA.len());
    let expected = format!(
        "\
bucket                  account       region     exposure  last change           {actor}  reasons
arn:aws-cn:s3:::abroad  111122223333  eu-west-1  private   2026-03-01T12:00:00Z  {ADA}
closed                  111122223333  eu-west-1  private   2026-03-01T11:00:00Z  {ADA}
open                    111122223333  eu-west-1  public    2026-03-01T12:00:00Z  {ADA}  acl:{EVENT}
undecided               111122223333  eu-west-1  unknown   2026-03-01T13:00:00Z  {ADA}
"
    );
    assert_eq!(sandbox.succeed(&["graph", "list"]), expected);
}

#[tokio::test]
async fn a_list_is_cut_to_what_is_public_or_has_changed() {
    let sandbox = sandbox().await;
    let noon = "2026-03-01T12:00:00Z";
    let cases: [(&[&str], &[&str]); 4] = [
        (&["--public"], &["arn:aws:s3:::open"]),
        (&["--since", noon], &["arn:aws-cn:s3:::abroad", "arn:aws:s3:::open", "arn:aws:s3:::undecided"]),
        (&["--since", "2026-03-01T14:00:00+01:00"], &["arn:aws:s3:::undecided"]),
        (&["--public", "--since", "2026-03-02T00:00:00Z"], &[]),
    ];
    for (flags, expected) in cases {
        let list = sandbox.succeed(&[&["graph", "list", "--json"], flags].concat());
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        let keys: Vec<&str> = list.iter().map(|bucket| bucket["key"].as_str().unwrap()).collect();
        assert_eq!(keys, expected, "{flags:?}");
    }
    let refused = sandbox.run(&["graph", "list", "--since", "noon"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not a time such as 2026-03-01T12:00:00Z"));
}

#[tokio::test]
async fn a_bucket_changes_when_the_whole_account_does() {
    let (sandbox, grace) = (Sandbox::new(), "arn:aws:iam::111122223333:user/grace");
    let at = |name: &str, updated_on, block_set_on| {
        let bucket = bucket(&format!("arn:aws:s3:::{name}"), updated_on, &json!({"public": false}));
        with_account_block(bucket, block_set_on, grace)
    };
    let snapshots = vec![
        at("account-last", NOON - HOUR, NOON),
        at("bucket-last", NOON, NOON - HOUR),
        at("both-before", NOON - HOUR, NOON - 2 * HOUR),
        at("together", NOON, NOON),
    ];
    written::write(&sandbox.path("trailgraph.db"), snapshots).await;
    let list = |flags: &[&str]| {
        let list = sandbox.succeed(&[&["graph", "list", "--json"], flags].concat());
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        let told =
            |bucket: &Value| ["name", "updatedOn", "updatedBy"].map(|part| bucket[part].as_str().unwrap().to_owned());
        list.iter().map(told).collect::<Vec<_>>()
    };
    let (eleven, noon) = ("2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z");
    let expected = [
        ["account-last", noon, grace],
        ["both-before", eleven, ADA],
        ["bucket-last", noon, ADA],
        ["together", noon, ADA],
    ];
    assert_eq!(list(&[]), expected);
    assert_eq!(list(&["--since", noon]), [expected[0], expected[2], expected[3]]);
}

/// A link to nowhere in the place of the file that SQLite shares between processes stops any user, also root, whom
/// permissions do not.
#[cfg(unix)]
#[tokio::test]
async fn a_graph_is_looked_at_where_nothing_can_be_written_beside_it() {
    let sandbox = sandbox().await;
    let db = sandbox.path("a#b?c%41.db");
    std::fs::rename(sandbox.path("trailgraph.db"), &db).unwrap();
    let beside = |suffix: &str| sandbox.path(&format!("a#b?c%41.db{suffix}"));
    std::os::unix::fs::symlink(sandbox.path("nowhere/shm"), beside("-shm")).unwrap();
    let list = ["graph", "list", "--public", "--graph", "sqlite:a#b?c%41.db"];
    for _ in 0..2 {
        assert!(sandbox.succeed(&list).contains("\nopen "));
    }

    std::fs::write(beside("-wal"), [1; 4_096]).unwrap();
    let refused = sandbox.run(&list);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for part in ["unable to open database file", "a#b?c%41.db", "copy it with its -wal file into a folder of yours"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_file_in_a_read_only_folder_can_be_looked_at() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = sandbox().await;
    let (folder, db) = (sandbox.path("archive"), sandbox.path("archive/march.db"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(sandbox.path("trailgraph.db"), &db).unwrap();
    let permit = |path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    permit(&db, 0o444);
    permit(&folder, 0o555);
    let shown = sandbox.run(&["graph", "show", "open", "--graph", "sqlite:archive/march.db"]);
    permit(&folder, 0o755);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
}

#[tokio::test]
async fn a_listed_bucket_is_an_object_whose_unknown_exposure_is_null() {
    let sandbox = sandbox().await;
    let list: Vec<Value> = serde_json::from_str(&sandbox.succeed(&["graph", "list", "--json"])).unwrap();
    let row = |name: &str, public: Value, reasons: Value, updated: &str| {
        json!({"key": format!("arn:aws:s3:::{name}"), "name": name, "accountId": "111122223333", "region": "eu-west-1",
               "public": public, "publicReasons": reasons, "updatedOn": updated, "updatedBy": ADA})
    };
    let open = row("open", true.into(), json!([format!("acl:{EVENT}")]), "2026-03-01T12:00:00Z");
    assert_eq!(list[2..], [open, row("undecided", Value::Null, json!([]), "2026-03-01T13:00:00Z")]);
}

#[tokio::test]
async fn a_bucket_is_shown_with_why_it_is_public() {
    let sandbox = sandbox().await;
    let text = sandbox.succeed(&["graph", "show", "open"]);
    let head: Vec<&str> = text.lines().take(4).collect();
    let because = format!("    because of acl: event {EVENT}, 2026-03-01T12:00:00Z, {ADA}");
    let assumes = "    assumes AWS's default of accountPublicAccessBlock: no event has spoken of it";
    assert_eq!(head, ["arn:aws:s3:::open", "  exposure                  public", because.as_str(), assumes]);
    let json: Value = serde_json::from_str(&sandbox.succeed(&["graph", "show", "open", "--json"])).unwrap();
    let reason = json!({"facet": "acl", "eventId": EVENT, "eventTime": NOON, "actor": ADA});
    let expected = json!({"exposure": "public", "reasons": [reason], "assumes": ["accountPublicAccessBlock"]});
    assert_eq!(json["exposure"], expected);
    assert!(sandbox.succeed(&["graph", "show", "undecided"]).contains("\n  exposure                  unknown\n"));
}

#[tokio::test]
async fn graphviz_gets_every_entity_and_edge_in_the_order_of_their_keys() {
    let sandbox = sandbox().await;
    let text = sandbox.succeed(&["graph", "export", "--format", "dot"]);
    let named = |line: &&str| line.starts_with("  \"");
    let lines: Vec<&str> = text.lines().filter(named).collect();
    let starts: Vec<&str> = lines.iter().map(|line| line.split(", ").next().unwrap()).collect();
    let expected = [
        r#"  "arn:aws-cn:s3:::abroad" [label="abroad""#,
        r#"  "arn:aws:s3:::closed" [label="closed""#,
        r#"  "arn:aws:s3:::open" [label="open""#,
        r#"  "arn:aws:s3:::undecided" [label="undecided""#,
        r#"  "global:everyone" [label="Everyone""#,
        r#"  "arn:aws:s3:::open" -> "global:everyone" [label="ALLOWS"];"#,
    ];
    assert_eq!(starts, expected);
    assert!(text.starts_with("digraph trailgraph {\n") && text.ends_with("}\n"));
}
