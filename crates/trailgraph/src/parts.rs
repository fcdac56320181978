//! Opens what the flags name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use emitter::{GraphSink, Limits, SinkName, SqliteFile, SqliteGraph, SqliteStore, StateStore};

use crate::cli::{SqliteUrl, StoreArgs, WindowArgs};
use crate::clock;
use crate::dead_letters::DeadLetters;
use crate::failure::Failure;

/// Readers wait while this many resources are dirty.
const DIRTY_MAX: usize = 200_000;

/// The stores of one worker.
pub struct Stores {
    /// Where states are kept.
    pub state: Arc<SqliteStore>,
    /// The graphs.
    pub graphs: Vec<Arc<SqliteGraph>>,
    /// Where records go that cannot be understood.
    pub dead_letters: Arc<DeadLetters>,
}

impl Stores {
    /// Opens all of them; what lies in one file shares one connection.
    ///
    /// # Errors
    /// [`Failure::Usage`] that names the flag, the value and the mend.
    pub async fn open(args: &StoreArgs, worker: &str) -> Result<Self, Failure> {
        let mut files = Files::default();
        let in_flag = |flag: &'static str, value: String| move |error: String| Failure::flag(flag, value, error);
        let state = files
            .open(&args.state.0)
            .and_then(|file| SqliteStore::open(file, worker, clock::now_ms()))
            .map_err(in_flag("--state", args.state.to_string()))?;
        let mut graphs = Vec::new();
        for url in &args.graph {
            let graph = files.open(&url.0).and_then(|file| SqliteGraph::open(file, sink_name(url)));
            graphs.push(Arc::new(graph.map_err(in_flag("--graph", url.to_string()))?));
        }
        let dead_letters = DeadLetters::open(&args.dead_letters)
            .await
            .map_err(|error| Failure::flag("--dead-letters", &args.dead_letters, error))?;
        Ok(Self { state: Arc::new(state), graphs, dead_letters: Arc::new(dead_letters) })
    }

    /// The state store, as the pipeline takes it.
    #[must_use]
    pub fn store(&self) -> Arc<dyn StateStore> {
        Arc::clone(&self.state) as Arc<dyn StateStore>
    }

    /// The graphs, as the pipeline takes them.
    #[must_use]
    pub fn sinks(&self) -> Vec<Arc<dyn GraphSink>> {
        self.graphs.iter().map(|graph| Arc::clone(graph) as Arc<dyn GraphSink>).collect()
    }

    /// The graphs' names.
    #[must_use]
    pub fn sink_names(&self) -> Vec<String> {
        self.graphs.iter().map(|graph| graph.name().to_string()).collect()
    }
}

/// One name for one file, however its path is spelled.
#[must_use]
pub fn sink_name(url: &SqliteUrl) -> SinkName {
    let path = std::path::absolute(&url.0).unwrap_or_else(|_| url.0.clone());
    SinkName::from(format!("sqlite:{}", path.display()).as_str())
}

#[derive(Default)]
struct Files(BTreeMap<PathBuf, SqliteFile>);

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

/// The window that the flags ask for.
#[must_use]
pub fn limits(args: WindowArgs) -> Limits {
    let flush_at = args.flush_at.min(DIRTY_MAX);
    Limits { flush_after: args.flush_after, flush_at, dirty_max: DIRTY_MAX }
}

/// A name for this worker that no other has.
#[must_use]
pub fn worker_id() -> String {
    let host = gethostname::gethostname();
    format!("{}-{}-{:08x}", host.to_string_lossy(), std::process::id(), fastrand::u32(..))
}
