//! The connection to DynamoDB, with faults on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};
use tokio::sync::watch;

/// How long a call may take to come; far more than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and nobody hears of it.
    LoseAnswer,
    /// Nothing is done, and nobody hears of it.
    LoseRequest,
    /// The caller may not.
    Deny,
    /// Too much of it.
    Throttle,
    /// DynamoDB's own fault.
    Fail,
    /// Of a batch, only the first key is read.
    Part,
    /// An index that has not heard of anything yet.
    EmptyIndex,
    /// It waits until calls are [let go](Wire::let_go), once on each wire.
    Hold,
}

/// Which calls of an operation it strikes.
#[derive(Clone, Copy, Debug)]
enum Rate {
    /// So many in a hundred.
    Percent(u8),
    /// Each that was not made before.
    FirstTry,
}

/// How it stands with calls that are to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    NoneYet,
    Some,
    LetGo,
}

#[derive(Clone, Debug)]
pub(crate) struct Wire {
    client: SharedHttpClient,
    state: Arc<Mutex<State>>,
    held: Arc<watch::Sender<Held>>,
}

#[derive(Debug, Default)]
struct State {
    answered: BTreeMap<String, usize>,
    faults: Vec<(&'static str, Fault, Rate)>,
    /// What was asked for since faults strike the first try.
    tried: BTreeSet<Vec<u8>>,
    random: Option<fastrand::Rng>,
}

impl Wire {
    pub(crate) fn new(client: impl HttpClient + 'static) -> Self {
        let held = Arc::new(watch::Sender::new(Held::NoneYet));
        Self { client: SharedHttpClient::new(client), state: Arc::default(), held }
    }

    /// From now on, every call of this operation fails so.
    pub(crate) fn fail(&self, operation: &'static str, fault: Fault) {
        self.sometimes(operation, fault, 100);
    }

    /// From now on, so many calls in a hundred fail so.
    pub(crate) fn sometimes(&self, operation: &'static str, fault: Fault, percent: u8) {
        self.state.lock().unwrap().faults.push((operation, fault, Rate::Percent(percent)));
    }

    /// From now on, each call of this operation fails so, and its repetition does not.
    pub(crate) fn at_first(&self, operation: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push((operation, fault, Rate::FirstTry));
    }

    pub(crate) fn seed(&self, seed: u64) {
        self.state.lock().unwrap().random = Some(fastrand::Rng::with_seed(seed));
    }

    /// Waits until a call is held.
    pub(crate) async fn holds(&self) {
        let mut held = self.held.subscribe();
        let waited = tokio::time::timeout(PATIENCE, held.wait_for(|held| *held == Held::Some)).await;
        waited.expect("no call came that is to wait").unwrap();
    }

    /// From now on, no call waits.
    pub(crate) fn let_go(&self) {
        self.held.send_replace(Held::LetGo);
    }

    pub(crate) fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        state.faults.clear();
        state.tried.clear();
    }

    /// How often each operation was answered since this was asked last, refusals too, but not what the server excused: what
    /// is repeated because a busy server was too slow counts once.
    pub(crate) fn answered(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.state.lock().unwrap().answered)
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Connector { inner, state: Arc::clone(&self.state), held: Arc::clone(&self.held) })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    state: Arc<Mutex<State>>,
    held: Arc<watch::Sender<Held>>,
}

impl Connector {
    fn fault(&self, operation: &str, body: &[u8]) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let State { faults, random, tried, .. } = &mut *state;
        let random = random.get_or_insert_with(|| fastrand::Rng::with_seed(1));
        let mut of_it = faults.iter().filter(|(fails, _, _)| *fails == operation);
        let strikes = |(_, _, rate): &&(&str, Fault, Rate)| match rate {
            Rate::Percent(percent) => random.u8(..100) < *percent,
            Rate::FirstTry => tried.insert(body.to_vec()),
        };
        of_it.find(strikes).map(|(_, fault, _)| *fault)
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let fault = self.fault(&operation, body);
        let asks_index = body.windows(11).any(|word| word == b"\"IndexName\"");
        let (inner, state, held) = (self.inner.clone(), Arc::clone(&self.state), Arc::clone(&self.held));
        let reset = || ConnectorError::io("the connection was reset".into());
        HttpConnectorFuture::new(async move {
            let answer = match fault {
                None => inner.call(request).await,
                Some(Fault::LoseAnswer) => {
                    inner.call(request).await?;
                    Err(reset())
                }
                Some(Fault::LoseRequest) => Err(reset()),
                Some(Fault::Deny) => Ok(refusal(400, "AccessDeniedException", "is not authorized to perform")),
                Some(Fault::Throttle) => Ok(refusal(400, "ThrottlingException", "Rate exceeded")),
                Some(Fault::Fail) => Ok(refusal(500, "InternalServerError", "try again")),
                Some(Fault::EmptyIndex) if asks_index => Ok(answer(200, &json!({ "Items": [], "Count": 0 }))),
                Some(Fault::EmptyIndex) => inner.call(request).await,
                Some(Fault::Hold) => {
                    held.send_if_modified(|held| {
                        let is_first = *held == Held::NoneYet;
                        *held = if is_first { Held::Some } else { *held };
                        is_first
                    });
                    held.subscribe().wait_for(|held| *held == Held::LetGo).await.unwrap();
                    inner.call(request).await
                }
                Some(Fault::Part) => in_part(&inner, request).await,
            }?;
            if !answer.status().is_server_error() {
                *state.lock().unwrap().answered.entry(operation).or_default() += 1;
            }
            Ok(answer)
        })
    }
}

fn refusal(status: u16, kind: &str, message: &str) -> HttpResponse {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{kind}");
    answer(status, &json!({ "__type": kind, "message": message }))
}

/// Has the first key read, and names the others as not processed.
async fn in_part(inner: &SharedHttpConnector, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let mut asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
    let (table, wanted) = asked["RequestItems"].as_object_mut().unwrap().iter_mut().next().unwrap();
    let left = wanted["Keys"].as_array_mut().unwrap().split_off(1);
    let mut unprocessed = wanted.clone();
    unprocessed["Keys"] = left.into();
    let (table, nothing_left) = (table.clone(), unprocessed["Keys"].as_array().unwrap().is_empty());
    *request.body_mut() = SdkBody::from(asked.to_string());
    let length = request.body().content_length().unwrap();
    request.headers_mut().insert("content-length", length.to_string());
    let mut response = inner.call(request).await?;
    let body = aws_smithy_types::byte_stream::ByteStream::new(response.take_body()).collect().await;
    let mut told: Value = serde_json::from_slice(&body.unwrap().into_bytes()).unwrap();
    if !nothing_left {
        told["UnprocessedKeys"] = json!({ table: unprocessed });
    }
    Ok(answer(response.status().as_u16(), &told))
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
