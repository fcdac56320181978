//! The wire: a request is answered, or it is not.

use std::time::Duration;

use async_trait::async_trait;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// An answer is a job, or an error: a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Carries requests to JupiterOne. In production that is [`Reqwest`]; no public server can be tested against, so tests
/// have one of their own behind it.
#[async_trait]
pub trait Http: Send + Sync {
    /// Sends a request.
    ///
    /// # Errors
    /// Why there was no answer; the request may have had its effect.
    async fn send(&self, request: &Request) -> Result<Response, String>;
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// From `/persister` on, with the query.
    pub path: String,
    /// By their names, as the reference client spells them. The credentials among them are marked as such.
    pub headers: Vec<Header>,
    /// JSON, or gzipped JSON; empty for `GET`.
    pub body: Vec<u8>,
}

/// A header of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Whether the value must not be shown.
    pub secret: bool,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = if self.secret { "[redacted]" } else { &self.value };
        write!(f, "{}: {value}", self.name)
    }
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// In how many seconds to ask again, where the answer tells.
    pub ask_again_after: Option<u64>,
    /// The body.
    pub body: Vec<u8>,
}

/// The network.
#[derive(Clone, Debug)]
pub struct Reqwest {
    base: String,
    client: reqwest::Client,
}

impl Reqwest {
    /// To the API at `base`, such as `https://api.us.jupiterone.io`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn to(base: &str) -> Result<Self, String> {
        // One crypto provider for everything; whoever installed one before has the same.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("trailgraph/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }
}

#[async_trait]
impl Http for Reqwest {
    async fn send(&self, request: &Request) -> Result<Response, String> {
        let url = format!("{}{}", self.base, request.path);
        let mut sent = match request.method {
            "GET" => self.client.get(url),
            _ => self.client.post(url).body(request.body.clone()),
        };
        for header in &request.headers {
            let mut value = reqwest::header::HeaderValue::from_str(&header.value)
                .map_err(|_| format!("the value of {} has characters that no header may have", header.name))?;
            value.set_sensitive(header.secret);
            sent = sent.header(header.name, value);
        }
        let mut answer = sent.send().await.map_err(|error| chain(&error.without_url()))?;
        let number = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let ask_again_after = number("retry-after").or_else(|| number("ratelimit-reset"));
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| chain(&error.without_url()))? {
            body.extend_from_slice(&part);
            if body.len() > ANSWER_BYTES_MAX {
                return Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"));
            }
        }
        Ok(Response { status, ask_again_after, body })
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
