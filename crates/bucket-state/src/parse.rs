//! Bytes of a stream or a file, in any of the forms in which CloudTrail's records travel.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::envelope::{self, Sender};
use crate::head::{self, Head};
use crate::parsed::{Ignored, Malformed, Parsed, RECORD_BYTES_MAX, REJECTED_SNAPSHOT, too_large};
use crate::record;
use crate::text::Text;
use crate::texts::Texts;

/// Dead letters wrap what they hold, and a hand-edited one may wrap another.
const WRAPPERS_MAX: usize = 4;

/// The keys that tell the forms apart.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(borrow, rename = "detail-type", default)]
    detail_type: Option<Text<'a>>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow, default)]
    account: Option<Text<'a>>,
    #[serde(borrow, default)]
    region: Option<Text<'a>>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventName", default)]
    event_name: Option<&'a RawValue>,
    #[serde(borrow, rename = "Records", default)]
    records: Option<Vec<&'a RawValue>>,
    #[serde(borrow, rename = "messageType", default)]
    message_type: Option<Text<'a>>,
    #[serde(borrow, rename = "logEvents", default)]
    log_events: Option<Vec<LogEvent<'a>>>,
    #[serde(borrow, rename = "arrivedAt", default)]
    arrived_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, rename = "dataTruncated", default)]
    data_truncated: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LogEvent<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Parses records one after the other, in a buffer that it keeps.
#[derive(Debug)]
pub struct Parser {
    inflated: Vec<u8>,
    rest: String,
    texts: Texts,
    input_bytes_max: usize,
}

impl Default for Parser {
    /// For records of a stream.
    fn default() -> Self {
        Self::new(RECORD_BYTES_MAX)
    }
}

impl Parser {
    /// A parser for inputs of up to `input_bytes_max` bytes after decompression: files of many records may be larger
    /// than a record may.
    #[must_use]
    pub fn new(input_bytes_max: usize) -> Self {
        Self { inflated: Vec::new(), rest: String::new(), texts: Texts::default(), input_bytes_max }
    }

    /// Calls `visit` for every record in `bytes`, which arrived at `arrived_ms`: at least once, whatever they are.
    ///
    /// A record that its beginning shows to have no effect is not read any further: it is ignored, whether or not the
    /// rest of it is well formed.
    pub fn parse(&mut self, bytes: &[u8], arrived_ms: i64, visit: &mut dyn FnMut(Parsed<'_>)) {
        self.unwrap(bytes, arrived_ms, 0, visit);
    }

    fn unwrap(&mut self, bytes: &[u8], arrived_ms: i64, wrappers: usize, visit: &mut dyn FnMut(Parsed<'_>)) {
        let malformed = |reason, message: String| Parsed::Malformed { reason, message, data: bytes };
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return self.text(bytes, arrived_ms, wrappers, visit);
        }
        let mut inflated = std::mem::take(&mut self.inflated);
        inflated.clear();
        let read = MultiGzDecoder::new(bytes).take(self.input_bytes_max as u64 + 1).read_to_end(&mut inflated);
        match read {
            // Reported as it came: what was read of it is cut, and could never be replayed.
            Ok(_) if inflated.len() > self.input_bytes_max => visit(too_large(bytes, self.input_bytes_max)),
            Ok(_) => self.text(&inflated, arrived_ms, wrappers, visit),
            Err(error) => visit(malformed(Malformed::BadGzip, error.to_string())),
        }
        self.inflated = inflated;
    }

    fn text(&mut self, bytes: &[u8], arrived_ms: i64, wrappers: usize, visit: &mut dyn FnMut(Parsed<'_>)) {
        let malformed = |reason, message: String| Parsed::Malformed { reason, message, data: bytes };
        if bytes.len() > self.input_bytes_max {
            return visit(too_large(bytes, self.input_bytes_max));
        }
        let by_head = match head::envelope(bytes) {
            Some(Head::Noise(noise)) => Some(noise),
            Some(Head::Call(beginning)) => record::judge_rest(&beginning, &mut self.rest, &mut self.texts, arrived_ms),
            None => None,
        };
        if let Some(parsed) = by_head {
            return visit(parsed);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return visit(malformed(Malformed::NotUtf8, error.to_string())),
        };
        let text = text.trim_start_matches('\u{feff}');
        match envelope::read(text, &mut self.texts, arrived_ms) {
            Some(parsed) => visit(parsed),
            None => self.any_form(text, arrived_ms, wrappers, visit),
        }
    }

    fn any_form(&mut self, text: &str, arrived_ms: i64, wrappers: usize, visit: &mut dyn FnMut(Parsed<'_>)) {
        let malformed = |reason, message: String| Parsed::Malformed { reason, message, data: text.as_bytes() };
        let shape: Shape<'_> = match serde_json::from_str(text) {
            Ok(shape) => shape,
            Err(error) if error.is_data() => {
                return visit(malformed(Malformed::UnexpectedShape, error.to_string()));
            }
            Err(error) => return visit(malformed(Malformed::NotJson, error.to_string())),
        };
        self.form(&shape, text, arrived_ms, wrappers, visit);
    }

    fn form(
        &mut self,
        shape: &Shape<'_>,
        text: &str,
        arrived_ms: i64,
        wrappers: usize,
        visit: &mut dyn FnMut(Parsed<'_>),
    ) {
        let malformed = |reason, message: String| Parsed::Malformed { reason, message, data: text.as_bytes() };
        if let Some(kind) = &shape.detail_type {
            let (source, account) = (shape.source.as_deref(), shape.account.as_deref());
            let sender = Sender { source, account, region: shape.region.as_deref() };
            if &**kind != envelope::API_CALL {
                return visit(Parsed::Ignored { reason: Ignored::NotCloudTrail, call: None });
            }
            if let Some(fault) = sender.is_foreign() {
                return visit(malformed(Malformed::Forged, fault));
            }
            return match shape.detail {
                Some(detail) => match record::read(detail.get(), Some(&sender), &mut self.texts, arrived_ms) {
                    // With its envelope: when it is replayed, its sender is to be told again.
                    Parsed::Malformed { reason, message, .. } => visit(malformed(reason, message)),
                    parsed => visit(parsed),
                },
                // A rule that reshapes its events loses every one of them: that must not pass as noise.
                None => {
                    let message = "an EventBridge envelope of an API call without its detail";
                    visit(malformed(Malformed::UnexpectedShape, message.into()));
                }
            };
        }
        if shape.event_name.is_some() {
            return visit(record::read(text, None, &mut self.texts, arrived_ms));
        }
        if let Some(records) = &shape.records {
            for record in records {
                visit(record::read(record.get(), None, &mut self.texts, arrived_ms));
            }
            if records.is_empty() {
                visit(Parsed::Ignored { reason: Ignored::NotCloudTrail, call: None });
            }
            return;
        }
        if let Some(kind) = &shape.message_type {
            let messages = shape.log_events.as_deref().filter(|_| &**kind == "DATA_MESSAGE").unwrap_or_default();
            for log in messages {
                visit(record::read(&log.message, None, &mut self.texts, arrived_ms));
            }
            if messages.is_empty() {
                visit(Parsed::Ignored { reason: Ignored::NotCloudTrail, call: None });
            }
            return;
        }
        if let (Some(data), Some(reason)) = (shape.data, shape.reason) {
            if serde_json::from_str(reason.get()).is_ok_and(|reason: Text<'_>| &*reason == REJECTED_SNAPSHOT) {
                return visit(Parsed::Ignored { reason: Ignored::RejectedSnapshot, call: None });
            }
            return self.dead_letter(shape, data, text, arrived_ms, wrappers, visit);
        }
        let message = "neither an EventBridge envelope, a CloudTrail record, a Records file, a log subscription \
                       message nor a dead letter";
        visit(malformed(Malformed::UnexpectedShape, message.to_owned()));
    }

    /// A dead letter is parsed again as what it holds, as of the time when that arrived.
    fn dead_letter(
        &mut self,
        shape: &Shape<'_>,
        data: &RawValue,
        text: &str,
        arrived_ms: i64,
        wrappers: usize,
        visit: &mut dyn FnMut(Parsed<'_>),
    ) {
        if shape.data_truncated.is_some_and(|truncated| truncated.get() != "false") {
            // Its beginning may well be a record by itself, and another one.
            let message =
                "the data of this dead letter was cut to fit into a message: replay the record from the trail's files";
            return visit(Parsed::Malformed {
                reason: Malformed::Truncated,
                message: message.into(),
                data: text.as_bytes(),
            });
        }
        let decoded = serde_json::from_str::<String>(data.get()).ok().and_then(|data| STANDARD.decode(data).ok());
        let arrived_at = shape.arrived_at.as_deref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        // Nothing arrived first after it arrived again; a later time would let an event of the future in.
        let arrived_ms = arrived_at.map_or(arrived_ms, |time| arrived_ms.min(time.unix_timestamp() * 1_000));
        match decoded {
            Some(decoded) if wrappers < WRAPPERS_MAX => self.unwrap(&decoded, arrived_ms, wrappers + 1, visit),
            _ => visit(Parsed::Malformed {
                reason: Malformed::UnexpectedShape,
                message: "a dead letter whose data is not base64, or wrapped too often".into(),
                data: text.as_bytes(),
            }),
        }
    }
}
