//! The forms in which rules are written: a bare pattern, a rule as the AWS CLI prints or takes it, a template.

use serde_json::{Map, Value};

use super::{document, template};

/// A rule to check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Its name or logical id; a bare pattern has none.
    pub name: Option<String>,
    /// The pattern, or why there is none.
    pub pattern: Result<Value, String>,
    /// How long the pattern is as it is given to EventBridge, in characters.
    pub chars: usize,
    /// The rule's state lets management reads pass.
    pub takes_reads: bool,
    /// It takes nothing.
    pub disabled: bool,
}

/// The keys that a pattern can have at its top.
const PATTERN_KEYS: &[&str] =
    &["source", "detail-type", "detail", "account", "region", "resources", "id", "time", "version", "$or"];
const EXPECTED: &str = "expected an EventBridge pattern, a rule with EventPattern, or a CloudFormation template";
/// The state of a rule that gets what plain rules do not.
const ALL_EVENTS: &str = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

/// The rules in a text, JSON or YAML.
///
/// # Errors
/// One line: what is there, and what was expected. Errors of syntax tell the line.
pub(crate) fn rules(text: &str) -> Result<Vec<Rule>, String> {
    let value = document::parse(text)?;
    let object = value.as_object().filter(|object| !object.is_empty()).ok_or(EXPECTED)?;
    if let Some(resources) = object.get("Resources").and_then(Value::as_object) {
        let rules = template::rules(resources);
        return match rules.is_empty() {
            true => Err(
                "the template has no rule with an event pattern (AWS::Events::Rule, or a function's EventBridgeRule)"
                    .into(),
            ),
            false => Ok(rules),
        };
    }
    if let Some(pattern) = object.get("EventPattern") {
        let name = object.get("Name").and_then(Value::as_str).map(String::from);
        return Ok(vec![Rule::new(name, pattern, object)]);
    }
    if object.keys().any(|key| PATTERN_KEYS.contains(&key.as_str())) {
        let rule = Rule::new(None, &value, &Map::new());
        // EventBridge gets the file as it is.
        return Ok(vec![Rule { chars: text.trim().chars().count(), ..rule }]);
    }
    let keys: Vec<&str> = object.keys().take(5).map(String::as_str).collect();
    Err(format!("{EXPECTED}; found an object with {}", keys.join(", ")))
}

impl Rule {
    /// A rule whose pattern is an object, or text that holds one; `properties` are those of the rule.
    pub(crate) fn new(name: Option<String>, pattern: &Value, properties: &Map<String, Value>) -> Self {
        let text = match pattern {
            Value::String(text) => Some(text.as_str()),
            Value::Object(object) if object.len() == 1 => match object.get("Fn::Sub") {
                Some(Value::String(text)) => Some(text.as_str()),
                Some(Value::Array(parts)) => parts.first().and_then(Value::as_str),
                _ => None,
            },
            _ => None,
        };
        let parsed = match text {
            Some(text) => document::json(text),
            None => Ok(pattern.clone()),
        };
        let state = properties.get("State").and_then(Value::as_str);
        Self {
            name,
            pattern: parsed,
            chars: text.map_or_else(|| pattern.to_string(), String::from).chars().count(),
            takes_reads: state == Some(ALL_EVENTS),
            // SAM's older events have `Enabled` instead.
            disabled: state == Some("DISABLED") || properties.get("Enabled") == Some(&Value::Bool(false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names_and_sources(text: &str) -> Vec<(Option<String>, Value)> {
        rules(text).unwrap().into_iter().map(|rule| (rule.name, rule.pattern.unwrap()["source"].clone())).collect()
    }

    #[test]
    fn a_rule_is_found_in_each_form() {
        let s3 = json!(["aws.s3"]);
        for (text, name) in [
            (r#"{"source": ["aws.s3"]}"#, None),
            ("source:\n  - aws.s3\n", None),
            (r#"{"Name": "watch", "EventPattern": "{\"source\":[\"aws.s3\"]}", "State": "ENABLED"}"#, Some("watch")),
            (r#"{"EventPattern": {"source": ["aws.s3"]}}"#, None),
        ] {
            assert_eq!(names_and_sources(text), [(name.map(String::from), s3.clone())], "{text}");
        }
    }

    #[test]
    fn a_pattern_is_as_long_as_it_is_given_to_eventbridge() {
        let length = |text: &str| rules(text).unwrap().remove(0).chars;
        assert_eq!(length("{\n  \"source\": [\"aws.s3\"]\n}\n"), 26);
        assert_eq!(length(r#"{"EventPattern": "{\"source\": [\"aws.s3\"]}"}"#), 22);
        assert_eq!(length(r#"{"EventPattern": {  "source": ["aws.s3"]}}"#), 21);
    }

    #[test]
    fn what_is_no_rule_is_answered_with_what_was_found() {
        for (text, part) in [
            ("{\"source\":\n [\"aws.s3\",\n}", "line 3"),
            ("source:\n  - aws.s3\n bad: [\n", "line 3"),
            ("Resources: {}\n", "no rule with an event pattern"),
            ("", EXPECTED),
            ("hello", EXPECTED),
            ("[]", EXPECTED),
            ("{}", EXPECTED),
            (r#"{"Records": [], "a": 1}"#, "found an object with Records, a"),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
