//! Answers are read as the SDK reads them.

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::*;

/// What a protocol makes of a body; faults are alike whatever their words.
fn read(protocol: &impl ClientProtocolInner<Response = Response>, body: &str) -> Option<GetRecordsOutput> {
    let response = Response::new(200.try_into().unwrap(), SdkBody::from(body));
    let cfg = ConfigBag::base();
    let mut deserializer = protocol.deserialize_response(&response, GetRecords::OUTPUT_SCHEMA, &cfg).ok()?;
    GetRecordsOutput::deserialize(&mut *deserializer).ok()
}

fn by_us(body: &str) -> Option<GetRecordsOutput> {
    read(&Wire::default(), body)
}

fn by_the_sdk(body: &str) -> Option<GetRecordsOutput> {
    read(&Wire::default().0, body)
}

fn is_usual(body: &str) -> bool {
    serde_json::from_str::<Answer>(body).is_ok_and(|answer| answer.child_shards.is_none())
}

#[test]
fn the_usual_answer_is_read_here_and_as_the_sdk_reads_it() {
    let record = json!({
        "SequenceNumber": "49590338271490256608559692538361571095921575989136588898", "Data": "eyJ4IjoxfQ==",
        "PartitionKey": "acme-\"logs\"-ü", "ApproximateArrivalTimestamp": 1_772_323_200.123, "EncryptionType": "KMS",
    });
    let answer = json!({"Records": [record, record], "NextShardIterator": "AAAA", "MillisBehindLatest": 120_000});
    let (body, spaced) = (answer.to_string(), serde_json::to_string_pretty(&answer).unwrap());
    for body in [body.as_str(), &spaced, &body.replace("x", "\\u0078"), r#"{"Records":[]}"#] {
        assert!(is_usual(body), "{body}");
        assert_eq!(by_us(body), by_the_sdk(body), "{body}");
    }
    let read = by_us(&body).unwrap();
    assert_eq!((read.records.len(), read.records[1].data.as_ref()), (2, &br#"{"x":1}"#[..]));
}

#[test]
fn what_is_unusual_is_left_to_the_sdk() {
    let child =
        r#"{"ShardId":"s-1","ParentShards":["s-0"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}"#;
    for (body, is_read) in [
        (format!(r#"{{"Records":[],"ChildShards":[{child}]}}"#), true),
        (r#"{"MillisBehindLatest":0}"#.into(), true),
        (r#"{"Records":[],"Records":[]}"#.into(), true),
        (r#"{"Records":[{"Data":"AA==","SequenceNumber":"1"},{"Data":"AA=","SequenceNumber":"2"}]}"#.into(), false),
        (r#"{"Records":[{"Data":"AA==","SequenceNumber":null}]}"#.into(), true),
        (r#"{"Records":[{"Data":"AA==","#.into(), false),
        ("<html>".into(), false),
        (String::new(), true),
    ] {
        assert!(!is_usual(&body), "{body}");
        let (ours, theirs) = (by_us(&body), by_the_sdk(&body));
        assert_eq!((&ours, ours.is_some()), (&theirs, is_read), "{body}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let odd =
        [json!(null), json!(""), json!(7), json!(-1.5), json!(1e300), json!([]), json!({"x": [null]}), json!(true)];
    prop_oneof![
        4 => "[A-Za-z0-9+/]{0,12}={0,2}".prop_map(Value::from),
        2 => any::<String>().prop_map(Value::from),
        2 => (0.0..2e9_f64).prop_map(Value::from),
        1 => any::<u32>().prop_map(Value::from),
        1 => select(odd.to_vec()),
    ]
}

fn members(names: &'static [&'static str]) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    proptest::collection::vec((select(names), any_value()), 0..4)
}

fn record() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] =
        &["SequenceNumber", "Data", "PartitionKey", "ApproximateArrivalTimestamp", "EncryptionType", "New"];
    (members(NAMES), any::<Vec<u8>>(), 0.0..2e9_f64, any::<String>()).prop_map(|(others, data, at, key)| {
        let mut record = json!({"SequenceNumber": "17", "Data": base64::encode(data), "PartitionKey": key,
            "ApproximateArrivalTimestamp": at});
        for (name, value) in others.into_iter().take(1) {
            record[name] = value;
        }
        record
    })
}

fn answer() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &["NextShardIterator", "MillisBehindLatest", "ChildShards", "New"];
    (proptest::collection::vec(record(), 0..4), members(NAMES)).prop_map(|(records, others)| {
        let mut answer = json!({"Records": records, "NextShardIterator": "AAAA", "MillisBehindLatest": 7});
        for (name, value) in others.into_iter().take(1) {
            answer[name] = value;
        }
        answer.to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_answer_is_read_as_the_sdk_reads_it(body in answer()) {
        prop_assert_eq!(by_us(&body), by_the_sdk(&body), "{}", body);
    }

    #[test]
    fn an_answer_that_was_cut_or_changed_is_read_as_the_sdk_reads_it(
        body in answer(), at in any::<Index>(), cut in any::<bool>(), other in select(&["", "\"", "}", "]", ",", "0", "\\u00", "e9", " "][..])
    ) {
        let mut at = at.index(body.len());
        while !body.is_char_boundary(at) {
            at -= 1;
        }
        let rest = body[at..].chars().next().map_or(at, |first| at + first.len_utf8());
        let changed = if cut { body[..at].to_owned() } else { format!("{}{other}{}", &body[..at], &body[rest..]) };
        prop_assert_eq!(by_us(&changed), by_the_sdk(&changed), "{}", changed);
    }
}
