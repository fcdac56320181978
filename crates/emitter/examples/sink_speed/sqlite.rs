//! A graph in a file.

use std::time::{Duration, Instant};

use emitter::{Emission, SinkName, SqliteFile, SqliteGraph};

use crate::{WINDOW, replace, report};

/// Its bulk load: the same rows into tables of the same form, without heads, comparison or a look at what is there.
pub(crate) async fn measure(first: &[Emission], second: &[Emission]) {
    let folder = tempfile::tempdir().unwrap();
    report("SQLite", "bulk load", first.len(), load(&folder.path().join("bulk.db"), first));
    let file = SqliteFile::open(&folder.path().join("graph.db")).unwrap();
    let graph = SqliteGraph::open(file, SinkName::from("sqlite:graph.db")).unwrap();
    report("SQLite", "new buckets", first.len(), replace(&graph, first).await);
    report("SQLite", "the same again", first.len(), replace(&graph, first).await);
    report("SQLite", "changed buckets", first.len(), replace(&graph, second).await);
}

fn load(path: &std::path::Path, emissions: &[Emission]) -> Duration {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    let tables = "CREATE TABLE entities (key TEXT PRIMARY KEY, resource TEXT, properties TEXT);
                  CREATE TABLE relationships (key TEXT PRIMARY KEY, resource TEXT, properties TEXT);";
    connection.execute_batch(tables).unwrap();
    let begun = Instant::now();
    for window in emissions.chunks(WINDOW) {
        let transaction = connection.transaction().unwrap();
        {
            let mut entity = transaction.prepare_cached("INSERT INTO entities VALUES (?1, ?2, ?3)").unwrap();
            let mut edge = transaction.prepare_cached("INSERT INTO relationships VALUES (?1, ?2, ?3)").unwrap();
            for Emission { snapshot, .. } in window {
                let resource = snapshot.resource.as_str();
                for one in &snapshot.entities {
                    entity.execute((one.key(), resource, serde_json::to_string(one).unwrap())).unwrap();
                }
                for one in &snapshot.relationships {
                    edge.execute((one.key(), resource, serde_json::to_string(&one.properties).unwrap())).unwrap();
                }
            }
        }
        transaction.commit().unwrap();
    }
    begun.elapsed()
}
