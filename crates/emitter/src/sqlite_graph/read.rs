//! What the `graph` commands read.

use std::collections::BTreeMap;

use bucket_state::{Provenance, ResourceId, placeholder};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::SqliteGraph;

/// The one facet of a bucket whose value is an account's.
const ACCOUNT_FACET: &str = "accountPublicAccessBlock";

/// One bucket as `graph show` tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketView {
    /// The bucket.
    pub entity: Value,
    /// What it owns besides: its policy.
    pub others: Vec<Value>,
    /// Edges that it owns.
    pub relationships: Vec<Value>,
    /// Per facet, where its value comes from.
    pub provenance: Value,
}

/// The whole graph, each part sorted by key: nothing in it depends on the order or the grouping of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WholeGraph {
    /// Every entity, placeholders included.
    pub entities: Vec<Value>,
    /// Every relationship.
    pub relationships: Vec<Value>,
    /// Per resource that is shown, where the value of each of its facets comes from.
    pub provenance: BTreeMap<String, Value>,
}

/// One bucket as `graph list` tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketSummary {
    /// Its ARN.
    #[serde(rename = "_key")]
    pub key: String,
    /// Its name.
    pub name: String,
    /// The account that owns it, where that is known.
    pub account_id: Option<String>,
    /// Where it is, where that is known.
    pub region: Option<String>,
    /// Whether it is open to the public; absent where that is unknown.
    pub public: Option<bool>,
    /// Why it is public: `FACET:EVENTID`.
    #[serde(default)]
    pub public_reasons: Vec<String>,
    /// When it last changed, in epoch milliseconds: by an event of its own, or by the account's that has a say in its
    /// exposure.
    pub updated_on: Option<i64>,
    /// Who changed it then.
    pub updated_by: Option<String>,
}

impl BucketSummary {
    /// What was set for the whole account since the bucket's own last event is a change of the bucket too.
    fn told_with(mut self, provenance: Vec<Provenance>) -> Self {
        let of_account = |entry: &Provenance| entry.facet == ACCOUNT_FACET;
        let has_a_say = |entry: &Provenance| of_account(entry) && entry.source == "event";
        if let Some(entry) = provenance.into_iter().find(has_a_say).filter(|entry| entry.event_time > self.updated_on) {
            self.updated_on = entry.event_time;
            self.updated_by = entry.actor.as_deref().map(str::to_owned);
        }
        self
    }
}

impl SqliteGraph {
    /// Every entity, placeholders included, and every relationship, each sorted by key: nothing in it depends
    /// on the order or the grouping of events.
    ///
    /// # Errors
    /// One line that names the path.
    pub async fn export(&self) -> Result<(Vec<Value>, Vec<Value>), String> {
        let graph = self.file.with(|connection| whole(&connection.transaction()?)).await?;
        Ok((graph.entities, graph.relationships))
    }

    /// All that [`SqliteGraph::export`] tells, and where it comes from, as of one moment.
    ///
    /// # Errors
    /// One line that names the path.
    pub async fn export_with_provenance(&self) -> Result<WholeGraph, String> {
        let read = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            let mut graph = whole(&transaction)?;
            let mut query = transaction.prepare(
                "SELECT resource, provenance FROM heads
                 WHERE EXISTS (SELECT 1 FROM entities WHERE resource = heads.resource AND key = heads.resource)",
            )?;
            graph.provenance = query.query_map([], keyed)?.collect::<rusqlite::Result<_>>()?;
            Ok(graph)
        };
        self.file.with(read).await.map_err(String::from)
    }

    /// The buckets that `keep` keeps, sorted by ARN; placeholders are none. One row is in memory at a time,
    /// besides what is kept.
    ///
    /// # Errors
    /// One line that names the path.
    pub async fn buckets(
        &self,
        keep: impl Fn(&BucketSummary) -> bool + Send + 'static,
    ) -> Result<Vec<BucketSummary>, String> {
        let read = move |connection: &mut Connection| {
            let mut query = connection.prepare(
                "SELECT properties, provenance FROM entities JOIN heads USING (resource)
                 WHERE key = resource AND key GLOB 'arn:*:s3:::*' ORDER BY key",
            )?;
            let rows = query.query_map([], |row| Ok(column::<BucketSummary>(row, 0)?.told_with(column(row, 1)?)))?;
            rows.filter(|row| row.as_ref().is_ok_and(&keep) || row.is_err()).collect()
        };
        self.file.with(read).await.map_err(String::from)
    }

    /// A bucket by its name or ARN; nothing where the graph shows none.
    ///
    /// # Errors
    /// One line that names the path.
    pub async fn bucket(&self, name: &str) -> Result<Option<BucketView>, String> {
        let wanted =
            if name.starts_with("arn:") { vec![ResourceId::from(name)] } else { ResourceId::buckets_named(name) };
        self.file
            .with(move |connection| {
                let transaction = connection.transaction()?;
                for resource in wanted {
                    if let Some(view) = view(&transaction, resource.as_str())? {
                        return Ok(Some(view));
                    }
                }
                Ok(None)
            })
            .await
            .map_err(String::from)
    }
}

fn column<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

/// Entities and relationships; provenance is left empty.
fn whole(transaction: &Transaction<'_>) -> rusqlite::Result<WholeGraph> {
    let all = |sql: &str| -> rusqlite::Result<BTreeMap<String, Value>> {
        transaction.prepare(sql)?.query_map([], keyed)?.collect()
    };
    let mut entities = all("SELECT key, properties FROM entities")?;
    let relationships = all("SELECT key, properties FROM relationships")?;
    let mut query = transaction.prepare("SELECT DISTINCT far_key FROM relationships WHERE far_key IS NOT NULL")?;
    for key in query.query_map([], |row| row.get::<_, String>(0))? {
        entities.entry(key?).or_insert_with_key(|key| Value::Object(placeholder(key).0));
    }
    Ok(WholeGraph {
        entities: entities.into_values().collect(),
        relationships: relationships.into_values().collect(),
        provenance: BTreeMap::new(),
    })
}

fn keyed(row: &Row<'_>) -> rusqlite::Result<(String, Value)> {
    Ok((row.get(0)?, parsed(row.get_ref(1)?.as_str()?)))
}

fn view(transaction: &Transaction<'_>, resource: &str) -> rusqlite::Result<Option<BucketView>> {
    let texts = |sql: &str| -> rusqlite::Result<Vec<Value>> {
        let mut query = transaction.prepare_cached(sql)?;
        query.query_map([resource], |row| Ok(parsed(row.get_ref(0)?.as_str()?)))?.collect()
    };
    let entity = texts("SELECT properties FROM entities WHERE key = ?1 AND resource = ?1")?.pop();
    let Some(entity) = entity.filter(|entity| entity["_type"] == "aws_s3_bucket") else {
        return Ok(None);
    };
    Ok(Some(BucketView {
        entity,
        others: texts("SELECT properties FROM entities WHERE resource = ?1 AND key <> ?1 ORDER BY key")?,
        relationships: texts("SELECT properties FROM relationships WHERE resource = ?1 ORDER BY key")?,
        provenance: texts("SELECT provenance FROM heads WHERE resource = ?1")?.pop().unwrap_or_default(),
    }))
}

/// What this build or an earlier one wrote is JSON; anything else is shown as it stands.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
