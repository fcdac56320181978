//! A change as an update of named attributes, on the condition that the row is the one that was seen.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::super::{Change, Checkpoint, Lease, words};
use super::row::{name, numeral, set, string};
use crate::record::{Position, ShardId};

/// The expressions of one conditional write.
#[derive(Default)]
pub(super) struct Write {
    /// Absent where nothing changes: a worker that asks for what it already hands over to itself.
    pub(super) update: Option<String>,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: HashMap<String, AttributeValue>,
}

/// What an update does.
#[derive(Default)]
struct Clauses {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
}

impl Write {
    /// A write that asks whether the row is still `seen`, and changes nothing. An update would make a row that is not
    /// there, so that is asked, too.
    pub(super) fn on(seen: &Lease) -> Self {
        let mut write = Self::default();
        let exists = format!("attribute_exists({})", write.name(name::KEY));
        let owner = write.is(name::OWNER, seen.owner.as_deref());
        let checkpoint_owner = write.is(name::CHECKPOINT_OWNER, seen.checkpoint_owner.as_deref());
        let counter = write.name(name::COUNTER);
        write.values.insert(":seen".into(), numeral(seen.counter));
        // A row without a counter reads as one that has never been written.
        let counter = match seen.counter {
            0 => format!("({counter} = :seen OR attribute_not_exists({counter}))"),
            _ => format!("{counter} = :seen"),
        };
        write.condition = [exists, counter, owner, checkpoint_owner].join(" AND ");
        write
    }

    pub(super) fn of(seen: &Lease, change: &Change, stream: &str) -> Self {
        let mut write = Self::on(seen);
        let mut to = Clauses::default();
        let mut next = seen.clone();
        next.apply(change);
        if next.counter != seen.counter {
            write.set(&mut to, name::COUNTER, numeral(next.counter));
        }
        for (attribute, was, is) in [
            (name::OWNER, &seen.owner, &next.owner),
            (name::CHECKPOINT_OWNER, &seen.checkpoint_owner, &next.checkpoint_owner),
        ] {
            match is {
                _ if was == is => {}
                Some(worker) => write.set(&mut to, attribute, string(worker)),
                None => to.remove.push(write.name(attribute)),
            }
        }
        let switched = match change {
            Change::Take { owner } => seen.holder().is_some_and(|holder| holder != owner),
            Change::Release { .. } => seen.checkpoint_owner.is_some() && seen.owner.is_some(),
            Change::Renew { .. } | Change::Ask { .. } | Change::Withdraw | Change::Rewind { .. } => false,
        };
        match change {
            Change::Renew { checkpoint: Some(Checkpoint { position, children }), .. }
            | Change::Release { checkpoint: Some(Checkpoint { position, children }) } => {
                write.reach(&mut to, position, children, switched);
            }
            Change::Rewind { position } => {
                write.reach(&mut to, position, &[], switched);
                if position.timestamp_ms().is_none() {
                    to.remove.push(write.name(name::START_TIMESTAMP));
                }
            }
            _ if switched => {
                write.values.insert(":one".into(), numeral(1));
                to.add.push(format!("{} :one", write.name(name::OWNER_SWITCHES)));
            }
            _ => {}
        }
        if let Change::Take { .. } = change {
            // The row may be another library's, which does not write this.
            write.set(&mut to, name::STREAM, string(stream));
        }
        if let Change::Renew { throughput_kbps: Some(throughput), .. } = change {
            write.set(&mut to, name::THROUGHPUT, numeral(*throughput));
        }
        write.update = to.expression();
        write
    }

    /// A checkpoint, and what goes with one in the books of the Kinesis Client Library.
    fn reach(&mut self, to: &mut Clauses, position: &Position, children: &[ShardId], switched: bool) {
        let (word, sub_sequence) = words::of(position);
        self.set(to, name::CHECKPOINT, string(word));
        self.set(to, name::SUB_SEQUENCE, numeral(sub_sequence));
        self.set(to, name::OWNER_SWITCHES, numeral(u8::from(switched)));
        if let Some(ms) = position.timestamp_ms() {
            self.set(to, name::START_TIMESTAMP, numeral(ms));
        }
        if let Some(children) = set(children) {
            self.set(to, name::CHILDREN, children);
        }
        to.remove.extend(name::PENDING.map(|pending| self.name(pending)));
    }

    /// Attributes always go by a placeholder, since the reserved words grow.
    fn name(&mut self, attribute: &str) -> String {
        let placeholder = format!("#{attribute}");
        self.names.insert(placeholder.clone(), attribute.to_owned());
        placeholder
    }

    fn set(&mut self, to: &mut Clauses, attribute: &str, value: AttributeValue) {
        let placeholder = self.name(attribute);
        to.set.push(format!("{placeholder} = :{attribute}"));
        self.values.insert(format!(":{attribute}"), value);
    }

    fn is(&mut self, attribute: &str, worker: Option<&str>) -> String {
        let placeholder = self.name(attribute);
        let Some(worker) = worker else { return format!("attribute_not_exists({placeholder})") };
        let value = format!(":seen_{attribute}");
        let condition = format!("{placeholder} = {value}");
        self.values.insert(value, string(worker));
        condition
    }
}

impl Clauses {
    fn expression(&self) -> Option<String> {
        let clauses = [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add)];
        let used = clauses.into_iter().filter(|(_, actions)| !actions.is_empty());
        let written: Vec<_> = used.map(|(word, actions)| format!("{word} {}", actions.join(", "))).collect();
        (!written.is_empty()).then(|| written.join(" "))
    }
}
