//! The ends of shards, which the protocol server does not tell to those who subscribe.

use std::collections::HashMap;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use serde_json::{Value, json};

use super::world::{World, name};

/// The server pushes events for ever, also of a shard that has ended. Here, the second empty event after a shard is
/// known to have ended says so, as it does in the service: by then, its last record has been sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Arc<Mutex<HashMap<String, Value>>>);

impl Ends {
    /// From now on, these shards end with these children.
    pub(crate) async fn tell(&self, world: &World, parents: &[u32], children: &[u32]) {
        let parent_shards: Vec<String> = parents.iter().copied().map(name).collect();
        let mut told = Vec::new();
        for child in children {
            let [first, last] = world.hash_keys(*child).await.map(|key| key.to_string());
            let hash_keys = json!({"StartingHashKey": first, "EndingHashKey": last});
            told.push(json!({"ShardId": name(*child), "ParentShards": parent_shards, "HashKeyRange": hash_keys}));
        }
        self.0.lock().unwrap().extend(parent_shards.into_iter().map(|parent| (parent, Value::from(told.clone()))));
    }

    fn told(&self, shard: &str) -> Option<Value> {
        self.0.lock().unwrap().get(shard).cloned()
    }

    pub(crate) fn client(&self, real: SharedHttpClient) -> SharedHttpClient {
        let ends = self.clone();
        http_client_fn(move |settings, components| {
            SharedHttpConnector::new(EndingConnector {
                real: real.http_connector(settings, components),
                ends: ends.clone(),
            })
        })
    }
}

#[derive(Debug)]
struct EndingConnector {
    real: SharedHttpConnector,
    ends: Ends,
}

impl HttpConnector for EndingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let subscribes = request.headers().get("x-amz-target").unwrap().ends_with(".SubscribeToShard");
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (answer, ends) = (self.real.call(request), self.ends.clone());
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            if subscribes && answer.status().is_success() {
                let shard = asked["ShardId"].as_str().unwrap().to_owned();
                let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
                *answer.body_mut() = SdkBody::from_body_1_x(Ending { body, ends, shard, empty: 0 });
            }
            Ok(answer)
        })
    }
}

struct Ending {
    body: SdkBody,
    ends: Ends,
    shard: String,
    /// Events without records since the shard is known to have ended.
    empty: u32,
}

impl Body for Ending {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.empty >= 2 {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let is_empty = frame.as_ref().is_some_and(|frame| {
            let bytes = frame.as_ref().ok().and_then(Frame::data_ref);
            bytes.is_some_and(|bytes| bytes.windows(12).any(|part| part == b"\"Records\":[]"))
        });
        let Some(children) = self.ends.told(&self.shard).filter(|_| is_empty) else { return Poll::Ready(frame) };
        self.empty += 1;
        if self.empty < 2 {
            return Poll::Ready(frame);
        }
        let end = json!({"Records": [], "MillisBehindLatest": 0, "ChildShards": children});
        Poll::Ready(Some(Ok(Frame::data(fake_aws::push::event(&end)))))
    }
}
