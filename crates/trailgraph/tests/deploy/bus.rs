//! What EventBridge does with an event, by the templates' own rules and policies: no server forwards events to a
//! stream.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The bus of the sending account, its rule, and the bus of the receiving one.
pub(crate) struct Buses {
    pub(crate) sender: BTreeMap<String, Value>,
    pub(crate) receiver: BTreeMap<String, Value>,
}

/// What became of an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Sent {
    /// Into the stream, under this partition key, as these bytes.
    Put { key: String, record: Vec<u8> },
    /// The sender's rule takes no such event.
    NotTaken,
    /// The receiver's bus does not let the account in: it lands in the sender's queue of undelivered events.
    Refused,
    /// No rule of the receiver's bus takes it.
    Dropped,
}

/// Who sends, and from where.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) account: &'a str,
    pub(crate) organization: Option<&'a str>,
    pub(crate) region: &'a str,
}

impl Buses {
    /// Carries the body of one `PutEvents` entry from an account's default bus to the receiver's stream.
    pub(crate) fn carry(&self, from: From, entry: &Value) -> Sent {
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().expect("a detail")).expect("JSON");
        let event = json!({
            "version": "0", "id": format!("00000000-0000-4000-8000-{:012}", detail.to_string().len()),
            "detail-type": entry["DetailType"], "source": entry["Source"], "account": from.account,
            "time": "2026-03-01T12:00:01Z", "region": from.region, "resources": [], "detail": detail,
        });
        if !matches(&self.sender["Rule"]["Properties"]["EventPattern"], &event) {
            return Sent::NotTaken;
        }
        if !self.lets_in(from) {
            return Sent::Refused;
        }
        let mut keys = self.rules().filter(|rule| matches(&rule["EventPattern"], &event)).map(|rule| {
            let target = &rule["Targets"][0];
            let path = target["KinesisParameters"]["PartitionKeyPath"].as_str().expect("a path");
            let pointer = path.strip_prefix('$').expect("a path from the root").replace('.', "/");
            event.pointer(&pointer).and_then(Value::as_str).expect("the key is there").to_owned()
        });
        match (keys.next(), keys.next()) {
            (Some(key), None) => Sent::Put { key, record: event.to_string().into_bytes() },
            (None, _) => Sent::Dropped,
            (Some(one), Some(other)) => panic!("the event is put twice, under {one} and {other}"),
        }
    }

    fn rules(&self) -> impl Iterator<Item = &Value> {
        self.receiver.values().filter(|made| made["Type"] == "AWS::Events::Rule").map(|rule| &rule["Properties"])
    }

    /// Whether a statement of the bus's policies lets the account put events.
    fn lets_in(&self, from: From) -> bool {
        let policies = self.receiver.values().filter(|made| made["Type"] == "AWS::Events::EventBusPolicy");
        let mut statements = policies.map(|policy| &policy["Properties"]["Statement"]);
        statements.any(|statement| {
            assert_eq!((&statement["Effect"], &statement["Action"]), (&json!("Allow"), &json!("events:PutEvents")));
            assert_eq!(statement["Resource"], "arn:Bus");
            let named = match &statement["Principal"] {
                Value::String(anyone) if anyone == "*" => true,
                principal => {
                    principal["AWS"].as_array().expect("accounts").iter().any(|account| account == from.account)
                }
            };
            let belongs = match statement.get("Condition") {
                None => true,
                Some(condition) => {
                    let organization = &condition["StringEquals"]["aws:PrincipalOrgID"];
                    assert_eq!(*condition, json!({"StringEquals": {"aws:PrincipalOrgID": organization}}));
                    from.organization.is_some_and(|own| organization == own)
                }
            };
            named && belongs
        })
    }
}

/// The kinds of patterns that the templates have: texts, and whether there is a field.
fn matches(pattern: &Value, event: &Value) -> bool {
    let all = |fields: &Map<String, Value>| fields.iter().all(|(name, wanted)| matches(wanted, &event[name]));
    match pattern {
        Value::Object(fields) => all(fields),
        Value::Array(choices) => choices.iter().any(|choice| match choice {
            Value::String(_) => choice == event,
            _ => {
                let exists = choice["exists"].as_bool().expect("a text, or whether there is a field");
                exists != event.is_null()
            }
        }),
        other => panic!("{other} is no pattern"),
    }
}
