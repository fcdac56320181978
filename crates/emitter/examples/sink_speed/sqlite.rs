//! A graph in a file.

use std::time::{Duration, Instant};

use emitter::{Emission, SinkName, SqliteFile, SqliteGraph};

use crate::{Fallible, WINDOW, replace, report};

/// Its bulk load: the same rows into tables of the same form, without heads, comparison or a look at what is there.
pub(crate) async fn measure(first: &[Emission], second: &[Emission]) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    report("SQLite", "bulk load", first.len(), load(&folder.path().join("bulk.db"), first)?);
    let file = SqliteFile::open(&folder.path().join("graph.db"))?;
    let graph = SqliteGraph::open(file, SinkName::from("sqlite:graph.db"))?;
    report("SQLite", "new buckets", first.len(), replace(&graph, first).await?);
    report("SQLite", "the same again", first.len(), replace(&graph, first).await?);
    report("SQLite", "changed buckets", first.len(), replace(&graph, second).await?);
    Ok(())
}

fn load(path: &std::path::Path, emissions: &[Emission]) -> Fallible<Duration> {
    let mut connection = rusqlite::Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    let tables = "CREATE TABLE entities (key TEXT, resource TEXT, properties TEXT, PRIMARY KEY (resource, key)) WITHOUT ROWID;
                  CREATE TABLE relationships (key TEXT, resource TEXT, properties TEXT, PRIMARY KEY (resource, key)) WITHOUT ROWID;";
    connection.execute_batch(tables)?;
    let begun = Instant::now();
    for window in emissions.chunks(WINDOW) {
        let transaction = connection.transaction()?;
        {
            let mut entity = transaction.prepare_cached("INSERT INTO entities VALUES (?1, ?2, ?3)")?;
            let mut edge = transaction.prepare_cached("INSERT INTO relationships VALUES (?1, ?2, ?3)")?;
            for Emission { snapshot, .. } in window {
                let resource = snapshot.resource.as_str();
                for one in &snapshot.entities {
                    entity.execute((one.key(), resource, serde_json::to_string(one)?))?;
                }
                for one in &snapshot.relationships {
                    edge.execute((one.key(), resource, serde_json::to_string(&one.properties)?))?;
                }
            }
        }
        transaction.commit()?;
    }
    Ok(begun.elapsed())
}
