//! Records made to measure, and what becomes of them, in forms that a table of cases can hold.

pub(crate) mod samples;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bucket_state::{AccountLevel, Event, Parsed, Parser, ResourceId, ResourceState, Snapshot, account_of, project};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// 2026-03-01T00:01:00Z: a minute after the first event.
pub(crate) const ARRIVED_MS: i64 = 1_772_323_260_000;
/// The bucket that [`record`] is about.
pub(crate) const LEDGER: &str = "arn:aws:s3:::ledger";

/// A successful `call` about the bucket `ledger`, with these request parameters besides its name.
pub(crate) fn record(call: &str, parameters: Value) -> Value {
    let parameters = with(json!({"bucketName": "ledger", "Host": "ledger.s3.eu-west-1.amazonaws.com"}), parameters);
    json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ada"},
        "eventTime": "2026-03-01T00:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": call,
        "awsRegion": "eu-west-1",
        "requestParameters": parameters,
        "responseElements": null,
        "eventID": "event-1",
        "resources": [{"accountId": "111122223333", "type": "AWS::S3::Bucket", "ARN": LEDGER}],
        "recipientAccountId": "111122223333",
    })
}

/// `record` with these members instead of its own.
pub(crate) fn with(mut record: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("members are an object: {members}") };
    record.as_object_mut().expect("a record is an object").extend(members);
    record
}

/// `record` without these members.
pub(crate) fn without(mut record: Value, members: &[&str]) -> Value {
    let object = record.as_object_mut().expect("a record is an object");
    members.iter().for_each(|member| drop(object.remove(*member)));
    record
}

/// `record` as EventBridge wraps it.
pub(crate) fn envelope(record: &Value) -> Value {
    json!({
        "version": "0", "id": "envelope-1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.s3",
        "account": "111122223333", "time": "2026-03-01T00:00:00Z", "region": "eu-west-1", "resources": [],
        "detail": record,
    })
}

/// A subscription's message of CloudWatch Logs.
pub(crate) fn log_message(kind: &str, messages: &[&str]) -> Value {
    let event = |message: &&str| json!({"id": "1", "timestamp": ARRIVED_MS, "message": message});
    json!({
        "messageType": kind, "owner": "111122223333", "logGroup": "trail", "logStream": "trail-1",
        "subscriptionFilters": ["all"], "logEvents": messages.iter().map(event).collect::<Vec<_>>(),
    })
}

/// The dead letter of a record that arrived at this time.
pub(crate) fn dead_letter(data: &[u8], arrived_at: &str) -> Value {
    json!({
        "reason": "future_event", "message": "…", "stream": "trail", "shard": "shard-1", "sequenceNumber": "1",
        "subSequenceNumber": 0, "arrivedAt": arrived_at, "partitionKey": "ledger", "data": STANDARD.encode(data),
    })
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes every write")
}

/// `inside` in this many arrays.
pub(crate) fn nested(levels: usize, inside: &str) -> String {
    format!("{}{inside}{}", "[".repeat(levels), "]".repeat(levels))
}

/// What the parser makes of `bytes`, one line a record: `event CALL RESOURCE`, `ignored REASON [CALL]` or
/// `malformed REASON`.
pub(crate) fn outcomes(bytes: &[u8]) -> Vec<String> {
    outcomes_at(bytes, ARRIVED_MS)
}

/// The same for bytes that arrived at another time.
pub(crate) fn outcomes_at(bytes: &[u8], arrived_ms: i64) -> Vec<String> {
    outcomes_of(&mut Parser::default(), bytes, arrived_ms)
}

/// The same by another parser.
pub(crate) fn outcomes_of(parser: &mut Parser, bytes: &[u8], arrived_ms: i64) -> Vec<String> {
    let mut outcomes = Vec::new();
    parser.parse(bytes, arrived_ms, &mut |parsed| {
        outcomes.push(match parsed {
            Parsed::Event(event) => format!("event {} {}", event.name, event.resource),
            Parsed::Ignored { reason, call: Some(call) } => format!("ignored {} {call}", reason.as_str()),
            Parsed::Ignored { reason, call: None } => format!("ignored {}", reason.as_str()),
            Parsed::Malformed { reason, .. } => format!("malformed {}", reason.as_str()),
        });
    });
    outcomes
}

/// The records that were not understood: reason, message and bytes.
pub(crate) fn faults(bytes: &[u8]) -> Vec<(&'static str, String, Vec<u8>)> {
    let mut faults = Vec::new();
    Parser::default().parse(bytes, ARRIVED_MS, &mut |parsed| {
        if let Parsed::Malformed { reason, message, data } = parsed {
            faults.push((reason.as_str(), message, data.to_vec()));
        }
    });
    faults
}

/// The events in `bytes`, nothing else being there.
pub(crate) fn events(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    Parser::default().parse(bytes, ARRIVED_MS, &mut |parsed| match parsed {
        Parsed::Event(event) => events.push(event),
        other => panic!("not an event: {other:?}\n{}", String::from_utf8_lossy(bytes)),
    });
    events
}

/// The event that one record is.
pub(crate) fn event(record: &Value) -> Event {
    let [event] = <[Event; 1]>::try_from(events(record.to_string().as_bytes())).expect("one event");
    event
}

/// `call` that ended this many seconds after 2026-03-01T00:00:00Z; seconds with a fraction have milliseconds in
/// the record too. Its identity is the time, so two calls at one time need [`named`].
pub(crate) fn at(seconds: f64, call: &str, parameters: Value) -> Value {
    let (whole, rest) = (seconds.floor(), seconds.fract());
    let time = json!({"eventTime": format!("2026-03-01T00:00:{whole:02}Z"), "eventID": format!("event-{seconds}")});
    let record = with(record(call, parameters), time);
    let end_time = 1_772_323_200_000 + (seconds * 1_000.0).round() as i64;
    if rest > 0.0 { with(record, json!({"additionalEventData": {"endTime": end_time}})) } else { record }
}

/// `record` under another identity.
pub(crate) fn named(id: &str, record: Value) -> Value {
    with(record, json!({"eventID": id}))
}

/// What the graph shows of the bucket after `records`.
pub(crate) fn snapshot(records: &[Value]) -> Snapshot {
    snapshot_of(LEDGER, records)
}

/// What the graph shows of a resource after `records`: of a bucket, with what is set for its account.
pub(crate) fn snapshot_of(resource: &str, records: &[Value]) -> Snapshot {
    let id = ResourceId::from(resource);
    let projected = shown(&id, &events_of(records));
    let backwards: Vec<Event> = events_of(records).into_iter().rev().collect();
    assert_eq!(shown(&id, &backwards), projected, "the order of folding does not matter");
    projected
}

fn events_of(records: &[Value]) -> Vec<Event> {
    records.iter().map(event).collect()
}

fn shown(id: &ResourceId, events: &[Event]) -> Snapshot {
    let state = fold(id, events);
    let Some(owner) = account_of(id, &state) else { return project(id, &state, AccountLevel::Silent) };
    let is_told = events.iter().any(|event| event.resource == owner);
    let account = fold(&owner, events);
    project(id, &state, if is_told { AccountLevel::Told(&owner, &account) } else { AccountLevel::Silent })
}

fn fold(id: &ResourceId, events: &[Event]) -> ResourceState {
    let mut state = ResourceState::default();
    events.iter().filter(|event| event.resource == *id).for_each(|event| state.fold(event.clone()));
    state
}

/// The bucket's properties, without those that every bucket has.
pub(crate) fn properties(records: &[Value]) -> Value {
    let snapshot = snapshot(records);
    let bucket = snapshot.entities.into_iter().find(|entity| entity.key() == LEDGER).expect("the bucket exists");
    const FRAME: &[&str] = &[
        "_key",
        "_type",
        "_class",
        "name",
        "displayName",
        "bucketName",
        "arn",
        "accountId",
        "region",
        "webLink",
        "baseUrl",
        "createdOn",
        "createdBy",
        "updatedOn",
        "updatedBy",
    ];
    without(Value::Object(bucket.0), FRAME)
}

/// One member of the bucket's entity; null where it is absent.
pub(crate) fn property(records: &[Value], name: &str) -> Value {
    let snapshot = snapshot(records);
    let bucket = snapshot.entities.iter().find(|entity| entity.key() == LEDGER).expect("the bucket exists");
    bucket.0.get(name).cloned().unwrap_or_default()
}

/// The relationships of this type: `TO` and the properties that only they have.
pub(crate) fn edges(records: &[Value], kind: &str) -> Value {
    let snapshot = snapshot(records);
    let wanted = snapshot.relationships.iter().filter(|edge| edge.properties["_type"] == kind);
    let edge = |edge: &bucket_state::Relationship| {
        let to = edge.properties["_toEntityKey"].clone();
        let own: Value = edge.properties.clone().into();
        const FRAME: &[&str] = &["_key", "_type", "_class", "_fromEntityKey", "_toEntityKey", "displayName"];
        with(json!({"to": to}), without(own, FRAME))
    };
    wanted.map(edge).collect()
}
