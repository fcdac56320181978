//! A graph server over Bolt.

use std::time::{Duration, Instant};

use emitter::{BoltGraph, BoltParams, Emission, SinkName};
use neo4rs::{BoltMap, BoltType, ConfigBuilder, Graph, query};
use secrecy::SecretString;
use serde_json::Value;
use xtask::servers::ArcadeServer;

use crate::{Fallible, WINDOW, replace, report};

/// Its bulk load: one statement for nodes and one for edges, without heads, comparison or a look at what is there.
pub(crate) async fn measure(first: &[Emission], second: &[Emission]) -> Fallible<()> {
    let server = ArcadeServer::start()?;
    // The server's machine warms up on the same work, which is then taken away.
    let bulk = driver(&server).await?;
    load(&bulk, &first[..first.len().min(2 * WINDOW)], "Warm").await?;
    bulk.run(query("MATCH (n:Warm) DETACH DELETE n")).await?;

    let (password, url) = (SecretString::from(ArcadeServer::PASSWORD), server.bolt_url());
    let params = BoltParams::new(SinkName::from(url.as_str()), &url, ArcadeServer::USER, password);
    let graph = BoltGraph::connect(params).await?;
    report("openCypher", "bulk load", first.len(), load(&bulk, first, "Bulk").await?);
    bulk.run(query("MATCH (n:Bulk) DETACH DELETE n")).await?;
    report("openCypher", "new buckets", first.len(), replace(&graph, first).await?);
    report("openCypher", "the same again", first.len(), replace(&graph, first).await?);
    report("openCypher", "changed buckets", first.len(), replace(&graph, second).await?);
    Ok(())
}

async fn driver(server: &ArcadeServer) -> Fallible<Graph> {
    let config = ConfigBuilder::default().uri(server.bolt_url()).user(ArcadeServer::USER);
    Ok(Graph::connect(config.password(ArcadeServer::PASSWORD).build()?).await?)
}

/// Creates the same nodes and edges, without heads, comparison or a look at what is there.
async fn load(graph: &Graph, emissions: &[Emission], label: &str) -> Fallible<Duration> {
    let index = format!("CREATE CONSTRAINT {label} IF NOT EXISTS FOR (n:{label}) REQUIRE n._key IS UNIQUE");
    graph.run(query(&index)).await?;
    let begun = Instant::now();
    let mut seen = std::collections::BTreeSet::new();
    for window in emissions.chunks(WINDOW) {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for Emission { snapshot, .. } in window {
            nodes.extend(snapshot.entities.iter().map(|entity| entity.0.clone()));
            for edge in &snapshot.relationships {
                nodes.extend(edge.far_key().map(|key| bucket_state::placeholder(key).0));
                edges.push(edge.properties.clone());
            }
        }
        nodes.retain(|node| seen.insert(node["_key"].to_string()));
        let create = format!("UNWIND $rows AS row CREATE (n:{label}) SET n = row");
        graph.run(query(&create).param("rows", rows(nodes))).await?;
        let tie = format!(
            "UNWIND $rows AS row MATCH (a:{label} {{_key: row._fromEntityKey}}) \
             MATCH (b:{label} {{_key: row._toEntityKey}}) CREATE (a)-[r:BULK]->(b) SET r = row"
        );
        graph.run(query(&tie).param("rows", rows(edges))).await?;
    }
    Ok(begun.elapsed())
}

fn rows(maps: Vec<serde_json::Map<String, Value>>) -> BoltType {
    let row = |map: serde_json::Map<String, Value>| {
        let pairs = map.into_iter().map(|(name, value)| (name.as_str().into(), plain(&value)));
        BoltType::Map(pairs.collect::<BoltMap>())
    };
    BoltType::List(maps.into_iter().map(row).collect::<Vec<_>>().into())
}

fn plain(value: &Value) -> BoltType {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => value.as_i64().map_or_else(|| value.as_f64().unwrap_or_default().into(), Into::into),
        Value::Array(values) => BoltType::List(values.iter().map(plain).collect::<Vec<_>>().into()),
        other => other.as_str().unwrap_or_default().into(),
    }
}
