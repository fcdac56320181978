//! What a check finds, as text and as JSON. The codes are a contract.

use std::fmt;

use bucket_state::{Call, supported};
use serde_json::{Value, json};

use crate::graph_commands::text::visible;

/// Something about a rule.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The rule does not do what it is for; else it is good to know, and the check passes.
    pub is_error: bool,
    /// What scripts tell it by.
    pub code: &'static str,
    pub message: String,
    /// The rule's name, where its form gives it one.
    rule: Option<String>,
    /// What it is about.
    value: Option<String>,
    /// What to write instead.
    right: Option<String>,
    /// The events that are missing.
    missing: Vec<&'static Call>,
}

impl Finding {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { is_error: true, code, message, rule: None, value: None, right: None, missing: Vec::new() }
    }

    pub(crate) fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::error(code, message).only_noted(true)
    }

    /// No rule takes these.
    pub(crate) fn missing(calls: Vec<&'static Call>) -> Self {
        let (count, all) = (calls.len(), supported().len());
        let message = format!("{count} of {all} supported events are not matched: {}", by_facet(&calls));
        Self { missing: calls, ..Self::error("missing-event", message) }
    }

    /// In the rule, or rules, of this name.
    pub(crate) fn of(self, rule: Option<String>) -> Self {
        Self { rule, ..self }
    }

    /// A note where that is enough.
    pub(crate) fn only_noted(self, enough: bool) -> Self {
        Self { is_error: self.is_error && !enough, ..self }
    }

    /// What it is about.
    pub(crate) fn about(self, value: impl Into<String>) -> Self {
        Self { value: Some(value.into()), ..self }
    }

    /// What to write instead.
    pub(crate) fn instead(self, right: impl Into<String>) -> Self {
        Self { right: Some(right.into()), ..self }
    }

    fn level(&self) -> &'static str {
        if self.is_error { "error" } else { "note" }
    }

    /// One object; for events that are missing, one each.
    pub(crate) fn as_json(&self) -> Vec<Value> {
        let object = |value: Option<&str>, facet: Option<&str>, message: &str| {
            json!({
                "rule": self.rule,
                "code": self.code,
                "level": self.level(),
                "value": value,
                "use": self.right,
                "facet": facet,
                "message": message,
            })
        };
        if self.missing.is_empty() {
            return vec![object(self.value.as_deref(), None, &self.message)];
        }
        let each = |call: &&Call| object(Some(call.name), Some(call.facet()), &format!("{} is not matched", call.name));
        self.missing.iter().map(each).collect()
    }
}

impl fmt::Display for Finding {
    /// One line; what the file says cannot move the cursor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5} {:<16} ", self.level(), self.code)?;
        if let Some(rule) = &self.rule {
            write!(f, "{}: ", visible(rule))?;
        }
        f.write_str(&visible(&self.message))
    }
}

/// `acl (PutBucketAcl), policy (PutBucketPolicy, …)`, in the catalogue's order.
fn by_facet(calls: &[&Call]) -> String {
    let mut facets: Vec<(&str, Vec<&str>)> = Vec::new();
    for call in calls {
        match facets.iter_mut().find(|(facet, _)| *facet == call.facet()) {
            Some((_, names)) => names.push(call.name),
            None => facets.push((call.facet(), vec![call.name])),
        }
    }
    let named = |(facet, names): &(&str, Vec<&str>)| format!("{facet} ({})", names.join(", "));
    facets.iter().map(named).collect::<Vec<_>>().join(", ")
}
