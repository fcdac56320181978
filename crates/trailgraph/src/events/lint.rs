//! Checks rules against what CloudTrail sends and trailgraph folds.

use bucket_state::{Call, supported};

use super::finding::{Finding, Problem};
use super::forms::Rule;
use super::matcher::{How, Matcher};
use super::names::{self, Verdict};
use super::offer::{DETAIL_TYPE, EVENT_SOURCE, PATTERN_CHARS_MAX, SOURCE};
use super::pattern::{self, Fields};

/// All that a record says of a call; a pattern has it as a field only where CloudFormation fills it in.
const DETAIL: &str = "detail";
const EVENT_NAME: &str = "detail.eventName";
const EVENT_SOURCE_FIELD: &str = "detail.eventSource";
/// What decides whether a rule takes calls of S3; whatever else a pattern asks for narrows it.
const JUDGED: &[&str] =
    &["source", "detail-type", EVENT_SOURCE_FIELD, EVENT_NAME, "detail.errorCode", "detail.errorMessage"];

/// Services whose events some rules expect under another source than their `eventSource` tells.
const OTHER_SOURCES: &[(&str, &str)] = &[("monitoring", "cloudwatch")];

/// Everything that there is to say about the rules of one file, errors first. An event that one of them takes is not
/// missing.
pub(crate) fn lint(rules: &[Rule]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut about_s3: Vec<(&Rule, Vec<Fields>)> = Vec::new();
    for rule in rules {
        let mut add = |problem| findings.push(Finding { rule: rule.name.clone(), problem });
        match alternatives_of(rule) {
            Ok(alternatives) => {
                let mut seen = Vec::new();
                for problem in alternatives.iter().flat_map(|fields| problems(fields, &alternatives, rule)) {
                    if !seen.contains(&problem) {
                        seen.push(problem.clone());
                        add(problem);
                    }
                }
                if !alternatives.is_empty() {
                    about_s3.push((rule, alternatives));
                }
            }
            Err(problem) => add(problem),
        }
        if rule.chars > PATTERN_CHARS_MAX {
            add(Problem::TooLong { chars: rule.chars, compact: rule.compact });
        }
    }
    if about_s3.is_empty() && findings.is_empty() {
        findings.push(Finding { rule: None, problem: Problem::NoRule });
    }
    let alternatives: Vec<&Fields> = about_s3.iter().flat_map(|(_, alternatives)| alternatives).collect();
    let missing: Vec<&Call> = supported().iter().filter(|call| !taken(call.name, &alternatives)).collect();
    if !missing.is_empty() && !about_s3.is_empty() {
        let names: Vec<&str> = about_s3.iter().filter_map(|(rule, _)| rule.name.as_deref()).collect();
        let rule = (!names.is_empty()).then(|| names.join(", "));
        findings.push(Finding { rule, problem: Problem::MissingEvents(missing) });
    }
    findings.sort_by_key(|finding| finding.problem.level());
    findings
}

/// The parts of a rule's pattern that are for calls of S3.
fn alternatives_of(rule: &Rule) -> Result<Vec<Fields>, Problem> {
    let pattern = rule.pattern.as_ref().map_err(|why| Problem::Invalid(why.clone()))?;
    if pattern.as_object().is_some_and(pattern::is_function) {
        return Err(Problem::Unresolved { field: "the rule".into(), value: pattern.to_string() });
    }
    let alternatives = pattern::parse(pattern).map_err(Problem::Invalid)?;
    Ok(alternatives.into_iter().filter(takes_calls_of_s3).collect())
}

/// Whether it is for calls of S3 at all, even if a slip keeps them away.
fn takes_calls_of_s3(fields: &Fields) -> bool {
    let passes = |field, value| fields.passes(field, Some(value)) != Some(false);
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

/// Whether a name may pass; what CloudFormation fills in gets the benefit of the doubt.
fn taken(name: &str, alternatives: &[&Fields]) -> bool {
    alternatives.iter().any(|fields| fields.passes(EVENT_NAME, Some(name)) != Some(false))
}

fn problems(fields: &Fields, all: &[Fields], rule: &Rule) -> Vec<Problem> {
    [
        unresolved(fields),
        sources(fields),
        detail_type(fields),
        names_in(fields, all, rule),
        failures(fields),
        narrowed(fields),
    ]
    .concat()
}

fn unresolved(fields: &Fields) -> Vec<Problem> {
    let judged = fields.names().filter(|name| *name == DETAIL || JUDGED.contains(name));
    let values = judged.flat_map(|field| {
        let matchers = fields.get(field).unwrap_or_default().iter();
        matchers.filter_map(Matcher::unresolved).map(move |value| (field, value))
    });
    values.map(|(field, value)| Problem::Unresolved { field: field.into(), value: value.into() }).collect()
}

fn sources(fields: &Fields) -> Vec<Problem> {
    if fields.get("source").is_none() || fields.get(EVENT_SOURCE_FIELD).is_none() {
        return Vec::new();
    }
    let none_passes =
        |field, values: &[String]| values.iter().all(|value| fields.passes(field, Some(value)) == Some(false));
    let mut found = Vec::new();
    for event_source in exact(fields, EVENT_SOURCE_FIELD) {
        // What stands before a further dot is not the service alone.
        let Some(service) = event_source.strip_suffix(".amazonaws.com").filter(|name| !name.contains('.')) else {
            continue;
        };
        let sources = spellings(service).map(|name| format!("aws.{name}"));
        if none_passes("source", &sources) {
            let [source, _] = sources;
            found.push(Problem::MissingSource { event_source: event_source.into(), source });
        }
    }
    for source in exact(fields, "source") {
        let Some(service) = source.strip_prefix("aws.") else { continue };
        let event_sources = spellings(service).map(|name| format!("{name}.amazonaws.com"));
        if none_passes(EVENT_SOURCE_FIELD, &event_sources) {
            let [event_source, _] = event_sources;
            found.push(Problem::DeadSource { source: source.into(), event_source, s3: source == SOURCE });
        }
    }
    found
}

/// A service's name and the one that it also goes by, if any.
fn spellings(service: &str) -> [&str; 2] {
    let other = OTHER_SOURCES.iter().find_map(|(left, right)| match service {
        name if name == *left => Some(*right),
        name if name == *right => Some(*left),
        _ => None,
    });
    [service, other.unwrap_or(service)]
}

fn detail_type(fields: &Fields) -> Vec<Problem> {
    match fields.get("detail-type") {
        None => vec![Problem::DetailType(None)],
        Some(_) if fields.passes("detail-type", Some(DETAIL_TYPE)) == Some(false) => {
            let found: Vec<String> = exact(fields, "detail-type").map(|text| format!("\"{text}\"")).collect();
            vec![Problem::DetailType(Some(if found.is_empty() { "another".into() } else { found.join(", ") }))]
        }
        Some(_) => Vec::new(),
    }
}

fn names_in(fields: &Fields, all: &[Fields], rule: &Rule) -> Vec<Problem> {
    if fields.passes(EVENT_SOURCE_FIELD, Some(EVENT_SOURCE)) == Some(false) {
        return Vec::new();
    }
    let s3_alone = only(fields, EVENT_SOURCE_FIELD, EVENT_SOURCE)
        || (fields.get(EVENT_SOURCE_FIELD).is_none() && only(fields, "source", SOURCE));
    let all: Vec<&Fields> = all.iter().collect();
    let judged = |name: &str| match names::judge(name, s3_alone) {
        Verdict::Fine => None,
        Verdict::Read => (!rule.takes_reads).then(|| Problem::ReadOnly(name.into())),
        Verdict::Wrong { right } => Some(Problem::WrongName { name: name.into(), right, covered: taken(right, &all) }),
        Verdict::Doubtful { right } => Some(Problem::DoubtfulName { name: name.into(), right }),
        Verdict::Unknown => Some(Problem::UnknownName(name.into())),
    };
    exact(fields, EVENT_NAME).filter_map(judged).collect()
}

fn failures(fields: &Fields) -> Vec<Problem> {
    let asked = ["errorCode", "errorMessage"].map(|name| (name, format!("detail.{name}")));
    if let Some((name, _)) = asked.iter().find(|(_, field)| fields.passes(field, None) == Some(false)) {
        return vec![Problem::OnlyFailedCalls(name)];
    }
    // A field that lets some texts pass lets some failures pass.
    let passes = |(_, field): &(_, String)| fields.passes(field, Some("AccessDenied")) == Some(true);
    if asked.iter().all(passes) { vec![Problem::FailedCalls] } else { Vec::new() }
}

fn narrowed(fields: &Fields) -> Vec<Problem> {
    let others: Vec<String> =
        fields.names().filter(|name| *name != DETAIL && !JUDGED.contains(name)).map(String::from).collect();
    if others.is_empty() { Vec::new() } else { vec![Problem::Narrowed(others)] }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::finding::Level::Error;
    use super::super::forms::rules;
    use super::super::offer;
    use super::*;

    const NONE: [&str; 0] = [];

    /// What is changed in the pattern that is offered, and the codes that come of it.
    type Case<'a> = (&'a [(&'a str, Value)], &'a [&'a str]);

    /// The codes, errors first, with what each is about.
    fn codes(pattern: &Value) -> Vec<String> {
        let findings = lint(&rules(&pattern.to_string()).unwrap());
        findings
            .iter()
            .map(|finding| {
                let mark = if finding.problem.level() == Error { "" } else { "note " };
                let value = finding.as_json()[0]["value"].as_str().map(|value| format!(" {value}")).unwrap_or_default();
                format!("{mark}{}{value}", finding.problem.code())
            })
            .collect()
    }

    /// The pattern that is offered, with some fields set otherwise.
    fn offered(changes: &[(&str, Value)]) -> Value {
        let mut pattern: Value = serde_json::from_str(&offer::pattern(&offer::chosen(&[]).unwrap())).unwrap();
        for (pointer, value) in changes {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            pattern.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        pattern
    }

    #[test]
    fn the_pattern_that_is_offered_has_no_findings() {
        assert_eq!(codes(&offered(&[])), NONE);
    }

    #[test]
    fn names_may_be_matched_in_any_way_that_eventbridge_knows() {
        for names in [
            json!([{"prefix": ""}]),
            json!([{"anything-but": {"prefix": ["Get", "List"]}}]),
            json!([{"wildcard": "*Bucket*"}, {"suffix": "Block"}, {"suffix": "Resource"}, {"wildcard": "*AccessPoint*"},
                   {"equals-ignore-case": "putaccelerateconfiguration"}]),
            json!([{"exists": true}]),
        ] {
            assert_eq!(codes(&offered(&[("/detail/eventName", names.clone())])), NONE, "{names}");
        }
    }

    #[test]
    fn each_fault_has_its_code() {
        let cases: &[Case] = &[
            (&[("/detail/eventName", json!([{"anything-but": ["DeleteBucket"]}]))], &["missing-event DeleteBucket"]),
            (&[("/source", json!(["aws.sqs"]))], &["missing-source s3.amazonaws.com", "note dead-source aws.sqs"]),
            (&[("/source", json!(["aws.s3", "aws.ec2"]))], &["note dead-source aws.ec2"]),
            (&[("/source", json!([{"prefix": "aws."}]))], &[]),
            (&[("/source", json!("aws.s3"))], &["invalid-pattern"]),
            (&[("/detail/eventSource", json!(["s3.aws.com"]))], &["dead-source aws.s3"]),
            (
                &[("/detail/eventSource", json!(["s3.amazonaws.com", "elasticloadbalancing.amazonaws.com"]))],
                &["missing-source elasticloadbalancing.amazonaws.com"],
            ),
            (
                &[
                    ("/detail/eventSource", json!(["s3.amazonaws.com", "monitoring.amazonaws.com"])),
                    ("/source", json!(["aws.s3", "aws.cloudwatch"])),
                ],
                &[],
            ),
            (&[("/detail-type", json!(["Object Created"]))], &["detail-type \"Object Created\""]),
            (&[("/detail/errorCode", json!([{"exists": true}]))], &["no-success"]),
            // Where there is no code, it is not another one either.
            (&[("/detail/errorCode", json!([{"anything-but": ["AccessDenied"]}]))], &["no-success"]),
            (&[("/detail/errorCode", json!([{"exists": false}, "AccessDenied"]))], &["note failed-calls"]),
            (&[("/account", json!(["111122223333"]))], &["note narrowed"]),
            (
                &[(
                    "/detail/eventName",
                    json!([{"exists": true}, "PutPublicAccessBlock", "GetBucketAcl", "PutBucketMoon"]),
                )],
                &["read-only GetBucketAcl", "note wrong-name PutPublicAccessBlock", "note unknown-name PutBucketMoon"],
            ),
            (
                &[("/detail/eventName", json!([{"anything-but": "PutBucketCors"}, "PutBucketCORS"]))],
                &["wrong-name PutBucketCORS", "missing-event PutBucketCors"],
            ),
            (&[("/detail/eventName", json!([{"Ref": "Names"}]))], &[r#"note unresolved-value {"Ref":"Names"}"#]),
            (
                &[("/detail/eventName", json!([{"anything-but": {"prefix": ["${Verb}"]}}]))],
                &["note unresolved-value ${Verb}"],
            ),
            (&[("/detail", json!({"Ref": "Detail"}))], &[r#"note unresolved-value {"Ref":"Detail"}"#]),
            (&[("/region", json!([{"prefix": "x".repeat(2_048)}]))], &["too-long", "note narrowed"]),
        ];
        for (changes, expected) in cases {
            assert_eq!(codes(&offered(changes)), *expected, "{}", changes[0].0);
        }
    }

    #[test]
    fn what_a_pattern_leaves_open_lets_everything_pass() {
        assert_eq!(codes(&json!({"source": ["aws.s3"]})), ["note detail-type", "note failed-calls"]);
        assert_eq!(codes(&json!({"account": ["111122223333"]})).len(), 3);
    }

    #[test]
    fn rules_for_something_else_are_left_alone() {
        for pattern in [
            json!({"source": ["aws.ec2"]}),
            json!({"detail": {"eventSource": ["ec2.amazonaws.com"]}}),
            json!({"source": ["aws.s3"], "detail-type": ["Object Created"]}),
        ] {
            assert_eq!(codes(&pattern), ["no-s3-rule"], "{pattern}");
        }
    }

    #[test]
    fn alternatives_share_what_they_take() {
        let half = |names: Value| json!({"detail": {"eventName": names, "errorCode": [{"exists": false}]}});
        let pattern = json!({
            "source": ["aws.s3"],
            "detail-type": [DETAIL_TYPE],
            "$or": [half(json!([{"prefix": "Put"}])), half(json!([{"anything-but": {"prefix": "Put"}}]))],
        });
        assert_eq!(codes(&pattern), NONE);
    }
}
