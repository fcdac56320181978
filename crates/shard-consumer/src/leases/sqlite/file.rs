//! Opening the file: its mode, its tables, and what to say when it cannot be used.

use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};

use crate::source::SourceError;

/// The version that this code writes. Changes are additive; a newer file is left alone.
const SCHEMA_VERSION: i64 = 2;

/// Switching a file to WAL does not wait for other processes that do the same, whatever the busy timeout.
const OPENING_TRIES: u32 = 50;
const OPENING_WAIT: Duration = Duration::from_millis(100);

/// A call waits this long for other processes, and for the calls of this one that were made before it. Shorter than
/// any fence, and than what a shutdown may take: every caller tries again.
pub(super) const WAIT_MOST: Duration = Duration::from_secs(1);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS lease_meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    app TEXT NOT NULL,
    stream TEXT NOT NULL,
    shard TEXT NOT NULL,
    owner TEXT,
    checkpoint_owner TEXT,
    counter INTEGER NOT NULL,
    checkpoint TEXT NOT NULL,
    checkpoint_sub_sequence INTEGER NOT NULL,
    start_timestamp_ms INTEGER,
    parents TEXT NOT NULL,
    children TEXT NOT NULL,
    starting_hash_key TEXT,
    ending_hash_key TEXT,
    PRIMARY KEY (app, stream, shard)
) STRICT, WITHOUT ROWID;";

/// Version 1 knew of no hand-over.
const FROM_VERSION_1: &str = "ALTER TABLE leases ADD COLUMN checkpoint_owner TEXT;";

pub(super) fn open(path: &Path) -> Result<Connection, SourceError> {
    let mut tries = 1;
    loop {
        match prepare(path) {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(newer)) => {
                return Err(SourceError::Configuration(format!(
                    "lease file {}: its schema version {newer} is newer than {SCHEMA_VERSION}: run the version that \
                     wrote it, or name another file",
                    path.display()
                )));
            }
            Err(error) if busy(&error) && tries < OPENING_TRIES => {
                tries += 1;
                thread::sleep(OPENING_WAIT);
            }
            Err(error) => return Err(unusable(path, &error)),
        }
    }
}

/// Opens a file that is there, to read it: nothing in it is changed.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, SourceError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(WAIT_MOST)?;
        let version =
            connection.query_row("SELECT value FROM lease_meta WHERE name = 'schema_version'", [], |row| {
                row.get::<_, i64>(0)
            })?;
        Ok((connection, version))
    });
    match opened {
        Ok((connection, SCHEMA_VERSION)) => Ok(connection),
        Ok((_, version)) => Err(SourceError::Configuration(format!(
            "lease file {}: its schema version is {version}, and {SCHEMA_VERSION} is needed: `trailgraph run` of this \
             version brings an older one up to date",
            path.display()
        ))),
        Err(error) => Err(unusable(path, &error)),
    }
}

/// The connection, or the newer schema version that the file has.
fn prepare(path: &Path) -> rusqlite::Result<Result<Connection, i64>> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(WAIT_MOST)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A checkpoint that a power cut takes back is only read again; a take that it takes back has two owners.
    connection.pragma_update(None, "synchronous", "full")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let has_version = transaction
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'lease_meta'", [], |_| Ok(()))
        .optional()?
        .is_some();
    let mut version = None;
    if has_version {
        version = transaction
            .query_row("SELECT value FROM lease_meta WHERE name = 'schema_version'", [], |row| row.get(0))
            .optional()?;
    }
    match version {
        Some(newer) if newer > SCHEMA_VERSION => return Ok(Err(newer)),
        Some(1) => transaction.execute_batch(FROM_VERSION_1)?,
        _ => transaction.execute_batch(TABLES)?,
    }
    transaction.execute(
        "INSERT INTO lease_meta VALUES ('schema_version', ?1) ON CONFLICT DO UPDATE SET value = excluded.value",
        [SCHEMA_VERSION],
    )?;
    transaction.commit()?;
    Ok(Ok(connection))
}

fn busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn unusable(path: &Path, error: &rusqlite::Error) -> SourceError {
    let mend = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => "not a SQLite database: name another file",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "may not be written: change its and its directory's permissions, or name another file"
        }
        Some(ErrorCode::CannotOpen) => "cannot be opened: the directory must exist and be writable",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "is locked by another process: end that process, or name another file"
        }
        _ => "cannot be used: name another file",
    };
    SourceError::Configuration(format!("lease file {} {mend} ({error})", path.display()))
}
