//! The graph in a server that speaks openCypher over Bolt: Neo4j and its kin.
//!
//! What stands there:
//! * Each entity is a node `(:TrailgraphEntity:aws_s3_bucket {_key, _type, …})`: one label that all have, and its type.
//! * Each relationship has its class as the type, as in `-[:LOGS {_key, _type, …}]->`.
//! * `_resource` on both tells whose snapshot they are a part of. A node without it is a placeholder, which stands as
//!   long as somebody's edge ends there.
//! * `(:TrailgraphHead {resource, generation, version, digest, lock})` is what the graph last took for a resource. It
//!   outlives the resource, so that nothing older revives it.
//! * `(:TrailgraphGraph {name, instance})` tells this graph from one that stood here before.
//!
//! The user's own labels, nodes and edges may stand beside it, edges to its nodes too; properties added to its nodes
//! are lost at their next change.
//!
//! Statements keep to what Neo4j, Memgraph and Neptune share. The driver speaks Bolt 4.0 and 4.1.

mod batches;
mod read;
mod rehearsal;
mod replace;
mod session;
mod trouble;
mod url;
mod values;
mod write;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bucket_state::ResourceId;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::commit::back_off;
use crate::outbox::OutboxError;
use crate::row::{Generation, SinkName};
use crate::sink::{Emission, GraphSink, Observe, SinkError, Turn, Verdict};
use crate::store::{ListedSink, StateStore};
use batches::Batches;
use replace::Outcome;
use session::Session;
use trouble::Trouble;
use url::BoltUrl;

/// What is told of each transaction.
pub const BOLT_STATUSES: [&str; 2] = ["ok", "error"];

/// So often a transaction is tried in which another one was in the way.
const ATTEMPTS: u32 = 6;

/// So often one of several snapshots is tried that failed, perhaps for the same reason, before it is halved.
const ATTEMPTS_BEFORE_HALVING: u32 = 3;

/// How a server is reached.
#[derive(Clone)]
pub struct BoltParams {
    /// The name under which progress is kept.
    pub name: SinkName,
    /// `bolt://HOST[:PORT]`; `neo4j://` is the same, since the one server named is talked to; with `+s` or `+ssc`, over
    /// TLS. A certificate must be one that the system trusts (`SSL_CERT_FILE` can name another list), with `+ssc` too.
    pub url: String,
    /// Who logs in.
    pub user: String,
    /// With what.
    pub password: SecretString,
    /// The database; Neo4j's own is `neo4j`.
    pub database: String,
    /// Hears one word for each transaction: `ok`, or `error`.
    pub observe: Observe,
    /// A server that has not let us in by then is away.
    pub connect_within: Duration,
    /// A transaction that takes longer is given up, and its connection with it.
    pub answer_within: Duration,
}

impl BoltParams {
    /// Ten seconds to connect and a minute for a transaction; nobody listens.
    #[must_use]
    pub fn new(name: SinkName, url: &str, user: &str, password: SecretString) -> Self {
        Self {
            name,
            url: url.to_owned(),
            user: user.to_owned(),
            password,
            database: "neo4j".to_owned(),
            observe: std::sync::Arc::new(|_| {}),
            connect_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(60),
        }
    }
}

/// A graph on a server. It has one connection, which is made anew when the server was away.
pub struct BoltGraph {
    params: BoltParams,
    url: BoltUrl,
    /// The instance that was met at the start; whoever asks for it before tells the store.
    met_first: OnceLock<String>,
    open: Mutex<Open>,
}

/// What is known of the server at the moment.
#[derive(Default)]
struct Open {
    session: Option<Session>,
    /// The instance that the store was last told.
    told: Option<String>,
}

impl BoltGraph {
    /// The graph on this server. A server that is away, or refuses the log-in, is tried again when there is something
    /// to write: what waits for it is kept.
    ///
    /// # Errors
    /// One line that names the URL and the mend, when the URL is wrong.
    pub async fn connect(params: BoltParams) -> Result<Self, String> {
        let url = BoltUrl::parse(&params.url)?;
        Session::prepare(&params, &url).await.map_err(|error| format!("{}: {error}", params.url))?;
        let graph = Self { params, url, met_first: OnceLock::new(), open: Mutex::default() };
        match graph.reach().await {
            Ok(()) => {
                let mut open = graph.open.lock().await;
                open.told = open.session.as_ref().map(|session| session.instance.clone());
                graph.met_first.get_or_init(|| open.told.clone().unwrap_or_default());
            }
            Err(error) => tracing::warn!("{error}: it is tried again when there is something to write"),
        }
        Ok(graph)
    }

    /// Logs in, and reads which graph it is.
    ///
    /// # Errors
    /// [`SinkError::Down`] or [`SinkError::Denied`], with the mend where one is known.
    pub async fn reach(&self) -> Result<(), SinkError> {
        let mut open = self.open.lock().await;
        self.session(&mut open).await.map(drop)
    }

    /// The connection, made if there is none.
    async fn session<'a>(&self, open: &'a mut Open) -> Result<&'a mut Session, SinkError> {
        let session = match open.session.take().filter(Session::is_usable) {
            Some(session) => session,
            None => Session::open(&self.params, &self.url).await.map_err(|trouble| self.error(&trouble))?,
        };
        Ok(open.session.insert(session))
    }

    /// What is done with the outcome of a transaction: after trouble that a new connection may help, there is none.
    fn told<T>(&self, open: &mut Open, done: Result<T, Trouble>) -> Result<T, SinkError> {
        done.map_err(|trouble| {
            if matches!(trouble, Trouble::Away(_) | Trouble::Denied(_)) {
                open.session = None;
            }
            self.error(&trouble)
        })
    }

    fn error(&self, trouble: &Trouble) -> SinkError {
        let (sink, message) = (self.params.name.clone(), trouble.to_string());
        match trouble {
            Trouble::Denied(_) => SinkError::Denied { sink, message },
            _ => SinkError::Down { sink, message },
        }
    }

    fn ahead(&self, resource: String, shown: Generation, stored: Generation) -> SinkError {
        SinkError::Ahead {
            sink: self.params.name.clone(),
            resource,
            shown: format!("generation {shown}"),
            stored: format!("generation {stored}"),
        }
    }

    /// Stops before anything is written where the graph shows a newer generation of any of these.
    async fn must_not_be_ahead(
        &self,
        open: &mut Open,
        generation: Generation,
        emissions: &[Emission],
    ) -> Result<(), SinkError> {
        let resources: BTreeSet<&str> = emissions.iter().map(|emission| emission.snapshot.resource.as_str()).collect();
        let session = self.session(open).await?;
        let read = session
            .transaction(&self.params, async |transaction| replace::ahead(transaction, generation, &resources).await);
        let found = read.await;
        match self.told(open, found)? {
            Some((resource, shown)) => Err(self.ahead(resource, shown, generation)),
            None => Ok(()),
        }
    }

    /// Takes a batch in a transaction; again, for as long as another transaction may have been in the way.
    async fn take(
        &self,
        session: &mut Session,
        generation: Generation,
        batch: &[&Emission],
    ) -> Result<Outcome, Trouble> {
        let instance = session.instance.clone();
        for attempt in 0.. {
            let done = session.transaction(&self.params, async |transaction| {
                transaction.must_be(&instance).await?;
                let outcome = replace::replace(transaction, generation, batch).await?;
                if matches!(outcome, Outcome::Ahead { .. }) {
                    transaction.undo();
                }
                Ok(outcome)
            });
            let done = done.await;
            let attempts = match done {
                Err(Trouble::Busy(_)) => ATTEMPTS,
                Err(Trouble::Failed(_)) if batch.len() > 1 => ATTEMPTS_BEFORE_HALVING,
                Err(Trouble::Failed(_)) => ATTEMPTS,
                _ => 1,
            };
            if attempt + 1 >= attempts {
                return done;
            }
            // Another one is through in some milliseconds.
            tokio::time::sleep(back_off(attempt) / 8).await;
        }
        unreachable!("the last attempt returns")
    }
}

#[async_trait]
impl GraphSink for BoltGraph {
    fn name(&self) -> &SinkName {
        &self.params.name
    }

    /// Empty where the server was away at the start: then [`begin`](GraphSink::begin) tells it to the store, before
    /// the first emission. So it does when the graph is another one later on.
    fn instance(&self) -> &str {
        self.met_first.get().map_or("", String::as_str)
    }

    async fn check(&self) -> Result<String, SinkError> {
        self.reach().await?;
        Ok("is reached, and lets us in".to_owned())
    }

    async fn begin(
        &self,
        store: &dyn StateStore,
        pending: Vec<ResourceId>,
        _stop: &CancellationToken,
    ) -> Result<Option<Turn>, OutboxError> {
        let mut open = self.open.lock().await;
        let instance = self.session(&mut open).await?.instance.clone();
        if open.told.as_ref() != Some(&instance) {
            let listed = ListedSink { name: self.params.name.clone(), instance: instance.clone() };
            store.add_sinks(&[listed], now_ms()).await?;
            open.told = Some(instance);
        }
        Ok(Some(Turn { resources: pending, account: None }))
    }

    async fn replace(&self, generation: Generation, emissions: &[Emission]) -> Result<Vec<Verdict>, SinkError> {
        let mut open = self.open.lock().await;
        let mut batches = Batches::new(emissions);
        if batches.len() > 1 {
            self.must_not_be_ahead(&mut open, generation, emissions).await?;
        }
        let mut verdicts: Vec<Option<Verdict>> = vec![None; emissions.len()];
        while let Some(batch) = batches.next() {
            let session = self.session(&mut open).await?;
            let chosen = &emissions[batch.clone()];
            let done = self.take(session, generation, &chosen.iter().collect::<Vec<_>>()).await;
            match done {
                Ok(Outcome::Taken(taken)) => {
                    verdicts[batch].iter_mut().zip(taken).for_each(|(verdict, taken)| *verdict = Some(taken));
                }
                Ok(Outcome::Ahead { resource, generation: shown }) => {
                    return Err(self.ahead(resource, shown, generation));
                }
                Err(Trouble::Busy(_) | Trouble::Failed(_) | Trouble::Refused(_)) if batch.len() > 1 => {
                    batches.halve(batch);
                }
                // The server understands the statements and can write: it is the data.
                Err(Trouble::Failed(reason) | Trouble::Refused(reason)) if session.can_write(&self.params).await => {
                    verdicts[batch.start] = Some(Verdict::Rejected(reason));
                }
                Err(trouble) => return self.told(&mut open, Err(trouble)),
            }
        }
        Ok(verdicts.into_iter().flatten().collect())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
