//! Checks rules against what CloudTrail sends and trailgraph folds.

use std::collections::HashSet;

use bucket_state::{Call, supported};

use super::checks::{self, EVENT_NAME, contradiction, takes_calls_of_s3, takes_changes};
use super::finding::Finding;
use super::forms::Rule;
use super::names::{self, Verdict};
use super::offer::PATTERN_CHARS_MAX;
use super::pattern::{self, Fields, is_function};

/// White space alone does not make a pattern longer than this: nothing else is said of it.
const JUDGED_CHARS_MAX: usize = 4 * PATTERN_CHARS_MAX;

/// A rule that is for calls of S3.
struct Judged<'a> {
    rule: &'a Rule,
    /// The parts of its pattern that are.
    alternatives: Vec<Fields>,
    /// The supported events that it takes, if it is enabled; what CloudFormation fills in gets the benefit of the doubt.
    takes: Vec<&'static Call>,
}

/// Everything that there is to say about the rules of one file, errors first. An event that one of them takes is not
/// missing.
pub(crate) fn lint(rules: &[Rule]) -> Vec<Finding> {
    let (mut about_s3, mut findings) = (Vec::new(), Vec::new());
    for rule in rules {
        match alternatives_of(rule) {
            Ok(alternatives) if alternatives.is_empty() => {}
            Ok(alternatives) => about_s3.push((rule, alternatives)),
            Err(finding) => findings.push(finding.of(rule.name.clone())),
        }
    }
    if about_s3.is_empty() && findings.is_empty() {
        findings.push(Finding::error("no-s3-rule", "no rule here takes the calls of S3 that CloudTrail records"));
    }
    let some_succeed = about_s3.iter().any(|(_, alternatives)| alternatives.iter().any(takes_changes));
    let mut judged = Vec::new();
    for (rule, mut alternatives) in about_s3 {
        // Beside a rule for changes, one that counts refusals, say, is none of ours.
        let contradictions = alternatives.iter().filter_map(contradiction);
        let mut found: Vec<_> = contradictions.map(|finding| finding.only_noted(some_succeed)).collect();
        if some_succeed {
            alternatives.retain(takes_changes);
        }
        let one = Judged::new(rule, alternatives);
        found.extend(one.findings());
        let mut said = HashSet::new();
        found.retain(|finding| said.insert(finding.message.clone()));
        findings.extend(found.into_iter().map(|finding| finding.of(rule.name.clone())));
        judged.push(one);
    }
    let off = judged.iter().filter(|one| one.rule.disabled);
    findings.extend(off.map(|one| disabled(one, &judged).of(one.rule.name.clone())));
    findings.extend(missing(&judged));
    findings.sort_by_key(|finding| !finding.is_error);
    findings
}

/// The parts of a rule's pattern that are for calls of S3, or why they are not judged.
fn alternatives_of(rule: &Rule) -> Result<Vec<Fields>, Box<Finding>> {
    let invalid = |why: &String| Finding::error("invalid-pattern", format!("EventBridge refuses this pattern: {why}"));
    if rule.chars > JUDGED_CHARS_MAX {
        return Err(too_long(rule).into());
    }
    let pattern = rule.pattern.as_ref().map_err(invalid)?;
    if pattern.as_object().is_some_and(is_function) {
        return Err(checks::unresolved("the rule", &pattern.to_string()).into());
    }
    let alternatives = pattern::parse(pattern).map_err(|why| invalid(&why))?;
    Ok(alternatives.into_iter().filter(takes_calls_of_s3).collect())
}

fn too_long(rule: &Rule) -> Finding {
    let chars = rule.chars;
    Finding::error(
        "too-long",
        format!(
            "the pattern has {chars} characters, white space too, and EventBridge takes {PATTERN_CHARS_MAX}: split it"
        ),
    )
}

/// The rule takes nothing: an error if no other takes what it would.
fn disabled(rule: &Judged<'_>, all: &[Judged<'_>]) -> Finding {
    let others: Vec<_> = all.iter().filter(|other| !other.rule.disabled).flat_map(|other| &other.takes).collect();
    let lost = rule.takes.iter().filter(|call| !others.contains(call)).count();
    let all = supported().len();
    let message = format!("the rule is disabled, and {lost} of {all} supported events come by no other");
    Finding::error("disabled", message).only_noted(lost == 0)
}

fn missing(judged: &[Judged<'_>]) -> Option<Finding> {
    let taken: Vec<_> = judged.iter().flat_map(|one| &one.takes).collect();
    let missing: Vec<_> = supported().iter().filter(|call| !taken.contains(&call)).collect();
    let names: Vec<&str> = judged.iter().filter_map(|one| one.rule.name.as_deref()).collect();
    let rule = (!names.is_empty()).then(|| names.join(", "));
    (!missing.is_empty() && !judged.is_empty()).then(|| Finding::missing(missing).of(rule))
}

impl<'a> Judged<'a> {
    fn new(rule: &'a Rule, alternatives: Vec<Fields>) -> Self {
        let distinct = checks::distinct(&alternatives);
        let taken = |call: &&Call| distinct.iter().any(|one| one.passes(EVENT_NAME, call.name) != Some(false));
        Self { rule, takes: supported().iter().filter(taken).collect(), alternatives }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<_> = self.alternatives.iter().flat_map(checks::findings).collect();
        if self.rule.chars > PATTERN_CHARS_MAX {
            findings.push(too_long(self.rule));
        }
        let mut judged = HashSet::new();
        let names = checks::distinct(&self.alternatives).into_iter().flat_map(checks::names);
        let new = names.filter(|name| judged.insert(*name));
        findings.extend(new.filter_map(|(name, s3_alone)| self.name(name, s3_alone)));
        findings
    }

    fn name(&self, name: &str, s3_alone: bool) -> Option<Finding> {
        match names::judge(name, s3_alone) {
            Verdict::Fine => None,
            Verdict::Read if self.rule.takes_reads => None,
            Verdict::Read => {
                let why = "only reads: EventBridge gives a plain rule no management read, and none is folded";
                Some(Finding::error("read-only", format!("{name} {why}")).about(name))
            }
            Verdict::Wrong { right, surely } => {
                let covered = self.takes.iter().any(|call| call.name == right);
                let more = match (surely, covered) {
                    (false, _) => "; another service may have an event of this name",
                    (true, true) => ", which is matched, too",
                    (true, false) => ": list that",
                };
                let message = format!("CloudTrail is not known to write {name} for S3; there it is {right}{more}");
                let finding = Finding::error("wrong-name", message).only_noted(covered || !surely);
                Some(finding.about(name).instead(right))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::forms::rules;
    use super::super::offer::{self, DETAIL_TYPE};
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
                let mark = if finding.is_error { "" } else { "note " };
                let value = finding.as_json()[0]["value"].as_str().map(|value| format!(" {value}")).unwrap_or_default();
                format!("{mark}{}{value}", finding.code)
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
            (&[("/source", json!(["aws.sqs"]))], &["missing-source s3.amazonaws.com"]),
            (&[("/source", json!(["aws.s3", "aws.ec2"]))], &[]),
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
            // What every change carries.
            (&[("/detail/readOnly", json!([true]))], &["no-change"]),
            (&[("/detail/readOnly", json!(["false"]))], &["no-change"]),
            (&[("/detail/managementEvent", json!([false]))], &["no-change"]),
            (&[("/detail/eventCategory", json!(["Data"]))], &["no-change"]),
            (&[("/detail/readOnly", json!([false])), ("/detail/managementEvent", json!([true]))], &[]),
            (&[("/detail/eventCategory", json!([{"anything-but": "Data"}]))], &[]),
            (&[("/detail/readOnly", json!([{"Ref": "Reads"}]))], &[r#"note unresolved-value {"Ref":"Reads"}"#]),
            (&[("/account", json!(["111122223333"]))], &["note narrowed"]),
            (
                &[(
                    "/detail/eventName",
                    json!([{"exists": true}, "PutPublicAccessBlock", "GetBucketAcl", "PutBucketMoon"]),
                )],
                &["read-only GetBucketAcl", "note wrong-name PutPublicAccessBlock"],
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

    /// A rule's state, and what is changed in the pattern that is offered.
    type Stated<'a> = (&'a str, &'a [(&'a str, Value)]);

    fn codes_of(rules: &[Stated]) -> Vec<String> {
        let rule = |(number, (state, changes)): (usize, &Stated)| {
            let properties = json!({"State": state, "EventPattern": offered(changes)});
            (format!("R{number}"), json!({"Type": "AWS::Events::Rule", "Properties": properties}))
        };
        codes(&json!({"Resources": rules.iter().enumerate().map(rule).collect::<serde_json::Map<_, _>>()}))
    }

    #[test]
    fn rules_are_judged_together() {
        let all: &[(&str, Value)] = &[];
        let but_one: &[(&str, Value)] = &[("/detail/eventName", json!([{"anything-but": "DeleteBucket"}]))];
        let refusals: &[(&str, Value)] = &[("/detail/errorCode", json!(["AccessDenied"]))];
        let data: &[(&str, Value)] = &[("/detail/managementEvent", json!([false]))];
        let cases: &[(&[Stated], &[&str])] = &[
            // A disabled rule takes nothing.
            (&[("DISABLED", all)], &["disabled"]),
            (&[("ENABLED", all), ("DISABLED", all)], &["note disabled"]),
            (&[("ENABLED", but_one), ("DISABLED", all)], &["disabled"]),
            (&[("DISABLED", but_one)], &["disabled", "missing-event DeleteBucket"]),
            // One for something else takes no change, and is no error beside one for changes.
            (&[("ENABLED", all), ("ENABLED", refusals), ("ENABLED", data)], &["note no-success", "note no-change"]),
            (&[("ENABLED", but_one), ("ENABLED", refusals)], &["missing-event DeleteBucket", "note no-success"]),
            (&[("ENABLED", refusals), ("ENABLED", data)], &["no-success", "no-change"]),
        ];
        for (rules, expected) in cases {
            assert_eq!(codes_of(rules), *expected);
        }
        let mut pattern = offered(&[]);
        pattern["$or"] = json!([{"detail": {"errorMessage": ["Denied"]}}, {"region": [{"prefix": "eu-"}]}]);
        pattern["detail"].as_object_mut().unwrap().remove("errorCode");
        assert_eq!(codes(&pattern), ["note no-success", "note failed-calls", "note narrowed"]);
    }

    #[test]
    fn of_a_pattern_far_too_long_nothing_else_is_said() {
        let names: Vec<String> = (0..2_000).map(|number| format!("PutBucket{number}")).collect();
        assert_eq!(codes(&offered(&[("/detail/eventName", json!(names))])), ["too-long"]);
    }
}
