//! A server that speaks just enough of the protocol to fail on demand: throttles, expired iterators, lost shards. The
//! protocol servers of the other tests show none of these.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Answers an operation, by its name and input, with an output or the code of an error.
pub(crate) type Behaviour = Box<dyn FnMut(&str, &Value) -> Result<Value, &'static str> + Send>;

/// A server and what it was asked.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Server {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new((Mutex::new(behaviour), Arc::clone(&asked)));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                tokio::spawn(async move { serve(stream, &shared.0, &shared.1).await });
            }
        });
        Self { endpoint, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn client(&self) -> Client {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            // As clients do that know nothing of a pace: the source must not let them.
            .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1)))
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("x", "x", None, None, "test"))
            .endpoint_url(&self.endpoint);
        Client::from_conf(config.build())
    }

    /// The inputs of all calls of one operation.
    pub(crate) fn asked(&self, operation: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(name, _)| name == operation).map(|(_, input)| input.clone()).collect()
    }
}

async fn serve(stream: TcpStream, behaviour: &Mutex<Behaviour>, asked: &Mutex<Vec<(String, Value)>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line == "\r\n" { break } else { continue }
            };
            match name.to_ascii_lowercase().as_str() {
                "x-amz-target" => operation = value.rsplit('.').next().unwrap().to_owned(),
                "content-length" => length = value.parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let input: Value = serde_json::from_slice(&body).unwrap();
        asked.lock().unwrap().push((operation.clone(), input.clone()));
        let (status, output) = match (behaviour.lock().unwrap())(&operation, &input) {
            Ok(output) => ("200 OK", output),
            Err("InternalFailure") => ("500 Internal Server Error", json!({"__type": "InternalFailure"})),
            Err(code) => ("400 Bad Request", json!({"__type": code, "message": "as the script says"})),
        };
        let output = output.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\r\n",
            output.len()
        );
        if stream.write_all((head + &output).as_bytes()).await.is_err() {
            return;
        }
    }
}
