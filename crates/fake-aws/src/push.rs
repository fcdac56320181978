//! What a subscription to a shard sends: messages of the AWS event stream encoding, as bytes.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::{Value, json};

/// The `content-type` of an answer that is an event stream.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// The first message, which says that the subscription stands.
#[must_use]
pub fn initial_response() -> Bytes {
    message("event", ":event-type", "initial-response", &json!({}))
}

/// A `SubscribeToShardEvent`, by its JSON members: `Records`, `ContinuationSequenceNumber`, `MillisBehindLatest` and
/// `ChildShards`.
#[must_use]
pub fn event(event: &Value) -> Bytes {
    message("event", ":event-type", "SubscribeToShardEvent", event)
}

/// An error after which the service sends nothing more, such as `InternalFailureException`.
#[must_use]
pub fn exception(name: &str, text: &str) -> Bytes {
    message("exception", ":exception-type", name, &json!({ "message": text }))
}

fn message(message_type: &str, type_header: &'static str, type_name: &str, payload: &Value) -> Bytes {
    let header = |name: &'static str, value: &str| Header::new(name, HeaderValue::String(value.to_owned().into()));
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(header(":message-type", message_type))
        .add_header(header(type_header, type_name))
        .add_header(header(":content-type", "application/json"));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("three short headers and a payload below 16 MiB");
    bytes.into()
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::read_message_from;
    use aws_smithy_eventstream::smithy::parse_response_headers;

    use super::*;

    #[test]
    fn a_message_says_what_it_is_and_carries_its_json() {
        let cases = [
            (initial_response(), "event", "initial-response", json!({})),
            (event(&json!({"Records": []})), "event", "SubscribeToShardEvent", json!({"Records": []})),
            (exception("KMSDisabledException", "off"), "exception", "KMSDisabledException", json!({"message": "off"})),
        ];
        for (mut bytes, message_type, type_name, payload) in cases {
            let message = read_message_from(&mut bytes).unwrap();
            let headers = parse_response_headers(&message).unwrap();
            assert_eq!((headers.message_type.as_str(), headers.smithy_type.as_str()), (message_type, type_name));
            assert_eq!(headers.content_type(), Some("application/json"));
            assert_eq!(serde_json::from_slice::<Value>(message.payload()).unwrap(), payload);
        }
    }
}
