//! The state store in a SQLite file.

mod rows;

use std::path::Path;

use async_trait::async_trait;
use bucket_state::ResourceId;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use crate::row::{Generation, PendingMark, SinkName, Stored};
use crate::sqlite::SqliteFile;
use crate::store::{Backlog, FanOut, ListedSink, PendingQuery, Save, SaveOutcome, Settlement, StateStore, StoreError};
use rows::{RawRow, list_members, listed_sinks, load_row, mark_every_row, mark_stored, settle_row, write_row};

/// 2 added members and fan-outs, 3 claims, and access points to the members.
const SCHEMA_VERSION: i64 = 3;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS store (generation INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS sinks (name TEXT PRIMARY KEY, instance TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS states (
        resource TEXT PRIMARY KEY,
        version  INTEGER NOT NULL,
        state    BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS damaged_states (
        resource TEXT NOT NULL,
        version  INTEGER NOT NULL,
        state    BLOB NOT NULL,
        PRIMARY KEY (resource, version)
    );
    CREATE TABLE IF NOT EXISTS members (
        account  TEXT NOT NULL,
        resource TEXT NOT NULL,
        PRIMARY KEY (account, resource)
    ) WITHOUT ROWID;
    -- accounts whose members are to be marked since this version of their rows
    CREATE TABLE IF NOT EXISTS fan_outs (
        account  TEXT PRIMARY KEY,
        version  INTEGER NOT NULL,
        since    INTEGER NOT NULL,
        arrived  INTEGER NOT NULL,
        happened INTEGER NOT NULL,
        -- the same of the last save alone: what remains when the members are marked for an earlier version
        last_arrived  INTEGER NOT NULL,
        last_happened INTEGER NOT NULL,
        worker   TEXT NOT NULL  -- who saved or claimed it last
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS claims (fence TEXT PRIMARY KEY, words TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS marks (
        sink     TEXT NOT NULL,
        resource TEXT NOT NULL,
        since    INTEGER,  -- pending since; null: not pending
        arrived  INTEGER,
        happened INTEGER,
        -- the same of the last save alone: what remains when an emission of an earlier version is acknowledged
        last_since    INTEGER,
        last_arrived  INTEGER,
        last_happened INTEGER,
        worker   TEXT,     -- who marked it last
        digest   BLOB,
        rejected INTEGER,
        PRIMARY KEY (sink, resource)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS pending_marks ON marks (sink, since) WHERE since IS NOT NULL;
    CREATE INDEX IF NOT EXISTS rejected_marks ON marks (sink) WHERE rejected IS NOT NULL;
";

/// The embedded [`StateStore`]: needs nothing installed, serves several processes of one machine.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    file: SqliteFile,
    generation: Generation,
    worker: String,
}

impl SqliteStore {
    /// The store in `file`, made at `now_ms` if it is not there, for the worker of this name.
    ///
    /// # Errors
    /// One line that names the path and the mend.
    pub fn open(file: SqliteFile, worker: &str, now_ms: i64) -> Result<Self, String> {
        let found = file.prepare("state", SCHEMA_VERSION, TABLES)?;
        if found < SCHEMA_VERSION {
            file.migrate("state", SCHEMA_VERSION, list_members)?;
        }
        let generation = || -> rusqlite::Result<Generation> {
            let connection = file.lock();
            connection.execute("INSERT INTO store SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM store)", [now_ms])?;
            connection.query_row("SELECT generation FROM store", [], |row| row.get(0))
        }()
        .map_err(|error| format!("{}: {error}", file.path().display()))?;
        Ok(Self { file, generation, worker: worker.to_owned() })
    }

    /// The store in the file at `path`, to read it: nothing in it is changed, and every write fails.
    ///
    /// # Errors
    /// One line that names the path and the mend.
    pub fn open_to_read(path: &Path) -> Result<Self, String> {
        let file = SqliteFile::open_to_read(path)?;
        file.must_have("state", SCHEMA_VERSION)?;
        let generation = file.lock().query_row("SELECT generation FROM store", [], |row| row.get(0));
        let generation = generation.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { file, generation, worker: String::new() })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = || format!("sqlite:{}", self.file.path().display());
        self.file.with(work).await.map_err(|error| {
            if error.lasting {
                let message = error.message;
                StoreError::Unusable(format!("state store {message}; mend the file, or restore it from a backup"))
            } else {
                StoreError::Unavailable { store: store(), message: error.message }
            }
        })
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    fn generation(&self) -> Generation {
        self.generation
    }

    async fn sinks(&self) -> Result<Vec<SinkName>, StoreError> {
        self.with(|connection| listed_sinks(connection)).await
    }

    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        let (sinks, worker) = (sinks.to_vec(), self.worker.clone());
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for ListedSink { name, instance } in sinks {
                let listed: Option<String> = transaction
                    .query_row("SELECT instance FROM sinks WHERE name = ?1", [name.as_str()], |row| row.get(0))
                    .optional()?;
                let is_news = |listed: &String| !listed.is_empty() && *listed != instance;
                if !(listed.is_some() && instance.is_empty()) {
                    transaction.execute("INSERT OR REPLACE INTO sinks VALUES (?1, ?2)", (name.as_str(), &instance))?;
                }
                if !instance.is_empty() && listed.as_ref().is_some_and(is_news) || listed.is_none() {
                    mark_every_row(&transaction, &[name], now_ms, &worker)?;
                }
            }
            transaction.commit()
        })
        .await
    }

    async fn forget_sink(&self, sink: &SinkName) -> Result<bool, StoreError> {
        let sink = sink.clone();
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let listed = transaction.execute("DELETE FROM sinks WHERE name = ?1", [sink.as_str()])? == 1;
            transaction.execute("DELETE FROM marks WHERE sink = ?1", [sink.as_str()])?;
            transaction.commit()?;
            Ok(listed)
        })
        .await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.with(|connection| connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM states)", [], |row| row.get(0)))
            .await
    }

    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        let wanted = resources.to_vec();
        let found = self
            .with(move |connection| {
                // One read transaction: state and marks of a row are of one moment.
                let transaction = connection.transaction()?;
                wanted.iter().map(|resource| load_row(&transaction, resource)).collect::<rusqlite::Result<Vec<_>>>()
            })
            .await?;
        let decoded = |(row, resource): (Option<RawRow>, &ResourceId)| match row {
            Some(row) => row.decode(resource),
            None => Ok(Stored::Nothing),
        };
        found.into_iter().zip(resources).map(decoded).collect()
    }

    async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        let worker = self.worker.clone();
        // Before the file is locked.
        let encoded: Vec<_> = saves.iter().map(|save| save.state.encode()).collect();
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcomes =
                saves.iter().zip(encoded).map(|(save, state)| write_row(&transaction, save, &state, &worker));
            let outcomes = outcomes.collect::<rusqlite::Result<Vec<_>>>()?;
            transaction.commit()?;
            Ok(outcomes)
        })
        .await
    }

    async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError> {
        let (resources, worker) = (resources.to_vec(), self.worker.clone());
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut marked = 0;
            for resource in &resources {
                marked += u64::from(mark_stored(&transaction, resource.as_str(), mark, &worker)?);
            }
            transaction.commit()?;
            Ok(marked)
        })
        .await
    }

    async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError> {
        let (sink, worker) = (sink.cloned(), self.worker.clone());
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut sinks = listed_sinks(&transaction)?;
            sinks.retain(|listed| sink.as_ref().is_none_or(|sink| sink == listed));
            let marked = if sinks.is_empty() { 0 } else { mark_every_row(&transaction, &sinks, now_ms, &worker)? };
            transaction.commit()?;
            Ok(marked)
        })
        .await
    }

    async fn members(
        &self,
        account: &ResourceId,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<ResourceId>, StoreError> {
        let (account, after) = (account.clone(), after.map_or_else(String::new, ToString::to_string));
        self.with(move |connection| {
            let mut query = connection.prepare_cached(
                "SELECT resource FROM members WHERE account = ?1 AND resource > ?2 ORDER BY resource LIMIT ?3",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            query
                .query_map((account.as_str(), after, limit), |row| Ok(ResourceId::from(row.get_ref(0)?.as_str()?)))?
                .collect()
        })
        .await
    }

    async fn claim_fan_outs(
        &self,
        worker: &str,
        others_before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        let worker = worker.to_owned();
        self.with(move |connection| {
            // Claimed and told in one statement, which writes nothing where there is nothing to do.
            let mut query = connection.prepare_cached(
                "UPDATE fan_outs SET worker = ?1, since = ?3 WHERE worker = ?1 OR since < ?2
                 RETURNING account, version, since, arrived, happened",
            )?;
            query
                .query_map((worker, others_before_ms, now_ms), |row| {
                    Ok(FanOut {
                        account: ResourceId::from(row.get_ref(0)?.as_str()?),
                        version: row.get::<_, i64>(1)?.cast_unsigned(),
                        mark: PendingMark { since_ms: row.get(2)?, arrived_ms: row.get(3)?, happened_ms: row.get(4)? },
                    })
                })?
                .collect()
        })
        .await
    }

    async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError> {
        let (account, version) = (fan_out.account.clone(), fan_out.version.cast_signed());
        self.with(move |connection| {
            let mut delete = connection.prepare_cached("DELETE FROM fan_outs WHERE account = ?1 AND version = ?2")?;
            if delete.execute((account.as_str(), version))? == 0 {
                let mut marked = connection.prepare_cached(
                    "UPDATE fan_outs SET arrived = last_arrived, happened = last_happened WHERE account = ?1",
                )?;
                marked.execute([account.as_str()])?;
            }
            Ok(())
        })
        .await
    }

    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        let query = query.clone();
        self.with(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT resource FROM marks JOIN states USING (resource)
                 WHERE sink = ?1 AND since IS NOT NULL AND (worker = ?2 OR since < ?3) ORDER BY since LIMIT ?4",
            )?;
            let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
            let rows = statement
                .query_map((query.sink.as_str(), &query.worker, query.others_before_ms, limit), |row| {
                    Ok(ResourceId::from(row.get_ref(0)?.as_str()?))
                })?;
            rows.collect()
        })
        .await
    }

    async fn settle(&self, sink: &SinkName, settlements: Vec<Settlement>) -> Result<usize, StoreError> {
        let sink = sink.clone();
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut settled = 0;
            for settlement in &settlements {
                settled += settle_row(&transaction, &sink, settlement)?;
            }
            transaction.commit()?;
            Ok(settled)
        })
        .await
    }

    async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError> {
        let sink = sink.clone();
        self.with(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT count(*), min(since) FROM marks JOIN states USING (resource)
                 WHERE sink = ?1 AND since IS NOT NULL",
            )?;
            let (rows, oldest_ms) =
                statement.query_row([sink.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
            let rejected: i64 = connection.query_row(
                "SELECT count(*) FROM marks JOIN states USING (resource)
                 WHERE sink = ?1 AND rejected IS NOT NULL AND rejected = version",
                [sink.as_str()],
                |row| row.get(0),
            )?;
            Ok(Backlog { rows: rows.cast_unsigned(), oldest_ms, rejected: rejected.cast_unsigned() })
        })
        .await
    }

    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError> {
        let fence = fence.to_owned();
        self.with(move |connection| {
            let mut query = connection.prepare_cached("SELECT words FROM claims WHERE fence = ?1")?;
            query.query_row([fence], |row| row.get(0)).optional()
        })
        .await
    }

    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError> {
        let (fence, seen, next) = (fence.to_owned(), seen.map(str::to_owned), next.to_owned());
        self.with(move |connection| {
            let swapped = match seen {
                None => connection.execute("INSERT OR IGNORE INTO claims VALUES (?1, ?2)", (fence, next))?,
                Some(seen) => connection
                    .execute("UPDATE claims SET words = ?3 WHERE fence = ?1 AND words = ?2", (fence, seen, next))?,
            };
            Ok(swapped == 1)
        })
        .await
    }
}
