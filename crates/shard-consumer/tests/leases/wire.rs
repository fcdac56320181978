//! The connection to DynamoDB, with faults on demand.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and nobody hears of it.
    LoseAnswer,
    /// The caller may not.
    Deny,
    /// Too much of it.
    Throttle,
    /// A refusal does not tell the item, as with some servers.
    HideItem,
    /// Nothing comes, ever.
    Hang,
}

#[derive(Clone, Debug)]
pub(crate) struct Wire {
    client: SharedHttpClient,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Operation and table.
    calls: Vec<(String, String)>,
    faults: Vec<(&'static str, Fault)>,
}

impl Wire {
    pub(crate) fn new(client: impl HttpClient + 'static) -> Self {
        Self { client: SharedHttpClient::new(client), state: Arc::default() }
    }

    /// From now on, this operation fails so.
    pub(crate) fn fail(&self, operation: &'static str, fault: Fault) {
        self.state.lock().unwrap().faults.push((operation, fault));
    }

    pub(crate) fn mend(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    /// How often the operation was called on the table.
    pub(crate) fn calls(&self, operation: &str, table: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|(called, on)| called == operation && on == table).count()
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

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let table = asked["TableName"].as_str().unwrap_or_default().to_owned();
        let fault = {
            let mut state = self.state.lock().unwrap();
            let fault = state.faults.iter().find(|(fails, _)| *fails == operation).map(|(_, fault)| *fault);
            state.calls.push((operation, table));
            fault
        };
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            match fault {
                None => inner.call(request).await,
                Some(Fault::LoseAnswer) => {
                    inner.call(request).await?;
                    Err(ConnectorError::io("the connection was reset".into()))
                }
                Some(Fault::Deny) => {
                    Ok(refusal("com.amazon.coral.service#AccessDeniedException", "is not authorized to perform"))
                }
                Some(Fault::Throttle) => {
                    Ok(refusal("com.amazonaws.dynamodb.v20120810#ThrottlingException", "Rate exceeded"))
                }
                Some(Fault::HideItem) => without_item(inner.call(request).await?).await,
                Some(Fault::Hang) => std::future::pending().await,
            }
        })
    }
}

fn refusal(kind: &str, message: &str) -> HttpResponse {
    answer(400, &json!({ "__type": kind, "message": message }))
}

async fn without_item(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let status = response.status().as_u16();
    let body = ByteStream::new(response.take_body()).collect().await;
    let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
    let mut told: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status == 400 {
        told.as_object_mut().and_then(|told| told.remove("Item"));
    }
    Ok(answer(status, &told))
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
