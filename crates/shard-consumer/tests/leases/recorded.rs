//! Rows as versions of the Kinesis Client Library leave them, with invented names.

use serde_json::{Value, json};

use crate::world::SHARD;

/// Of version 2.5.8, as it was read from a table.
pub(crate) fn of_version_2() -> Value {
    json!({
        "leaseKey": { "S": SHARD },
        "leaseCounter": { "N": "4" },
        "leaseOwner": { "S": "0d5f7a52-7d5c-4f0a-9d5a-2c8f8d0f7b11" },
        "ownerSwitchesSinceCheckpoint": { "N": "0" },
        "checkpoint": { "S": "23" },
        "checkpointSubSequenceNumber": { "N": "0" },
        "startingHashKey": { "S": "0" },
        "endingHashKey": { "S": "170141183460469231731687303715884105727" },
    })
}

/// Of version 3.5, while it changes hands: with a checkpoint that was prepared, and never made.
pub(crate) fn of_version_3_changing_hands() -> Value {
    json!({
        "leaseKey": { "S": SHARD },
        "entityType": { "S": "LEASE" },
        "leaseCounter": { "N": "812" },
        "leaseOwner": { "S": "ip-10-0-3-7.example:new" },
        "checkpointOwner": { "S": "ip-10-0-1-2.example:old" },
        "ownerSwitchesSinceCheckpoint": { "N": "2" },
        "checkpoint": { "S": "49590338271490256608559692538361571095921575989136588898" },
        "checkpointSubSequenceNumber": { "N": "5" },
        "pendingCheckpoint": { "S": "49590338271490256608559692538361571095921575989136588999" },
        "pendingCheckpointSubSequenceNumber": { "N": "0" },
        "pendingCheckpointState": { "B": "state" },
        "throughputKBps": { "N": "103.250125" },
        "startingHashKey": { "S": "0" },
        "endingHashKey": { "S": "340282366920938463463374607431768211455" },
    })
}

/// Of version 3.5: a parent that was read to its end. Its prepared state was written as the library creates rows: as
/// a number.
pub(crate) fn of_version_3_finished() -> Value {
    json!({
        "leaseKey": { "S": "shardId-000000000001" },
        "entityType": { "S": "LEASE" },
        "leaseCounter": { "N": "90" },
        "ownerSwitchesSinceCheckpoint": { "N": "0" },
        "checkpoint": { "S": "SHARD_END" },
        "checkpointSubSequenceNumber": { "N": "0" },
        "pendingCheckpointState": { "N": "0" },
        "childShardIds": { "SS": ["shardId-000000000003", "shardId-000000000002"] },
        "throughputKBps": { "N": "0" },
    })
}

/// Of version 3.5: a child of a merge that nobody has read yet.
pub(crate) fn of_version_3_fresh() -> Value {
    json!({
        "leaseKey": { "S": "shardId-000000000004" },
        "entityType": { "S": "LEASE" },
        "leaseCounter": { "N": "0" },
        "ownerSwitchesSinceCheckpoint": { "N": "0" },
        "checkpoint": { "S": "TRIM_HORIZON" },
        "checkpointSubSequenceNumber": { "N": "0" },
        "parentShardId": { "SS": ["shardId-000000000003", "shardId-000000000002"] },
    })
}

/// The lock of the leader; in a table of its own its key is `key`.
pub(crate) fn leader(key: &str, beat: &str) -> Value {
    json!({
        key: { "S": "Leader" },
        "entityType": { "S": "LEADER" },
        "ownerName": { "S": "ip-10-0-1-2.example:old" },
        "leaseDuration": { "S": "120000" },
        "recordVersionNumber": { "S": beat },
    })
}

/// What version 3.5 keeps beside leases in the one table, and the rows of an application of several streams.
pub(crate) fn others() -> Vec<Value> {
    let history = json!({ "L": [{ "M": { "at": { "N": "1700000000" } } }] });
    vec![
        json!({
            "leaseKey": { "S": "Migration3.0" },
            "entityType": { "S": "CLIENT_VERSION_MIGRATION" },
            "cv": { "S": "CLIENT_VERSION_3X" },
            "mb": { "S": "ip-10-0-1-2.example:old" },
            "mts": { "N": "1700000000" },
            "h": history,
        }),
        json!({
            "leaseKey": { "S": "TableMigration3.5" },
            "entityType": { "S": "TABLE_MIGRATION" },
            "tm": { "S": "TABLE_MIGRATION_STATUS_COMPLETE" },
            "mb": { "S": "ip-10-0-1-2.example:old" },
            "mts": { "N": "1700000000" },
            "h": history,
        }),
        json!({
            "leaseKey": { "S": "123456789012:clicks:1700000000" },
            "entityType": { "S": "STREAM" },
            "streamId": { "S": "stream-id" },
        }),
        json!({
            "leaseKey": { "S": "ip-10-0-1-2.example:old" },
            "entityType": { "S": "WORKER_METRIC_STATS" },
            "lut": { "N": "1700000000" },
            "sts": { "M": { "C": { "L": [{ "N": "12.5" }, { "N": "-1" }] } } },
            "opr": { "M": { "C": { "L": [{ "N": "80" }] } } },
        }),
        of_several_streams(),
        json!({ "leaseKey": { "S": "Anything" }, "entityType": { "S": "OF_A_LATER_VERSION" } }),
    ]
}

pub(crate) fn of_several_streams() -> Value {
    json!({
        "leaseKey": { "S": "123456789012:clicks:1700000000:shardId-000000000000" },
        "streamName": { "S": "123456789012:clicks:1700000000" },
        "shardId": { "S": "shardId-000000000000" },
        "leaseCounter": { "N": "4" },
        "ownerSwitchesSinceCheckpoint": { "N": "0" },
        "checkpoint": { "S": "LATEST" },
        "checkpointSubSequenceNumber": { "N": "0" },
    })
}
