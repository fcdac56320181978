//! What is done with single rows, inside a transaction.

use bucket_state::{DecodeError, Digest, Kind, ResourceId, ResourceState, belongs_to};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::row::{Mark, PendingMark, Row, SinkName, Stored, Version};
use crate::store::{Save, SaveOutcome, Settlement, Settling, StoreError};

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
    INSERT INTO fan_outs VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?5, ?6)
    ON CONFLICT (account) DO UPDATE SET
        version  = excluded.version,
        since    = min(since, excluded.since),
        arrived  = min(arrived, excluded.arrived),
        happened = min(happened, excluded.happened),
        last_arrived  = excluded.last_arrived,
        last_happened = excluded.last_happened,
        worker   = excluded.worker";

/// A row as it lies in the file.
pub(super) struct RawRow {
    version: Version,
    state: Vec<u8>,
    marks: Vec<(SinkName, Mark)>,
}

impl RawRow {
    pub(super) fn decode(self, resource: &ResourceId) -> Result<Stored, StoreError> {
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

pub(super) fn load_row(transaction: &Transaction<'_>, resource: &ResourceId) -> rusqlite::Result<Option<RawRow>> {
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

pub(super) fn write_row(
    transaction: &Transaction<'_>,
    save: &Save,
    state: &[u8],
    worker: &str,
) -> rusqlite::Result<SaveOutcome> {
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
    if let (Some(former), Some(mark)) = (&save.former_account, save.mark) {
        let nothing = ResourceState::default().encode();
        let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO states VALUES (?1, 0, ?2)")?;
        insert.execute((former.as_str(), nothing))?;
        mark_stored(transaction, former.as_str(), mark, worker)?;
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

/// Marks a row that is not saved otherwise; tells whether there is one.
pub(super) fn mark_stored(
    transaction: &Transaction<'_>,
    resource: &str,
    mark: PendingMark,
    worker: &str,
) -> rusqlite::Result<bool> {
    let mut update = transaction.prepare_cached("UPDATE states SET version = version + 1 WHERE resource = ?1")?;
    let is_stored = update.execute([resource])? == 1;
    if is_stored {
        mark_row(transaction, resource, mark, worker)?;
    }
    Ok(is_stored)
}

fn mark_row(transaction: &Transaction<'_>, resource: &str, mark: PendingMark, worker: &str) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(MARK)?;
    statement.execute((resource, mark.since_ms, mark.arrived_ms, mark.happened_ms, worker)).map(drop)
}

fn list_member(transaction: &Transaction<'_>, account: &ResourceId, resource: &str) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO members VALUES (?1, ?2)")?;
    insert.execute((account.as_str(), resource)).map(drop)
}

/// What version 1 did not keep, nor version 2 of access points.
pub(super) fn list_members(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut query = transaction.prepare("SELECT resource, state FROM states")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let id = ResourceId::from(row.get_ref(0)?.as_str()?);
        // One that is damaged is begun anew at its next event, and listed then.
        let state = ResourceState::decode(row.get_ref(1)?.as_blob()?).ok();
        if let Some(account) = state.and_then(|state| belongs_to(&id, &state)) {
            list_member(transaction, &account, id.as_str())?;
        }
    }
    Ok(())
}

pub(super) fn listed_sinks(connection: &Connection) -> rusqlite::Result<Vec<SinkName>> {
    let mut query = connection.prepare_cached("SELECT name FROM sinks ORDER BY name")?;
    query.query_map([], |row| Ok(SinkName::from(row.get_ref(0)?.as_str()?)))?.collect()
}

/// Tells how many rows there are.
pub(super) fn mark_every_row(
    transaction: &Transaction<'_>,
    sinks: &[SinkName],
    now_ms: i64,
    worker: &str,
) -> rusqlite::Result<u64> {
    let rows = transaction.execute("UPDATE states SET version = version + 1", [])?;
    for sink in sinks {
        transaction.execute(
            "INSERT OR REPLACE INTO marks
                (sink, resource, since, arrived, happened, last_since, last_arrived, last_happened, worker)
             SELECT ?1, resource, ?2, ?2, ?2, ?2, ?2, ?2, ?3 FROM states",
            (sink.as_str(), now_ms, worker),
        )?;
    }
    Ok(rows as u64)
}

pub(super) fn settle_row(
    transaction: &Transaction<'_>,
    sink: &SinkName,
    settlement: &Settlement,
) -> rusqlite::Result<usize> {
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
    use rusqlite::Connection;

    use super::super::TABLES;
    use super::MARKS_OF;

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
