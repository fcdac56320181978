//! A connection to the server, and transactions on it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use neo4rs::{BoltType, ConfigBuilder, Graph, Query, Row, Txn};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::BoltParams;
use super::rehearsal::rehearse;
use super::trouble::Trouble;
use super::url::BoltUrl;
use crate::sink::SinkEvent;

/// Rows that are fetched at a time.
const FETCH: usize = 1_000;

/// The name of the one node that tells this graph from another.
const GRAPH: &str = "trailgraph";

/// What each kind of node is found by: one is made of each. The first spelling is Neo4j's since 4.4, which others
/// have taken over; the second Memgraph's. Where neither is understood, the server has indexes of its own (Neptune).
const CONSTRAINTS: [[&str; 2]; 3] = [
    [
        "CREATE CONSTRAINT trailgraph_entity_key IF NOT EXISTS FOR (n:TrailgraphEntity) REQUIRE n._key IS UNIQUE",
        "CREATE CONSTRAINT ON (n:TrailgraphEntity) ASSERT n._key IS UNIQUE",
    ],
    [
        "CREATE CONSTRAINT trailgraph_head_resource IF NOT EXISTS FOR (n:TrailgraphHead) REQUIRE n.resource IS UNIQUE",
        "CREATE CONSTRAINT ON (n:TrailgraphHead) ASSERT n.resource IS UNIQUE",
    ],
    [
        "CREATE CONSTRAINT trailgraph_graph_name IF NOT EXISTS FOR (n:TrailgraphGraph) REQUIRE n.name IS UNIQUE",
        "CREATE CONSTRAINT ON (n:TrailgraphGraph) ASSERT n.name IS UNIQUE",
    ],
];

/// The nodes of a resource are found by it.
const INDEXES: [[&str; 2]; 1] = [[
    "CREATE INDEX trailgraph_entity_resource IF NOT EXISTS FOR (n:TrailgraphEntity) ON (n._resource)",
    "CREATE INDEX ON :TrailgraphEntity(_resource)",
]];

/// Memgraph's constraints come without an index. Others do not understand this, and need not.
const MEMGRAPH_INDEXES: [&str; 2] =
    ["CREATE INDEX ON :TrailgraphEntity(_key)", "CREATE INDEX ON :TrailgraphHead(resource)"];

/// A server that lets us in, and whose graph is ready.
pub(super) struct Session {
    graph: Graph,
    /// Which graph it is.
    pub(super) instance: String,
    /// A transaction is under way, or its future was dropped on the way: then an answer that nobody has read would be
    /// taken for that to the next request.
    is_amid: AtomicBool,
}

/// A transaction under way.
pub(super) struct Transaction {
    inner: Txn,
    is_undone: bool,
}

impl Session {
    /// The driver's settings, without a connection.
    pub(super) async fn prepare(params: &BoltParams, url: &BoltUrl) -> Result<Graph, neo4rs::Error> {
        let config = ConfigBuilder::default()
            .uri(url.text.as_str())
            .user(params.user.as_str())
            .password(params.password.expose_secret())
            .db(params.database.as_str())
            // A sink has one transaction under way. A connection is tried with a RESET before it is used again.
            .max_connections(1)
            .fetch_size(FETCH);
        Graph::connect(config.build()?).await
    }

    /// Connects, makes sure of constraints and indexes and of what the server understands, and reads which graph it is.
    pub(super) async fn open(params: &BoltParams, url: &BoltUrl) -> Result<Self, Trouble> {
        let graph = Self::prepare(params, url).await?;
        // The driver has no time-out of its own. Opening a transaction tries once, whereas its `run` and `execute`
        // repeat for a minute even a log-in that was refused.
        let log_in = async { Ok(graph.start_txn().await?.rollback().await?) };
        within(params.connect_within, "the log-in", log_in).await.map_err(|trouble| match trouble {
            Trouble::Away(words) if url.is_encrypted => Trouble::Away(format!(
                "{words}: does the server speak TLS on that port, with a certificate that this system trusts?"
            )),
            other => other,
        })?;
        timeout(params.answer_within, make_indexes(&graph, params))
            .await
            .map_err(|_| Trouble::silent("make its indexes", params.answer_within))?;
        let mut session = Self { graph, instance: String::new(), is_amid: AtomicBool::new(false) };
        session.transaction(params, rehearse).await?;
        session.instance = session.find_instance(params).await?;
        Ok(session)
    }

    /// The graph's own name, given to it when it is first met.
    async fn find_instance(&self, params: &BoltParams) -> Result<String, Trouble> {
        self.transaction(params, async |transaction| {
            let new = uuid::Uuid::new_v4().to_string();
            let named = "MERGE (g:TrailgraphGraph {name: $name}) ON CREATE SET g.instance = $new \
                         RETURN g.instance AS instance";
            let rows = transaction.run(named, [("name", GRAPH.into()), ("new", new.into())]).await?;
            rows.first()
                .map_or_else(|| Err(Trouble::Failed("the graph has no name".to_owned())), |row| text(row, "instance"))
        })
        .await
    }

    /// Runs `work` in a transaction and commits it, all in the time that the server has for it.
    pub(super) async fn transaction<T>(
        &self,
        params: &BoltParams,
        work: impl AsyncFnOnce(&mut Transaction) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let run = async {
            let mut transaction = Transaction { inner: self.graph.start_txn().await?, is_undone: false };
            // Where this fails, the driver's RESET before the next use of the connection rolls back.
            let done = work(&mut transaction).await?;
            match transaction.is_undone {
                true => transaction.inner.rollback().await?,
                false => transaction.inner.commit().await?,
            }
            Ok(done)
        };
        self.is_amid.store(true, Ordering::Relaxed);
        let done = within(params.answer_within, "a transaction", run).await;
        self.is_amid.store(false, Ordering::Relaxed);
        (params.observe)(SinkEvent::Answered(if done.is_ok() { "ok" } else { "error" }));
        done
    }

    /// Whether the connection can be used: no transaction was left on the way.
    pub(super) fn is_usable(&self) -> bool {
        !self.is_amid.load(Ordering::Relaxed)
    }

    /// Whether the server can write at all.
    pub(super) async fn can_write(&self, params: &BoltParams) -> bool {
        let touch = "MATCH (g:TrailgraphGraph {name: $name}) SET g.triedWith = $with";
        let with = uuid::Uuid::new_v4().to_string();
        self.transaction(params, async |transaction| {
            transaction.run(touch, [("name", GRAPH.into()), ("with", with.into())]).await
        })
        .await
        .is_ok()
    }
}

impl Transaction {
    /// Runs a statement and reads all that it returns.
    pub(super) async fn run<const N: usize>(
        &mut self,
        statement: &str,
        parameters: [(&str, BoltType); N],
    ) -> Result<Vec<Row>, Trouble> {
        let mut stream = self.inner.execute(Query::new(statement.to_owned()).params(parameters)).await?;
        let mut rows = Vec::new();
        while let Some(row) = stream.next(self.inner.handle()).await? {
            rows.push(row);
        }
        Ok(rows)
    }

    /// Nothing of it is to stand.
    pub(super) fn undo(&mut self) {
        self.is_undone = true;
    }

    /// Refuses to go on where the graph is not the one that was met: it was emptied meanwhile.
    pub(super) async fn must_be(&mut self, instance: &str) -> Result<(), Trouble> {
        let read = "MATCH (g:TrailgraphGraph {name: $name}) RETURN g.instance AS instance";
        let rows = self.run(read, [("name", GRAPH.into())]).await?;
        match rows.first().map(|row| text(row, "instance")).transpose()? {
            Some(found) if found == instance => Ok(()),
            _ => Err(Trouble::Away("the graph was emptied, or replaced by another: it is filled anew".to_owned())),
        }
    }
}

async fn within<T>(limit: Duration, doing: &str, run: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(limit, run).await.unwrap_or_else(|_| Err(Trouble::silent(doing, limit)))
}

/// Each statement stands alone: Memgraph takes none of them within a transaction. One that fails is passed over.
async fn make_indexes(graph: &Graph, params: &BoltParams) {
    let sink = &params.name;
    for spellings in CONSTRAINTS.iter().chain(&INDEXES) {
        if !run_first(graph, params, spellings).await {
            tracing::warn!(%sink, "the server does not take `{}`: it must have a like of it of its own", spellings[0]);
        }
    }
    for statement in MEMGRAPH_INDEXES {
        run_first(graph, params, &[statement]).await;
    }
}

/// Runs the first of these that the server takes.
async fn run_first(graph: &Graph, params: &BoltParams, spellings: &[&str]) -> bool {
    for statement in spellings {
        match graph.run(Query::new((*statement).to_owned())).await {
            Ok(()) => return true,
            Err(error) => tracing::debug!(sink = %params.name, %error, "not taken: {statement}"),
        }
    }
    false
}

/// A column that holds text.
pub(super) fn text(row: &Row, column: &str) -> Result<String, Trouble> {
    row.get(column).map_err(|error| unreadable(column, &error))
}

pub(super) fn unreadable(column: &str, error: &impl std::fmt::Display) -> Trouble {
    Trouble::Failed(format!("{column} cannot be read: {error}"))
}
