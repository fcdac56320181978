//! What comes in at the boundary: every form in which CloudTrail's records travel, and everything that is none.

use bucket_state::{Parser, RECORD_BYTES_MAX};
use serde_json::{Value, json};

use crate::support::*;

const ON_TIME: &str = "2026-03-01T00:01:00Z";

/// No request parameter of it is kept as text, so it is equal however it is written.
fn cleared() -> Value {
    record("DeleteBucketPolicy", json!({"policy": ""}))
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The dead letter of a whole record, with this for its `dataTruncated`.
fn cut(truncated: Value) -> Value {
    let mut letter = dead_letter(&bytes(&cleared()), ON_TIME);
    letter["dataTruncated"] = truncated;
    letter
}

#[test]
fn a_record_is_the_same_event_in_every_form_and_every_writing_of_it() {
    let record = cleared();
    let forms = [
        ("a bare record", record.clone()),
        ("an EventBridge envelope", envelope(&record)),
        ("a Records file", json!({"Records": [record]})),
        ("a log subscription's message", log_message("DATA_MESSAGE", &[&record.to_string()])),
        ("a dead letter", dead_letter(&bytes(&record), ON_TIME)),
        ("a dead letter that is not cut", cut(json!(false))),
        ("a dead letter of gzip", dead_letter(&gzip(&bytes(&envelope(&record))), ON_TIME)),
        ("a dead letter of a dead letter", dead_letter(&bytes(&dead_letter(&bytes(&record), ON_TIME)), ON_TIME)),
    ];
    let expected = [event(&record)];
    for (form, value) in forms {
        let compact = bytes(&value);
        let pretty = serde_json::to_vec_pretty(&value).expect("a value is JSON");
        let marked = ["\u{feff}".as_bytes(), &pretty].concat();
        let (half, rest) = compact.split_at(compact.len() / 2);
        let writings = [
            ("gzip", gzip(&compact)),
            ("gzip of two members", [gzip(half), gzip(rest)].concat()),
            ("gzip after a byte order mark", gzip(&marked)),
            ("compact", compact),
            ("pretty-printed", pretty),
            ("after a byte order mark", marked),
        ];
        for (writing, bytes) in writings {
            assert_eq!(events(&bytes), expected, "{form}, {writing}");
        }
    }
}

#[test]
fn a_form_without_a_record_is_ignored_once() {
    let cases = [
        ("a control message", log_message("CONTROL_MESSAGE", &["CWL CONTROL MESSAGE: Checking health"])),
        ("a data message without events", log_message("DATA_MESSAGE", &[])),
        ("an empty Records file", json!({"Records": []})),
        ("an EventBridge event of S3's own", json!({"detail-type": "Object Created", "detail": {"version": "0"}})),
        (
            "an event about an account",
            json!({"detail-type": "AWS Console Sign In via CloudTrail", "detail": cleared()}),
        ),
    ];
    for (case, value) in cases {
        assert_eq!(outcomes(&bytes(&value)), ["ignored not_cloudtrail"], "{case}");
    }
}

#[test]
fn a_bad_record_among_others_is_reported_alone_with_its_own_bytes() {
    let bad = without(cleared(), &["eventTime"]).to_string();
    let good = cleared().to_string();
    let file = format!(r#"{{"Records": [{good}, {bad}, 7, {good}]}}"#);
    let log = log_message("DATA_MESSAGE", &[&good, &bad, "7", &good]).to_string();
    let expected = [
        "event DeleteBucketPolicy arn:aws:s3:::ledger",
        "malformed unexpected_shape",
        "malformed unexpected_shape",
        "event DeleteBucketPolicy arn:aws:s3:::ledger",
    ];
    for (form, text) in [("a Records file", file), ("a log subscription's message", log)] {
        for bytes in [text.clone().into_bytes(), gzip(text.as_bytes())] {
            assert_eq!(outcomes(&bytes), expected, "{form}");
            let data: Vec<Vec<u8>> = faults(&bytes).into_iter().map(|(_, _, data)| data).collect();
            assert_eq!(data, [bad.as_bytes(), b"7"], "{form}");
        }
    }
}

#[test]
fn a_log_line_that_was_cut_is_reported_alone() {
    let good = cleared().to_string();
    let message = log_message("DATA_MESSAGE", &[&good[..200], &good]).to_string();
    let expected = ["malformed not_json", "event DeleteBucketPolicy arn:aws:s3:::ledger"];
    assert_eq!(outcomes(message.as_bytes()), expected);
}

#[test]
fn bytes_that_are_no_record_are_reported_with_the_reason() {
    let good = cleared().to_string();
    let compressed = gzip(good.as_bytes());
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8[40] = 0xff;
    let raw = |text: &str| text.as_bytes().to_vec();
    let api_call = |detail: Value| bytes(&json!({"detail-type": "AWS API Call via CloudTrail", "detail": detail}));
    let cases = [
        ("nothing", raw(""), "not_json"),
        ("only space", raw(" \n"), "not_json"),
        ("a word", raw("ledger"), "not_json"),
        ("JSON that was cut", raw(&good[..good.len() - 1]), "not_json"),
        ("two records in a row", raw(&format!("{good}\n{good}")), "not_json"),
        ("gzip that was cut", compressed[..compressed.len() - 9].to_vec(), "bad_gzip"),
        ("gzip with a wrong sum", [&compressed[..compressed.len() - 8], &[0; 8]].concat(), "bad_gzip"),
        ("only gzip's first bytes", vec![0x1f, 0x8b], "bad_gzip"),
        ("gzip of gzip", gzip(&compressed), "not_utf8"),
        ("Latin-1", not_utf8, "not_utf8"),
        ("null", raw("null"), "unexpected_shape"),
        ("a number", raw("7"), "unexpected_shape"),
        ("a text", raw("\"ledger\""), "unexpected_shape"),
        ("an empty array", raw("[]"), "unexpected_shape"),
        ("an array of records", raw(&format!("[{good}]")), "unexpected_shape"),
        ("an empty object", raw("{}"), "unexpected_shape"),
        ("another object", bytes(&json!({"bucketName": "ledger"})), "unexpected_shape"),
        ("Records that are none", bytes(&json!({"Records": {}})), "unexpected_shape"),
        ("an envelope of nothing", bytes(&json!({"detail-type": "AWS API Call via CloudTrail"})), "unexpected_shape"),
        ("an envelope of null", api_call(Value::Null), "unexpected_shape"),
        ("an envelope of a text", api_call(json!(good)), "unexpected_shape"),
        (
            "log events without a message",
            bytes(&json!({"messageType": "DATA_MESSAGE", "logEvents": [{}]})),
            "unexpected_shape",
        ),
        ("a dead letter of no base64", bytes(&json!({"reason": "not_json", "data": "*"})), "unexpected_shape"),
        ("a dead letter of a number", bytes(&json!({"reason": "not_json", "data": 7})), "unexpected_shape"),
        ("a dead letter of no record", bytes(&dead_letter(b"ledger", ON_TIME)), "not_json"),
        ("a dead letter that was cut", bytes(&cut(json!(true))), "truncated"),
        ("a dead letter of one that was cut", bytes(&dead_letter(&bytes(&cut(json!(1))), ON_TIME)), "truncated"),
    ];
    for (case, bytes, reason) in cases {
        assert_eq!(outcomes(&bytes), [format!("malformed {reason}")], "{case}");
        assert!(!faults(&bytes)[0].1.is_empty(), "{case}: says what is wrong");
    }
}

#[test]
fn a_dead_letter_is_judged_as_of_the_time_when_it_arrived_first() {
    let letter = |arrived_at: &str| dead_letter(&bytes(&cleared()), arrived_at);
    let again = |arrived_at: &str, letter: &Value| dead_letter(&bytes(letter), arrived_at);
    let (event, future) = ("event DeleteBucketPolicy arn:aws:s3:::ledger", "malformed future_event");
    let year_later = ARRIVED_MS + 365 * 86_400_000;
    let cases = [
        ("four minutes before the event", letter("2026-02-28T23:56:00Z"), event),
        ("six minutes before the event", letter("2026-02-28T23:54:00Z"), future),
        ("in another zone", letter("2026-03-01T00:54:00+01:00"), future),
        ("with a fraction", letter("2026-02-28T23:55:59.5Z"), event),
        ("wrapped again later", again("2027-01-01T00:00:00Z", &letter("2026-02-28T23:54:00Z")), future),
        ("no time", letter("yesterday"), event),
    ];
    for (case, value, expected) in cases {
        assert_eq!(outcomes_at(&bytes(&value), year_later), [expected], "{case}");
    }
}

#[test]
fn no_dead_letter_lets_an_event_of_the_future_in() {
    let hours_before = ARRIVED_MS - 6 * 3_600_000;
    let letter = dead_letter(&bytes(&cleared()), "2036-01-01T00:00:00Z");
    assert_eq!(outcomes_at(&bytes(&letter), hours_before), ["malformed future_event"]);
}

#[test]
fn a_dead_letter_may_be_wrapped_a_few_times_and_no_more() {
    let mut letter = bytes(&cleared());
    for wrappers in 1..=6 {
        letter = bytes(&dead_letter(&letter, ON_TIME));
        let expected =
            if wrappers <= 4 { "event DeleteBucketPolicy arn:aws:s3:::ledger" } else { "malformed unexpected_shape" };
        assert_eq!(outcomes(&letter), [expected], "{wrappers} wrappers");
    }
}

#[test]
fn a_record_of_ten_mebibytes_is_read_and_a_larger_one_is_not() {
    let padded = |bytes: usize| {
        let record = cleared().to_string();
        format!("{record}{}", " ".repeat(bytes - record.len())).into_bytes()
    };
    let (fits, too_large) = (padded(RECORD_BYTES_MAX), padded(RECORD_BYTES_MAX + 1));
    assert_eq!(outcomes(&fits), ["event DeleteBucketPolicy arn:aws:s3:::ledger"]);
    assert_eq!(outcomes(&gzip(&fits)), ["event DeleteBucketPolicy arn:aws:s3:::ledger"]);
    assert_eq!(outcomes(&too_large), ["malformed too_large"]);
}

#[test]
fn a_file_may_be_larger_than_a_record_and_a_record_in_it_may_not() {
    let (good, event) = (cleared().to_string(), "event DeleteBucketPolicy arn:aws:s3:::ledger");
    let large = with(cleared(), json!({"tlsDetails": "x".repeat(RECORD_BYTES_MAX)})).to_string();
    let file = format!(r#"{{"Records": [{good}, {large}, {good}]}}"#);
    let mut parser = Parser::new(2 * RECORD_BYTES_MAX);
    for bytes in [file.as_bytes(), &gzip(file.as_bytes())] {
        assert_eq!(outcomes_of(&mut parser, bytes, ARRIVED_MS), [event, "malformed too_large", event]);
        assert_eq!(outcomes(bytes), ["malformed too_large"]);
    }
}

#[test]
fn a_parser_is_as_good_after_a_fault_as_before() {
    let (good, event) = (gzip(cleared().to_string().as_bytes()), "event DeleteBucketPolicy arn:aws:s3:::ledger");
    let mut parser = Parser::default();
    for fault in [&b"{"[..], &good[..good.len() - 1], &gzip(b"\xff"), &gzip(&vec![b' '; RECORD_BYTES_MAX + 1])] {
        assert!(outcomes_of(&mut parser, fault, ARRIVED_MS)[0].starts_with("malformed"));
        assert_eq!(outcomes_of(&mut parser, &good, ARRIVED_MS), [event]);
    }
}

#[test]
fn a_gzip_bomb_is_reported_as_it_came_and_not_as_what_it_swells_to() {
    let bomb = gzip(&vec![b' '; 50 << 20]);
    let [(reason, _, data)] = &faults(&bomb)[..] else { panic!("one fault") };
    assert_eq!(*reason, "too_large");
    assert!(*data == bomb, "{} bytes came, {} were reported", bomb.len(), data.len());
}

#[test]
fn no_depth_of_nesting_exhausts_the_stack() {
    let deep = nested(200_000, "");
    let objects = format!("{}1{}", "{\"detail\":".repeat(200_000), "}".repeat(200_000));
    let inside = |member: &str| cleared().to_string().replacen('{', &format!("{{\"{member}\":{deep},"), 1);
    let body = record("PutBucketPolicy", json!({"bucketPolicy": "DEEP"})).to_string().replace("\"DEEP\"", &deep);
    let tags = record("TagResource", json!({"TagResourceRequest": "DEEP"})).to_string().replace("\"DEEP\"", &deep);
    let name = record("DeleteBucket", json!({"bucketName": "DEEP"})).to_string().replace("\"DEEP\"", &deep);
    let name = name.replace("AWS::S3::Bucket", "AWS::S3::Object");
    let event = "event DeleteBucketPolicy arn:aws:s3:::ledger";
    let cases = [
        ("arrays alone", deep.clone(), "malformed unexpected_shape"),
        ("objects alone", objects.clone(), "malformed unexpected_shape"),
        (
            "an envelope's detail",
            format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{objects}}}"#),
            "malformed unexpected_shape",
        ),
        ("a Records file", format!(r#"{{"Records":[{deep}]}}"#), "malformed unexpected_shape"),
        ("a member that nobody reads", inside("tlsDetails"), event),
        ("a member of another type", inside("sharedEventID"), "malformed unexpected_shape"),
        ("the data about the call", inside("additionalEventData"), event),
        // Larger than a body may be: the event stands, its facet is unknown.
        ("a body", body, "event PutBucketPolicy arn:aws:s3:::ledger"),
        ("single tags", tags, "event TagResource arn:aws:s3:::ledger"),
        ("a bucket's name", name, "malformed no_resource"),
    ];
    for (case, text, expected) in cases {
        assert_eq!(outcomes(text.as_bytes()), [expected], "{case}");
        let envelope = format!(r#"{{"detail-type":"AWS API Call via CloudTrail","detail":{text}}}"#);
        assert_eq!(outcomes(envelope.as_bytes()), [expected], "{case}, in an envelope");
    }
}
