//! What is promised of the rows of a lease table.

use crate::shard_consumer::leases::dynamodb::{Item, item, read};

const STREAM: &str = "trail";

/// What can stand in a log.
const WHY_BYTES_MAX: usize = 1_000;

/// The attributes that are read.
pub(crate) const ATTRIBUTES: [&str; 12] = [
    "leaseOwner",
    "checkpointOwner",
    "leaseCounter",
    "checkpointSubSequenceNumber",
    "checkpoint",
    "parentShardId",
    "childShardIds",
    "startingHashKey",
    "endingHashKey",
    "startTimestamp",
    "stream",
    "leaseKey",
];

/// Reads `bytes`, the JSON of an item in DynamoDB's notation, as a lease: one that can be read can be written again, and
/// one that cannot is answered with the attribute that is wrong.
///
/// # Panics
/// Where it is not.
pub fn check(bytes: &[u8]) {
    let Ok(row) = serde_json::from_slice::<Item>(bytes) else { return };
    match read(&row, STREAM) {
        Ok(None) => {}
        Ok(Some(lease)) => {
            let written = read(&item(&lease, STREAM), STREAM);
            assert_eq!(written.ok().flatten().as_ref(), Some(&lease), "as it was written");
        }
        Err(unreadable) => {
            let why = &unreadable.why;
            let names = |name: &str| row.contains_key(name) && why.contains(name);
            let is_missing = why.contains("checkpoint is missing") && !row.contains_key("checkpoint");
            assert!(is_missing || ATTRIBUTES.into_iter().any(names), "no attribute is named: {why}");
            assert!(why.len() <= WHY_BYTES_MAX, "{} bytes are too many for a log: {why}", why.len());
        }
    }
}
