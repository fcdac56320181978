//! What a check finds, as text and as JSON. The codes are a contract.

use std::fmt;

use bucket_state::{Call, supported};
use serde_json::{Value, json};

use super::offer::{DETAIL_TYPE, PATTERN_CHARS_MAX};

/// Whether events are lost or money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The rule does not do what it is for.
    Error,
    /// Good to know; the check passes.
    Note,
}

/// Something about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name, where its form gives it one.
    pub rule: Option<String>,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// EventBridge would refuse the pattern.
    Invalid(String),
    /// CloudFormation fills in the value.
    Unresolved {
        field: String,
        value: String,
    },
    /// No rule in the file takes calls of S3.
    NoRule,
    /// `covered`: the rule takes the right name, too.
    WrongName {
        name: String,
        right: &'static str,
        covered: bool,
    },
    /// The name may belong to another service.
    DoubtfulName {
        name: String,
        right: &'static str,
    },
    UnknownName(String),
    ReadOnly(String),
    MissingSource {
        event_source: String,
        source: String,
    },
    /// `s3`: it is S3's own source that is dead.
    DeadSource {
        source: String,
        event_source: String,
        s3: bool,
    },
    DetailType(Option<String>),
    FailedCalls,
    OnlyFailedCalls(&'static str),
    Narrowed(Vec<String>),
    TooLong {
        chars: usize,
        compact: usize,
    },
    MissingEvents(Vec<&'static Call>),
}

impl Problem {
    /// What scripts tell it by.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid-pattern",
            Self::Unresolved { .. } => "unresolved-value",
            Self::NoRule => "no-s3-rule",
            Self::WrongName { .. } | Self::DoubtfulName { .. } => "wrong-name",
            Self::UnknownName(_) => "unknown-name",
            Self::ReadOnly(_) => "read-only",
            Self::MissingSource { .. } => "missing-source",
            Self::DeadSource { .. } => "dead-source",
            Self::DetailType(_) => "detail-type",
            Self::FailedCalls => "failed-calls",
            Self::OnlyFailedCalls(_) => "no-success",
            Self::Narrowed(_) => "narrowed",
            Self::TooLong { .. } => "too-long",
            Self::MissingEvents(_) => "missing-event",
        }
    }

    /// How bad it is.
    pub(crate) fn level(&self) -> Level {
        match self {
            Self::Unresolved { .. }
            | Self::WrongName { covered: true, .. }
            | Self::DoubtfulName { .. }
            | Self::UnknownName(_)
            | Self::DeadSource { s3: false, .. }
            | Self::DetailType(None)
            | Self::FailedCalls
            | Self::Narrowed(_) => Level::Note,
            Self::Invalid(_)
            | Self::NoRule
            | Self::WrongName { covered: false, .. }
            | Self::ReadOnly(_)
            | Self::MissingSource { .. }
            | Self::DeadSource { s3: true, .. }
            | Self::DetailType(Some(_))
            | Self::OnlyFailedCalls(_)
            | Self::TooLong { .. }
            | Self::MissingEvents(_) => Level::Error,
        }
    }

    /// What it is about, and what to write instead.
    fn value(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::WrongName { name, right, .. } | Self::DoubtfulName { name, right } => (Some(name), Some(right)),
            Self::UnknownName(name) | Self::ReadOnly(name) => (Some(name), None),
            Self::MissingSource { event_source, source } => (Some(event_source), Some(source)),
            Self::DeadSource { source, .. } => (Some(source), None),
            Self::DetailType(found) => (found.as_deref(), Some(DETAIL_TYPE)),
            Self::Unresolved { value, .. } => (Some(value), None),
            Self::Invalid(_)
            | Self::NoRule
            | Self::FailedCalls
            | Self::OnlyFailedCalls(_)
            | Self::Narrowed(_)
            | Self::TooLong { .. }
            | Self::MissingEvents(_) => (None, None),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "EventBridge refuses this pattern: {why}"),
            Self::Unresolved { field, value } => write!(f, "{field} has {value}, which is filled in later: not judged"),
            Self::NoRule => write!(f, "no rule here takes the calls of S3 that CloudTrail records"),
            Self::WrongName { name, right, covered: false } => {
                write!(f, "CloudTrail is not known to write {name} for S3; there it is {right}: list that")
            }
            Self::WrongName { name, right, covered: true } => {
                write!(f, "CloudTrail is not known to write {name} for S3; there it is {right}, which is matched, too")
            }
            Self::DoubtfulName { name, right } => {
                write!(f, "{name}, if it is meant for S3, is {right} in CloudTrail; another service may have it")
            }
            Self::UnknownName(name) => write!(f, "{name} is not known as an event of S3, and is not folded"),
            Self::ReadOnly(name) => {
                write!(f, "{name} only reads: EventBridge gives a plain rule no management read, and none is folded")
            }
            Self::MissingSource { event_source, source } => {
                write!(f, "events of {event_source} have source {source}, which is not listed, so none comes: add it")
            }
            Self::DeadSource { source, event_source, .. } => {
                write!(
                    f,
                    "calls of source {source} have eventSource {event_source}, which is not listed, so none comes"
                )
            }
            Self::DetailType(Some(found)) => {
                write!(f, "detail-type is {found}: calls that CloudTrail records come as \"{DETAIL_TYPE}\"")
            }
            Self::DetailType(None) => {
                write!(f, "no detail-type: events that are no calls pass, too; add [\"{DETAIL_TYPE}\"]")
            }
            Self::FailedCalls => write!(
                f,
                "failed calls pass, too: they are ignored, and cost; add \"errorCode\": [{{\"exists\": false}}] to detail"
            ),
            Self::OnlyFailedCalls(field) => {
                write!(f, "no successful call passes: detail.{field} asks for a value, which only failed calls have")
            }
            Self::Narrowed(fields) => {
                write!(f, "only events pass that also meet what is asked of {}", fields.join(", "))
            }
            Self::TooLong { chars, compact } => {
                write!(f, "the pattern has {chars} characters, and EventBridge takes {PATTERN_CHARS_MAX}")?;
                match *compact <= PATTERN_CHARS_MAX {
                    true => write!(f, "; without white space it has {compact}"),
                    false => write!(f, "; split the rule"),
                }
            }
            Self::MissingEvents(calls) => {
                let all = supported().len();
                write!(f, "{} of {all} supported events are not matched: {}", calls.len(), by_facet(calls))
            }
        }
    }
}

/// `acl (PutBucketAcl), policy (PutBucketPolicy, …)`, in the catalogue's order.
fn by_facet(calls: &[&Call]) -> String {
    let mut facets: Vec<&str> = Vec::new();
    for call in calls {
        if !facets.contains(&call.facet()) {
            facets.push(call.facet());
        }
    }
    let named = |facet: &str| {
        let names: Vec<&str> = calls.iter().filter(|call| call.facet() == facet).map(|call| call.name).collect();
        format!("{facet} ({})", names.join(", "))
    };
    facets.into_iter().map(named).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.problem.level() == Level::Error { "error" } else { "note" };
        write!(f, "{level:<5} {:<16} ", self.problem.code())?;
        if let Some(rule) = &self.rule {
            write!(f, "{rule}: ")?;
        }
        write!(f, "{}", self.problem)
    }
}

impl Finding {
    /// One object; for events that are missing, one each.
    pub(crate) fn as_json(&self) -> Vec<Value> {
        let (value, right) = self.problem.value();
        let object = |value: Option<&str>, facet: Option<&str>, message: String| {
            json!({
                "rule": self.rule,
                "code": self.problem.code(),
                "level": if self.problem.level() == Level::Error { "error" } else { "note" },
                "value": value,
                "use": right,
                "facet": facet,
                "message": message,
            })
        };
        match &self.problem {
            Problem::MissingEvents(calls) => calls
                .iter()
                .map(|call| object(Some(call.name), Some(call.facet()), format!("{} is not matched", call.name)))
                .collect(),
            problem => vec![object(value, None, problem.to_string())],
        }
    }
}
