//! The connection to DynamoDB, with faults on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

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
    /// It takes a third of a second more.
    Slow,
}

/// Which calls of an operation it strikes.
#[derive(Clone, Copy, Debug)]
enum Rate {
    /// So many in a hundred.
    Percent(u8),
    /// Each that was not made before.
    FirstTry,
}

#[derive(Clone, Debug)]
pub(crate) struct Wire {
    client: SharedHttpClient,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: BTreeMap<String, usize>,
    faults: Vec<(&'static str, Fault, Rate)>,
    /// What was asked for since faults strike the first try.
    tried: BTreeSet<Vec<u8>>,
    random: Option<fastrand::Rng>,
}

impl Wire {
    pub(crate) fn new(client: impl HttpClient + 'static) -> Self {
        Self { client: SharedHttpClient::new(client), state: Arc::default() }
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

    pub(crate) fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        state.faults.clear();
        state.tried.clear();
    }

    /// How often each operation was called since this was asked last. What the SDK repeats, as it does where a busy server
    /// is slow to answer, is one call.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Connector { inner, state: Arc::clone(&self.state) })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    state: Arc<Mutex<State>>,
}

impl Connector {
    fn fault(&self, operation: &str, body: &[u8], attempt: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        *state.calls.entry(operation.to_owned()).or_default() += usize::from(attempt.starts_with("attempt=1"));
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
        let attempt = request.headers().get("amz-sdk-request").unwrap_or_default();
        let fault = self.fault(target.rsplit('.').next().unwrap_or_default(), body, attempt);
        let asks_index = body.windows(11).any(|word| word == b"\"IndexName\"");
        let inner = self.inner.clone();
        let reset = || ConnectorError::io("the connection was reset".into());
        HttpConnectorFuture::new(async move {
            match fault {
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
                Some(Fault::Slow) => {
                    tokio::time::sleep(std::time::Duration::from_millis(333)).await;
                    inner.call(request).await
                }
                Some(Fault::Part) => in_part(&inner, request).await,
            }
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
