//! Reading: which events count, and what each says of itself.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::calls::Call;
use super::resource::{self, Kind};

/// When a change happened, as far as its record tells, and which change it was. Ordered as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) second: i64,
    pub(super) ms: Option<i64>,
    pub(super) identity: String,
}

/// A successful call that changes a bucket, an account or an access point.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: &'static str,
    call: &'static Call,
    pub(super) kind: Kind,
    /// The ARN of what it changes.
    pub(super) key: String,
    pub(super) stamp: Stamp,
    pub(super) actor: Option<String>,
    /// The identity of this record of the change: a call across accounts has two.
    pub(super) id: String,
    pub(super) region: String,
    /// The owner, and whether the record names it as such.
    pub(super) owner: Option<(bool, String)>,
    /// Whether the record holds what the call asked for.
    pub(super) recorded: bool,
    pub(super) parameters: Value,
}

impl Event {
    /// The event, if it is one of S3, supported and successful.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let mut envelope: Value = serde_json::from_slice(line).ok()?;
        let mut record = if envelope["detail"].is_object() { envelope["detail"].take() } else { envelope };
        if record["eventSource"] != "s3.amazonaws.com" || !record["errorCode"].as_str().unwrap_or_default().is_empty() {
            return None;
        }
        let call = Call::named(record["eventName"].as_str()?)?;
        let parameters = record["requestParameters"].take();
        let region = region(call, &parameters, &record);
        let kind = Kind::changed_by(call.name);
        let time = OffsetDateTime::parse(record["eventTime"].as_str()?, &Rfc3339).ok()?;
        // Both records of one change must have one stamp, and only one of them may tell this.
        let shared = record["sharedEventID"].as_str().is_some_and(|shared| !shared.is_empty());
        let end = if shared { &Value::Null } else { &record["additionalEventData"]["endTime"] };
        let stamp = Stamp {
            second: time.unix_timestamp(),
            ms: end.as_i64().or_else(|| end.as_str()?.parse().ok()),
            identity: record["sharedEventID"].as_str().or(record["eventID"].as_str())?.to_owned(),
        };
        let who = &record["userIdentity"];
        let actor = ["arn", "invokedBy", "principalId"].iter().find_map(|key| who[*key].as_str()).map(str::to_owned);
        Some(Self {
            name: call.name,
            call,
            kind,
            key: kind.key(&record, &parameters, &region)?,
            stamp,
            actor,
            id: record["eventID"].as_str()?.to_owned(),
            region,
            owner: resource::owner(call.name, &record),
            recorded: call.is_recorded(&parameters),
            parameters,
        })
    }

    /// What the call asked for; null where it needs nothing, or nothing was recorded.
    pub(super) fn body(&self) -> &Value {
        self.call.body(&self.parameters)
    }

    /// Whether the call ends what it names.
    pub(super) fn ends_a_life(&self) -> bool {
        ["DeleteBucket", "DeleteAccessPoint"].contains(&self.name)
    }

    /// Whether the call makes something that certainly was not there before. Creating one's own bucket again fails
    /// elsewhere than in us-east-1; creating an access point again always does.
    pub(super) fn proves_new(&self) -> bool {
        self.name == "CreateAccessPoint" || (self.name == "CreateBucket" && self.region != "us-east-1")
    }
}

fn region(call: &Call, parameters: &Value, record: &Value) -> String {
    let constraint = match call.name {
        "CreateBucket" => text(&call.body(parameters)["LocationConstraint"]),
        _ => None,
    };
    match constraint.as_deref() {
        Some("EU") => "eu-west-1".to_owned(),
        Some(constraint) if !constraint.is_empty() => constraint.to_owned(),
        _ => record["awsRegion"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The text of an element: numbers and booleans were text once, and old records have lists of one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(values) => values.first().and_then(text),
        _ => None,
    }
}

/// The elements of a name: none, one or an array of them.
pub(super) fn elements(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

/// The texts of the elements of a name.
pub(super) fn texts(value: &Value) -> Vec<String> {
    elements(value).into_iter().filter_map(text).collect()
}
