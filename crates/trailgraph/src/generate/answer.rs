//! What S3 answers to a call, and what the call leaves: only as much as later answers depend on.

use super::call::{
    ABAC, ABAC_OFF, CREATE, CREATE_POINT, Call, DELETE, DELETE_POINT, OBJECT_LOCK, REPLICATION, REPLICATION_OFF,
    TAGGING, TAGGING_OFF, VERSIONING, VERSIONING_OFF,
};
use super::subject::Target;
use super::world::Bucket;

/// `errorCode` and `errorMessage`.
#[derive(Clone, Copy)]
pub(super) struct Failure(pub(super) &'static str, pub(super) &'static str);

pub(super) const ACCESS_DENIED: Failure = Failure("AccessDenied", "Access Denied");
pub(super) const NO_SUCH_BUCKET: Failure = Failure("NoSuchBucket", "The specified bucket does not exist");
pub(super) const NOT_EMPTY: Failure = Failure("BucketNotEmpty", "The bucket you tried to delete is not empty");
pub(super) const MALFORMED_POLICY: Failure = Failure("MalformedPolicy", "Invalid principal in policy");
pub(super) const ALREADY_OWNED: Failure =
    Failure("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you own it.");
pub(super) const CONFLICT: Failure = Failure(
    "OperationAborted",
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
);
const HAS_ACCESS_POINTS: Failure =
    Failure("BucketHasAccessPointsAttached", "The bucket you tried to delete has access points attached.");
const NO_SUCH_ACCESS_POINT: Failure = Failure("NoSuchAccessPoint", "The specified accesspoint does not exist");
const POINT_ALREADY_OWNED: Failure =
    Failure("AccessPointAlreadyOwnedByYou", "Your previous request to create the named accesspoint succeeded.");
const TAGS_BY_RESOURCE: Failure =
    Failure("BadRequest", "Bucket tags are changed by TagResource and UntagResource while ABAC is enabled.");
const LOCKED: Failure =
    Failure("InvalidBucketState", "An Object Lock configuration is present, so versioning cannot be suspended.");
const REPLICATED: Failure =
    Failure("InvalidBucketState", "A replication configuration is present, so versioning cannot be suspended.");
const NOT_VERSIONED: Failure =
    Failure("InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply this configuration");

/// Why S3 refuses the call, the bucket being as it is.
pub(super) fn refusal(call: &Call, bucket: &Bucket, point: u8) -> Option<Failure> {
    let changes_point = call.target == Target::AccessPoint && !call.is(&CREATE_POINT);
    let Some(life) = bucket.life else {
        return match call.target {
            Target::Account => None,
            _ if call.is(&CREATE) => None,
            _ if changes_point => Some(NO_SUCH_ACCESS_POINT),
            _ => Some(NO_SUCH_BUCKET),
        };
    };
    if changes_point {
        return (!life.has(point)).then_some(NO_SUCH_ACCESS_POINT);
    }
    let rules = [
        // Creating one's own bucket again succeeds in us-east-1 only.
        (&CREATE, bucket.region() != "us-east-1", ALREADY_OWNED),
        (&DELETE, life.points != 0, HAS_ACCESS_POINTS),
        (&CREATE_POINT, life.has(point), POINT_ALREADY_OWNED),
        (&TAGGING, life.abac, TAGS_BY_RESOURCE),
        (&TAGGING_OFF, life.abac, TAGS_BY_RESOURCE),
        (&VERSIONING_OFF, life.locked, LOCKED),
        (&VERSIONING_OFF, life.replicates, REPLICATED),
        (&OBJECT_LOCK, life.suspended, NOT_VERSIONED),
        (&REPLICATION, life.suspended, NOT_VERSIONED),
    ];
    rules.into_iter().find(|(of, holds, _)| *holds && call.is(of)).map(|(.., failure)| failure)
}

/// Remembers a call that was not refused.
pub(super) fn accept(call: &Call, bucket: &mut Bucket, point: u8) {
    if call.is(&DELETE) {
        bucket.life = None;
    } else if call.is(&CREATE) {
        bucket.life.get_or_insert_default();
    }
    let Some(life) = &mut bucket.life else { return };
    if call.is(&CREATE_POINT) || call.is(&DELETE_POINT) {
        life.points ^= 1 << point;
    }
    let switches = [
        (&mut life.suspended, &VERSIONING_OFF, &VERSIONING),
        (&mut life.abac, &ABAC, &ABAC_OFF),
        (&mut life.replicates, &REPLICATION, &REPLICATION_OFF),
    ];
    for (switch, on, off) in switches {
        *switch = (*switch || call.is(on)) && !call.is(off);
    }
    // An object lock cannot be taken back.
    life.locked |= call.is(&OBJECT_LOCK);
}
