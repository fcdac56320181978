//! Leases in a DynamoDB table, in the schema of the Kinesis Client Library.

mod fault;
mod leader;
mod row;
mod table;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use self::fault::Fault;
use self::leader::LegacyLeader;
use self::row::{Item, Row, name};
use self::write::Write;
use super::{Change, Lease, LeaseStore, LeaseTable, Written, stream_name};
use crate::record::ShardId;
use crate::source::SourceError;

/// How long one attempt may take. A write is shorter than any fence: every caller tries again.
const READ_MOST: Duration = Duration::from_secs(5);
const WRITE_MOST: Duration = Duration::from_secs(2);

/// What [`DynamoLeases`] need.
pub struct DynamoLeasesParams {
    /// Reaches the table.
    pub client: Client,
    /// The table: of one application and one stream.
    pub table: String,
    /// The stream's name, or its ARN: that means the same.
    pub stream: String,
}

/// Leases in a DynamoDB table, which the Kinesis Client Library may have written or may go on with.
///
/// Rows are changed attribute by attribute, so what other consumers keep there survives.
#[derive(Clone)]
pub struct DynamoLeases {
    shared: Arc<Shared>,
}

struct Shared {
    reads: Client,
    writes: Client,
    table: String,
    stream: String,
    legacy_leader: LegacyLeader,
}

impl DynamoLeases {
    /// Opens the table, and makes it where it is missing: then it is paid for by request. Waits up to a minute until it
    /// can be used. The client's retries and time-outs are replaced.
    ///
    /// # Errors
    /// [`SourceError::Configuration`] when the table has another key, holds the leases of another stream or of several, or may not
    /// be used; [`SourceError::Failed`] when DynamoDB does not answer, or the table is not ready in time.
    pub async fn open(params: DynamoLeasesParams) -> Result<Self, SourceError> {
        let DynamoLeasesParams { client, table, stream } = params;
        let stream = stream_name(&stream).to_owned();
        let reads = patient(&client, READ_MOST);
        table::open(&reads, &table, &stream).await?;
        let legacy_leader = LegacyLeader::beside(&table);
        Ok(Self {
            shared: Arc::new(Shared { writes: patient(&client, WRITE_MOST), reads, table, stream, legacy_leader }),
        })
    }
}

/// The client with this time-out. It never repeats: a repeat after a lost answer looks like a refusal, and only the
/// caller can tell them apart.
fn patient(client: &Client, most: Duration) -> Client {
    let config = client.config().to_builder();
    let time_outs = TimeoutConfig::builder().operation_attempt_timeout(most).build();
    Client::from_conf(config.retry_config(RetryConfig::disabled()).timeout_config(time_outs).build())
}

impl Shared {
    /// Every item of the table, page by page.
    async fn scan(&self) -> Result<Vec<Item>, SourceError> {
        let scan = self.reads.scan().table_name(&self.table).consistent_read(true);
        let mut pages = scan.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| Fault::of(&error).failed("list leases", "Scan", &self.table))?;
            items.push(item);
        }
        Ok(items)
    }

    async fn get(&self, shard: &ShardId) -> Result<Option<Item>, SourceError> {
        let get = self.reads.get_item().table_name(&self.table).consistent_read(true);
        let got = get.key(name::KEY, row::string(shard.as_str())).send().await;
        let got = got.map_err(|error| Fault::of(&error).failed(&format!("read lease {shard}"), "GetItem", &self.table));
        Ok(got?.item)
    }

    /// The row that refused a write: as the refusal told it, else as it is now.
    async fn refused(&self, shard: &ShardId, told: Option<Item>) -> Result<Written, SourceError> {
        let found = match told {
            Some(item) => Some(item),
            None => self.get(shard).await?,
        };
        let why = match found.as_ref().map(|item| row::read(item, &self.stream)) {
            None => return Ok(Written::Refused(None)),
            Some(Row::Lease(lease)) => return Ok(Written::Refused(Some(Box::new(lease)))),
            Some(Row::Unreadable(row)) => row.why,
            Some(_) => "it is no lease of a single stream: give this application a table of its own".into(),
        };
        Err(SourceError::Failed {
            what: format!("write lease {shard} in DynamoDB table {}", self.table),
            source: why.into(),
        })
    }
}

#[async_trait]
impl LeaseStore for DynamoLeases {
    async fn list(&self) -> Result<LeaseTable, SourceError> {
        let mut listed = LeaseTable::default();
        for item in self.shared.scan().await? {
            match row::read(&item, &self.shared.stream) {
                Row::Lease(lease) => listed.leases.push(lease),
                Row::Unreadable(row) => listed.unreadable.push(row),
                Row::Leader => listed.leader = leader::live(&item),
                Row::OtherStream | Row::Other => {}
            }
        }
        listed.leases.sort_by(|a, b| a.shard.cmp(&b.shard));
        listed.unreadable.sort_by(|a, b| a.shard.cmp(&b.shard));
        if listed.leader.is_none() {
            listed.leader = self.shared.legacy_leader.ask(&self.shared.reads).await?;
        }
        Ok(listed)
    }

    async fn create(&self, lease: &Lease) -> Result<bool, SourceError> {
        let put = self
            .shared
            .writes
            .put_item()
            .table_name(&self.shared.table)
            .set_item(Some(row::item(lease, &self.shared.stream)));
        let put = put.condition_expression("attribute_not_exists(#key)").expression_attribute_names("#key", name::KEY);
        match put.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => {
                let what = format!("create lease {}", lease.shard);
                Err(Fault::of(&error).failed(&what, "PutItem", &self.shared.table))
            }
        }
    }

    async fn update(&self, seen: &Lease, change: &Change) -> Result<Written, SourceError> {
        let Write { update, condition, names, values } = Write::of(seen, change, &self.shared.stream);
        let write = self.shared.writes.update_item().table_name(&self.shared.table);
        let write = write.key(name::KEY, row::string(seen.shard.as_str())).set_update_expression(update);
        let write = write.condition_expression(condition).set_expression_attribute_names(Some(names));
        let write = write.set_expression_attribute_values(Some(values));
        let told = ReturnValuesOnConditionCheckFailure::AllOld;
        match write.return_values_on_condition_check_failure(told).send().await {
            Ok(_) => Ok(Written::Landed),
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => {
                let told = match answer.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(refusal) => refusal.item,
                    _ => None,
                };
                self.shared.refused(&seen.shard, told).await
            }
            Err(error) => {
                let what = format!("update lease {}", seen.shard);
                Err(Fault::of(&error).failed(&what, "UpdateItem", &self.shared.table))
            }
        }
    }

    async fn delete(&self, seen: &Lease) -> Result<bool, SourceError> {
        let Write { condition, names, values, .. } = Write::on(seen);
        let delete = self.shared.writes.delete_item().table_name(&self.shared.table);
        let delete = delete.key(name::KEY, row::string(seen.shard.as_str())).condition_expression(condition);
        let delete = delete.set_expression_attribute_names(Some(names)).set_expression_attribute_values(Some(values));
        match delete.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(answer)) if answer.err().is_conditional_check_failed_exception() => Ok(false),
            Err(error) => {
                let what = format!("delete lease {}", seen.shard);
                Err(Fault::of(&error).failed(&what, "DeleteItem", &self.shared.table))
            }
        }
    }
}
