//! The stream: the in-memory Kinesis behind real clients, which is written to, split and merged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::Shard;
use fake_aws::{Call, FakeAws, Fault};
use fastrand::Rng;
use trailgraph::generate::Generated;

use crate::calls::Calls;
use crate::setting::EPOCH_MS;
use crate::witness::Witness;

pub(crate) const STREAM: &str = "trail";
const MAKER: &str = "maker";

pub(crate) struct Stream {
    fake: FakeAws,
    maker: Client,
}

fn client(fake: &FakeAws, caller: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(fake.http_client())
        .credentials_provider(Credentials::new(caller, "secret", None, None, "simulation"))
        .region(Region::new("us-east-1"))
        .endpoint_url("http://kinesis.local");
    Client::from_conf(config.build())
}

impl Stream {
    pub(crate) async fn new(shards: i32) -> Result<Self> {
        let fake = FakeAws::new();
        let maker = client(&fake, MAKER);
        maker.create_stream().stream_name(STREAM).shard_count(shards).send().await.context("make the stream")?;
        Ok(Self { fake, maker })
    }

    pub(crate) fn client(&self, worker: &str) -> Client {
        client(&self.fake, worker)
    }

    /// One in so many calls of the workers fails; and what a stalled worker asked for reaches it late.
    pub(crate) fn set_faults(&self, one_in: u32, mut rng: Rng, workers: Arc<Mutex<Vec<Arc<Calls>>>>) {
        self.fake.set_faults(move |call| {
            let workers = workers.lock().unwrap_or_else(PoisonError::into_inner);
            let caller = workers.iter().find(|calls| calls.worker == call.caller)?;
            if let Some(left) = caller.stalled() {
                return Some(Fault::Late(left));
            }
            if one_in == 0 || rng.u32(..one_in) > 0 { None } else { Some(fault(call, &mut rng)) }
        });
    }

    /// Puts a record, into the shard of its key or of another one.
    pub(crate) async fn put(&self, record: &Generated, elsewhere: Option<u128>, witness: &Witness) -> Result<()> {
        let put = self.maker.put_record().stream_name(STREAM).partition_key(&record.partition_key);
        let put = put.data(Blob::new(record.body.clone())).set_explicit_hash_key(elsewhere.map(|key| key.to_string()));
        let answer = put.send().await.context("put a record")?;
        // Nobody has read it yet: no task has run since it was put.
        witness.put(answer.shard_id(), answer.sequence_number(), &record.body, EPOCH_MS);
        Ok(())
    }

    /// The shards that take records, by their keys.
    async fn open(&self) -> Result<Vec<(String, u128, u128)>> {
        let listed = self.maker.list_shards().stream_name(STREAM).send().await.context("list shards")?;
        let is_open =
            |shard: &&Shard| shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none());
        let keys = |shard: &Shard| {
            let range = shard.hash_key_range()?;
            let (first, last) = (range.starting_hash_key().parse().ok()?, range.ending_hash_key().parse().ok()?);
            Some((shard.shard_id().to_owned(), first, last))
        };
        let mut open: Vec<_> = listed.shards().iter().filter(is_open).filter_map(keys).collect();
        open.sort_by_key(|(_, first, _)| *first);
        Ok(open)
    }

    pub(crate) async fn split(&self, which: usize) -> Result<()> {
        let open = self.open().await?;
        let (shard, first, last) = &open[which % open.len()];
        let middle = first + (last - first) / 2;
        let split = self.maker.split_shard().stream_name(STREAM).shard_to_split(shard);
        split.new_starting_hash_key(middle.to_string()).send().await.context("split a shard")?;
        Ok(())
    }

    pub(crate) async fn merge(&self, which: usize) -> Result<()> {
        let open = self.open().await?;
        if open.len() < 2 {
            return Ok(());
        }
        let which = which % (open.len() - 1);
        let merge = self.maker.merge_shards().stream_name(STREAM).shard_to_merge(&open[which].0);
        merge.adjacent_shard_to_merge(&open[which + 1].0).send().await.context("merge shards")?;
        Ok(())
    }
}

fn fault(call: &Call, rng: &mut Rng) -> Fault {
    let throttle = match call.operation.as_str() {
        "GetRecords" | "GetShardIterator" => "ProvisionedThroughputExceededException",
        _ => "LimitExceededException",
    };
    match rng.u8(..6) {
        0 => Fault::Error { status: 400, code: throttle },
        1 => Fault::Error { status: 500, code: "InternalFailure" },
        2 => Fault::Reset,
        3 => Fault::LoseAnswer,
        4 => Fault::Late(Duration::from_millis(rng.u64(..4_000))),
        _ => Fault::LateStart(Duration::from_millis(rng.u64(..4_000))),
    }
}
