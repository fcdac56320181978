//! The claim on a JupiterOne account: words in the state store that are compared and set.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What a claim says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Words {
    /// Who wrote it; for people.
    pub(crate) worker: String,
    /// Whether it is held; else it is free.
    #[serde(default)]
    pub(crate) held: bool,
    /// The job that is open; none while it is being started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<String>,
    /// The job's scope; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// Counts up while the job goes on: who sees it stand still for long takes its worker for dead.
    pub(crate) beat: u64,
    /// In how many milliseconds the requests spent so far are forgotten.
    #[serde(default)]
    pub(crate) debt_ms: u64,
}

impl Words {
    pub(crate) fn read(text: &str) -> Self {
        // What cannot be read was written by another version: its job is not known, so it is taken for free. Whoever
        // holds it finds out at its next beat.
        serde_json::from_str(text).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("words have string keys")
    }

    pub(crate) fn debt(&self) -> Duration {
        Duration::from_millis(self.debt_ms)
    }
}

/// How long the same words have been seen, by this worker's own clock.
#[derive(Debug, Default)]
pub(crate) struct Sighting(Option<(String, Instant, Instant)>);

impl Sighting {
    /// Sees the words of another's claim; tells for how long now.
    pub(crate) fn of(&mut self, words: &str) -> Duration {
        match &self.0 {
            Some((seen, since, _)) if seen == words => since.elapsed(),
            _ => {
                self.0 = Some((words.to_owned(), Instant::now(), Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Whether it is time to ask what became of the job: now and then, since each question is a request.
    pub(crate) fn is_due(&mut self, every: Duration) -> bool {
        match &mut self.0 {
            Some((_, _, asked)) if asked.elapsed() >= every => {
                *asked = Instant::now();
                true
            }
            _ => false,
        }
    }

    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}
