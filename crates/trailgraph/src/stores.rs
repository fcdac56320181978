//! Opens the stores and graphs that the flags name.

mod jupiterone;
mod names;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use emitter::{
    BoltGraph, BoltParams, DynamoStore, DynamoStoreParams, GraphSink, ListedSink, Observe, SinkName, SqliteFile,
    SqliteGraph, SqliteStore, StateStore, StoreError,
};
use secrecy::SecretString;

use crate::cli::{BoltArgs, DeadLetterUrl, GraphUrl, StateArgs, StoreArgs, StoreUrl};
use crate::clock;
use crate::dead_letters::DeadLetters;
use crate::failure::Failure;
use crate::leases_flag::{dynamodb_client, has_table};
use crate::metrics::Metrics;
use crate::permit::Permit;

pub use names::{of_file, sink_name, statuses};

/// Where the password of a graph over Bolt is read from: a flag would show it in lists of processes.
const BOLT_PASSWORD: &str = "TRAILGRAPH_BOLT_PASSWORD";
/// Stored states that are kept in memory, so that a save need not read them again.
const CACHE_BYTES: usize = 64 << 20;
/// While a worker has rows of its own to emit, it looks for those of others no more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The stores of one worker.
pub struct Stores {
    /// Where states are kept.
    pub state: Arc<dyn StateStore>,
    /// The graphs; one that works in several lanes has several of one name.
    pub sinks: Vec<Arc<dyn GraphSink>>,
    /// Those of them that are files.
    pub files: Vec<Arc<SqliteGraph>>,
    /// Where records go that cannot be understood.
    pub dead_letters: Arc<DeadLetters>,
}

/// The names of the graphs, under which their progress and metrics are kept.
#[must_use]
pub fn sink_names(args: &StoreArgs) -> Vec<String> {
    let mut names: Vec<String> = args.graph.iter().map(|url| sink_name(url, &args.state).to_string()).collect();
    names.dedup();
    names
}

impl Stores {
    /// Opens all of them; what lies in one file shares one connection. A graph that cannot be reached now is one that is
    /// down: it is tried again while the service runs.
    ///
    /// # Errors
    /// [`Failure::Usage`] that names the flag, the value and the mend; [`Failure::Running`] where the state store does
    /// not answer.
    pub async fn open(
        args: &StoreArgs,
        permit: &Permit,
        worker: &str,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Failure> {
        let mut files = Files::default();
        let state = open_state(&args.state.state, worker, &mut files).await?;
        let (mut sinks, mut graphs) = (Vec::<Arc<dyn GraphSink>>::new(), Vec::new());
        for url in &args.graph {
            let name = sink_name(url, &args.state);
            if sinks.iter().any(|sink| *sink.name() == name) {
                return Err(Failure::flag("--graph", url, "this graph is named twice"));
            }
            let opened = open_graph(url, &args.state, permit, worker, metrics, &mut files).await?;
            sinks.extend(opened.sinks());
            if let Graph::File(graph) = opened {
                graphs.push(graph);
            }
        }
        let dead_letters = DeadLetters::open(&args.dead_letters)
            .await
            .map_err(|error| Failure::flag("--dead-letters", &args.dead_letters, error))?;
        Ok(Self { state, sinks, files: graphs, dead_letters: Arc::new(dead_letters) })
    }

    /// State and graph in one file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn in_file(path: &Path, dead_letters: &Path, worker: &str) -> Result<Self, Failure> {
        let mut files = Files::default();
        let usage = Failure::Usage;
        let state =
            files.open(path).and_then(|file| SqliteStore::open(file, worker, clock::now_ms())).map_err(usage)?;
        let name = of_file(path);
        let graph = Arc::new(files.open(path).and_then(|file| SqliteGraph::open(file, name)).map_err(usage)?);
        let letters = DeadLetters::open(&DeadLetterUrl::File(dead_letters.into())).await.map_err(usage)?;
        let sinks = vec![Arc::clone(&graph) as Arc<dyn GraphSink>];
        Ok(Self { state: Arc::new(state), sinks, files: vec![graph], dead_letters: Arc::new(letters) })
    }
}

/// One graph.
pub enum Graph {
    /// A file.
    File(Arc<SqliteGraph>),
    /// A server, in one lane or several.
    Served(Vec<Arc<dyn GraphSink>>),
}

impl Graph {
    /// Its lanes.
    #[must_use]
    pub fn sinks(&self) -> Vec<Arc<dyn GraphSink>> {
        match self {
            Self::File(graph) => vec![Arc::clone(graph) as Arc<dyn GraphSink>],
            Self::Served(lanes) => lanes.clone(),
        }
    }
}

/// One graph of those that the flags name.
///
/// # Errors
/// [`Failure::Usage`] that names the graph and the mend.
pub async fn open_graph(
    url: &GraphUrl,
    args: &StateArgs,
    permit: &Permit,
    worker: &str,
    metrics: &Arc<Metrics>,
    files: &mut Files,
) -> Result<Graph, Failure> {
    let (name, wrong) = (sink_name(url, args), |error: String| Failure::flag("--graph", url, error));
    match url {
        GraphUrl::Sqlite(path) => {
            let graph = files.open(&path.0).and_then(|file| SqliteGraph::open(file, name)).map_err(wrong)?;
            Ok(Graph::File(Arc::new(graph)))
        }
        GraphUrl::JupiterOne(scope) => {
            let observe = observe(metrics, &name);
            let lanes = jupiterone::open(name, scope.as_deref(), &args.jupiterone, permit, worker, observe).await?;
            Ok(Graph::Served(lanes))
        }
        GraphUrl::Bolt(url) => {
            let graph = bolt(url, &args.bolt, name, metrics).await.map_err(wrong)?;
            Ok(Graph::Served(vec![Arc::new(graph)]))
        }
    }
}

/// Whether these graphs follow the routes of a permit list; if so, whether this list's can be used.
///
/// # Errors
/// Why they cannot.
pub async fn must_route(args: &StoreArgs, permit: &Permit) -> Result<bool, String> {
    let follows = args.graph.iter().any(|url| matches!(url, GraphUrl::JupiterOne(_)));
    if follows {
        jupiterone::Routes::of(&args.state.jupiterone, permit).await.map_err(|failure| failure.to_string())?;
    }
    Ok(follows)
}

/// The state store alone.
///
/// # Errors
/// As [`Stores::open`].
pub async fn open_state_alone(args: &StateArgs, worker: &str) -> Result<Arc<dyn StateStore>, Failure> {
    open_state(&args.state, worker, &mut Files::default()).await
}

/// The state store, to read it, if there is one; makes and changes none.
///
/// # Errors
/// As [`Stores::open`].
pub async fn open_state_to_read(url: &StoreUrl, worker: &str) -> Result<Option<Arc<dyn StateStore>>, Failure> {
    match url {
        StoreUrl::Sqlite(path) if path.0.exists() => {
            let store = SqliteStore::open_to_read(&path.0).map_err(|error| Failure::flag("--state", url, error))?;
            Ok(Some(Arc::new(store)))
        }
        StoreUrl::DynamoDb(table) if has_table("--state", table).await? => {
            let store = DynamoStore::open_to_read(dynamo_params(table, worker).await?).await;
            store.map(|store| Some(Arc::new(store) as _)).map_err(|error| of_dynamo(url, &error))
        }
        _ => Ok(None),
    }
}

/// What the state store's list says of these graphs.
#[must_use]
pub fn listed(sinks: &[Arc<dyn GraphSink>]) -> Vec<ListedSink> {
    let listed =
        |sink: &Arc<dyn GraphSink>| ListedSink { name: sink.name().clone(), instance: sink.instance().to_owned() };
    let mut listed: Vec<ListedSink> = sinks.iter().map(listed).collect();
    listed.dedup();
    listed
}

async fn open_state(url: &StoreUrl, worker: &str, files: &mut Files) -> Result<Arc<dyn StateStore>, Failure> {
    match url {
        StoreUrl::Sqlite(path) => {
            let store = files.open(&path.0).and_then(|file| SqliteStore::open(file, worker, clock::now_ms()));
            store.map(|store| Arc::new(store) as _).map_err(|error| Failure::flag("--state", url, error))
        }
        StoreUrl::DynamoDb(table) => {
            let store = DynamoStore::open(dynamo_params(table, worker).await?).await;
            store.map(|store| Arc::new(store) as _).map_err(|error| of_dynamo(url, &error))
        }
    }
}

async fn dynamo_params(table: &str, worker: &str) -> Result<DynamoStoreParams, Failure> {
    Ok(DynamoStoreParams {
        client: dynamodb_client().await?,
        table: table.to_owned(),
        worker: worker.to_owned(),
        now_ms: clock::now_ms(),
        cache_bytes: CACHE_BYTES,
        sweep_every: SWEEP_EVERY,
    })
}

fn of_dynamo(url: &StoreUrl, error: &StoreError) -> Failure {
    match error.is_transient() {
        true => Failure::Running(anyhow::anyhow!("--state {url}: {error}")),
        false => Failure::flag("--state", url, error),
    }
}

async fn bolt(url: &str, args: &BoltArgs, name: SinkName, metrics: &Arc<Metrics>) -> Result<BoltGraph, String> {
    let password = std::env::var(BOLT_PASSWORD)
        .map_err(|_| format!("the password of {} is missing: put it into {BOLT_PASSWORD}", args.bolt_user))?;
    let mut params = BoltParams::new(name, url, &args.bolt_user, SecretString::from(password));
    params.database.clone_from(&args.bolt_database);
    params.observe = observe(metrics, &params.name);
    BoltGraph::connect(params).await
}

fn observe(metrics: &Arc<Metrics>, name: &SinkName) -> Observe {
    let (metrics, name) = (Arc::clone(metrics), name.to_string());
    Arc::new(move |event| metrics.sink_traffic(&name, event))
}

/// What lies in one file shares one connection.
#[derive(Default)]
pub struct Files(BTreeMap<PathBuf, SqliteFile>);

impl Files {
    fn open(&mut self, path: &Path) -> Result<SqliteFile, String> {
        let key = std::path::absolute(path).unwrap_or_else(|_| path.into());
        if let Some(file) = self.0.get(&key) {
            return Ok(file.clone());
        }
        let file = SqliteFile::open(path)?;
        self.0.insert(key, file.clone());
        Ok(file)
    }
}
