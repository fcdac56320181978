//! Our requests beside those that the real clients were recorded with. The recordings are not kept here: this is built
//! only where a folder of them is named, so that it does not pass without reading any.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server;
use crate::support::{create, event};
use crate::world::World;

/// The client, its host and its length say nothing of the API.
const NOT_COMPARED: [&str; 6] = ["user-agent", "host", "connection", "content-length", "accept", "accept-encoding"];

fn recorded(file: &str) -> Vec<Value> {
    let folder =
        std::env::var("TRAILGRAPH_RECORDINGS").expect("TRAILGRAPH_RECORDINGS names the folder of the recordings");
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What is done to which part of a job.
fn step(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    match parts.get(4) {
        None => format!("{method} {path}"),
        Some(_) => format!(
            "{method} {}/ID{}",
            parts[..4].join("/"),
            parts[5..].iter().map(|part| format!("/{part}")).collect::<String>()
        ),
    }
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

fn compared(headers: &Value) -> BTreeSet<String> {
    keys(headers).into_iter().filter(|name| !NOT_COMPARED.contains(&name.as_str())).collect()
}

/// A bucket with a policy, as the recorded clients sent one: our requests, in order.
async fn ours() -> Vec<server::Logged> {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    let statement = json!({"Effect": "Deny", "Principal": "*", "Action": "s3:*"});
    let policy = event("ledger", "PutBucketPolicy", 2, &json!({"bucketPolicy": {"Statement": statement}}));
    worker.save(&[create("ledger", 1), policy]).await;
    worker.round().await.unwrap().unwrap();
    world.server.log()
}

#[tokio::test(start_paused = true)]
async fn every_step_of_a_recorded_job_is_made_with_the_same_path_headers_and_body_shape() {
    let ours = ours().await;
    let mut compared_steps = BTreeSet::new();
    for file in ["recorded-node-sdk.json", "recorded-node-sdk-gzip.json"] {
        let recorded = recorded(file);
        let job = recorded.iter().take_while(|request| request["body"].get("integrationInstanceId").is_none());
        for request in job {
            let (method, path) = (request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
            let is_same = |logged: &&server::Logged| step(logged.method, &logged.path) == step(method, path);
            let same = ours.iter().find(is_same).unwrap_or_else(|| panic!("{method} {path} of {file} is not made"));
            let mut theirs = compared(&request["headers"]);
            let mine = compared(&json!(same.headers));
            // They compress all uploads, or none; we compress those from a certain size on.
            if same.headers.contains_key("content-encoding") {
                assert!(
                    method == "POST" && (path.ends_with("/entities") || path.ends_with("/relationships")),
                    "{path}"
                );
                theirs.insert("content-encoding".into());
            } else {
                theirs.remove("content-encoding");
            }
            assert_eq!(mine, theirs, "headers of {method} {path} in {file}");
            assert_same_shape(&same.body, &request["body"], path);
            compared_steps.insert(step(method, path));
        }
    }
    assert_eq!(compared_steps.len(), 5, "start, entities, relationships, finalize and status: {compared_steps:?}");
}

fn assert_same_shape(ours: &Value, theirs: &Value, path: &str) {
    if theirs["entities"].is_array() {
        for entity in ours["entities"].as_array().unwrap() {
            let same_type = |other: &&Value| other["_type"] == entity["_type"];
            let other = theirs["entities"].as_array().unwrap().iter().find(same_type).unwrap();
            for required in ["_key", "_type", "_class", "name", "displayName"] {
                assert_eq!(
                    std::mem::discriminant(&entity[required]),
                    std::mem::discriminant(&other[required]),
                    "{required}"
                );
            }
            assert_eq!(entity["_class"], other["_class"]);
            if let Some(raw) = entity.get("_rawData") {
                assert_eq!(keys(&raw[0]), keys(&other["_rawData"][0]));
            }
        }
    } else if theirs["relationships"].is_array() {
        let of_kind = |all: &Value| {
            let all = all["relationships"].as_array().unwrap();
            all.iter().find(|edge| edge["_type"] == "aws_s3_bucket_has_policy").cloned().unwrap()
        };
        let (ours, theirs) = (of_kind(ours), of_kind(theirs));
        assert_eq!(keys(&ours), keys(&theirs));
        assert_eq!(ours["_class"], theirs["_class"]);
    } else {
        let (ours, theirs) = (keys(ours), keys(theirs));
        // The mode is said; the reference client leaves it to the default. What ends a job may be empty.
        let more: BTreeSet<_> = ours.difference(&theirs).filter(|key| *key != "syncMode").collect();
        assert!(more.is_empty(), "{path}: {more:?} more than recorded");
    }
}

#[test]
fn the_recorded_python_client_says_the_mode_as_we_do() {
    let recorded = recorded("recorded-python-client.json");
    let modes: BTreeSet<&str> = recorded.iter().filter_map(|request| request["body"]["syncMode"].as_str()).collect();
    assert_eq!(modes, BTreeSet::from(["DIFF", "PATCH"]));
}
