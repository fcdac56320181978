//! Tags: of buckets, all at once, and of resources, one by one.

use fastrand::Rng;

use super::{CONTROL_XMLNS, elements, open, open_in};
use crate::generate::subject::Subject;
use crate::generate::text::put;
use crate::generate::world::any;

/// Tags, values as CloudTrail shows them: bare where they look like a boolean or a number.
const TAGS: &[(&str, &[&str])] = &[
    (r#""env""#, &[r#""prod""#, r#""staging""#, r#""dev""#]),
    (r#""owner""#, &[r#""data-platform""#, r#""payments""#, r#""team-web""#]),
    (r#""email""#, &[r#""storage-owners@example.com""#]),
    (r#""classification""#, &[r#""confidential""#, r#""internal""#, r#""public""#]),
    (r#""cost-center""#, &["4711", "815", r#""0042""#]),
    (r#""backup""#, &["true", "false"]),
    (r#""retention-years""#, &["7", "1.5", r#""""#]),
    (r#""managed-by""#, &[r#""terraform""#, r#""cloudformation""#]),
    ("2026", &[r#""budget year""#]),
];

pub(in crate::generate) fn tagging(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open(text, "Tagging");
    put!(text, r#","TagSet":"#);
    tags(text, rng, &[0, 1, 2, 3, 3, 4, 5, 6]);
    put!(text, "}");
}

pub(in crate::generate) fn tag(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    subject.put_header(text, "resource", &subject.arn());
    open_in(text, "TagResourceRequest", CONTROL_XMLNS);
    put!(text, r#","Tags":"#);
    tags(text, rng, &[1, 1, 2, 3]);
    put!(text, "}");
}

pub(in crate::generate) fn untag(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    subject.put_header(text, "resource", &subject.arn());
    put!(text, r#","tagKeys":"#);
    let first = rng.usize(..TAGS.len());
    elements(text, any(&[1, 1, 2], rng), |text, position| {
        let (key, _) = TAGS[(first + position) % TAGS.len()];
        // Keys of the query string are never coerced.
        put!(text, r#"""#, key.trim_matches('"'), r#"""#);
    });
}

/// As many different tags as one of the counts, as the value of the element that holds them.
pub(super) fn tags(text: &mut Vec<u8>, rng: &mut Rng, counts: &[usize]) {
    let count = any(counts, rng);
    if count == 0 {
        put!(text, r#""""#);
        return;
    }
    let first = rng.usize(..TAGS.len());
    put!(text, r#"{"Tag":"#);
    elements(text, count, |text, position| {
        let (key, values) = TAGS[(first + position) % TAGS.len()];
        put!(text, r#"{"Key":"#, key, r#","Value":"#, any(values, rng), "}");
    });
    put!(text, "}");
}
