//! Entities and relationships as rows, by the resource that owns them.

use std::collections::BTreeMap;

use bucket_state::{Entity, Relationship};
use rusqlite::Transaction;
use serde::Serialize;

/// An entity or a relationship, as text.
pub(super) struct Part {
    key: String,
    shown: Shown,
}

/// What is shown under a key: the far key of a relationship that has one, and the properties.
type Shown = (Option<String>, String);

impl Part {
    pub(super) fn of_entity(entity: &Entity) -> Self {
        Self { key: entity.key().to_owned(), shown: (None, text(&entity.0)) }
    }

    pub(super) fn of_relationship(edge: &Relationship) -> Self {
        Self { key: edge.key().to_owned(), shown: (edge.far_key().map(str::to_owned), text(&edge.properties)) }
    }
}

pub(super) fn text(part: &impl Serialize) -> String {
    serde_json::to_string(part).expect("parts of a snapshot have string keys")
}

/// The statements of one of the two tables.
pub(super) struct Table {
    read: &'static str,
    write: &'static str,
    delete: &'static str,
}

pub(super) const ENTITIES: Table = Table {
    read: "SELECT key, NULL, properties FROM entities WHERE resource = ?1",
    write: "INSERT OR REPLACE INTO entities (resource, key, properties) VALUES (?1, ?2, ?4)",
    delete: "DELETE FROM entities WHERE resource = ?1 AND key = ?2",
};

pub(super) const RELATIONSHIPS: Table = Table {
    read: "SELECT key, far_key, properties FROM relationships WHERE resource = ?1",
    write: "INSERT OR REPLACE INTO relationships (resource, key, far_key, properties) VALUES (?1, ?2, ?3, ?4)",
    delete: "DELETE FROM relationships WHERE resource = ?1 AND key = ?2",
};

impl Table {
    /// Makes `parts` all that `resource` owns here. Most of a resource stays as it is when it changes, so what is there is
    /// read, in this same transaction, and only the difference is written.
    pub(super) fn replace(
        &self,
        transaction: &Transaction<'_>,
        resource: &str,
        parts: &[Part],
    ) -> rusqlite::Result<()> {
        let mut query = transaction.prepare_cached(self.read)?;
        let rows = query.query_map([resource], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        let mut there: BTreeMap<String, Shown> = rows.collect::<rusqlite::Result<_>>()?;
        let mut write = transaction.prepare_cached(self.write)?;
        for Part { key, shown } in parts {
            if there.remove(key).as_ref() != Some(shown) {
                write.execute((resource, key, &shown.0, &shown.1))?;
            }
        }
        let mut delete = transaction.prepare_cached(self.delete)?;
        for key in there.keys() {
            delete.execute((resource, key))?;
        }
        Ok(())
    }
}

/// Until version 2, the rows of a resource lay scattered by their keys, and three indexes found them. The columns keep
/// their places: a program of before, which may still run, names none.
pub(super) fn bring_together(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (table, columns) in
        [("entities", "key, resource, properties"), ("relationships", "key, resource, far_key, properties")]
    {
        transaction.execute_batch(&format!("ALTER TABLE {table} RENAME TO scattered"))?;
        transaction.execute_batch(super::TABLES)?;
        transaction.execute_batch(&format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM scattered;
             DROP TABLE scattered;"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::SqliteGraph;
    use crate::row::SinkName;
    use crate::sqlite::SqliteFile;

    /// As version 1 made it, with a bucket that two versions of the program have shown.
    const SCATTERED: &str = r#"
        CREATE TABLE schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL);
        INSERT INTO schema_versions VALUES ('graph', 1);
        CREATE TABLE graph (instance TEXT NOT NULL);
        INSERT INTO graph VALUES ('f00d');
        CREATE TABLE heads (
            resource TEXT PRIMARY KEY, generation INTEGER NOT NULL, version INTEGER NOT NULL, digest BLOB NOT NULL,
            provenance TEXT NOT NULL
        );
        INSERT INTO heads VALUES ('arn:aws:s3:::app', 7, 2, x'00', '[]');
        CREATE TABLE entities (key TEXT PRIMARY KEY, resource TEXT NOT NULL, properties TEXT NOT NULL);
        INSERT INTO entities VALUES ('arn:aws:s3:::app', 'arn:aws:s3:::app', '{"_key":"arn:aws:s3:::app"}');
        CREATE TABLE relationships (key TEXT PRIMARY KEY, resource TEXT NOT NULL, far_key TEXT, properties TEXT NOT NULL);
        INSERT INTO relationships VALUES ('app|LOGS|logs', 'arn:aws:s3:::app', 'arn:aws:s3:::logs', '{"_key":"app|LOGS|logs"}');
        CREATE INDEX entities_of ON entities (resource);
        CREATE INDEX relationships_of ON relationships (resource);
        CREATE INDEX relationships_to ON relationships (far_key);
    "#;

    fn open(path: &Path) -> SqliteGraph {
        SqliteGraph::open(SqliteFile::open(path).unwrap(), SinkName::from("sqlite:graph.db")).unwrap()
    }

    #[tokio::test]
    async fn a_graph_of_version_1_is_brought_together_once_and_shows_the_same() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("graph.db");
        rusqlite::Connection::open(&path).unwrap().execute_batch(SCATTERED).unwrap();
        let reader = SqliteGraph::open_to_read(&path, SinkName::from("sqlite:graph.db")).unwrap();
        let before = reader.export_with_provenance().await.unwrap();
        assert_eq!((before.entities.len(), before.relationships.len(), before.provenance.len()), (2, 1, 1));
        for _ in 0..2 {
            assert_eq!(open(&path).export_with_provenance().await.unwrap(), before);
        }
        assert_eq!(reader.export_with_provenance().await.unwrap(), before);
        let indexes = "SELECT count(*) FROM sqlite_schema WHERE sql LIKE 'CREATE INDEX%' OR name = 'scattered'";
        let left: i64 = open(&path).file.lock().query_row(indexes, [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }
}
