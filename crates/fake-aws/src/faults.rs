//! What is asked of the services, and what may go wrong with it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

/// A request that reached the services.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation alone, such as `GetRecords`.
    pub operation: String,
    /// The request as it was sent.
    pub input: Value,
    /// When it arrived.
    pub at: Instant,
    /// The access key id that signed it: give each worker its own. Empty if the request is unsigned.
    pub caller: String,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not done, and refused with this error. From 500 on the SDK takes it for the service's own and tries again.
    Error {
        /// The HTTP status.
        status: u16,
        /// The code, such as `InternalFailure`.
        code: &'static str,
    },
    /// Not done: the connection is cut.
    Reset,
    /// Done, and then the connection is cut.
    LoseAnswer,
    /// Done at once, and answered after this time.
    Late(Duration),
    /// Done and answered after this time, also when nobody waits any more: the request was under way.
    LateStart(Duration),
}

type Script = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// As many calls of one operation are remembered.
const ASKED_MAX: usize = 100_000;

/// The script of faults, and the calls that it was shown.
#[derive(Default)]
pub(crate) struct Faults {
    script: Mutex<Option<Script>>,
    asked: Mutex<HashMap<String, VecDeque<Call>>>,
}

impl Faults {
    pub(crate) fn set(&self, script: Script) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Some(script);
    }

    /// Notes the call and tells what goes wrong with it.
    pub(crate) fn of(&self, call: &Call) -> Option<Fault> {
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = asked.entry(call.operation.clone()).or_default();
            if asked.len() == ASKED_MAX {
                asked.pop_front();
            }
            asked.push_back(call.clone());
        }
        self.script.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|script| script(call))
    }

    pub(crate) fn asked(&self, operation: &str) -> Vec<Call> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.get(operation).into_iter().flatten().cloned().collect()
    }
}
