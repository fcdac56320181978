//! What stands between the program and a server of AWS's protocols: it notes each call, and may refuse it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use futures::stream::try_unfold;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// 10 MiB of records in base64, and room for the rest.
const BODY_BYTES_MAX: usize = 16 << 20;

/// One call: what IAM calls it, and what it was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// Such as `dynamodb:UpdateItem`.
    pub(crate) action: String,
    /// The table, the queue, the stream, the parameter or the secret; empty where the call does not name it.
    pub(crate) resource: String,
}

#[derive(Default)]
struct Rules {
    calls: BTreeSet<Call>,
    denied: BTreeSet<String>,
    /// What is told of the time, in place of the truth.
    date: Option<String>,
}

/// Passes calls on to one server.
#[derive(Clone)]
pub(crate) struct Proxy {
    endpoint: String,
    rules: Arc<Mutex<Rules>>,
}

struct Behind {
    server: String,
    client: reqwest::Client,
    rules: Arc<Mutex<Rules>>,
}

impl Proxy {
    pub(crate) async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let rules = Arc::<Mutex<Rules>>::default();
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let behind = Behind { server, client, rules: Arc::clone(&rules) };
        let router = Router::new().fallback(pass).layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
        let router = router.with_state(Arc::new(behind));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, rules }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// The calls so far, each once.
    pub(crate) fn calls(&self) -> BTreeSet<Call> {
        self.rules.lock().unwrap().calls.clone()
    }

    /// Refuses these from now on, as IAM does where a role lacks them, and no others.
    pub(crate) fn deny(&self, actions: &[&str]) {
        self.rules.lock().unwrap().denied = actions.iter().map(|action| (*action).to_owned()).collect();
    }

    /// Has the server tell this time.
    pub(crate) fn date(&self, date: &str) {
        self.rules.lock().unwrap().date = Some(date.to_owned());
    }
}

async fn pass(
    State(behind): State<Arc<Behind>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let calls = calls(target, &serde_json::from_slice(&body).unwrap_or_default());
    let date = {
        let mut rules = behind.rules.lock().unwrap();
        let denied = calls.iter().find(|call| rules.denied.contains(&call.action)).cloned();
        rules.calls.extend(calls);
        if let Some(denied) = denied {
            return refused(&denied.action);
        }
        rules.date.clone()
    };
    let mut request = behind.client.request(method, format!("{}{uri}", behind.server)).body(body.to_vec());
    for (name, value) in headers.iter().filter(|(name, _)| !["host", "content-length"].contains(&name.as_str())) {
        request = request.header(name, value);
    }
    let Ok(answer) = request.send().await else {
        return Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).unwrap();
    };
    let mut response = Response::builder().status(answer.status());
    let told =
        answer.headers().iter().filter(|(name, _)| !["transfer-encoding", "connection"].contains(&name.as_str()));
    for (name, value) in told.filter(|(name, _)| date.is_none() || name.as_str() != "date") {
        response = response.header(name, value);
    }
    if let Some(date) = date {
        response = response.header("date", date);
    }
    // Piece by piece, for a subscription lasts minutes.
    let pieces = try_unfold(answer, async |mut answer| {
        Ok::<_, reqwest::Error>(answer.chunk().await?.map(|piece| (piece, answer)))
    });
    response.body(Body::from_stream(pieces)).unwrap()
}

fn refused(action: &str) -> Response<Body> {
    let message = format!("User: arn:aws:sts::111122223333:assumed-role/worker is not authorized to perform: {action}");
    let body = json!({"__type": "AccessDeniedException", "message": message}).to_string();
    let response =
        Response::builder().status(StatusCode::BAD_REQUEST).header("x-amzn-errortype", "AccessDeniedException");
    response.header("content-type", "application/x-amz-json-1.1").body(body.into()).unwrap()
}

/// What IAM asks for: a transaction is judged by its parts, a batch as its single form.
fn calls(target: &str, body: &Value) -> Vec<Call> {
    let (service, operation) = target.split_once('.').unwrap_or_default();
    let service = match service.split('_').next().unwrap_or_default() {
        "Kinesis" => "kinesis",
        "DynamoDB" => "dynamodb",
        "AmazonSQS" => "sqs",
        "AmazonSSM" => "ssm",
        other => other,
    };
    let call =
        |operation: &str, resource: &str| Call { action: format!("{service}:{operation}"), resource: resource.into() };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match operation {
        "TransactWriteItems" => {
            let parts = body["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
            parts.map(|(kind, part)| call(&format!("{kind}Item"), &text(&part["TableName"]))).collect()
        }
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(table, _)| call(operation, table)).collect()
        }
        _ => {
            let names = ["TableName", "QueueUrl", "StreamName", "StreamARN", "ConsumerARN", "Name", "SecretId"];
            let named = names.iter().map(|name| text(&body[*name])).find(|name| !name.is_empty());
            vec![call(operation.trim_end_matches("Batch"), &named.unwrap_or_default())]
        }
    }
}
