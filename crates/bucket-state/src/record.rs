//! One CloudTrail record: judged, and turned into an event.

mod rest;
mod whom;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::catalogue::{self, Call};
use crate::change;
use crate::envelope::Sender;
use crate::event::Event;
use crate::head;
use crate::parameters::{self, Parameters};
use crate::parsed::{Ignored, Malformed, Parsed, RECORD_BYTES_MAX, too_large};
use crate::stamp::{Origin, Stamp};
use crate::text::Text;
use crate::texts::Texts;

pub(crate) use rest::judge_rest;

/// An event further than this in the future of its arrival would win over every later one: it is refused.
const CLOCK_AHEAD_MAX_MS: i64 = 5 * 60 * 1_000;

/// What a state keeps of a record is bounded, so that a state is. Real identities are UUIDs of 36 bytes, the
/// longest Region's name has 14, and an ARN of IAM has less than 700.
const IDENTITY_BYTES_MAX: usize = 128;
const REGION_BYTES_MAX: usize = 64;
const ACTOR_BYTES_MAX: usize = 2_048;
/// How much of a text that is not what it should be is shown.
const SHOWN_CHARS_MAX: usize = 80;

/// What tells whether a record counts; the rest of one that does not may have any shape.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Option<Text<'a>>,
}

/// Everything that is read of a record.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record<'a> {
    #[serde(borrow)]
    event_source: Cow<'a, str>,
    #[serde(borrow)]
    event_name: Cow<'a, str>,
    #[serde(borrow, default)]
    error_code: Option<Text<'a>>,
    #[serde(borrow, default)]
    event_version: Option<Text<'a>>,
    #[serde(borrow)]
    event_time: Cow<'a, str>,
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow, rename = "sharedEventID", default)]
    shared_event_id: Option<Text<'a>>,
    #[serde(borrow)]
    aws_region: Cow<'a, str>,
    #[serde(borrow, default)]
    recipient_account_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    request_parameters: Option<Parameters<'a>>,
    #[serde(borrow, default)]
    additional_event_data: Option<AdditionalData<'a>>,
    #[serde(borrow, default)]
    resources: Option<&'a RawValue>,
    #[serde(borrow, default)]
    user_identity: Option<UserIdentity<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserIdentity<'a> {
    #[serde(borrow, default)]
    arn: Option<Text<'a>>,
    #[serde(borrow, default)]
    invoked_by: Option<Text<'a>>,
    #[serde(borrow, default)]
    principal_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    account_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdditionalData<'a> {
    #[serde(borrow, default)]
    end_time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    access_point_name: Option<&'a RawValue>,
}

/// Judges one record, that `sender` sent where it came in an envelope. `json` is the record's own text.
pub(crate) fn read<'a>(json: &'a str, sender: Option<&Sender<'_>>, texts: &mut Texts, arrived_ms: i64) -> Parsed<'a> {
    let malformed = |reason, message: String| Parsed::Malformed { reason, message, data: json.as_bytes() };
    if json.len() > RECORD_BYTES_MAX {
        return too_large(json.as_bytes(), RECORD_BYTES_MAX);
    }
    if let Some(noise) = head::noise(json.as_bytes()) {
        return noise;
    }
    let head: Head<'_> = match serde_json::from_str(json) {
        Ok(head) => head,
        Err(error) if error.is_data() => return malformed(Malformed::UnexpectedShape, error.to_string()),
        // A log line of its own text may be cut.
        Err(error) => return malformed(Malformed::NotJson, error.to_string()),
    };
    let call = match call(&head.event_source, &head.event_name, head.error_code.as_ref()) {
        Ok(call) => call,
        Err((reason, call)) => return Parsed::Ignored { reason, call },
    };
    let record: Record<'_> = match serde_json::from_str(json) {
        Ok(record) => record,
        Err(error) => return malformed(Malformed::UnexpectedShape, error.to_string()),
    };
    match record.event(call, sender, texts, arrived_ms) {
        Ok(event) => Parsed::Event(event),
        Err(Refused::Ignored(reason)) => Parsed::Ignored { reason, call: Some(call.name) },
        Err(Refused::Malformed(reason, message)) => malformed(reason, message),
    }
}

/// Judges a record that was read already; nothing where it is malformed, which takes the record's text to report.
pub(crate) fn judge(
    record: &Record<'_>,
    sender: &Sender<'_>,
    texts: &mut Texts,
    arrived_ms: i64,
) -> Option<Parsed<'static>> {
    let call = match call(&record.event_source, &record.event_name, record.error_code.as_ref()) {
        Ok(call) => call,
        Err((reason, call)) => return Some(Parsed::Ignored { reason, call }),
    };
    match record.event(call, Some(sender), texts, arrived_ms) {
        Ok(event) => Some(Parsed::Event(event)),
        Err(Refused::Ignored(reason)) => Some(Parsed::Ignored { reason, call: Some(call.name) }),
        Err(Refused::Malformed(..)) => None,
    }
}

/// The call, if it is one that counts; else why not, and the call if it is known.
fn call(
    source: &str,
    name: &str,
    error_code: Option<&Text<'_>>,
) -> Result<&'static Call, (Ignored, Option<&'static str>)> {
    let call = known(source.as_bytes(), name.as_bytes()).map_err(|reason| (reason, None))?;
    if error_code.is_some_and(|code| !code.is_empty()) {
        return Err((Ignored::FailedCall, Some(call.name)));
    }
    Ok(call)
}

/// The call, if it is one that is folded; else why not.
pub(crate) fn known(source: &[u8], name: &[u8]) -> Result<&'static Call, Ignored> {
    if source != b"s3.amazonaws.com" {
        return Err(Ignored::OtherService);
    }
    catalogue::find(name).ok_or(Ignored::OtherCall)
}

enum Refused {
    Ignored(Ignored),
    Malformed(Malformed, String),
}

impl From<parameters::TooDeep> for Refused {
    fn from(fault: parameters::TooDeep) -> Self {
        Self::Malformed(Malformed::TooDeep, fault.to_string())
    }
}

impl Record<'_> {
    fn event(
        &self,
        call: &'static Call,
        sender: Option<&Sender<'_>>,
        texts: &mut Texts,
        arrived_ms: i64,
    ) -> Result<Event, Refused> {
        let recipient = self.recipient_account_id.as_deref().unwrap_or_default();
        if let Some(fault) = sender.and_then(|sender| sender.contradicts(recipient, &self.aws_region)) {
            return Err(Refused::Malformed(Malformed::Forged, fault));
        }
        let stamp = self.stamp(arrived_ms)?;
        let none = Parameters::default();
        let parameters = self.request_parameters.as_ref().unwrap_or(&none);
        let region = self.region(call, parameters, texts)?;
        let (resource, owner) = self.whom(call, parameters, &region, texts)?;
        let change = change::read(call, parameters, &region)?;
        let origin = Origin {
            stamp,
            actor: self.actor()?.map(|actor| texts.share(actor)),
            event_id: self.event_id.as_ref().into(),
        };
        Ok(Event {
            owner,
            resource,
            name: call.name,
            origin: Arc::new(origin),
            region,
            recipient: texts.share(recipient),
            change,
        })
    }

    /// The caller, or the service or principal that stands in its place.
    fn actor(&self) -> Result<Option<&str>, Refused> {
        let Some(user) = &self.user_identity else { return Ok(None) };
        let names = [
            ("userIdentity.arn", &user.arn),
            ("userIdentity.invokedBy", &user.invoked_by),
            ("userIdentity.principalId", &user.principal_id),
        ];
        let actor = names.into_iter().find_map(|(field, name)| Some((field, name.as_deref()?)));
        actor.map(|(field, name)| bounded(field, name, ACTOR_BYTES_MAX)).transpose()
    }

    /// What the copies of one cross-account call have in common.
    fn shared(&self) -> Option<&str> {
        self.shared_event_id.as_deref().filter(|shared| !shared.is_empty())
    }

    fn stamp(&self, arrived_ms: i64) -> Result<Stamp, Refused> {
        let refuse = |reason, message| Err(Refused::Malformed(reason, message));
        if let Some(version) = self.event_version.as_deref().filter(|version| !version.starts_with("1.")) {
            return refuse(Malformed::UnsupportedVersion, format!("eventVersion {version:?} is not 1.x"));
        }
        let own = bounded("eventID", &self.event_id, IDENTITY_BYTES_MAX)?;
        let shared = self.shared().map(|shared| bounded("sharedEventID", shared, IDENTITY_BYTES_MAX)).transpose()?;
        let identity = shared.unwrap_or(own);
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
        // The copies of a cross-account call must have one stamp, and only one of them may have this.
        let end_time = self.additional_event_data.as_ref().and_then(|data| data.end_time).filter(|_| shared.is_none());
        let millis = end_time.and_then(|json| parameters::small(json.get())).and_then(|text| text.parse().ok());
        Ok(Stamp { second, millis, identity: identity.into() })
    }
}

/// `text`, where a state may hold it.
fn bounded<'a>(field: &str, text: &'a str, bytes_max: usize) -> Result<&'a str, Refused> {
    if text.len() <= bytes_max {
        return Ok(text);
    }
    let message = format!("{field} has {} bytes, more than {bytes_max}", text.len());
    Err(Refused::Malformed(Malformed::UnexpectedShape, message))
}

/// `text` in quotes, and not all of a long one.
pub(crate) fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let rest = if start.len() < text.len() { "…" } else { "" };
    format!("{start:?}{rest}")
}
