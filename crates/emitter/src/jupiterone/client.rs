//! The synchronization API: paced requests, and what each answer means.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::http::{Header, Http, Request, Response};
use super::pace::Pace;
use crate::commit::back_off;
use crate::sink::{Observe, SinkEvent};

const JOBS: &str = "/persister/synchronization/jobs";
/// Smaller bodies are sent as they are.
const GZIP_FROM: usize = 1 << 10;
/// So often a request is sent before its turn fails. Answers of 429 are waited out and do not count.
const ATTEMPTS: u32 = 5;
/// So often the server may say that there were too many requests, before the turn fails.
const RESTS: u32 = 3;
const REST_LEAST: Duration = Duration::from_secs(1);
/// Less than that after which a claim that stands still is taken over.
const REST_MOST: Duration = Duration::from_secs(30);

/// What requests may be answered, as a metric tells it.
pub const JUPITERONE_STATUSES: [&str; 10] = ["2xx", "400", "401", "403", "404", "409", "413", "429", "5xx", "other"];

/// Why a request had no effect, or none that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The credentials are not taken.
    Denied(String),
    /// It may work later.
    Down(String),
    /// This worker is to stop.
    Stopped,
    /// The job takes no uploads: it is finalized, aborted or too old.
    NotAwaiting,
    /// The body is too large.
    TooLarge,
    /// Something in the body is not taken, for this reason.
    Refused(String),
    /// There is no such job.
    NoJob,
}

/// A job, as far as it matters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) done: bool,
    num_entity_create_errors: u64,
    num_entity_update_errors: u64,
    num_entity_delete_errors: u64,
    num_relationship_create_errors: u64,
    num_relationship_update_errors: u64,
    num_relationship_delete_errors: u64,
}

impl Job {
    /// Whether nothing can change any more. Words that this build does not know are not taken for an end.
    pub(crate) fn is_done(&self) -> bool {
        let ended =
            ["FINISHED", "ABORTED", "ERROR_BAD_DATA", "ERROR_UNEXPECTED_FAILURE"].contains(&self.status.as_str());
        self.done || ended || self.status.starts_with("ABORTED_")
    }

    /// What it could not do, where it was something: entities and relationships.
    pub(crate) fn errors(&self) -> Option<(u64, u64)> {
        let entities = self.num_entity_create_errors + self.num_entity_update_errors + self.num_entity_delete_errors;
        let relationships = self.num_relationship_create_errors
            + self.num_relationship_update_errors
            + self.num_relationship_delete_errors;
        (entities + relationships > 0).then_some((entities, relationships))
    }
}

#[derive(Deserialize)]
struct JobAnswer {
    job: Job,
}

#[derive(Default, Deserialize)]
struct ErrorAnswer {
    #[serde(default)]
    error: ApiError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApiError {
    code: String,
    message: String,
}

/// One JupiterOne account, reached with its key and at its pace.
pub(crate) struct Client {
    pub(crate) http: Arc<dyn Http>,
    pub(crate) account: String,
    pub(crate) key: SecretString,
    pub(crate) pace: Mutex<Pace>,
    pub(crate) observe: Observe,
}

impl Client {
    /// Starts a job on a scope.
    pub(crate) async fn start(&self, scope: &str, mode: &str, stop: &CancellationToken) -> Result<Job, Trouble> {
        let body = json!({"source": "api", "scope": scope, "syncMode": mode});
        self.job(&self.post(JOBS.to_owned(), &body.to_string()), Some(stop)).await
    }

    /// Uploads a chunk: `{"entities": […]}` to `entities`, or the same of relationships. Its correlation id is kept over
    /// repeats, which change nothing.
    pub(crate) async fn upload(
        &self,
        job: &str,
        what: &str,
        body: &str,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let mut request = self.post(format!("{JOBS}/{job}/{what}?ignoreDuplicates=true"), body);
        let correlation = uuid::Uuid::new_v4().to_string();
        request.headers.push(Header { name: "JupiterOne-Correlation-Id", value: correlation, secret: false });
        if request.body.len() > GZIP_FROM {
            request.body = gzipped(&request.body);
            request.headers.push(Header { name: "Content-Encoding", value: "gzip".into(), secret: false });
        }
        self.job(&request, Some(stop)).await.map(drop)
    }

    /// Makes what was uploaded stand.
    pub(crate) async fn finalize(&self, job: &str) -> Result<Job, Trouble> {
        self.job(&self.post(format!("{JOBS}/{job}/finalize"), "{}"), None).await
    }

    /// How a job is.
    pub(crate) async fn status(&self, job: &str) -> Result<Job, Trouble> {
        let headers = self.headers();
        let request = Request { method: "GET", path: format!("{JOBS}/{job}"), headers, body: Vec::new() };
        self.job(&request, None).await
    }

    /// Gives a job up. Counted, and not kept waiting.
    pub(crate) async fn abort(&self, job: &str, reason: &str) -> Result<(), Trouble> {
        let request = self.post(format!("{JOBS}/{job}/abort"), &json!({"reason": reason}).to_string());
        self.pace.lock().await.take();
        self.judge(&self.http.send(&request).await.map_err(|error| self.no_answer(&error))?).map(drop)
    }

    fn post(&self, path: String, body: &str) -> Request {
        Request { method: "POST", path, headers: self.headers(), body: body.as_bytes().to_vec() }
    }

    fn headers(&self) -> Vec<Header> {
        let header = |name, value: &str, secret| Header { name, value: value.to_owned(), secret };
        vec![
            header("Accept", "application/json", false),
            header("Content-Type", "application/json", false),
            header("JupiterOne-Account", &self.account, false),
            header("Authorization", &format!("Bearer {}", self.key.expose_secret()), true),
        ]
    }

    /// Sends a request at the account's pace, again where that may help. With `stop`, waits no longer than that.
    async fn job(&self, request: &Request, stop: Option<&CancellationToken>) -> Result<Job, Trouble> {
        let (mut failures, mut rests) = (0, 0);
        loop {
            self.wait(stop).await?;
            let sent = self.http.send(request);
            let answer = match stop {
                Some(stop) => stop.run_until_cancelled(sent).await.ok_or(Trouble::Stopped)?,
                None => sent.await,
            };
            let answered = match answer {
                Ok(response) if response.status == 429 && rests < RESTS => {
                    (self.observe)(SinkEvent::Answered("429"));
                    rests += 1;
                    let asked = response.ask_again_after.map_or(REST_LEAST, Duration::from_secs);
                    self.pace.lock().await.rest(asked.clamp(REST_LEAST, REST_MOST));
                    continue;
                }
                // It has rested often enough: more would only be refused again.
                Ok(response) if response.status == 429 => return self.judge(&response),
                Ok(response) => self.judge(&response),
                Err(error) => Err(self.no_answer(&error)),
            };
            match answered {
                Err(Trouble::Down(why)) if failures + 1 < ATTEMPTS => {
                    tracing::debug!(account = self.account, path = request.path, why, "asking JupiterOne again");
                    self.pause(back_off(failures + 3), stop).await?;
                    failures += 1;
                }
                answered => return answered,
            }
        }
    }

    /// Waits for a token.
    async fn wait(&self, stop: Option<&CancellationToken>) -> Result<(), Trouble> {
        let (now, at) = (Instant::now(), self.pace.lock().await.take());
        let time = at.saturating_duration_since(now);
        if !time.is_zero() {
            (self.observe)(SinkEvent::Waited(time));
        }
        self.pause(time, stop).await
    }

    async fn pause(&self, time: Duration, stop: Option<&CancellationToken>) -> Result<(), Trouble> {
        match stop {
            Some(stop) => stop.run_until_cancelled(tokio::time::sleep(time)).await.ok_or(Trouble::Stopped),
            None => {
                tokio::time::sleep(time).await;
                Ok(())
            }
        }
    }

    fn no_answer(&self, error: &str) -> Trouble {
        (self.observe)(SinkEvent::Answered("other"));
        Trouble::Down(format!("no answer: {error}"))
    }

    fn judge(&self, response: &Response) -> Result<Job, Trouble> {
        (self.observe)(SinkEvent::Answered(class_of(response.status)));
        let error = serde_json::from_slice::<ErrorAnswer>(&response.body).unwrap_or_default().error;
        let said = || {
            let ApiError { code, message } = &error;
            let text = match (code.is_empty(), message.is_empty()) {
                (true, true) => format!("HTTP {}", response.status),
                _ => format!("HTTP {}, {code}: {message}", response.status),
            };
            text.chars().take(500).collect::<String>()
        };
        match response.status {
            200..=299 => serde_json::from_slice::<JobAnswer>(&response.body)
                .map(|answer| answer.job)
                .map_err(|error| Trouble::Down(format!("an answer that tells of no job: {error}"))),
            401 | 403 => Err(Trouble::Denied(format!(
                "the API key of JupiterOne account {} is not taken ({}): check the account's id, the key, and that it may \
                 write by the synchronization API",
                self.account,
                said()
            ))),
            404 => Err(Trouble::NoJob),
            413 => Err(Trouble::TooLarge),
            400..=499 if error.code == "JOB_NOT_AWAITING_UPLOADS" => Err(Trouble::NotAwaiting),
            400..=499 if error.code == "RequestEntityTooLargeException" => Err(Trouble::TooLarge),
            429 => Err(Trouble::Down(format!("too many requests for too long ({})", said()))),
            400 | 422 => Err(Trouble::Refused(said())),
            // The others speak of the moment (408, 409, 425), not of what was sent. The limit of the function behind the API shows in its words alone.
            _ if error.code == "RequestEntityTooLargeException" => Err(Trouble::TooLarge),
            _ => Err(Trouble::Down(said())),
        }
    }
}

fn class_of(status: u16) -> &'static str {
    match status {
        200..=299 => "2xx",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        409 => "409",
        413 => "413",
        429 => "429",
        500..=599 => "5xx",
        _ => "other",
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes every write")
}

/// A chunk's body.
pub(crate) fn chunk(what: &str, parts: &[Value]) -> String {
    json!({what: parts}).to_string()
}
