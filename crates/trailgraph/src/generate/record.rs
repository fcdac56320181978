//! EventBridge envelopes around CloudTrail records.

use fastrand::Rng;

use super::Generated;
use super::actor::Actor;
use super::answer::Failure;
use super::call::{CREATE, Call};
use super::subject::{Subject, Target};
use super::text::{HostId, RequestId, Second, Uuid, put};
use super::world::{ACCOUNTS, Account, percent};

/// A call that was made, and what came of it.
pub(super) struct Done {
    pub(super) call: &'static Call,
    pub(super) subject: Subject,
    pub(super) actor: Actor,
    /// The account that called: another one than the owner's now and then.
    pub(super) caller: &'static Account,
    pub(super) error: Option<Failure>,
    pub(super) end_ms: i64,
    pub(super) version: Version,
    /// The `requestParameters`.
    pub(super) parameters: Vec<u8>,
}

/// The forms of records, by their `eventVersion`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Lists for the host, the query and the headers; no resources, no category.
    Older,
    /// The end of the call is told in seconds only.
    Seconds,
    /// The end of the call is told in milliseconds, too.
    Milliseconds,
}

impl Version {
    fn number(self) -> &'static str {
        match self {
            Self::Older => "1.05",
            Self::Seconds => "1.08",
            Self::Milliseconds => "1.11",
        }
    }
}

/// Whose copy of the record: a call between accounts leaves one in each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Only,
    Owner,
    Caller,
}

/// What both copies of a call share.
pub(super) struct Ids {
    request: RequestId,
    shared: Uuid,
    host: HostId,
}

impl Ids {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self { request: RequestId::draw(rng), shared: Uuid::draw(rng), host: HostId::draw(rng) }
    }
}

impl Done {
    pub(super) fn is_cross_account(&self) -> bool {
        self.caller.id != self.subject.account().id
    }

    /// The `eventTime`: taken a little after the end, so that one record in a hundred tells the next second.
    fn second(&self) -> Second {
        Second((self.end_ms + 8).div_euclid(1_000))
    }
}

/// The event of a call, as one side receives it.
pub(super) fn write(done: &Done, side: Side, ids: &Ids, rng: &mut Rng) -> Generated {
    let Done { subject, actor, caller, end_ms, version, .. } = done;
    let recipient = if side == Side::Caller { caller } else { subject.account() };
    let (second, region) = (done.second(), subject.bucket.region());
    let mut body = Vec::with_capacity(2_560);
    let text = &mut body;
    open_envelope(text, "aws.s3", recipient.id, second, region, rng);
    put!(text, r#"{"eventVersion":""#, version.number(), r#"","userIdentity":"#);
    if side == Side::Owner {
        actor.put_foreign_identity(text, caller);
    } else {
        actor.put_identity(text, caller, second.0);
    }
    put!(text, r#","eventTime":""#, second, r#"","eventSource":"s3.amazonaws.com","eventName":""#, done.call.name);
    put!(text, r#"","awsRegion":""#, region, r#"","sourceIPAddress":""#);
    actor.put_source_address(text, rng);
    put!(text, r#"","userAgent":""#, actor.user_agent());
    if let Some(Failure(code, message)) = done.error {
        put!(text, r#"","errorCode":""#, code, r#"","errorMessage":""#, message);
    }
    put!(text, r#"","requestParameters":"#, done.parameters.as_slice());
    put!(text, r#","responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":""#);
    put!(text, CIPHER, r#"","bytesTransferredIn":"#, done.parameters.len() as u64);
    put!(text, r#","AuthenticationMethod":"AuthHeader","x-amz-id-2":""#, ids.host, r#"","bytesTransferredOut":"#);
    put!(text, if done.error.is_some() { 243_u64 } else { 0 });
    if subject.target == Target::AccessPoint {
        put!(text, r#","accessPointName":""#, subject.point_name(), r#"""#);
    }
    if *version == Version::Milliseconds {
        let (end, took) = (end_ms.unsigned_abs(), 20 + end_digits(*end_ms));
        put!(text, r#","startTime":"#, end - took, r#","endTime":"#, end, r#","turnAroundTime":"#, took);
    }
    put!(text, r#"},"requestID":""#, ids.request, r#"","eventID":""#, Uuid::draw(rng), r#"","eventType":"AwsApiCall""#);
    put!(text, r#","recipientAccountId":""#, recipient.id, r#"""#);
    if side != Side::Only {
        put!(text, r#","sharedEventID":""#, ids.shared, r#"""#);
    }
    if *version != Version::Older {
        put_resources(text, done, side);
        put!(text, r#","readOnly":false,"managementEvent":true,"eventCategory":"Management","tlsDetails":{"#);
        put!(text, r#""tlsVersion":"TLSv1.3","cipherSuite":""#, CIPHER, r#"","clientProvidedHostHeader":""#);
        subject.put_host(text, false, done.call.is_control());
        put!(text, r#""}"#);
    }
    put!(text, "}}");
    let partition_key = if subject.target == Target::Bucket { subject.name.clone() } else { recipient.id.to_owned() };
    Generated { partition_key, body, event_time_ms: second.0 * 1_000 }
}

pub(super) const CIPHER: &str = "TLS_AES_128_GCM_SHA256";

/// Writes the envelope up to its detail; `}` closes it.
pub(super) fn open_envelope(
    text: &mut Vec<u8>,
    source: &str,
    account: &str,
    second: Second,
    region: &str,
    rng: &mut Rng,
) {
    put!(text, r#"{"version":"0","id":""#, Uuid::draw(rng), r#"","detail-type":"AWS API Call via CloudTrail","#);
    put!(text, r#""source":""#, source, r#"","account":""#, account, r#"","time":""#, second);
    put!(text, r#"","region":""#, region, r#"","resources":[],"detail":"#);
}

/// The control plane names no resource, nor does a creation or a call on a bucket that is not there. The caller's copy
/// hides the owner.
fn put_resources(text: &mut Vec<u8>, done: &Done, side: Side) {
    let is_missing = done.error.is_some_and(|Failure(code, _)| code == "NoSuchBucket");
    if done.subject.target != Target::Bucket || done.call.is(&CREATE) || is_missing {
        return;
    }
    let owner = done.subject.account();
    let told = if side == Side::Caller { "HIDDEN_DUE_TO_SECURITY_REASONS" } else { owner.id };
    put!(text, r#","resources":[{"type":"AWS::S3::Bucket","ARN":"arn:"#, owner.partition, ":s3:::", done.subject.name);
    put!(text, r#"","accountId":""#, told, r#""}]"#);
}

/// A time that differs from call to call, drawn from the call: both copies tell the same.
fn end_digits(end_ms: i64) -> u64 {
    end_ms.unsigned_abs() * 7 % 97
}

/// The account of a caller who visits: not the owner's, of the same partition.
pub(super) fn visitor_of(owner: &Account, rng: &mut Rng) -> Option<&'static Account> {
    let others = || ACCOUNTS.iter().filter(|other| other.id != owner.id && other.partition == owner.partition);
    match others().count() {
        0 => None,
        count => percent(6, rng).then(|| others().nth(rng.usize(..count))).flatten(),
    }
}
