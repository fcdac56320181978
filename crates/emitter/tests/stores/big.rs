//! States that do not fit into an item.

use bucket_state::Event;
use emitter::{SaveOutcome, Settlement, Settling};
use serde_json::json;

use crate::support::{NOW, SINK, create, event, id, logging, mark, state};
use crate::world::{World, of, pending, row, save, sink};

/// An event whose body does not shrink, of about so many bytes.
fn noise(bucket: &str, call: &str, parameter: &str, seed: u64, bytes: usize) -> Event {
    let mut random = fastrand::Rng::with_seed(seed);
    let noise: String = (0..bytes).map(|_| random.alphanumeric()).collect();
    event(bucket, call, 2, &json!({ parameter: { "Noise": noise } }))
}

/// Facets of 120 KB with 6 bits of noise in each byte: more than 1 MB when deflated.
pub(crate) fn large(bucket: &str) -> Vec<Event> {
    let calls = [
        ("PutBucketPolicy", "bucketPolicy"),
        ("PutBucketEncryption", "ServerSideEncryptionConfiguration"),
        ("PutBucketVersioning", "VersioningConfiguration"),
        ("PutBucketLogging", "BucketLoggingStatus"),
        ("PutBucketAcl", "AccessControlPolicy"),
        ("PutBucketPublicAccessBlock", "PublicAccessBlockConfiguration"),
        ("PutBucketOwnershipControls", "OwnershipControls"),
        ("PutBucketCors", "CORSConfiguration"),
        ("PutBucketLifecycle", "LifecycleConfiguration"),
        ("PutBucketWebsite", "WebsiteConfiguration"),
        ("PutBucketReplication", "ReplicationConfiguration"),
        ("PutBucketNotification", "NotificationConfiguration"),
        ("PutBucketRequestPayment", "RequestPaymentConfiguration"),
        ("PutAccelerateConfiguration", "AccelerateConfiguration"),
        ("PutObjectLockConfiguration", "ObjectLockConfiguration"),
    ];
    let calls = calls.into_iter().enumerate();
    let noise = calls.map(|(seed, (call, parameter))| noise(bucket, call, parameter, seed as u64, 120 << 10));
    std::iter::once(create(bucket, 1)).chain(noise).collect()
}

pub(crate) async fn a_state_of_megabytes_is_saved_loaded_marked_and_made_small_again(world: &World) {
    let (store, colleague) = (world.store().await, world.worker("colleague").await);
    let events = large("big");
    let expected = state(&events);
    assert!(expected.encode().len() > 1 << 20, "{} bytes", expected.encode().len());
    assert_eq!(save(&*store, of("big", 0, &events, Some(mark(NOW)))).await, SaveOutcome::Saved(1));
    for store in [&store, &colleague] {
        assert_eq!(row(&**store, &id("big")).await.state, expected);
        assert_eq!(pending(&**store, "worker", 0).await, [id("big")]);
    }
    colleague.mark(&[id("big")], mark(NOW)).await.unwrap();
    assert_eq!(save(&*store, of("big", 1, &events, Some(mark(NOW)))).await, SaveOutcome::Conflict);
    assert_eq!(row(&*store, &id("big")).await.state, expected, "a refused save takes nothing away");
    let more = [events, vec![logging("big", 9, "logs")]].concat();
    assert_eq!(save(&*store, of("big", 2, &more, Some(mark(NOW)))).await, SaveOutcome::Saved(3));
    let settled = Settlement { resource: id("big"), version: 3, verdict: Settling::Acknowledged([1; 32]) };
    assert_eq!(colleague.settle(&sink(SINK), vec![settled]).await.unwrap(), 1);
    let read = row(&*colleague, &id("big")).await;
    assert_eq!((read.version, &read.state), (3, &state(&more)));
    if let World::Table(table) = world {
        let parts = table.items("arn:aws:s3:::big", "part#").await.len();
        assert_eq!(parts, state(&more).encode().len().div_ceil(380 << 10), "none is left of the former state");
    }
    let small = [create("big", 99)];
    assert_eq!(save(&*colleague, of("big", 3, &small, Some(mark(NOW)))).await, SaveOutcome::Saved(4));
    assert_eq!(row(&*store, &id("big")).await.state, state(&small));
    if let World::Table(table) = world {
        assert_eq!(table.items("arn:aws:s3:::big", "part#").await.len(), 0);
    }
}
