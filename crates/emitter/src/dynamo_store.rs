//! The state store in a DynamoDB table.

mod attributes;
mod backlog;
mod call;
mod change;
mod fan_outs;
mod fault;
mod item;
mod listing;
mod own;
mod parts;
mod pending;
mod read;
mod record;
mod save;
mod seen;
mod sinks;
mod table;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use bucket_state::ResourceId;

use crate::row::{Generation, PendingMark, SinkName, Stored};
use crate::store::{Backlog, FanOut, ListedSink, PendingQuery, Save, SaveOutcome, Settlement, StateStore, StoreError};
use call::Table;
use item::{SK, key, nonce, string, text};
use own::Own;
use pending::Asked;
use seen::Seen;
use write::{Change, Outcome};

/// What a [`DynamoStore`] needs.
pub struct DynamoStoreParams {
    /// Reaches the table. Its retries and time-outs are replaced.
    pub client: Client,
    /// The table: of one fleet of workers.
    pub table: String,
    /// The name under which rows are marked.
    pub worker: String,
    /// The time, in milliseconds since 1970: a store that is made now is of this generation.
    pub now_ms: i64,
    /// How much memory is spent on rows as they were last seen, in bytes; with 0, every save is based on a read.
    pub cache_bytes: usize,
    /// While own rows are pending, those of others are looked for no more often than this.
    pub sweep_every: Duration,
}

/// The [`StateStore`] of a fleet: one DynamoDB table, paid for by request.
///
/// | `pk` | `sk` | what |
/// |---|---|---|
/// | resource | `state` | its row: `version`, `state` or `parts`, `account`, `marks`, `write`; only while it is pending `pending` and `since`; only while its version is rejected `rejected` |
/// | resource | `part#VERSION#…` | a part of a state that is too large for its row |
/// | resource | `damaged#VERSION#…` | a damaged state, kept aside |
/// | account | `member#RESOURCE` | the resource belongs to the account, or did |
/// | `fan-outs` | account | it has changed, and its members are to be marked |
/// | `claims` | fence | the words of whoever claimed it last |
/// | `store` | `generation`, `sinks` | when the store was made; the list of sinks |
///
/// Two sparse indexes, `pending` (by `pending` and `since`, with `marks`) and `rejected` (by `rejected`), are only ever
/// asked for candidates: they are behind the rows. Everything else is read consistently.
///
/// Each write names the `write` that it saw and sets another one. So it lands only on the very item that it was made of,
/// and whoever is refused sees whether that was by his own write, whose answer was lost.
///
/// Operations: `DescribeTable`, `CreateTable`, `GetItem`, `BatchGetItem`, `PutItem`, `UpdateItem`, `DeleteItem`, `Query`
/// (table and indexes), `Scan`; `TransactWriteItems` is allowed by `UpdateItem`.
#[derive(Clone, Debug)]
pub struct DynamoStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    table: Table,
    generation: Generation,
    seen: Seen,
    own: Own,
    asked: Asked,
    sweep_every: Duration,
}

impl DynamoStore {
    /// Opens the table, and makes it where it is missing. Waits up to a minute until it can be used.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the table is another one or may not be used, with the mend; [`StoreError::Newer`];
    /// [`StoreError::Unavailable`] when DynamoDB does not answer, or the table is not ready in time.
    pub async fn open(params: DynamoStoreParams) -> Result<Self, StoreError> {
        let table = Table::new(&params.client, params.table.clone());
        table.open().await?;
        let generation = table.generation(params.now_ms).await?;
        Ok(Self::new(params, table, generation))
    }

    /// Opens a table that is there, to read it: nothing is written before somebody saves.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_read(params: DynamoStoreParams) -> Result<Self, StoreError> {
        let table = Table::new(&params.client, params.table.clone());
        let generation = table.stored_generation().await?.unwrap_or(params.now_ms);
        Ok(Self::new(params, table, generation))
    }

    fn new(params: DynamoStoreParams, table: Table, generation: Generation) -> Self {
        let DynamoStoreParams { worker, cache_bytes, sweep_every, .. } = params;
        let (seen, own, asked) = (Seen::new(cache_bytes), Own::new(&worker), Asked::default());
        Self { shared: Arc::new(Shared { table, generation, seen, own, asked, sweep_every }) }
    }
}

const CLAIMS: &str = "claims";
const WORDS: &str = "words";
const MEMBER: &str = "member#";

fn member_key(resource: &ResourceId) -> String {
    format!("{MEMBER}{resource}")
}

#[async_trait]
impl StateStore for DynamoStore {
    fn generation(&self) -> Generation {
        self.shared.generation
    }

    async fn sinks(&self) -> Result<Vec<SinkName>, StoreError> {
        let listing = self.shared.table.listing().await?;
        Ok(listing.listed().map(|(name, _)| name.clone()).collect())
    }

    async fn add_sinks(&self, sinks: &[ListedSink], now_ms: i64) -> Result<(), StoreError> {
        self.shared.add_sinks(sinks, now_ms).await
    }

    async fn forget_sink(&self, sink: &SinkName) -> Result<bool, StoreError> {
        self.shared.forget_sink(sink).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.shared.is_empty().await
    }

    async fn load(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        self.shared.load(resources).await
    }

    async fn load_bases(&self, resources: &[ResourceId]) -> Result<Vec<Stored>, StoreError> {
        self.shared.load_bases(resources).await
    }

    async fn save(&self, saves: Vec<Save>) -> Result<Vec<SaveOutcome>, StoreError> {
        self.shared.save(saves).await
    }

    async fn mark(&self, resources: &[ResourceId], mark: PendingMark) -> Result<u64, StoreError> {
        self.shared.mark(resources, mark).await
    }

    async fn mark_all(&self, sink: Option<&SinkName>, now_ms: i64) -> Result<u64, StoreError> {
        self.shared.mark_all(sink, now_ms).await
    }

    async fn members(
        &self,
        account: &ResourceId,
        after: Option<&ResourceId>,
        limit: usize,
    ) -> Result<Vec<ResourceId>, StoreError> {
        let from = after.map_or_else(|| MEMBER.to_owned(), member_key);
        // "$" follows "#". The first one may be `after` itself.
        let range = [from.as_str(), "member$"];
        let items =
            self.shared.table.range(account.as_str(), range, true, limit.saturating_add(1), "list members").await?;
        let members = items.iter().filter_map(|item| text(item, SK)?.strip_prefix(MEMBER)).map(ResourceId::from);
        Ok(members.filter(|member| Some(member) != after).take(limit).collect())
    }

    async fn claim_fan_outs(
        &self,
        worker: &str,
        others_before_ms: i64,
        now_ms: i64,
    ) -> Result<Vec<FanOut>, StoreError> {
        self.shared.claim_fan_outs(worker, others_before_ms, now_ms).await
    }

    async fn end_fan_out(&self, fan_out: &FanOut) -> Result<(), StoreError> {
        self.shared.end_fan_out(fan_out).await
    }

    async fn pending(&self, query: &PendingQuery) -> Result<Vec<ResourceId>, StoreError> {
        self.shared.pending(query).await
    }

    async fn settle(&self, sink: &SinkName, settlements: Vec<Settlement>) -> Result<usize, StoreError> {
        self.shared.settle(sink, &settlements).await
    }

    async fn backlog(&self, sink: &SinkName) -> Result<Backlog, StoreError> {
        self.shared.backlog(sink).await
    }

    async fn claim(&self, fence: &str) -> Result<Option<String>, StoreError> {
        let item = self.shared.table.get(key(CLAIMS, fence), "read a claim").await?;
        Ok(item.as_ref().and_then(|item| text(item, WORDS)).map(str::to_owned))
    }

    async fn swap_claim(&self, fence: &str, seen: Option<&str>, next: &str) -> Result<bool, StoreError> {
        let mut change = match seen {
            None => Change::new(key(CLAIMS, fence), &nonce(), None),
            Some(seen) => Change::on(key(CLAIMS, fence), &nonce(), (WORDS, string(seen))),
        };
        change.set(WORDS, string(next));
        let written = self.shared.table.write(&[change], &format!("claim {fence}")).await?;
        Ok(matches!(written, Outcome::Landed))
    }
}
