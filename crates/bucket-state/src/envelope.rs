//! The common case, read in one pass: one well-formed record in an EventBridge envelope.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::parsed::{Parsed, RECORD_BYTES_MAX};
use crate::record::{self, Record};
use crate::text::Text;

/// EventBridge writes its envelope's few short members first, and the detail last.
const TYPE_STANDS_WITHIN_BYTES: usize = 512;

/// What CloudTrail's events are called.
pub(crate) const API_CALL: &str = "AWS API Call via CloudTrail";

/// Whether CloudTrail can have sent the event: nobody else may put one whose source begins like this.
pub(crate) fn is_from_aws(source: Option<&Text<'_>>) -> bool {
    source.is_none_or(|source| source.starts_with("aws."))
}

/// An envelope with its record, and the keys that only other forms have.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "detail-type")]
    detail_type: Text<'a>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow)]
    detail: Record<'a>,
    #[serde(rename = "eventName", default)]
    event_name: Option<IgnoredAny>,
    #[serde(rename = "Records", default)]
    records: Option<IgnoredAny>,
    #[serde(rename = "messageType", default)]
    message_type: Option<IgnoredAny>,
    #[serde(rename = "logEvents", default)]
    log_events: Option<IgnoredAny>,
    #[serde(rename = "arrivedAt", default)]
    arrived_at: Option<IgnoredAny>,
    #[serde(default)]
    data: Option<IgnoredAny>,
    #[serde(default)]
    reason: Option<IgnoredAny>,
}

/// What the only record in `text` turned out to be. Whatever is unusual or wrong is left to the long way, which
/// can tell what it is; where both answer, they answer alike.
pub(crate) fn read(text: &str, arrived_ms: i64) -> Option<Parsed<'static>> {
    let start = &text.as_bytes()[..text.len().min(TYPE_STANDS_WITHIN_BYTES)];
    let key = b"\"detail-type\"";
    if text.len() > RECORD_BYTES_MAX || !start.windows(key.len()).any(|window| window == key) {
        return None;
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
    let Envelope {
        detail_type,
        source,
        detail,
        event_name,
        records,
        message_type,
        log_events,
        arrived_at,
        data,
        reason,
    } = envelope;
    let others = [event_name, records, message_type, log_events, arrived_at, data, reason];
    if &*detail_type != API_CALL || !is_from_aws(source.as_ref()) || others.iter().any(Option::is_some) {
        return None;
    }
    record::judge(&detail, arrived_ms)
}
