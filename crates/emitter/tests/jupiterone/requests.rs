//! The requests of a job, as the reference client makes them.

use serde_json::{Value, json};

use crate::server::Logged;
use crate::support::{create, event};
use crate::world::World;

/// A job's requests with what is chosen anew each time taken out.
fn told(logged: &Logged) -> Value {
    let mut headers = logged.headers.clone();
    if let Some(id) = headers.get_mut("jupiterone-correlation-id") {
        assert!(uuid(id), "{id}");
        *id = "UUID".into();
    }
    let path = logged.path.replace("11111111-2222-3333-4444-000000000000", "ID");
    json!({"method": logged.method, "path": path, "headers": headers, "body": logged.body})
}

fn uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

#[tokio::test(start_paused = true)]
async fn a_job_is_started_filled_finalized_and_polled_in_the_shapes_of_the_reference_client() {
    let world = World::new();
    let worker = world.worker("worker", |_| {}).await;
    let rule = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": "arn:aws:kms:eu-west-1:111122223333:key/11112222-3333-4444-5555-666677778888"}});
    let encryption = json!({"ServerSideEncryptionConfiguration": {"Rule": rule}});
    worker.save(&[create("ledger", 1), event("ledger", "PutBucketEncryption", 2, &encryption)]).await;
    worker.round().await.unwrap().unwrap();
    let log: Vec<Value> = world.server.log().iter().map(told).collect();
    let expected: Value = serde_json::from_str(include_str!("fixtures/job.json")).unwrap();
    let expected = expected.as_array().unwrap();
    for (number, (is, should)) in log.iter().zip(expected).enumerate() {
        assert_eq!(is, should, "request {number}: {is:#}");
    }
    assert_eq!(log.len(), expected.len());
}
