//! JupiterOne, as far as it can be measured without it: the worker's side of a job, against the contract's server on a
//! socket, which keeps what it is sent in memory, and sets no pace.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bucket_state::Event;
use emitter::{
    GraphSink, Http, JupiterOne, JupiterOneParams, Limits, ListedSink, Mode, Outbox, OutboxSettings, Request, Reqwest,
    Response, Route, Scope, SinkName, SqliteFile, SqliteStore, StateStore, Window,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::server::{Contract, KEY};
use crate::{Fallible, events, report, served};

const NO_PACE: u32 = 1_000_000;
const UNPOISONED: &str = "nobody panics while it is locked";

/// Keeps what was sent, to send it again in bulk.
struct Recorder {
    http: Reqwest,
    sent: std::sync::Mutex<Vec<Request>>,
}

#[async_trait::async_trait]
impl Http for Recorder {
    async fn send(&self, request: &Request) -> Result<Response, String> {
        self.sent.lock().expect(UNPOISONED).push(request.clone());
        self.http.send(request).await
    }
}

/// Its bulk load: the same requests once more, one after the other. Jobs wait a second at the least before they are asked
/// for; that is left out of neither.
pub(crate) async fn measure(buckets: usize) -> Fallible<()> {
    let contract = Contract::new();
    contract.limit(usize::MAX);
    let url = served::serve(Arc::clone(&contract)).await;
    let recorder = Arc::new(Recorder { http: Reqwest::to(&url)?, sent: std::sync::Mutex::default() });
    let folder = tempfile::tempdir()?;
    let file = SqliteFile::open(&folder.path().join("state.db"))?;
    let store: Arc<dyn StateStore> = Arc::new(SqliteStore::open(file, "worker", 1)?);
    let lanes = JupiterOne::lanes(&JupiterOneParams {
        name: SinkName::from("jupiterone:speed"),
        host: "speed".into(),
        http: Arc::clone(&recorder) as _,
        default: Some(Route { account: "acme".into(), key: SecretString::from(KEY) }),
        routes: BTreeMap::new(),
        scope: Scope::Account,
        mode: Mode::Diff,
        requests_per_minute: NO_PACE,
        worker: "worker".into(),
        observe: Arc::new(|_| {}),
    });
    let listed = ListedSink { name: lanes[0].name().clone(), instance: lanes[0].instance().into() };
    store.add_sinks(&[listed], 1).await?;
    for (version, what) in [(1, "new buckets of 20 accounts"), (2, "changed buckets of 20 accounts")] {
        save(store.as_ref(), (0..buckets).flat_map(|number| events(version, number))).await?;
        recorder.sent.lock().expect(UNPOISONED).clear();
        report("JupiterOne", what, buckets, emit(&store, &lanes[0]).await?);
    }
    let sent = std::mem::take(&mut *recorder.sent.lock().expect(UNPOISONED));
    let bytes: usize = sent.iter().map(|request| request.body.len()).sum();
    println!("JupiterOne, requests: {}, {} KB compressed", sent.len(), bytes / 1_000);
    let begun = Instant::now();
    for request in &sent {
        recorder.http.send(request).await?;
    }
    report("JupiterOne", "the same requests alone", buckets, begun.elapsed());
    Ok(())
}

async fn save(store: &dyn StateStore, events: impl Iterator<Item = Event>) -> Fallible<()> {
    let limits = Limits { flush_after: Duration::from_secs(5), flush_at: usize::MAX, dirty_max: usize::MAX };
    let window = Window::new(limits, 0);
    events.for_each(|event| window.fold(event, 1));
    let saved = window.seal().save(store, || 1).await?;
    saved.checkpoint(async |_| Ok::<_, Infallible>(())).await?;
    Ok(())
}

async fn emit(store: &Arc<dyn StateStore>, sink: &Arc<dyn GraphSink>) -> Fallible<Duration> {
    let settings = OutboxSettings { worker: "worker".into(), adopt_after: Duration::ZERO, batch: 1_000 };
    let outbox = Outbox::new(Arc::clone(store), Arc::clone(sink), settings);
    let begun = Instant::now();
    while outbox.round(2, &CancellationToken::new()).await?.is_some() {}
    Ok(begun.elapsed())
}
