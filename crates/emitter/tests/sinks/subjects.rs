//! The graphs, each as a subject.

use std::sync::Arc;

use async_trait::async_trait;
use emitter::{GraphSink, SinkName, SqliteFile, SqliteGraph};

use crate::subject::{Shown, Subject};

/// A graph in a file of its own.
pub(crate) struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        let in_memory = std::path::Path::new("/dev/shm");
        let folder = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
        Self { folder: folder.unwrap() }
    }

    fn graph(&self) -> SqliteGraph {
        let file = SqliteFile::open(&self.folder.path().join("graph.db")).unwrap();
        SqliteGraph::open(file, SinkName::from(format!("sqlite:{}", self.folder.path().display()).as_str())).unwrap()
    }
}

#[async_trait]
impl Subject for Sqlite {
    async fn sink(&self, _worker: &str) -> Arc<dyn GraphSink> {
        Arc::new(self.graph())
    }

    async fn shown(&self) -> Shown {
        let (entities, relationships) = self.graph().export().await.unwrap();
        Shown::of(entities, relationships)
    }
}
