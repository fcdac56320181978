//! The forms in which rules are written: a bare pattern, a rule as the AWS CLI prints or takes it, a template.

use serde_json::{Map, Value};

use super::template;

/// A rule to check.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Its name or logical id; a bare pattern has none.
    pub name: Option<String>,
    /// The pattern, or why there is none.
    pub pattern: Result<Value, String>,
    /// How long the pattern is as it is given to EventBridge, in characters.
    pub chars: usize,
    /// How long it is without white space.
    pub compact: usize,
    /// The rule's state lets management reads pass.
    pub takes_reads: bool,
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
    let value = parse(text)?;
    let Some(object) = value.as_object() else {
        return Err(format!("{EXPECTED}; found {}", kind(&value)));
    };
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
    Err(format!(
        "{EXPECTED}; found {}",
        if keys.is_empty() { "an empty object".into() } else { format!("an object with {}", keys.join(", ")) }
    ))
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
            Some(text) => serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}")),
            None => Ok(pattern.clone()),
        };
        let compact = parsed.as_ref().map_or(0, |pattern: &Value| pattern.to_string().chars().count());
        Self {
            name,
            pattern: parsed,
            chars: text.map_or(compact, |text| text.chars().count()),
            compact,
            takes_reads: properties.get("State").and_then(Value::as_str) == Some(ALL_EVENTS),
        }
    }
}

/// JSON is told by its first character, so that its errors are JSON's and not YAML's.
fn parse(text: &str) -> Result<Value, String> {
    match text.trim_start().starts_with(['{', '[']) {
        true => serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}")),
        false => yaml_serde::from_str(text).map_err(|error| format!("it is no YAML: {error}")).and_then(template::json),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "a single value",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
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
        let lengths = |text: &str| {
            let rule = rules(text).unwrap().remove(0);
            (rule.chars, rule.compact)
        };
        assert_eq!(lengths("{\n  \"source\": [\"aws.s3\"]\n}\n"), (26, 21));
        assert_eq!(lengths(r#"{"EventPattern": "{\"source\": [\"aws.s3\"]}"}"#), (22, 21));
        assert_eq!(lengths(r#"{"EventPattern": {  "source": ["aws.s3"]}}"#), (21, 21));
    }

    #[test]
    fn what_is_no_rule_is_answered_with_what_was_found() {
        for (text, error) in [
            ("", format!("{EXPECTED}; found nothing")),
            ("hello", format!("{EXPECTED}; found a single value")),
            ("[]", format!("{EXPECTED}; found a list")),
            ("{}", format!("{EXPECTED}; found an empty object")),
            (r#"{"Records": [], "a": 1}"#, format!("{EXPECTED}; found an object with Records, a")),
        ] {
            assert_eq!(rules(text).unwrap_err(), error);
        }
        for (text, part) in [
            ("{\"source\":\n [\"aws.s3\",\n}", "line 3"),
            ("source:\n  - aws.s3\n bad: [\n", "line 3"),
            ("Resources: {}\n", "no rule with an event pattern"),
        ] {
            let error = rules(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
