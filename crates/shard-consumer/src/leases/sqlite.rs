//! Leases in a SQLite file, which other components may share with tables of their own.

mod file;
mod row;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{Change, Lease, LeaseStore, LeaseTable, UnreadableLease, Written, stream_name, words};
use crate::source::SourceError;

/// Leases in a SQLite file. Several processes may use one file at once, also for different streams.
#[derive(Clone)]
pub struct SqliteLeases {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    app: String,
    stream: String,
    connection: Mutex<Connection>,
}

impl SqliteLeases {
    /// Opens the file, and makes it and its tables where they are missing. The rows are those of `app` on `stream`,
    /// which is a stream's name, or its ARN: that means the same rows.
    ///
    /// # Errors
    /// [`SourceError::Configuration`] when the file cannot be written, is not a database, or was written by a newer
    /// version.
    pub async fn open(path: impl Into<PathBuf>, app: &str, stream: &str) -> Result<Self, SourceError> {
        Self::opened_by(file::open, path.into(), app, stream).await
    }

    /// Opens a file that is there, to read it: every write fails.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_read(path: impl Into<PathBuf>, app: &str, stream: &str) -> Result<Self, SourceError> {
        Self::opened_by(file::open_to_read, path.into(), app, stream).await
    }

    async fn opened_by(
        open: fn(&Path) -> Result<Connection, SourceError>,
        path: PathBuf,
        app: &str,
        stream: &str,
    ) -> Result<Self, SourceError> {
        let (app, stream) = (app.to_owned(), stream_name(stream).to_owned());
        blocking(move || {
            let connection = Mutex::new(open(&path)?);
            Ok(Self { shared: Arc::new(Shared { path, app, stream, connection }) })
        })
        .await
    }

    /// Runs `act` in a write transaction.
    async fn write<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce(&Connection, &Shared) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SourceError> {
        self.on_file(what, |connection, shared| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = act(&transaction, shared)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// Runs `act` on a thread that may block.
    async fn on_file<T: Send + 'static>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut Connection, &Shared) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SourceError> {
        let shared = Arc::clone(&self.shared);
        // From here on, so that calls made at once do not add up their waits.
        let until = Instant::now() + file::WAIT_MOST;
        blocking(move || {
            let mut connection = shared.connection.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = connection.busy_timeout(until.saturating_duration_since(Instant::now()));
            waited.and_then(|()| act(&mut connection, &shared)).map_err(|error| shared.failed(what, error))
        })
        .await
    }
}

impl Shared {
    fn failed(&self, what: &str, error: rusqlite::Error) -> SourceError {
        SourceError::Failed { what: format!("{what} in {}", self.path.display()), source: error.into() }
    }
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(error) => Err(SourceError::Failed { what: "use the lease file".into(), source: error.into() }),
    }
}

#[async_trait]
impl LeaseStore for SqliteLeases {
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        self.on_file("list leases", |sqlite, at| {
            let mut select = sqlite.prepare_cached(&format!("{} ORDER BY shard", row::SELECT))?;
            let mut listed = LeaseTable::default();
            for row in select.query_map(params![at.app, at.stream], row::lease)? {
                match row? {
                    Ok(lease) => listed.leases.push(lease),
                    Err(unreadable) => listed.unreadable.push(unreadable),
                }
            }
            Ok(listed)
        })
        .await
    }

    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        let lease = lease.clone();
        self.write("create a lease", move |sqlite, at| {
            let (checkpoint, sub_sequence) = words::of(&lease.checkpoint);
            let (starting, ending) = lease.hash_keys.as_ref().map(|(s, e)| (s.as_str(), e.as_str())).unzip();
            let mut insert = sqlite.prepare_cached(row::INSERT)?;
            let rows = insert.execute(params![
                at.app,
                at.stream,
                lease.shard.as_str(),
                lease.owner,
                lease.checkpoint_owner,
                lease.counter.cast_signed(),
                checkpoint,
                sub_sequence.cast_signed(),
                lease.start_timestamp_ms,
                row::joined(&lease.parents),
                row::joined(&lease.children),
                starting,
                ending,
            ])?;
            Ok(rows == 1)
        })
        .await
    }

    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        let (seen, change) = (seen.clone(), change.clone());
        let written = self.write("update a lease", move |sqlite, at| {
            let shard = seen.shard.as_str();
            let mut select = sqlite.prepare_cached(&format!("{} AND shard = ?3", row::SELECT))?;
            let found = select.query_row(params![at.app, at.stream, shard], row::lease).optional()?;
            let mut lease = match found {
                Some(Ok(lease)) if lease.is_unchanged(&seen) => lease,
                Some(Err(unreadable)) => return Ok(Err(unreadable)),
                other => return Ok(Ok(Written::Refused(other.and_then(Result::ok).map(Box::new)))),
            };
            lease.apply(&change);
            let (checkpoint, sub_sequence) = words::of(&lease.checkpoint);
            let mut update = sqlite.prepare_cached(row::UPDATE)?;
            update.execute(params![
                at.app,
                at.stream,
                shard,
                lease.owner,
                lease.checkpoint_owner,
                lease.counter.cast_signed(),
                checkpoint,
                sub_sequence.cast_signed(),
                lease.start_timestamp_ms,
                row::joined(&lease.children),
            ])?;
            Ok(Ok(Written::Landed))
        });
        written.await?.map_err(|UnreadableLease { shard, why }| SourceError::Failed {
            what: format!("update lease {shard} in {}", self.shared.path.display()),
            source: why.into(),
        })
    }

    async fn delete(&self, seen: &Lease) -> Result<bool, SourceError> {
        let seen = seen.clone();
        self.write("delete a lease", move |sqlite, at| {
            let mut delete = sqlite.prepare_cached(row::DELETE)?;
            let counter = seen.counter.cast_signed();
            let row = params![at.app, at.stream, seen.shard.as_str(), seen.owner, seen.checkpoint_owner, counter];
            delete.execute(row).map(|rows| rows == 1)
        })
        .await
    }
}
