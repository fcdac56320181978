//! Records whose beginning was read.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{AdditionalData, Record, UserIdentity, judge};
use crate::envelope::Sender;
use crate::head::{Beginning, Identity};
use crate::parameters::Parameters;
use crate::parsed::Parsed;
use crate::text::Text;
use crate::texts::Texts;

/// What is read of a record after its beginning, in which each of the others stands already.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rest<'a> {
    #[serde(borrow, default)]
    error_code: Option<Text<'a>>,
    #[serde(borrow, rename = "eventID")]
    event_id: Cow<'a, str>,
    #[serde(borrow, rename = "sharedEventID", default)]
    shared_event_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    recipient_account_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    request_parameters: Option<Parameters<'a>>,
    #[serde(borrow, default)]
    additional_event_data: Option<AdditionalData<'a>>,
    #[serde(borrow, default)]
    resources: Option<&'a RawValue>,
    #[serde(
        default,
        deserialize_with = "twice",
        rename = "eventSource",
        alias = "eventName",
        alias = "eventVersion",
        alias = "eventTime",
        alias = "awsRegion",
        alias = "userIdentity"
    )]
    _beginning: (),
}

fn twice<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(D::Error::custom("it stands twice"))
}

/// Judges a record in an envelope by its beginning and its rest, which is copied to `buffer`; nothing where it takes the
/// long way to tell.
pub(crate) fn judge_rest(
    beginning: &Beginning<'_>,
    buffer: &mut String,
    texts: &mut Texts,
    arrived_ms: i64,
) -> Option<Parsed<'static>> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let envelope_ends = |rest: &str| Some(rest.trim_end_matches([' ', '\t', '\n', '\r']).strip_suffix('}')?.len());
    let rest = text(beginning.rest)?;
    buffer.clear();
    buffer.push('{');
    buffer.push_str(&rest[..envelope_ends(rest)?]);
    let rest: Rest<'_> = serde_json::from_str(buffer).ok()?;
    let user_identity = match beginning.identity {
        Identity::Role { principal_id, arn, account_id } => Some(UserIdentity {
            arn: Some(text(arn)?.into()),
            invoked_by: None,
            principal_id: Some(text(principal_id)?.into()),
            account_id: Some(text(account_id)?.into()),
        }),
        Identity::Other(json) => serde_json::from_slice(json).ok()?,
    };
    let record = Record {
        event_source: text(beginning.source)?.into(),
        event_name: text(beginning.name)?.into(),
        error_code: rest.error_code,
        event_version: Some(text(beginning.version)?.into()),
        event_time: text(beginning.time)?.into(),
        event_id: rest.event_id,
        shared_event_id: rest.shared_event_id,
        aws_region: text(beginning.region)?.into(),
        recipient_account_id: rest.recipient_account_id,
        request_parameters: rest.request_parameters,
        additional_event_data: rest.additional_event_data,
        resources: rest.resources,
        user_identity,
    };
    let sender = &beginning.sender;
    let sender = Sender {
        source: Some(text(sender.source)?),
        account: Some(text(sender.account)?),
        region: Some(text(sender.region)?),
    };
    judge(&record, &sender, texts, arrived_ms)
}
