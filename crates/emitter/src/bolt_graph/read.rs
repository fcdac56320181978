//! What stands in the graph.

use std::collections::BTreeMap;

use neo4rs::Row;
use serde_json::{Map, Value};

use super::BoltGraph;
use super::session::{Transaction, unreadable};
use super::trouble::Trouble;
use super::write::OWNER;
use crate::sink::SinkError;

impl BoltGraph {
    /// Every entity, placeholders included, and every relationship, each sorted by key: what
    /// [`SqliteGraph::export`](crate::SqliteGraph::export) tells. All of it is in memory at once.
    ///
    /// # Errors
    /// [`SinkError`], when the server does not answer, or not in time.
    pub async fn export(&self) -> Result<(Vec<Value>, Vec<Value>), SinkError> {
        let mut open = self.open.lock().await;
        let session = self.session(&mut open).await?;
        let read = session.transaction(&self.params, async |transaction| {
            let entities = all(transaction, "MATCH (n:TrailgraphEntity) RETURN properties(n) AS properties").await?;
            let edges = "MATCH (:TrailgraphEntity)-[r]->(:TrailgraphEntity) RETURN properties(r) AS properties";
            Ok((entities, all(transaction, edges).await?))
        });
        let done = read.await;
        self.told(&mut open, done)
    }
}

async fn all(transaction: &mut Transaction, statement: &str) -> Result<Vec<Value>, Trouble> {
    let rows = transaction.run(statement, []).await?;
    let keyed = rows.iter().map(part).collect::<Result<BTreeMap<String, Value>, Trouble>>()?;
    match keyed.len() == rows.len() {
        true => Ok(keyed.into_values().collect()),
        false => Err(Trouble::Failed("two parts of the graph have one key".to_owned())),
    }
}

/// A node or an edge as it was told to the graph.
fn part(row: &Row) -> Result<(String, Value), Trouble> {
    let mut json: Map<String, Value> = row.get("properties").map_err(|error| unreadable("properties", &error))?;
    json.remove(OWNER);
    let key = json.get("_key").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok((key, Value::Object(json)))
}
