//! Calls to the table, tried again where that may help.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::item::Item;
use crate::store::StoreError;

/// How often a call is tried before its caller hears of it, who tries again, too.
pub(super) const TRIES: u32 = 4;
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const ATTEMPT_MOST: Duration = Duration::from_secs(5);
/// Calls under way at once.
pub(super) const CALLS_MOST: usize = 32;

/// The table, and how it is reached.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) client: Client,
    pub(super) name: String,
    /// Whoever works at the same time shares what is allowed.
    slots: Semaphore,
}

impl Table {
    /// The client's retries and time-outs are replaced: a repeat after a lost answer looks like a refusal, and only
    /// [`write`](Self::write) can tell them apart.
    pub(super) fn new(client: &Client, name: String) -> Self {
        let time_outs = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_MOST).build();
        let config = client.config().to_builder().retry_config(RetryConfig::disabled()).timeout_config(time_outs);
        Self { client: Client::from_conf(config.build()), name, slots: Semaphore::new(CALLS_MOST) }
    }

    /// Sends until it is answered for good, at most [`TRIES`] times.
    pub(super) async fn call<T, E, F>(&self, send: impl Fn() -> F) -> Result<T, SdkError<E>>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E>>>,
    {
        let mut tries = 1;
        loop {
            let slot = self.slots.acquire().await.expect("it is never closed");
            let answer = send().await;
            drop(slot);
            match answer {
                Err(error) if tries < TRIES && Fault::of(&error).is_passing() => {
                    pause(tries).await;
                    tries += 1;
                }
                answer => return answer,
            }
        }
    }

    pub(super) fn failed<E>(&self, error: &SdkError<E>, what: &str, operation: &str) -> StoreError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        Fault::of(error).failed(what, operation, &self.name)
    }

    pub(super) fn unavailable(&self, message: &str) -> StoreError {
        StoreError::Unavailable { store: format!("dynamodb:{}", self.name), message: message.to_owned() }
    }

    /// An item as it is now.
    pub(super) async fn get(&self, key: Item, what: &str) -> Result<Option<Item>, StoreError> {
        let send =
            || self.client.get_item().table_name(&self.name).set_key(Some(key.clone())).consistent_read(true).send();
        let got = self.call(send).await.map_err(|error| self.failed(&error, what, "GetItem"))?;
        Ok(got.item.filter(|item| !item.is_empty()))
    }

    /// Writes an item that is always written the same.
    pub(super) async fn put(&self, item: Item, what: &str) -> Result<(), StoreError> {
        let send = || self.client.put_item().table_name(&self.name).set_item(Some(item.clone())).send();
        self.call(send).await.map(drop).map_err(|error| self.failed(&error, what, "PutItem"))
    }

    /// Removes an item, if it is there.
    pub(super) async fn delete(&self, key: Item, what: &str) -> Result<(), StoreError> {
        let send = || self.client.delete_item().table_name(&self.name).set_key(Some(key.clone())).send();
        self.call(send).await.map(drop).map_err(|error| self.failed(&error, what, "DeleteItem"))
    }

    /// The items of a partition whose sort keys lie in the range, as they are now, or no more than their keys; at most
    /// `limit`.
    pub(super) async fn range(
        &self,
        pk: &str,
        [from, to]: [&str; 2],
        keys_only: bool,
        limit: usize,
        what: &str,
    ) -> Result<Vec<Item>, StoreError> {
        let (mut items, mut start) = (Vec::new(), None::<Item>);
        while items.len() < limit {
            let left = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let send = || {
                let query = self.client.query().table_name(&self.name).consistent_read(true).limit(left);
                let query = query.key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to");
                let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
                let query = query.expression_attribute_values(":from", AttributeValue::S(from.to_owned()));
                let query = query.expression_attribute_values(":to", AttributeValue::S(to.to_owned()));
                let query = query.set_projection_expression(keys_only.then(|| "pk, sk".to_owned()));
                query.set_exclusive_start_key(start.clone()).send()
            };
            let page = self.call(send).await.map_err(|error| self.failed(&error, what, "Query"))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        Ok(items)
    }
}

/// Full jitter: anything up to a bound that doubles with each try.
pub(super) async fn pause(tries: u32) {
    let bound = PAUSE_FIRST.saturating_mul(1 << tries.min(10)).min(PAUSE_MOST);
    tokio::time::sleep(bound.mul_f64(fastrand::f64())).await;
}

/// Does all of it, so much at once, and answers in order. When some of it fails, the rest is done all the same, and the
/// failure is the one that matters most: what waiting cannot mend, else the first.
pub(super) async fn all<'a, T, F>(work: impl Iterator<Item = F>) -> Result<Vec<T>, StoreError>
where
    T: Send + 'a,
    F: Future<Output = Result<T, StoreError>> + Send + 'a,
{
    // Boxed: the compiler cannot tell that a stream of these futures holds for every lifetime.
    let work: Vec<BoxFuture<'a, Result<T, StoreError>>> = work.map(|one| Box::pin(one) as _).collect();
    let (mut done, mut cause) = (Vec::with_capacity(work.len()), None::<StoreError>);
    let mut results = stream::iter(work).buffered(CALLS_MOST);
    while let Some(result) = results.next().await {
        match result {
            Ok(one) => done.push(one),
            Err(error) if cause.as_ref().is_none_or(|cause| cause.is_transient() && !error.is_transient()) => {
                cause = Some(error);
            }
            Err(_) => {}
        }
    }
    cause.map_or(Ok(done), Err)
}
