//! Kinesis and DynamoDB in memory, with faults on demand: for tests.
//!
//! The services speak their JSON protocols, either inside the process ([`FakeAws::http_client`]), where everything
//! runs on tokio's clock and so in virtual time, or over loopback TCP ([`FakeAws::serve`]). What the fake does not know,
//! an operation, a member of a request or a part of an expression, it refuses: it never overlooks it.
//!
//! `tests/conformance` holds it to one table of checks together with real protocol servers. What they cannot do, and
//! so what nothing but the documentation vouches for here:
//!
//! | | fake | kinesis-mock 0.6.2 | ministack 1.5.33 |
//! |---|---|---|---|
//! | throttling of `GetRecords` | [`FakeAws::enforce_limits`] | no | no |
//! | trimmed records, forgotten shards | [`FakeAws::trim`], [`FakeAws::forget_shard`] | no | no |
//! | garbage iterator | `InvalidArgumentException` | HTTP 500 | `ExpiredIteratorException` |
//! | sequence number of another shard | refused | accepted | not tried |
//! | end of a closed shard | behind all of its records | 2^63 - 1 | shard is deleted |
//! | more than 500 records in `PutRecords` | refused | accepted | refused |
//! | subscription to a closed shard | names the children | names none in 15 s | not tried |
//! | second subscription within 5 s | refused | accepted | not tried |
//! | an update that is malformed, or sets an attribute twice | refused | no DynamoDB | accepted |
//!
//! Different from the service: sequence numbers count up over all shards of a stream, not only in each; streams, tables
//! and consumers are active at once; nothing ages by itself; writes are never throttled.

mod clock;
mod dynamodb;
mod faults;
mod http;
mod in_process;
mod kinesis;
mod protocol;
pub mod push;
mod serve;
mod subscription;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::SharedHttpClient;

pub use faults::{Call, Fault};
pub use serve::Served;

use clock::Clock;
use dynamodb::DynamoDb;
use faults::Faults;
use kinesis::Kinesis;

/// The services. Clones share their streams, tables and faults.
#[derive(Clone)]
pub struct FakeAws(Arc<Shared>);

struct Shared {
    clock: Clock,
    faults: Faults,
    kinesis: Mutex<Kinesis>,
    dynamodb: Mutex<DynamoDb>,
}

impl FakeAws {
    /// Services without streams and tables, and without limits and faults. It is 2026-01-01T00:00:00Z.
    #[expect(clippy::new_without_default, reason = "it reads the clock")]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            clock: Clock::new(),
            faults: Faults::default(),
            kinesis: Mutex::default(),
            dynamodb: Mutex::default(),
        }))
    }

    /// An HTTP client for `Config::builder().http_client(..)`, which reaches the services without a socket. It keeps
    /// the read time-out of the SDK's configuration.
    pub fn http_client(&self) -> SharedHttpClient {
        in_process::client(self.clone())
    }

    /// Serves the same over TCP, on a free port of the loopback interface, until the value is dropped.
    ///
    /// # Errors
    /// Fails when no port can be had.
    pub async fn serve(&self) -> std::io::Result<Served> {
        serve::serve(self.clone()).await
    }

    /// Asks `script` at each call what goes wrong with it, from now on. It must not call the services itself.
    pub fn set_faults(&self, script: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.0.faults.set(Box::new(script));
    }

    /// Whether `GetRecords` is held to 5 calls and 2 MB a second for each shard, as the service does
    /// (<https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>).
    pub fn enforce_limits(&self, on: bool) {
        self.kinesis().limits = on;
    }

    /// The calls of an operation so far, the refused ones too; the last 100,000 of them.
    pub fn asked(&self, operation: &str) -> Vec<Call> {
        self.0.faults.asked(operation)
    }

    /// Drops the oldest records of a shard, as retention does, but for the last `keep_last`. Nothing ages by itself.
    /// Does nothing if there is no such shard.
    pub fn trim(&self, stream: &str, shard: &str, keep_last: usize) {
        if let Some(shard) = self.kinesis().shard_mut(stream, shard) {
            shard.trim(keep_last);
        }
    }

    /// Drops a shard, as happens to a closed one when its last record is past retention.
    pub fn forget_shard(&self, stream: &str, shard: &str) {
        self.kinesis().forget_shard(stream, shard);
    }

    /// Answers a `Scan` in pages of at most so many items, as the service does with pages of 1 MB.
    pub fn set_scan_page(&self, items: usize) {
        self.dynamodb().scan_page = items.max(1);
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn faults(&self) -> &Faults {
        &self.0.faults
    }

    fn kinesis(&self) -> MutexGuard<'_, Kinesis> {
        self.0.kinesis.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dynamodb(&self) -> MutexGuard<'_, DynamoDb> {
        self.0.dynamodb.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
