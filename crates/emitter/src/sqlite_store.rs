//! The state store in a SQLite file.

use async_trait::async_trait;
use bucket_state::{DecodeError, Digest, Kind, ResourceId, ResourceState, account_of};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::row::{Generation, Mark, PendingMark, Row, SinkName, Stored, Version};
use crate::sqlite::SqliteFile;
use crate::store::{
    Backlog, FanOut, ListedSink, PendingQuery, Save, SaveOutcome, Settlement, Settling, StateStore, StoreError,
};

/// 2 added members and fan-outs.
const SCHEMA_VERSION: i64 = 2;

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
        worker   TEXT NOT NULL  -- who saved it last
    ) WITHOUT ROWID;
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

const MARK: &str = "
    INSERT INTO marks (sink, resource, since, arrived, happened, last_since, last_arrived, last_happened, worker)
    SELECT name, ?1, ?2, ?3, ?4, ?2, ?3, ?4, ?5 FROM sinks WHERE true
    ON CONFLICT (sink, resource) DO UPDATE SET
        arrived  = CASE WHEN since IS NULL THEN excluded.arrived  ELSE min(arrived, excluded.arrived) END,
        happened = CASE WHEN since IS NULL THEN excluded.happened ELSE min(happened, excluded.happened) END,
        since    = min(coalesce(since, excluded.since), excluded.since),
        last_since    = excluded.last_since,
        last_arrived  = excluded.last_arrived,
        last_happened = excluded.last_happened,
        worker   = excluded.worker";

/// A cross join keeps the order of the tables: SQLite would rather go through all marks than through the few sinks.
const MARKS_OF: &str = "
    SELECT name, since, arrived, happened, digest, rejected
    FROM sinks CROSS JOIN marks ON sink = name WHERE resource = ?1";

const FAN_OUT: &str = "
    INSERT INTO fan_outs VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (account) DO UPDATE SET
        version  = excluded.version,
        since    = min(since, excluded.since),
        arrived  = min(arrived, excluded.arrived),
        happened = min(happened, excluded.happened),
        worker   = excluded.worker";

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

    /// Whether no row is stored.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        self.with(|connection| connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM states)", [], |row| row.get(0)))
            .await
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
        self.with(|connection| {
            let mut query = connection.prepare_cached("SELECT name FROM sinks ORDER BY name")?;
            query.query_map([], |row| Ok(SinkName::from(row.get_ref(0)?.as_str()?)))?.collect()
        })
        .await
    }

    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        let (sinks, worker) = (sinks.to_vec(), self.worker.clone());
        self.with(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for ListedSink { name, instance } in sinks {
                let added = transaction.execute(
                    "INSERT INTO sinks VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET instance = ?2 WHERE instance <> ?2",
                    (name.as_str(), &instance),
                )?;
                if added == 1 {
                    mark_every_row(&transaction, &name, now_ms, &worker)?;
                }
            }
            transaction.commit()
        })
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
                let mut update =
                    transaction.prepare_cached("UPDATE states SET version = version + 1 WHERE resource = ?1")?;
                if update.execute([resource.as_str()])? == 1 {
                    mark_row(&transaction, resource.as_str(), mark, &worker)?;
                    marked += 1;
                }
            }
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
            delete.execute((account.as_str(), version)).map(drop)
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
}

/// A row as it lies in the file.
struct RawRow {
    version: Version,
    state: Vec<u8>,
    marks: Vec<(SinkName, Mark)>,
}

impl RawRow {
    fn decode(self, resource: &ResourceId) -> Result<Stored, StoreError> {
        match ResourceState::decode(&self.state) {
            Ok(state) => {
                let row = Row { version: self.version, state, marks: self.marks.into_iter().collect() };
                Ok(Stored::Row(Box::new(row)))
            }
            Err(DecodeError::Newer(_)) => Err(StoreError::Newer { what: format!("the stored state of {resource}") }),
            Err(DecodeError::Damaged(message)) => Ok(Stored::Damaged { version: self.version, message }),
        }
    }
}

fn load_row(transaction: &Transaction<'_>, resource: &ResourceId) -> rusqlite::Result<Option<RawRow>> {
    let mut query = transaction.prepare_cached("SELECT version, state FROM states WHERE resource = ?1")?;
    let found = query.query_row([resource.as_str()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
    let Some((version, state)) = found else { return Ok(None) };
    let mut query = transaction.prepare_cached(MARKS_OF)?;
    let marks = query.query_map([resource.as_str()], |row| {
        let pending = match row.get::<_, Option<i64>>(1)? {
            Some(since_ms) => Some(PendingMark { since_ms, arrived_ms: row.get(2)?, happened_ms: row.get(3)? }),
            None => None,
        };
        let digest = row.get::<_, Option<Digest>>(4)?;
        let rejected = row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned);
        Ok((SinkName::from(row.get_ref(0)?.as_str()?), Mark { pending, digest, rejected }))
    })?;
    let marks = marks.collect::<rusqlite::Result<_>>()?;
    Ok(Some(RawRow { version: version.cast_unsigned(), state, marks }))
}

fn write_row(transaction: &Transaction<'_>, save: &Save, state: &[u8], worker: &str) -> rusqlite::Result<SaveOutcome> {
    let (resource, version) = (save.resource.as_str(), save.based_on + 1);
    if save.set_aside {
        transaction.execute(
            "INSERT OR IGNORE INTO damaged_states SELECT resource, version, state FROM states
             WHERE resource = ?1 AND version = ?2",
            (resource, save.based_on.cast_signed()),
        )?;
    }
    let written = if save.based_on == 0 {
        let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO states VALUES (?1, ?2, ?3)")?;
        insert.execute((resource, version.cast_signed(), state))?
    } else {
        let mut update = transaction
            .prepare_cached("UPDATE states SET version = ?2, state = ?3 WHERE resource = ?1 AND version = ?4")?;
        update.execute((resource, version.cast_signed(), state, save.based_on.cast_signed()))?
    };
    if written == 0 {
        return Ok(SaveOutcome::Conflict);
    }
    if let Some(account) = &save.account {
        list_member(transaction, account, resource)?;
    }
    if let Some(mark) = save.mark {
        mark_row(transaction, resource, mark, worker)?;
        if save.resource.kind() == Kind::Account {
            let mut statement = transaction.prepare_cached(FAN_OUT)?;
            let version = version.cast_signed();
            statement.execute((resource, version, mark.since_ms, mark.arrived_ms, mark.happened_ms, worker))?;
        }
    }
    Ok(SaveOutcome::Saved(version))
}

fn mark_row(transaction: &Transaction<'_>, resource: &str, mark: PendingMark, worker: &str) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(MARK)?;
    statement.execute((resource, mark.since_ms, mark.arrived_ms, mark.happened_ms, worker)).map(drop)
}

fn list_member(transaction: &Transaction<'_>, account: &ResourceId, resource: &str) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO members VALUES (?1, ?2)")?;
    insert.execute((account.as_str(), resource)).map(drop)
}

/// What version 1 did not keep.
fn list_members(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut query = transaction.prepare("SELECT resource, state FROM states")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id = ResourceId::from(row.get_ref(0)?.as_str()?);
        // One that is damaged is begun anew at its next event, and listed then.
        let state = ResourceState::decode(row.get_ref(1)?.as_blob()?).ok();
        if let Some(account) = state.and_then(|state| account_of(&id, &state)) {
            list_member(transaction, &account, id.as_str())?;
        }
    }
    Ok(())
}

fn mark_every_row(transaction: &Transaction<'_>, sink: &SinkName, now_ms: i64, worker: &str) -> rusqlite::Result<()> {
    transaction.execute("UPDATE states SET version = version + 1", [])?;
    transaction.execute(
        "INSERT OR REPLACE INTO marks
            (sink, resource, since, arrived, happened, last_since, last_arrived, last_happened, worker)
         SELECT ?1, resource, ?2, ?2, ?2, ?2, ?2, ?2, ?3 FROM states",
        (sink.as_str(), now_ms, worker),
    )?;
    Ok(())
}

fn settle_row(transaction: &Transaction<'_>, sink: &SinkName, settlement: &Settlement) -> rusqlite::Result<usize> {
    let version = settlement.version.cast_signed();
    let (digest, rejected) = match settlement.verdict {
        Settling::Acknowledged(digest) => (Some(digest), None),
        Settling::Superseded => (None, None),
        Settling::Rejected => (None, Some(version)),
    };
    let mut update = transaction.prepare_cached(
        "UPDATE marks SET since = NULL, arrived = NULL, happened = NULL, worker = NULL, digest = ?3, rejected = ?4
         WHERE sink = ?1 AND resource = ?2 AND since IS NOT NULL
           AND (SELECT version FROM states WHERE resource = ?2) = ?5",
    )?;
    let cleared = update.execute((sink.as_str(), settlement.resource.as_str(), digest, rejected, version))?;
    if cleared == 0 && rejected.is_none() {
        // The row has moved, and what it knew before is shown: from now on only the later news wait. Else a bucket that
        // never rests would be the longest waiting for ever, and hold back the others.
        let mut shown = transaction.prepare_cached(
            "UPDATE marks SET since = last_since, arrived = last_arrived, happened = last_happened
             WHERE sink = ?1 AND resource = ?2 AND since IS NOT NULL",
        )?;
        shown.execute((sink.as_str(), settlement.resource.as_str()))?;
    }
    Ok(cleared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_one_row_searches_for_its_marks_and_goes_through_none_but_the_sinks() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(TABLES).expect("tables");
        let mut query = connection.prepare(&format!("EXPLAIN QUERY PLAN {MARKS_OF}")).expect("a query");
        let steps = query.query_map(["x"], |row| row.get::<_, String>(3)).expect("a plan");
        let steps: Vec<String> = steps.map(|step| step.expect("text")).collect();
        assert_eq!(steps, ["SCAN sinks", "SEARCH marks USING PRIMARY KEY (sink=? AND resource=?)"]);
    }
}
