//! How often each call is made, and together with which others.

use fastrand::Rng;

use super::call::*;

/// What a deployment sets on a new bucket.
pub(super) static DEPLOYED: &[&Call] = &[
    &VERSIONING,
    &ENCRYPTION,
    &BLOCK,
    &POLICY,
    &TAGGING,
    &LOGGING,
    &ACL,
    &OWNERSHIP,
    &LIFECYCLE,
    &CORS,
    &NOTIFICATION,
    &TAG,
];

/// What a deployment sets on some new buckets, for the purpose that they have.
pub(super) static SPECIAL: &[&Call] = &[
    &REPLICATION,
    &REPLICATION,
    &REPLICATION,
    &INVENTORY,
    &INVENTORY,
    &WEBSITE,
    &WEBSITE,
    &METRICS,
    &METRICS,
    &OBJECT_LOCK,
    &ANALYTICS,
    &TIERING,
    &REQUEST_PAYMENT,
    &ACCELERATION,
    &ABAC,
    &CREATE_POINT,
    &CREATE_POINT,
];

/// What happens to a bucket in its life, each with a weight.
static CHANGES: &[(u32, &Call)] = &[
    (26, &POLICY),
    (10, &PUBLIC_POLICY),
    (8, &POLICY_OFF),
    (20, &TAGGING),
    (4, &TAGGING_OFF),
    (19, &TAG),
    (12, &UNTAG),
    (13, &ENCRYPTION),
    (8, &ENCRYPTION_OFF),
    (8, &BLOCK),
    (8, &PARTIAL_BLOCK),
    (8, &BLOCK_OFF),
    (10, &LOGGING),
    (8, &LOGGING_OFF),
    (8, &VERSIONING),
    (8, &VERSIONING_OFF),
    (14, &ACL),
    (10, &LIFECYCLE),
    (4, &LIFECYCLE_OFF),
    (6, &CORS),
    (4, &CORS_OFF),
    (8, &NOTIFICATION),
    (6, &OWNERSHIP),
    (3, &OWNERSHIP_OFF),
    (5, &REPLICATION),
    (3, &REPLICATION_OFF),
    (3, &WEBSITE),
    (2, &WEBSITE_OFF),
    (2, &REQUEST_PAYMENT),
    (2, &ACCELERATION),
    (2, &OBJECT_LOCK),
    (4, &INVENTORY),
    (2, &INVENTORY_OFF),
    (2, &ANALYTICS),
    (2, &ANALYTICS_OFF),
    (3, &METRICS),
    (2, &METRICS_OFF),
    (2, &TIERING),
    (2, &TIERING_OFF),
    (1, &ABAC),
    (2, &ABAC_OFF),
];

/// Pairs that overwrite each other: within one second, their order may be lost.
pub(super) static RIVALS: &[[&Call; 2]] = &[
    [&POLICY, &POLICY_OFF],
    [&POLICY, &PUBLIC_POLICY],
    [&POLICY, &POLICY],
    [&TAGGING, &TAGGING],
    [&TAGGING, &TAG],
    [&TAG, &UNTAG],
    [&TAG, &TAG],
    [&ENCRYPTION, &ENCRYPTION_OFF],
    [&BLOCK, &BLOCK_OFF],
    [&BLOCK, &PARTIAL_BLOCK],
    [&VERSIONING, &VERSIONING_OFF],
    [&LOGGING, &LOGGING_OFF],
    [&ACL, &ACL],
    [&LIFECYCLE, &LIFECYCLE_OFF],
    [&NOTIFICATION, &NOTIFICATION],
    [&CORS, &CORS_OFF],
    [&OWNERSHIP, &OWNERSHIP_OFF],
    [&REPLICATION, &REPLICATION],
    [&INVENTORY, &INVENTORY_OFF],
    [&ABAC, &ABAC_OFF],
    [&ACCOUNT_BLOCK, &ACCOUNT_BLOCK_OFF],
];

/// What happens to the settings of an account.
pub(super) static ACCOUNT_CHANGES: &[&Call] = &[&ACCOUNT_BLOCK, &PARTIAL_ACCOUNT_BLOCK, &ACCOUNT_BLOCK_OFF];

/// How an access point begins.
pub(super) static POINT_CREATIONS: &[&[&Call]] =
    &[&[&CREATE_POINT], &[&CREATE_POINT, &POINT_POLICY], &[&CREATE_POINT, &OPEN_POINT_POLICY]];

/// What happens to an access point that there is.
pub(super) static POINT_CHANGES: &[&[&Call]] = &[
    &[&POINT_POLICY],
    &[&OPEN_POINT_POLICY],
    &[&POINT_POLICY_OFF],
    &[&OPEN_POINT_POLICY, &POINT_POLICY_OFF],
    &[&POINT_POLICY, &POINT_POLICY_OFF],
    &[&DELETE_POINT],
    &[&DELETE_POINT, &CREATE_POINT, &POINT_POLICY],
];

/// One of the changes of a bucket, by weight.
pub(super) fn any_change(rng: &mut Rng) -> &'static Call {
    let mut drawn = rng.u32(..CHANGES.iter().map(|(weight, _)| weight).sum::<u32>());
    for (weight, call) in CHANGES {
        match drawn.checked_sub(*weight) {
            Some(rest) => drawn = rest,
            None => return call,
        }
    }
    &POLICY
}
