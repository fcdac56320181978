//! One well-formed record in an EventBridge envelope, its members in any order, read in one pass.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::parsed::{Parsed, RECORD_BYTES_MAX};
use crate::record::{self, Record, shown};
use crate::text::Text;
use crate::texts::Texts;

/// EventBridge writes its envelope's few short members first, and the detail last.
const TYPE_STANDS_WITHIN_BYTES: usize = 512;

/// What CloudTrail's events are called.
pub(crate) const API_CALL: &str = "AWS API Call via CloudTrail";

/// What EventBridge says of an event's sender. It writes account and Region itself, and lets only AWS begin a source with
/// `aws.`: whoever may put events on the bus can write a record as he likes, but not these
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html>).
pub(crate) struct Sender<'a> {
    pub(crate) source: Option<&'a str>,
    pub(crate) account: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
}

impl Sender<'_> {
    /// What shows that this is not CloudTrail's own event of that account and Region. What an envelope does not say is not
    /// compared: whoever can leave it out writes to the stream itself.
    pub(crate) fn contradicts(&self, account: &str, region: &str) -> Option<String> {
        let compared =
            [("account", self.account, "recipientAccountId", account), ("region", self.region, "awsRegion", region)];
        self.is_foreign().or_else(|| {
            let differs =
                |(_, envelope, _, record): &(_, Option<&str>, _, &str)| envelope.is_some_and(|said| said != *record);
            compared.into_iter().find(differs).map(|(what, envelope, field, record)| {
                let envelope = shown(envelope.unwrap_or_default());
                format!("the envelope's {what} is {envelope}, but {field} is {}", shown(record))
            })
        })
    }

    /// What shows that AWS did not send this.
    pub(crate) fn is_foreign(&self) -> Option<String> {
        let source = self.source.filter(|source| !source.starts_with("aws."))?;
        Some(format!("the envelope's source is {}: CloudTrail's begin with \"aws.\"", shown(source)))
    }
}

/// An envelope with its record, and the keys that only other forms have.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "detail-type")]
    detail_type: Text<'a>,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(borrow, default)]
    account: Option<Text<'a>>,
    #[serde(borrow, default)]
    region: Option<Text<'a>>,
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
pub(crate) fn read(text: &str, texts: &mut Texts, arrived_ms: i64) -> Option<Parsed<'static>> {
    let start = &text.as_bytes()[..text.len().min(TYPE_STANDS_WITHIN_BYTES)];
    let key = b"\"detail-type\"";
    if text.len() > RECORD_BYTES_MAX || !start.windows(key.len()).any(|window| window == key) {
        return None;
    }
    let envelope: Envelope<'_> = serde_json::from_str(text).ok()?;
    let Envelope {
        detail_type,
        source,
        account,
        region,
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
    let sender = Sender { source: source.as_deref(), account: account.as_deref(), region: region.as_deref() };
    if &*detail_type != API_CALL || sender.is_foreign().is_some() || others.iter().any(Option::is_some) {
        return None;
    }
    record::judge(&detail, &sender, texts, arrived_ms)
}
