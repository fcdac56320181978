//! What there is to say about one alternative of a pattern for calls of S3.

use super::finding::Finding;
use super::matcher::{Field, How, Matcher};
use super::offer::{DETAIL_TYPE, EVENT_SOURCE, SOURCE};
use super::pattern::Fields;

/// All that a record says of a call; a pattern has it as a field only where CloudFormation fills it in.
const DETAIL: &str = "detail";
pub(crate) const EVENT_NAME: &str = "detail.eventName";
const EVENT_SOURCE_FIELD: &str = "detail.eventSource";
/// What decides whether a rule takes calls of S3.
const OF_S3: &[&str] = &["source", "detail-type", EVENT_SOURCE_FIELD, EVENT_NAME];
const ERROR_FIELDS: [&str; 2] = ["detail.errorCode", "detail.errorMessage"];
/// What every successful change of a configuration carries; whatever else a pattern asks for narrows it.
const CARRIED: &[(&str, Field<'_>)] = &[
    (ERROR_FIELDS[0], Field::Absent),
    (ERROR_FIELDS[1], Field::Absent),
    ("detail.readOnly", Field::Flag(false)),
    ("detail.managementEvent", Field::Flag(true)),
    ("detail.eventCategory", Field::Text("Management")),
    ("detail.eventType", Field::Text("AwsApiCall")),
];
const BUCKET_NAME: &str = "detail.requestParameters.bucketName";

/// Whether it is for calls of S3 at all, even if a slip keeps them away.
pub(crate) fn takes_calls_of_s3(fields: &Fields) -> bool {
    let passes = |field, value| fields.passes(field, value) != Some(false);
    let of_s3 = match fields.get(EVENT_SOURCE_FIELD) {
        Some(_) => {
            passes(EVENT_SOURCE_FIELD, EVENT_SOURCE) || (fields.get("source").is_some() && passes("source", SOURCE))
        }
        None => passes("source", SOURCE),
    };
    of_s3
        && (passes("detail-type", DETAIL_TYPE)
            || fields.names().any(|name| name == EVENT_NAME || name == EVENT_SOURCE_FIELD))
}

pub(crate) fn takes_changes(fields: &Fields) -> bool {
    contradiction(fields).is_none()
}

/// Why no successful change passes, if none does.
pub(crate) fn contradiction(fields: &Fields) -> Option<Finding> {
    let (field, carried) = CARRIED.iter().find(|(field, carried)| fields.passes(field, *carried) == Some(false))?;
    let carried = match carried {
        Field::Absent => {
            let why = format!("no successful call passes: {field} asks for a value, which only failed calls have");
            return Some(Finding::error("no-success", why));
        }
        Field::Text(text) => format!("\"{text}\""),
        Field::Flag(flag) => flag.to_string(),
    };
    let why = format!("no change of a configuration passes: all have {carried} in {field}, which is not taken");
    Some(Finding::error("no-change", why).instead(carried))
}

pub(crate) fn unresolved(field: &str, value: &str) -> Finding {
    let message = format!("{field} has {value}, which is filled in later: not judged");
    Finding::note("unresolved-value", message).about(value)
}

fn is_judged(field: &str) -> bool {
    field == DETAIL || OF_S3.contains(&field) || CARRIED.iter().any(|(carried, _)| field == *carried)
}

/// Without those that have the lists of the one before them, as `$or` multiplies them.
pub(crate) fn distinct(alternatives: &[Fields]) -> Vec<&Fields> {
    let mut distinct: Vec<&Fields> = alternatives.iter().collect();
    let list = |fields: &Fields, field| fields.get(field).map(<[Matcher]>::as_ptr);
    distinct.dedup_by_key(|fields| ["source", EVENT_SOURCE_FIELD, EVENT_NAME].map(|field| list(fields, field)));
    distinct
}

/// Everything but the names.
pub(crate) fn findings(fields: &Fields) -> Vec<Finding> {
    let mut findings: Vec<_> = all_unresolved(fields).collect();
    findings.extend(sources(fields));
    findings.extend([detail_type(fields), failures(fields), narrowed(fields)].into_iter().flatten());
    findings
}

/// The names of calls that may be S3's, and whether they are surely.
pub(crate) fn names(fields: &Fields) -> impl Iterator<Item = (&str, bool)> {
    let s3_alone = only(fields, EVENT_SOURCE_FIELD, EVENT_SOURCE)
        || (fields.get(EVENT_SOURCE_FIELD).is_none() && only(fields, "source", SOURCE));
    let takes_s3 = fields.passes(EVENT_SOURCE_FIELD, EVENT_SOURCE) != Some(false);
    exact(fields, EVENT_NAME).filter(move |_| takes_s3).map(move |name| (name, s3_alone))
}

fn all_unresolved(fields: &Fields) -> impl Iterator<Item = Finding> {
    fields.names().filter(|field| is_judged(field)).flat_map(|field| {
        let matchers = fields.get(field).unwrap_or_default().iter();
        matchers.filter_map(Matcher::unresolved).map(move |value| unresolved(field, value))
    })
}

/// An event's `source` tells the same service as its call's `eventSource`: a pattern that lists both needs both.
fn sources(fields: &Fields) -> Vec<Finding> {
    let (Some(_), Some(_)) = (fields.get("source"), fields.get(EVENT_SOURCE_FIELD)) else { return Vec::new() };
    let mut found = Vec::new();
    for event_source in exact(fields, EVENT_SOURCE_FIELD) {
        // What stands before a further dot is not the service alone; and CloudWatch has two names.
        let service = event_source.strip_suffix(".amazonaws.com");
        let Some(service) = service.filter(|name| !name.contains('.') && *name != "monitoring") else { continue };
        let source = format!("aws.{service}");
        if fields.passes("source", source.as_str()) == Some(false) {
            let message =
                format!("events of {event_source} have source {source}, which is not listed, so none comes: add it");
            found.push(Finding::error("missing-source", message).about(event_source).instead(source));
        }
    }
    if exact(fields, "source").any(|source| source == SOURCE)
        && fields.passes(EVENT_SOURCE_FIELD, EVENT_SOURCE) == Some(false)
    {
        let message = format!(
            "calls of source {SOURCE} have eventSource {EVENT_SOURCE}, which is not listed, so none comes: add it"
        );
        found.push(Finding::error("dead-source", message).about(SOURCE).instead(EVENT_SOURCE));
    }
    found
}

fn detail_type(fields: &Fields) -> Option<Finding> {
    let finding = match (fields.get("detail-type"), fields.passes("detail-type", DETAIL_TYPE)) {
        (None, _) => {
            let message = format!("no detail-type: events that are no calls pass, too; add [\"{DETAIL_TYPE}\"]");
            Finding::note("detail-type", message)
        }
        (Some(_), Some(false)) => {
            let found: Vec<String> = exact(fields, "detail-type").map(|text| format!("\"{text}\"")).collect();
            let found = if found.is_empty() { "another".into() } else { found.join(", ") };
            let message = format!("detail-type is {found}: calls that CloudTrail records come as \"{DETAIL_TYPE}\"");
            Finding::error("detail-type", message).about(found)
        }
        (Some(_), _) => return None,
    };
    Some(finding.instead(DETAIL_TYPE))
}

fn failures(fields: &Fields) -> Option<Finding> {
    // A field that lets some texts pass lets some failures pass.
    let pass = ERROR_FIELDS.iter().all(|field| fields.passes(field, "AccessDenied") == Some(true));
    (pass && takes_changes(fields)).then(|| {
        Finding::note(
            "failed-calls",
            "failed calls pass, too: they are ignored, and cost; add \"errorCode\": [{\"exists\": false}] to detail",
        )
    })
}

fn narrowed(fields: &Fields) -> Option<Finding> {
    let others: Vec<&str> = fields.names().filter(|field| !is_judged(field)).collect();
    let nameless = match others.contains(&BUCKET_NAME) {
        true => "; calls on accounts and access points have no bucketName",
        false => "",
    };
    let message = format!("only events pass that also meet what is asked of {}{nameless}", others.join(", "));
    (!others.is_empty()).then(|| Finding::note("narrowed", message))
}

/// The texts that a field must equal.
fn exact<'a>(fields: &'a Fields, field: &str) -> impl Iterator<Item = &'a str> {
    fields.get(field).unwrap_or_default().iter().filter_map(|matcher| match matcher {
        Matcher::Text { how: How::Exact, text, ignore_case: false } => Some(text.as_str()),
        _ => None,
    })
}

fn only(fields: &Fields, field: &str, value: &str) -> bool {
    let count = fields.get(field).map_or(0, <[Matcher]>::len);
    count > 0 && exact(fields, field).filter(|text| *text == value).count() == count
}
