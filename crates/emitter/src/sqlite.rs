//! A SQLite file, shared by everything that this process keeps in it and by other processes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// How long a writer waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Two processes that make one file at once do not wait for each other by that time-out.
const OPENING_TRIES: u32 = 100;
const OPENING_WAIT: Duration = Duration::from_millis(50);
const CACHE_KIB: i32 = 32 << 10;
const CHECKPOINT_PAGES: i32 = 8_000;

/// One connection to one file. Clones share it, so that the state and the graph in one file take turns here
/// instead of polling for the file's lock.
#[derive(Clone, Debug)]
pub struct SqliteFile {
    path: Arc<Path>,
    connection: Arc<Mutex<Connection>>,
}

impl SqliteFile {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// One line that names the path and the mend.
    pub fn open(path: &Path) -> Result<Self, String> {
        must_not_be_another_file(path)?;
        let mut tries = 1;
        let connection = loop {
            match connect(path) {
                Ok(connection) => break connection,
                Err(error) if is_busy(&error) && tries < OPENING_TRIES => {
                    tries += 1;
                    std::thread::sleep(OPENING_WAIT);
                }
                Err(error) => return Err(unusable(path, &error)),
            }
        };
        Ok(Self { path: path.into(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// Opens a file that must exist, to read it: nothing in it is changed, and no writer is waited for. Neither the file
    /// nor its folder need be writable.
    ///
    /// # Errors
    /// One line that names the path and the mend.
    pub fn open_to_read(path: &Path) -> Result<Self, String> {
        if !path.is_file() {
            let mend = "run `trailgraph demo` or `trailgraph run` first, or name another";
            return Err(format!("{}: no such file; {mend}", path.display()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            if is_kept_out(&connection) && !is_being_written(path) {
                return Connection::open_with_flags(immutable_uri(path), flags);
            }
            Ok(connection)
        };
        let connection = open().map_err(|error| unusable(path, &error))?;
        Ok(Self { path: path.into(), connection: Arc::new(Mutex::new(connection)) })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// Makes `tables`, and holds the part of the file called `part` to `version` of its schema. Gives the version that
    /// the part has.
    pub(crate) fn prepare(&self, part: &str, version: i64, tables: &str) -> Result<i64, String> {
        let mut connection = self.lock();
        let stored = || -> rusqlite::Result<i64> {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            transaction.execute_batch(
                "CREATE TABLE IF NOT EXISTS schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL)",
            )?;
            transaction.execute("INSERT OR IGNORE INTO schema_versions VALUES (?1, ?2)", (part, version))?;
            let stored = schema_version(&transaction, part)?;
            if stored <= version {
                transaction.execute_batch(tables)?;
                transaction.commit()?;
            }
            Ok(stored)
        }()
        .map_err(|error| unusable(&self.path, &error))?;
        self.must_not_be_newer(part, version, stored)?;
        Ok(stored)
    }

    /// Brings the part of the file called `part` to `version` by `work`: all of it, or nothing.
    pub(crate) fn migrate(
        &self,
        part: &str,
        version: i64,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), String> {
        let mut connection = self.lock();
        || -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            work(&transaction)?;
            transaction.execute("UPDATE schema_versions SET version = ?2 WHERE part = ?1", (part, version))?;
            transaction.commit()
        }()
        .map_err(|error| unusable(&self.path, &error))
    }

    /// Checks that the part of the file called `part` is there, and not newer than `version`. Changes nothing.
    pub(crate) fn must_have(&self, part: &str, version: i64) -> Result<(), String> {
        let path = self.path.display();
        let stored = schema_version(&self.lock(), part).map_err(|error| match error.sqlite_error_code() {
            // No such row; or no such table, which SQLite tells as an error of no kind of its own.
            None | Some(ErrorCode::Unknown) => {
                format!("{path}: holds no {part} of trailgraph; name the file that `trailgraph run` writes")
            }
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                let mend = "read it as the user that writes it, or copy it with its -wal file into a folder of yours";
                format!("{path}: {error}; {mend}")
            }
            Some(_) => unusable(&self.path, &error),
        })?;
        self.must_not_be_newer(part, version, stored)
    }

    fn must_not_be_newer(&self, part: &str, version: i64, stored: i64) -> Result<(), String> {
        if stored <= version {
            return Ok(());
        }
        let path = self.path.display();
        Err(format!("{path}: its {part} has schema {stored}, newer than this build's {version}: run the newer build"))
    }

    /// Runs `work` on the connection, off the asynchronous threads.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, FileError> {
        let file = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut file.lock())).await;
        let path = self.path.display();
        match done {
            Ok(result) => result.map_err(|error| FileError {
                message: format!("{path}: {error}"),
                lasting: matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ReadOnly)
                ),
            }),
            Err(error) => Err(FileError { message: format!("{path}: {error}"), lasting: true }),
        }
    }

    /// A panic while the lock was held left no transaction behind: each one rolls back as it unwinds.
    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A cleared mark in one file must not outlive the snapshot in another: every commit is on disk.
    connection.pragma_update(None, "synchronous", "full")?;
    // Negative: KiB. What a transaction has changed must fit, or it is written to the log piece by piece and read again.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // Pages of the log after which it is copied into the file: a page that changes in each transaction is copied once.
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Whether SQLite cannot make the files that it needs beside this one.
fn is_kept_out(connection: &Connection) -> bool {
    let read = connection.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |_| Ok(()));
    let code = read.err().and_then(|error| error.sqlite_error_code());
    matches!(code, Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

/// Whether a part of what the file says stands beside it.
fn is_being_written(path: &Path) -> bool {
    let stands = |suffix: &str| {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        std::fs::metadata(beside).is_ok_and(|beside| beside.len() > 0)
    };
    stands("-wal") || stands("-journal")
}

/// How SQLite is told that a file does not change while it is read, and so needs no lock and no file beside it.
fn immutable_uri(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let path = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:///{}?immutable=1", path.trim_start_matches('/'))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Why work on a file failed.
#[derive(Debug)]
pub(crate) struct FileError {
    /// One line that names the path.
    pub(crate) message: String,
    /// Whether trying again is in vain.
    pub(crate) lasting: bool,
}

impl From<FileError> for String {
    fn from(error: FileError) -> Self {
        error.message
    }
}

fn schema_version(connection: &Connection, part: &str) -> rusqlite::Result<i64> {
    connection.query_row("SELECT version FROM schema_versions WHERE part = ?1", [part], |row| row.get(0))
}

/// SQLite takes a file of a few bytes for an empty database, and would overwrite it.
fn must_not_be_another_file(path: &Path) -> Result<(), String> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut head = Vec::new();
    match std::fs::File::open(path).map(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head)) {
        Ok(Ok(_)) if !head.is_empty() && head != MAGIC => {
            Err(format!("{}: file is not a database; name a SQLite file, or one that does not exist", path.display()))
        }
        // Whatever else is wrong, opening says it.
        _ => Ok(()),
    }
}

fn unusable(path: &Path, error: &rusqlite::Error) -> String {
    let mend = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it: try again, or end that",
        _ => "name a file in a folder that can be written, or a SQLite database",
    };
    format!("{}: {error}; {mend}", path.display())
}
