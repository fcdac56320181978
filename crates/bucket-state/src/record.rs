//! One CloudTrail record: judged, and turned into an event.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::body::{self, Body};
use crate::catalogue::{self, ACL_KEYS, Call, Effect, Facet};
use crate::event::{Change, Event, Owner, TagChange};
use crate::parsed::{Ignored, Malformed, Parsed, RECORD_BYTES_MAX, too_large};
use crate::register::{Setting, Unknown};
use crate::resource::ResourceId;
use crate::stamp::{Origin, Stamp};

/// An event further than this in the future of its arrival would win over every later one: it is refused.
pub const CLOCK_AHEAD_MAX_MS: i64 = 5 * 60 * 1_000;

/// A body larger than this makes its facet unknown. CloudTrail itself cuts request parameters at 100 KB.
const BODY_BYTES_MAX: usize = 128 << 10;
/// Deeper bodies are refused: no real one comes near, and reading one must not exhaust the stack.
const BODY_DEPTH_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    #[serde(borrow, default)]
    event_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow, rename = "sharedEventID", default)]
    shared_event_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    aws_region: Cow<'a, str>,
    #[serde(borrow, default)]
    recipient_account_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_parameters: Option<Parameters<'a>>,
    #[serde(default)]
    additional_event_data: Option<AdditionalData>,
    #[serde(borrow, default)]
    resources: Option<Vec<Resource<'a>>>,
    #[serde(borrow, default)]
    user_identity: Option<UserIdentity<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'a> {
    #[serde(borrow, default)]
    arn: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    invoked_by: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    principal_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "ARN", alias = "arn", default)]
    arn: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "accountId", default)]
    account_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData {
    #[serde(default)]
    end_time: Option<Value>,
}

/// The request parameters: keys with the text of their values.
struct Parameters<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Parameters<'a> {
    /// The text of a value that is present and not null.
    fn get(&self, key: &str) -> Option<&'a str> {
        let text = self.0.iter().find(|(known, _)| known == key)?.1.get();
        (text != "null").then_some(text)
    }

    fn value(&self, key: &str) -> Value {
        self.get(key).and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parameters<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    pairs.push((key, value));
                }
                Ok(pairs)
            }
        }
        deserializer.deserialize_map(Pairs).map(Self)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Judges one record. `json` is the record's own text.
pub(crate) fn read(json: &str, arrived_ms: i64) -> Parsed<'_> {
    let malformed = |reason, message: String| Parsed::Malformed { reason, message, data: json.as_bytes() };
    if json.len() > RECORD_BYTES_MAX {
        return too_large(json.as_bytes(), RECORD_BYTES_MAX);
    }
    let head: Head<'_> = match serde_json::from_str(json) {
        Ok(head) => head,
        Err(error) if error.is_data() => return malformed(Malformed::UnexpectedShape, error.to_string()),
        // A log line of its own text may be cut.
        Err(error) => return malformed(Malformed::NotJson, error.to_string()),
    };
    if head.event_source != "s3.amazonaws.com" {
        return Parsed::Ignored { reason: Ignored::OtherService, call: None };
    }
    let Some(call) = catalogue::find(&head.event_name) else {
        return Parsed::Ignored { reason: Ignored::OtherCall, call: None };
    };
    if head.error_code.is_some_and(|code| !code.is_empty()) {
        return Parsed::Ignored { reason: Ignored::FailedCall, call: Some(call.name) };
    }
    let record: Record<'_> = match serde_json::from_str(json) {
        Ok(record) => record,
        Err(error) => return malformed(Malformed::UnexpectedShape, error.to_string()),
    };
    match record.event(call, arrived_ms) {
        Ok(event) => Parsed::Event(event),
        Err(Refused::Ignored(reason)) => Parsed::Ignored { reason, call: Some(call.name) },
        Err(Refused::Malformed(reason, message)) => malformed(reason, message),
    }
}

enum Refused {
    Ignored(Ignored),
    Malformed(Malformed, String),
}

impl Record<'_> {
    fn event(&self, call: &'static Call, arrived_ms: i64) -> Result<Event, Refused> {
        let stamp = self.stamp(arrived_ms)?;
        let none = Parameters(Vec::new());
        let parameters = self.request_parameters.as_ref().unwrap_or(&none);
        let region = match body::filled(&parameters.value("CreateBucketConfiguration")["LocationConstraint"]).as_deref()
        {
            Some("EU") => "eu-west-1".into(),
            Some(constraint) => constraint.into(),
            None => Box::from(self.aws_region.as_ref()),
        };
        let resource = self.bucket(call, parameters, &region)?;
        let change = change(call, parameters, &region)?;
        let user = self.user_identity.as_ref();
        let actor =
            user.and_then(|user| [&user.arn, &user.invoked_by, &user.principal_id].into_iter().flatten().next());
        let origin =
            Origin { stamp, actor: actor.map(|actor| actor.as_ref().into()), event_id: self.event_id.as_ref().into() };
        Ok(Event {
            owner: self.owner(call, &resource),
            resource,
            name: call.name,
            origin: Arc::new(origin),
            region,
            recipient: self.recipient_account_id.as_deref().unwrap_or_default().into(),
            change,
        })
    }

    fn stamp(&self, arrived_ms: i64) -> Result<Stamp, Refused> {
        let refuse = |reason, message| Err(Refused::Malformed(reason, message));
        if let Some(version) = self.event_version.as_deref().filter(|version| !version.starts_with("1.")) {
            return refuse(Malformed::UnsupportedVersion, format!("eventVersion {version:?} is not 1.x"));
        }
        let identity = self.shared_event_id.as_deref().filter(|id| !id.is_empty()).unwrap_or(&self.event_id);
        if identity.is_empty() {
            return refuse(Malformed::UnexpectedShape, "eventID is empty".into());
        }
        let Ok(time) = OffsetDateTime::parse(&self.event_time, &Rfc3339) else {
            return refuse(Malformed::BadTime, format!("eventTime {:?} is not an RFC 3339 time", self.event_time));
        };
        let second = time.unix_timestamp();
        if second * 1_000 > arrived_ms + CLOCK_AHEAD_MAX_MS {
            let message = format!("eventTime {} is more than 5 minutes after its arrival", self.event_time);
            return refuse(Malformed::FutureEvent, message);
        }
        let end_time = self.additional_event_data.as_ref().and_then(|data| data.end_time.as_ref());
        let millis = end_time.and_then(body::text).and_then(|text| text.parse().ok());
        Ok(Stamp { second, millis, identity: identity.into() })
    }

    /// The bucket, by name where the request names it, else by ARN. Never by Host, which may be path-style.
    fn bucket(&self, call: &Call, parameters: &Parameters<'_>, region: &str) -> Result<ResourceId, Refused> {
        let tagged = body::filled(&parameters.value("resource"));
        let tags_single = matches!(call.effect, Effect::TagResource | Effect::UntagResource);
        if tags_single && tagged.as_ref().is_some_and(|arn| !arn.contains(":s3:::")) {
            return Err(Refused::Ignored(Ignored::OtherResource));
        }
        if let Some(named) = self.named_bucket() {
            return Ok(ResourceId::from(named));
        }
        match body::filled(&parameters.value("bucketName")) {
            Some(name) => Ok(ResourceId::bucket(region, &name)),
            None => match tagged.filter(|_| tags_single) {
                Some(arn) => Ok(ResourceId::from(arn.as_str())),
                None => Err(Refused::Malformed(Malformed::NoBucket, format!("{} names no bucket", call.name))),
            },
        }
    }

    fn bucket_resource(&self) -> Option<&Resource<'_>> {
        self.resources.iter().flatten().find(|resource| resource.kind.as_deref() == Some("AWS::S3::Bucket"))
    }

    fn named_bucket(&self) -> Option<&str> {
        self.bucket_resource()?
            .arn
            .as_deref()
            .filter(|arn| arn.split(":s3:::").nth(1).is_some_and(|name| !name.is_empty()))
    }

    /// The owning account. A record without resources was delivered to the owner, unless it may be the caller's
    /// copy of a cross-account call; creating makes the caller the owner.
    fn owner(&self, call: &Call, _resource: &ResourceId) -> Option<Owner> {
        if let Some(resource) = self.bucket_resource() {
            let account = resource.account_id.as_deref().filter(|account| is_account(account))?;
            return Some(Owner { named: true, account: account.into() });
        }
        if self.shared_event_id.is_some() && call.effect != Effect::CreateBucket {
            return None;
        }
        let account = self.recipient_account_id.as_deref().filter(|account| is_account(account))?;
        Some(Owner { named: false, account: account.into() })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn change(call: &Call, parameters: &Parameters<'_>, region: &str) -> Result<Change, Refused> {
    Ok(match call.effect {
        Effect::DeleteBucket => Change::Delete,
        Effect::CreateBucket => {
            let acl = match recorded(parameters, ACL_KEYS)? {
                // Whoever names no ACL gets a private one.
                Setting::Unknown(Unknown::NotRecorded) => {
                    Setting::Set(Body::from_parts([("x-amz-acl", "\"private\"")]))
                }
                told => told,
            };
            Change::Create { acl, proves_new: region != "us-east-1" }
        }
        Effect::Put(facet, keys) => Change::Write(facet, recorded(parameters, keys)?),
        Effect::Delete(facet) => Change::Write(facet, Setting::Cleared),
        Effect::TagResource => {
            let tags = parameters.value("TagResourceRequest");
            tag_changes(parameters, body::items(&tags["Tags"]["Tag"]), |tag| {
                let value = body::text(&tag["Value"]).unwrap_or_else(|| "null".into());
                Some(TagChange { key: body::text(&tag["Key"])?.into(), value: Some(value.into()) })
            })
        }
        Effect::UntagResource => tag_changes(parameters, body::items(&parameters.value("tagKeys")), |key| {
            Some(TagChange { key: body::text(key)?.into(), value: None })
        }),
    })
}

/// The body under the first level of `keys`: unknown where CloudTrail left it out.
fn recorded(parameters: &Parameters<'_>, keys: &'static [&'static str]) -> Result<Setting, Refused> {
    let present = || keys.iter().filter_map(|key| Some((*key, parameters.get(key)?)));
    if parameters.get("omitted") == Some("true") {
        return Ok(Setting::Unknown(Unknown::Omitted));
    }
    if present().next().is_none() {
        return Ok(Setting::Unknown(Unknown::NotRecorded));
    }
    let body = Body::from_parts(present());
    if body.len() > BODY_BYTES_MAX {
        return Ok(Setting::Unknown(Unknown::TooLarge));
    }
    if present().any(|(_, json)| depth(json) > BODY_DEPTH_MAX) {
        let message = format!("{keys:?} is nested more than {BODY_DEPTH_MAX} levels deep");
        return Err(Refused::Malformed(Malformed::TooDeep, message));
    }
    Ok(Setting::Set(body))
}

/// Single tags; where the record does not tell which, the whole set is unknown.
fn tag_changes(parameters: &Parameters<'_>, nodes: &[Value], read: impl Fn(&Value) -> Option<TagChange>) -> Change {
    let unknown = |reason| Change::Write(Facet::Tags, Setting::Unknown(reason));
    if parameters.get("omitted") == Some("true") {
        return unknown(Unknown::Omitted);
    }
    match nodes.iter().map(read).collect::<Option<Vec<_>>>() {
        Some(tags) if !tags.is_empty() => Change::Tags(tags),
        _ => unknown(Unknown::NotRecorded),
    }
}

/// How deeply valid JSON is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
