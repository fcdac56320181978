//! The graph in a SQLite file: a sink, and what the `graph` commands read.
//!
//! Placeholders are not stored. An edge names its far end, and whatever entity stands there when the graph is
//! read is shown, or a placeholder where there is none. So a removed entity that others point to becomes a
//! placeholder, and a placeholder goes with its last edge, by construction.

mod parts;
mod read;

use std::path::Path;

use crate::row::{Generation, SinkName, Version};
use crate::sink::{Emission, GraphSink, SinkError, Verdict};
use crate::sqlite::SqliteFile;
use async_trait::async_trait;
use bucket_state::Digest;
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior};

use parts::{Part, text};

pub use read::{BucketSummary, BucketView, WholeGraph};

/// 2 keeps the parts of a resource together.
const SCHEMA_VERSION: i64 = 2;

const TABLES: &str = "
    -- A name that no other graph has: tells this one from a file that stood here before.
    CREATE TABLE IF NOT EXISTS graph (instance TEXT NOT NULL);
    -- What was last taken for each resource; outlives the resource, so that nothing older revives it.
    CREATE TABLE IF NOT EXISTS heads (
        resource   TEXT PRIMARY KEY,
        generation INTEGER NOT NULL,
        version    INTEGER NOT NULL,
        digest     BLOB NOT NULL,
        provenance TEXT NOT NULL
    );
    -- What a resource owns lies together: it is read, compared and written together.
    CREATE TABLE IF NOT EXISTS entities (
        key        TEXT NOT NULL,
        resource   TEXT NOT NULL,
        properties TEXT NOT NULL,
        PRIMARY KEY (resource, key)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS relationships (
        key        TEXT NOT NULL,
        resource   TEXT NOT NULL,
        far_key    TEXT,  -- the end that another resource may own
        properties TEXT NOT NULL,
        PRIMARY KEY (resource, key)
    ) WITHOUT ROWID;
";

/// Not `OR REPLACE`, which would delete and insert the row's key, too.
const HEAD: &str = "
    INSERT INTO heads VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (resource) DO UPDATE SET
        generation = excluded.generation,
        version    = excluded.version,
        digest     = excluded.digest,
        provenance = excluded.provenance";

/// A graph in a file.
#[derive(Clone, Debug)]
pub struct SqliteGraph {
    file: SqliteFile,
    name: SinkName,
    instance: String,
}

impl SqliteGraph {
    /// The graph in `file`, made if it is not there.
    ///
    /// # Errors
    /// One line that names the path and the mend.
    pub fn open(file: SqliteFile, name: SinkName) -> Result<Self, String> {
        if file.prepare("graph", SCHEMA_VERSION, TABLES)? < SCHEMA_VERSION {
            file.migrate("graph", SCHEMA_VERSION, parts::bring_together)?;
        }
        let instance = || -> rusqlite::Result<String> {
            let connection = file.lock();
            let new = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
            connection.execute("INSERT INTO graph SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM graph)", [new])?;
            connection.query_row("SELECT instance FROM graph", [], |row| row.get(0))
        }()
        .map_err(|error| format!("{}: {error}", file.path().display()))?;
        Ok(Self { file, name, instance })
    }

    /// The graph in a file that is only read.
    ///
    /// # Errors
    /// One line that names the path and the mend.
    pub fn open_to_read(path: &Path, name: SinkName) -> Result<Self, String> {
        let file = SqliteFile::open_to_read(path)?;
        file.must_have("graph", SCHEMA_VERSION)?;
        Ok(Self { file, name, instance: String::new() })
    }

    /// Whether the graph has never taken a snapshot.
    ///
    /// # Errors
    /// One line that names the path.
    pub async fn is_empty(&self) -> Result<bool, String> {
        self.file
            .with(|connection| connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM heads)", [], |row| row.get(0)))
            .await
            .map_err(String::from)
    }
}

#[async_trait]
impl GraphSink for SqliteGraph {
    fn name(&self) -> &SinkName {
        &self.name
    }

    fn instance(&self) -> &str {
        &self.instance
    }

    async fn check(&self) -> Result<String, SinkError> {
        let count = |connection: &mut rusqlite::Connection| {
            connection.query_row("SELECT count(*) FROM entities", [], |row| row.get::<_, i64>(0))
        };
        match self.file.with(count).await {
            Ok(entities) => Ok(format!("has {entities} entities")),
            Err(error) => Err(SinkError::Down { sink: self.name.clone(), message: error.message }),
        }
    }

    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let prepared: Vec<Prepared> = emissions.iter().map(Prepared::new).collect();
        let done = self
            .file
            .with(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let mut verdicts = Vec::with_capacity(prepared.len());
                for snapshot in &prepared {
                    match snapshot.replace(&transaction, generation)? {
                        Ok(verdict) => verdicts.push(verdict),
                        Err(newer) => return Ok(Err((snapshot.resource.clone(), newer))),
                    }
                }
                transaction.commit()?;
                Ok(Ok(verdicts))
            })
            .await;
        match done {
            Ok(Ok(verdicts)) => Ok(verdicts),
            Ok(Err((resource, newer))) => Err(SinkError::Ahead {
                sink: self.name.clone(),
                resource,
                shown: format!("generation {newer}"),
                stored: format!("generation {generation}"),
            }),
            Err(error) => Err(SinkError::Down { sink: self.name.clone(), message: error.message }),
        }
    }
}

/// A snapshot as text, made before the file is locked.
struct Prepared {
    resource: String,
    version: Version,
    digest: Digest,
    provenance: String,
    entities: Vec<Part>,
    relationships: Vec<Part>,
}

impl Prepared {
    fn new(Emission { version, snapshot, digest }: &Emission) -> Self {
        Self {
            resource: snapshot.resource.as_str().to_owned(),
            version: *version,
            digest: *digest,
            provenance: text(&snapshot.provenance),
            entities: snapshot.entities.iter().map(Part::of_entity).collect(),
            relationships: snapshot.relationships.iter().map(Part::of_relationship).collect(),
        }
    }

    /// Compares and writes in one transaction. The inner error is the newer generation that the graph shows.
    fn replace(
        &self,
        transaction: &Transaction<'_>,
        generation: Generation,
    ) -> rusqlite::Result<Result<Verdict, Generation>> {
        let mut query =
            transaction.prepare_cached("SELECT generation, version, digest FROM heads WHERE resource = ?1")?;
        let head = query.query_row([&self.resource], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get(2)?)));
        let head: Option<(Generation, i64, Digest)> = head.optional()?;
        let mut unchanged = false;
        if let Some((head_generation, head_version, digest)) = head {
            if head_generation > generation {
                return Ok(Err(head_generation));
            }
            let head_version = head_version.cast_unsigned();
            if head_generation == generation && head_version > self.version {
                return Ok(Ok(Verdict::Newer(head_version)));
            }
            unchanged = digest == self.digest;
        }
        transaction.prepare_cached(HEAD)?.execute((
            &self.resource,
            generation,
            self.version.cast_signed(),
            self.digest,
            &self.provenance,
        ))?;
        if unchanged {
            return Ok(Ok(Verdict::Unchanged));
        }
        parts::ENTITIES.replace(transaction, &self.resource, &self.entities)?;
        parts::RELATIONSHIPS.replace(transaction, &self.resource, &self.relationships)?;
        Ok(Ok(Verdict::Applied))
    }
}
