//! Random events on few buckets, which collide in every way: same seconds, changed owners, closed accounts.

use bucket_state::{Event, Owner};
use fastrand::Rng;
use serde_json::json;

use crate::support::{create, delete, event, logging};

const BUCKETS: [&str; 4] = ["app", "web", "logs", "old"];
const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];

/// Some events, in no order.
pub(crate) fn events(rng: &mut Rng, count: usize) -> Vec<Event> {
    (0..count).map(|number| one(rng, number)).collect()
}

fn one(rng: &mut Rng, number: usize) -> Event {
    let bucket = BUCKETS[rng.usize(..BUCKETS.len())];
    let second = rng.u32(..40);
    let all = json!({"IgnorePublicAcls": rng.bool(), "RestrictPublicBuckets": true});
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"});
    let event = match rng.u32(..10) {
        0..3 => create(bucket, second),
        3..6 => logging(bucket, second, BUCKETS[rng.usize(..BUCKETS.len())]),
        6 => delete(bucket, second),
        7 => event(bucket, "PutBucketPolicy", second, &json!({"bucketPolicy": {"Statement": statement}})),
        8 => event(bucket, "DeleteBucketPublicAccessBlock", second, &json!({})),
        _ => event("-", "PutAccountPublicAccessBlock", second, &json!({"PublicAccessBlockConfiguration": all})),
    };
    told_apart(sold(event, rng), number)
}

/// Some buckets change hands.
fn sold(event: Event, rng: &mut Rng) -> Event {
    if event.owner.is_none() || rng.u32(..4) > 0 {
        return event;
    }
    let account = ACCOUNTS[rng.usize(..ACCOUNTS.len())].into();
    Event { owner: Some(Owner { named: true, account }), ..event }
}

/// Each is an event of its own, even where two tell the same.
fn told_apart(mut event: Event, number: usize) -> Event {
    let mut origin = (*event.origin).clone();
    origin.stamp.identity = format!("{}-{number}", origin.stamp.identity).as_str().into();
    event.origin = origin.into();
    event
}
