//! The ways to read a record answer alike.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn by_head(text: &str) -> Option<Parsed<'static>> {
    match head::envelope(text.as_bytes())? {
        Head::Noise(noise) => Some(noise),
        Head::Call(beginning) => record::judge_rest(&beginning, &mut String::new(), &mut Texts::default(), ARRIVED_MS),
    }
}

const ARRIVED_MS: i64 = i64::MAX / 2;

static ENVELOPES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let packed = include_bytes!("../../../trailgraph/tests/fixtures/events-5000.jsonl.gz");
    let mut lines = String::new();
    MultiGzDecoder::new(&packed[..]).read_to_string(&mut lines).expect("the fixture is gzip of text");
    lines.lines().map(str::to_owned).collect()
});

fn the_long_way(text: &str) -> Vec<String> {
    let mut answers = Vec::new();
    Parser::default().any_form(text, ARRIVED_MS, 0, &mut |parsed| answers.push(format!("{parsed:?}")));
    answers
}

#[test]
fn every_envelope_is_read_in_one_pass_as_by_the_long_way() {
    assert_eq!(ENVELOPES.len(), 5_000);
    for text in ENVELOPES.iter() {
        let parsed = envelope::read(text, &mut Texts::default(), ARRIVED_MS).expect("one pass is enough");
        assert_eq!([format!("{parsed:?}")], *the_long_way(text), "{text}");
    }
}

const MALFORMED: &str = "malformed";

/// The long way, of a text that means the same and has a space where the head has none.
fn the_long_way_without_the_head(text: &str) -> Vec<String> {
    let spaced = text.replacen("\"detail\":{\"", "\"detail\":{ \"", 1);
    let mut answers = Vec::new();
    Parser::default().any_form(&spaced, ARRIVED_MS, 0, &mut |parsed| {
        let is_malformed = matches!(parsed, Parsed::Malformed { .. });
        answers.push(if is_malformed { MALFORMED.into() } else { format!("{parsed:?}") });
    });
    answers
}

#[test]
fn every_envelope_is_told_by_its_head_as_by_the_long_way() {
    let mut noise = 0;
    for text in ENVELOPES.iter() {
        let told = by_head(text).expect("the head is enough");
        noise += usize::from(matches!(head::envelope(text.as_bytes()), Some(Head::Noise(_))));
        assert_eq!([format!("{told:?}")], *the_long_way_without_the_head(text), "{text}");
    }
    assert_eq!(noise, 1_421);
}

#[test]
fn records_that_follow_each_other_in_one_are_malformed_whichever_comes_first() {
    let is_noise = |text: &&String| the_long_way(text)[0].starts_with("Ignored");
    let noise = ENVELOPES.iter().find(is_noise).expect("one");
    let call = ENVELOPES.iter().find(|text| !is_noise(text)).expect("one");
    for (first, second) in [(noise, call), (noise, noise), (call, noise), (call, call)] {
        for between in ["", "\n"] {
            let mut kinds = Vec::new();
            let visit = &mut |parsed: Parsed<'_>| kinds.push(matches!(parsed, Parsed::Malformed { .. }));
            Parser::default().parse(format!("{first}{between}{second}").as_bytes(), ARRIVED_MS, visit);
            assert_eq!(kinds, [true], "{first}{between}{second}");
        }
    }
}

#[test]
fn noise_that_was_cut_is_noise_but_a_mutation_that_was_cut_is_malformed() {
    for text in ENVELOPES.iter().take(500) {
        let cut = &text[..text.len() - 2];
        let mut kinds = Vec::new();
        let visit = &mut |parsed: Parsed<'_>| kinds.push(matches!(parsed, Parsed::Ignored { .. }));
        Parser::default().parse(cut.as_bytes(), ARRIVED_MS, visit);
        assert_eq!(kinds, [the_long_way(text)[0].starts_with("Ignored")], "{cut}");
    }
}

#[test]
fn what_only_looks_like_noise_is_none() {
    let mutation = ENVELOPES.iter().find(|text| the_long_way(text)[0].starts_with("Event")).expect("one");
    let noise = r#","eventTime":"","eventSource":"ec2","eventName":"x"#;
    let (identity, escaped) = (r#""userIdentity":{"#, noise.replace('"', "\\\""));
    let edits = [
        ("another order", r#"{"version":"0","#, "{"),
        ("space", r#""detail":{"#, r#""detail": {"#),
        ("an escape", "s3.amazonaws.com", r"s3\u002eamazonaws.com"),
        ("a member in a string", identity, &format!(r#"{identity}"x":"}}{escaped}","#)),
        ("a member deeper", identity, &format!(r#"{identity}"x":{{"y":{{}}{noise}"}},"#)),
        ("a brace in a string", identity, &format!(r#"{identity}"x":{{"y":"}}","z":{{}}{noise}"}},"#)),
        ("an escaped quote", identity, &format!(r#"{identity}"x":"\"}}{escaped}","y":"\\","#)),
        ("an error of no name", r#""requestParameters""#, r#""errorCode":"","requestParameters""#),
        ("no error", r#""requestParameters""#, r#""errorCode":null,"requestParameters""#),
    ];
    for (what, from, to) in edits {
        let text = mutation.replacen(from, to, 1);
        assert_ne!(text, *mutation, "{what}");
        let by_head = by_head(&text).map(|parsed| format!("{parsed:?}"));
        let all = the_long_way_without_the_head(&text);
        assert!(all[0].starts_with("Event") && by_head.is_none_or(|told| [told] == *all), "{what}: {text}");
    }
}

#[test]
fn what_the_head_takes_for_a_text_is_one() {
    let mutation = ENVELOPES.iter().find(|text| the_long_way(text)[0].starts_with("Event")).expect("one");
    for (from, to) in [
        ("[APN/1.0", "[APN\u{1}1.0"),
        ("[APN/1.0", "[APN\\x1.0"),
        (r#""AssumedRole""#, "\"\t\""),
        ("}}}", "}},}"),
        ("\"mfaAuthenticated\":\"false\"", "\"mfaAuthenticated\":no"),
        (",\"requestParameters\"", ",,\"requestParameters\""),
        (",\"requestParameters\"", ",\"eventTime\":null,\"requestParameters\""),
    ] {
        let text = mutation.replacen(from, to, 1);
        assert_eq!(
            (by_head(&text).is_none(), &*the_long_way_without_the_head(&text)),
            (true, &[MALFORMED.into()][..]),
            "{text}"
        );
    }
    let after = format!("{mutation}}}");
    assert!(by_head(&after).is_none() && by_head(&format!("{mutation} \r\n")).is_some());
    assert!(
        by_head(&mutation.replacen(":\"AWS::", ":\"ÄWS::", 1)).is_some(),
        "beyond its beginning, a record has any text"
    );
}

/// Pieces that make another envelope, record or form of one, or none at all.
const PIECES: &[&str] = &[
    "",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "7",
    "1e999",
    "\\ud800",
    "\\u0041",
    "\"Records\":[],",
    "\"data\":null,",
    "\"reason\":1,",
    "\"eventName\":\"CreateBucket\",",
    "\"eventSource\":\"ec2.amazonaws.com\",",
    "\"eventTime\":\"\",\"eventSource\":\"ec2.amazonaws.com\",",
    "}},\"eventTime\":\"\",\"eventSource\":\"ec2.amazonaws.com\",",
    "\"x\":{\"y\":",
    "\"errorCode\":\"AccessDenied\",",
    "\"detail\":{},",
    "\"detail-type\":\"x\",",
    "\"omitted\":true,",
];

/// Where, how much is replaced, by what, and whether a member is put between others instead.
type Edit = (Index, usize, &'static str, bool);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    proptest::collection::vec((any::<Index>(), 0..12_usize, proptest::sample::select(PIECES), any::<bool>()), 1..3)
}

fn edited(line: &Index, edits: Vec<Edit>) -> String {
    let mut text = line.get(&ENVELOPES).clone();
    for (at, length, piece, between_members) in edits {
        let starts: Vec<usize> = match between_members {
            true => text.match_indices([',', '{']).map(|(at, _)| at + 1).collect(),
            false => (0..text.len()).filter(|at| text.is_char_boundary(*at)).collect(),
        };
        let Some(start) = (!starts.is_empty()).then(|| *at.get(&starts)) else { continue };
        let length = if between_members { 0 } else { length };
        let mut end = (start + length).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        text.replace_range(start..end, piece);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_read_in_one_pass_is_read_alike_by_the_long_way(line in any::<Index>(), edits in edits()) {
        let text = edited(&line, edits);
        if let Some(parsed) = envelope::read(&text, &mut Texts::default(), ARRIVED_MS) {
            prop_assert_eq!([format!("{parsed:?}")], &the_long_way(&text)[..], "{}", text);
        }
    }

    #[test]
    fn whatever_is_told_by_the_head_is_so_by_the_long_way(line in any::<Index>(), edits in edits()) {
        let text = edited(&line, edits);
        if let Some(parsed) = by_head(&text) {
            let is_noise = matches!(parsed, Parsed::Ignored { .. });
            let (told, all) = (format!("{parsed:?}"), the_long_way_without_the_head(&text));
            prop_assert!(all == [told] || is_noise && all == [MALFORMED], "{:?}: {}", all, text);
        }
    }
}
