//! What both services have in common on the wire: JSON in, JSON or an error out.

use serde_json::{Map, Value, json};

/// An error as the services answer it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    message: String,
    /// The item of a failed condition, if it was asked for.
    item: Option<Value>,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into(), item: None }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    pub(crate) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn with_item(self, item: Option<Value>) -> Self {
        Self { item, ..self }
    }

    pub(crate) fn body(self) -> Value {
        let mut body = json!({ "__type": self.code, "message": self.message });
        if let Some(item) = self.item {
            body["Item"] = item;
        }
        body
    }
}

/// The members of a request. Reading one of the wrong type is a `ValidationException`.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    operation: &'a str,
    members: &'a Map<String, Value>,
}

impl<'a> Input<'a> {
    pub(crate) fn new(operation: &'a str, input: &'a Value) -> Result<Self, Failure> {
        let members = input.as_object();
        let members = members.ok_or_else(|| Failure::new("SerializationException", "the request is no JSON object"))?;
        Ok(Self { operation, members })
    }

    /// Refuses a request with members that the fake would have to overlook.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        match self.members.iter().find(|(name, value)| !value.is_null() && !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(Failure::invalid(format!(
                "fake-aws does not know {name} of {}: leave it out, or teach fake-aws what it does",
                self.operation
            ))),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        self.typed(name, "text", Value::as_str)
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.typed(name, "an integer", Value::as_i64)
    }

    pub(crate) fn map(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Failure> {
        self.typed(name, "an object", Value::as_object)
    }

    pub(crate) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, Failure> {
        self.typed(name, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// A time, which the protocol tells in seconds with a fraction, in milliseconds.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, Failure> {
        let seconds = self.typed(name, "a time in seconds", Value::as_f64)?;
        Ok(seconds.map(|seconds| (seconds * 1000.0).round() as i64))
    }

    pub(crate) fn needed<T>(&self, name: &str, member: Option<T>) -> Result<T, Failure> {
        member.ok_or_else(|| Failure::invalid(format!("{} needs {name}", self.operation)))
    }

    pub(crate) fn needed_text(&self, name: &str) -> Result<&'a str, Failure> {
        self.needed(name, self.text(name)?)
    }

    fn typed<T>(&self, name: &str, kind: &str, of: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match of(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::invalid(format!("{name} of {} has to be {kind}", self.operation))),
        }
    }
}

/// A time as the protocol tells it.
pub(crate) fn seconds(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}
