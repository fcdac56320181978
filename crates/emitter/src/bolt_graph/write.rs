//! What of the graph changes, and the statements that change it.
//!
//! Nothing here locks an end that another resource owns, since some (everyone, an account, a bucket of logs) are the
//! end of very many edges. Instead each statement counts what it did: where a node went between being read and being
//! written, fewer come back, and the transaction is tried again. That a node is not deleted while it gets an edge is the
//! server's to hold; the constraint on `_key` holds that there is one node of a key.

use std::collections::{BTreeMap, BTreeSet};

use bucket_state::{Snapshot, placeholder};
use neo4rs::{BoltMap, BoltType, Row};
use serde_json::{Map, Value};

use super::session::{Transaction, text, unreadable};
use super::trouble::Trouble;
use super::values::{list, properties, row};

/// Whom a node or an edge belongs to; nobody's is a placeholder.
pub(super) const OWNER: &str = "_resource";

/// An edge, as it is found: from the end that its owner owns.
struct Edge {
    near: String,
    far: String,
    class: String,
    properties: BoltMap,
}

/// What changes.
#[derive(Default)]
pub(super) struct Changes {
    /// New nodes by their label.
    made: BTreeMap<String, Vec<BoltType>>,
    /// Nodes that stand, and get other properties: all, not only these.
    set: BTreeMap<String, BoltMap>,
    /// Nodes whose type is another than when they were made, by the label to add.
    relabelled: BTreeMap<String, Vec<String>>,
    /// Nodes that nobody may own, or point to, any more.
    loose: BTreeSet<String>,
    /// Edges to remove, set and make, by their type.
    cut: BTreeMap<String, Vec<BoltType>>,
    kept: BTreeMap<String, Vec<BoltType>>,
    tied: BTreeMap<String, Vec<BoltType>>,
}

impl Changes {
    /// What makes the graph show these snapshots. Only `known` resources can have something in it.
    pub(super) async fn read(
        transaction: &mut Transaction,
        snapshots: &[&Snapshot],
        known: &BTreeSet<&str>,
    ) -> Result<Self, Trouble> {
        let mut changes = Self::default();
        let mut standing = edges_of(transaction, known).await?;
        let mut wanted: BTreeMap<&str, (&Map<String, Value>, &str)> = BTreeMap::new();
        let mut ends: BTreeSet<&str> = BTreeSet::new();
        for snapshot in snapshots {
            let resource = snapshot.resource.as_str();
            wanted.extend(snapshot.entities.iter().map(|entity| (entity.key(), (&entity.0, resource))));
            for edge in &snapshot.relationships {
                let [from, to] = ends_of(&edge.properties);
                ends.extend([from, to]);
                // One end at least is the owner's; the edge is looked for from there.
                let is_near = |key: &&str| snapshot.entities.iter().any(|entity| entity.key() == *key);
                let near = Some(from).filter(is_near).unwrap_or(to);
                let owned = owned_by(resource, &edge.properties);
                let stands = standing.remove(edge.key());
                if stands.as_ref().is_some_and(|stands| stands.properties == owned) {
                    continue;
                }
                let row = row([
                    ("key", edge.key().into()),
                    ("near", near.into()),
                    ("from", from.into()),
                    ("to", to.into()),
                    ("properties", BoltType::Map(owned)),
                ]);
                let class = name(edge.properties.get("_class"))?;
                let rows = if stands.is_some() { &mut changes.kept } else { &mut changes.tied };
                rows.entry(class.to_owned()).or_default().push(row);
            }
        }
        for (key, edge) in standing {
            let row = row([("key", key.into()), ("near", edge.near.into())]);
            changes.cut.entry(edge.class).or_default().push(row);
            changes.loose.insert(edge.far);
        }

        let mut nodes = nodes_of(transaction, known).await?;
        for key in nodes.keys().filter(|key| !wanted.contains_key(key.as_str())) {
            changes.loose.insert(key.clone());
            changes.set.insert(key.clone(), properties(&placeholder(key).0));
        }
        let keys: BTreeSet<&str> = wanted.keys().copied().chain(ends.iter().copied()).collect();
        nodes.extend(nodes_with(transaction, &keys).await?);
        for key in keys {
            let far;
            let (properties, owned) = match wanted.get(key) {
                Some((entity, resource)) => (*entity, owned_by(resource, entity)),
                None if nodes.contains_key(key) => continue,
                None => {
                    far = placeholder(key).0;
                    (&far, properties(&far))
                }
            };
            changes.add_node(key, name(properties.get("_type"))?, owned, nodes.get(key));
        }
        Ok(changes)
    }

    fn add_node(&mut self, key: &str, kind: &str, properties: BoltMap, stands_as: Option<&String>) {
        let Some(former) = stands_as else {
            self.made.entry(kind.to_owned()).or_default().push(BoltType::Map(properties));
            return;
        };
        if former != kind {
            self.relabelled.entry(kind.to_owned()).or_default().push(key.to_owned());
        }
        self.set.insert(key.to_owned(), properties);
    }

    /// Writes them.
    pub(super) async fn write(self, transaction: &mut Transaction) -> Result<(), Trouble> {
        for (class, rows) in self.cut {
            let cut = format!(
                "UNWIND $rows AS row MATCH (n:TrailgraphEntity {{_key: row.near}})-[r:`{class}`]-() \
                 WHERE r._key = row.key DELETE r"
            );
            transaction.run(&cut, [("rows", list(rows))]).await?;
        }
        for (kind, rows) in self.made {
            let make = format!("UNWIND $rows AS row CREATE (n:TrailgraphEntity:`{kind}`) SET n = row");
            transaction.run(&make, [("rows", list(rows))]).await?;
        }
        let set = self
            .set
            .into_iter()
            .map(|(key, properties)| row([("key", key.into()), ("properties", BoltType::Map(properties))]));
        let statement = "UNWIND $rows AS row MATCH (n:TrailgraphEntity {_key: row.key}) SET n = row.properties \
                         RETURN count(n) AS done";
        write_all(transaction, statement, set.collect()).await?;
        for (kind, keys) in self.relabelled {
            let label = format!("UNWIND $rows AS key MATCH (n:TrailgraphEntity {{_key: key}}) SET n:`{kind}`");
            transaction.run(&label, [("rows", list(keys))]).await?;
        }
        for (class, rows) in self.kept {
            let keep = format!(
                "UNWIND $rows AS row MATCH (n:TrailgraphEntity {{_key: row.near}})-[r:`{class}`]-() \
                 WHERE r._key = row.key SET r = row.properties RETURN count(DISTINCT r._key) AS done"
            );
            write_all(transaction, &keep, rows).await?;
        }
        for (class, rows) in self.tied {
            let tie = format!(
                "UNWIND $rows AS row MATCH (a:TrailgraphEntity {{_key: row.from}}) \
                 MATCH (b:TrailgraphEntity {{_key: row.to}}) \
                 CREATE (a)-[r:`{class}`]->(b) SET r = row.properties RETURN count(r) AS done"
            );
            write_all(transaction, &tie, rows).await?;
        }
        remove_loose(transaction, &self.loose).await
    }
}

/// A statement that must reach each of its rows.
async fn write_all(transaction: &mut Transaction, statement: &str, rows: Vec<BoltType>) -> Result<(), Trouble> {
    if rows.is_empty() {
        return Ok(());
    }
    let expected = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let answer = transaction.run(statement, [("rows", list(rows))]).await?;
    let done = answer.first().and_then(|row| row.get::<i64>("done").ok()).unwrap_or_default();
    match done == expected {
        true => Ok(()),
        false => Err(Trouble::Busy(format!("{done} of {expected} rows were reached: another transaction was faster"))),
    }
}

/// Placeholders go with their last edge. They are locked by a write that changes nothing, and looked at after that:
/// whoever owns or points to one meanwhile either came before, and is seen, or comes after and does not find it.
async fn remove_loose(transaction: &mut Transaction, keys: &BTreeSet<String>) -> Result<(), Trouble> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = || list(keys.iter().map(String::as_str));
    let lock = "UNWIND $keys AS key MATCH (n:TrailgraphEntity {_key: key}) WHERE n._resource IS NULL \
                SET n.placeholder = true";
    transaction.run(lock, [("keys", keys())]).await?;
    let remove = "UNWIND $keys AS key MATCH (n:TrailgraphEntity {_key: key}) \
                  WHERE n._resource IS NULL AND NOT (n)--() DELETE n";
    transaction.run(remove, [("keys", keys())]).await.map(drop)
}

/// The edges that these resources own, by their key.
async fn edges_of(transaction: &mut Transaction, owners: &BTreeSet<&str>) -> Result<BTreeMap<String, Edge>, Trouble> {
    let statement = "UNWIND $keys AS key MATCH (n:TrailgraphEntity {_resource: key})-[r]-(m:TrailgraphEntity) \
                     WHERE r._resource = key \
                     RETURN r._key AS key, n._key AS near, m._key AS far, type(r) AS class, \
                     properties(r) AS properties";
    let edge = |row: &Row| {
        let properties = row.get("properties").map_err(|error| unreadable("properties", &error))?;
        let edge = Edge { near: text(row, "near")?, far: text(row, "far")?, class: text(row, "class")?, properties };
        Ok((text(row, "key")?, edge))
    };
    read(transaction, statement, owners, edge).await
}

/// The nodes that these resources own: their types by their key.
async fn nodes_of(transaction: &mut Transaction, owners: &BTreeSet<&str>) -> Result<BTreeMap<String, String>, Trouble> {
    let statement = "UNWIND $keys AS key MATCH (n:TrailgraphEntity {_resource: key}) \
                     RETURN n._key AS key, n._type AS type";
    read(transaction, statement, owners, |row| Ok((text(row, "key")?, text(row, "type")?))).await
}

/// Those of these nodes that stand: their types by their key.
async fn nodes_with(transaction: &mut Transaction, keys: &BTreeSet<&str>) -> Result<BTreeMap<String, String>, Trouble> {
    let statement = "UNWIND $keys AS key MATCH (n:TrailgraphEntity {_key: key}) \
                     RETURN n._key AS key, n._type AS type";
    read(transaction, statement, keys, |row| Ok((text(row, "key")?, text(row, "type")?))).await
}

async fn read<T>(
    transaction: &mut Transaction,
    statement: &str,
    keys: &BTreeSet<&str>,
    each: impl Fn(&Row) -> Result<(String, T), Trouble>,
) -> Result<BTreeMap<String, T>, Trouble> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    transaction.run(statement, [("keys", list(keys.iter().copied()))]).await?.iter().map(each).collect()
}

fn owned_by(resource: &str, json: &Map<String, Value>) -> BoltMap {
    let mut owned = properties(json);
    owned.put(OWNER.into(), resource.into());
    owned
}

fn ends_of(edge: &Map<String, Value>) -> [&str; 2] {
    ["_fromEntityKey", "_toEntityKey"].map(|end| edge.get(end).and_then(Value::as_str).unwrap_or_default())
}

/// A type or a class as it may stand in a statement, where parameters are not allowed. Each comes from a word in the
/// projection's code, never from an event; anything else is refused.
fn name(value: Option<&Value>) -> Result<&str, Trouble> {
    let name = value.and_then(Value::as_str).unwrap_or_default();
    let is_word = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    match is_word && !name.is_empty() {
        true => Ok(name),
        false => Err(Trouble::Refused(format!("{name:?} is no name of a label"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_label_is_a_word() {
        assert_eq!(name(Some(&json!("aws_s3_bucket"))), Ok("aws_s3_bucket"));
        for other in [json!("x`) DETACH DELETE (n"), json!(""), json!(1), json!("a b")] {
            assert!(matches!(name(Some(&other)), Err(Trouble::Refused(_))), "{other}");
        }
    }
}
