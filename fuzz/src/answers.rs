//! What the parser promises of any bytes.

use bucket_state::{Event, Ignored, Malformed, Parsed, Parser};

use crate::ARRIVED_MS;

/// More than the parser searches for the mark of an envelope that can be read in one pass.
const OUT_OF_SIGHT: usize = 600;

/// What one record turned out to be, without the words.
#[derive(Debug, PartialEq)]
enum Answer {
    Event(Event),
    Ignored(Ignored, Option<&'static str>),
    Malformed(Malformed),
}

/// Whatever `bytes` are, they get an answer, and always the same.
///
/// # Panics
/// Where the parser breaks that promise.
pub fn check(bytes: &[u8]) {
    let answers = answers(&mut Parser::default(), bytes);
    assert!(!answers.is_empty(), "no answer");
    let mut reused = Parser::default();
    for round in 1..=2 {
        assert_eq!(self::answers(&mut reused, bytes), answers, "round {round} of one parser");
    }
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| !bytes.starts_with(&[0x1f, 0x8b])) {
        // Leading space means nothing, but hides an envelope's mark: it is read the long way.
        let padded = format!("{}{}", " ".repeat(OUT_OF_SIGHT), text.trim_start_matches('\u{feff}'));
        let all = self::answers(&mut reused, padded.as_bytes());
        // What the beginning shows to be noise is noise, whatever becomes of the rest.
        let is_broken_noise = matches!((&answers[..], &all[..]), ([Answer::Ignored(..)], [Answer::Malformed(_)]));
        assert!(is_broken_noise || all == answers, "{answers:?} in one pass, but {all:?} the long way");
    }
}

/// The events in `bytes`.
pub(crate) fn events(bytes: &[u8]) -> Vec<Event> {
    let event = |answer| if let Answer::Event(event) = answer { Some(event) } else { None };
    answers(&mut Parser::default(), bytes).into_iter().filter_map(event).collect()
}

fn answers(parser: &mut Parser, bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    parser.parse(bytes, ARRIVED_MS, &mut |parsed| {
        answers.push(match parsed {
            Parsed::Event(event) => Answer::Event(event),
            Parsed::Ignored { reason, call } => Answer::Ignored(reason, call),
            Parsed::Malformed { reason, .. } => Answer::Malformed(reason),
        });
    });
    answers
}
