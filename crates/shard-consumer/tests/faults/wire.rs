//! Requests and answers that are changed under way: what other servers do, and the fake does not.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use serde_json::Value;

type Edit = Arc<Mutex<dyn FnMut(&str, &mut Value) + Send>>;

/// A client that edits each request and each answer. The edit tells the two apart by what they hold.
pub(crate) fn edited(
    client: SharedHttpClient,
    edit: impl FnMut(&str, &mut Value) + Send + 'static,
) -> SharedHttpClient {
    SharedHttpClient::new(Wire { client, edit: Edited(Arc::new(Mutex::new(edit))) })
}

#[derive(Clone)]
struct Edited(Edit);

impl std::fmt::Debug for Edited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("edited")
    }
}

impl Edited {
    fn body(&self, operation: &str, body: &[u8]) -> SdkBody {
        let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return SdkBody::from(body.to_vec()) };
        (self.0.lock().unwrap())(operation, &mut value);
        SdkBody::from(value.to_string())
    }
}

#[derive(Debug)]
struct Wire {
    client: SharedHttpClient,
    edit: Edited,
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.client.http_connector(settings, components);
        SharedHttpConnector::new(Connector { inner, edit: self.edit.clone() })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    edit: Edited,
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let edit = self.edit.clone();
        *request.body_mut() = edit.body(&operation, request.body().bytes().unwrap_or_default());
        let inner = self.inner.clone();
        HttpConnectorFuture::new(async move {
            let mut response = inner.call(request).await?;
            let (status, body) = (response.status(), ByteStream::new(response.take_body()).collect().await);
            let body = body.map_err(|error| ConnectorError::io(error.into()))?.into_bytes();
            let mut edited = HttpResponse::new(status, edit.body(&operation, &body));
            edited.headers_mut().insert("content-type", "application/x-amz-json-1.1");
            Ok(edited)
        })
    }
}
