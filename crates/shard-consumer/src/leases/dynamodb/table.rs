//! Opening the table: made where it is missing, and refused where it is another one.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableDescription, TableStatus,
};
use tokio::time::{Instant, sleep};
use tracing::info;

use super::fault::Fault;
use super::row::{self, Row, name};
use crate::source::SourceError;

/// Making a table takes about ten seconds.
const READY_WITHIN: Duration = Duration::from_secs(60);
const FAILURES_MOST: u32 = 5;
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MOST: Duration = Duration::from_secs(2);
/// A table of several streams is told by its first rows.
const LOOK_AT: i32 = 100;

pub(super) async fn open(client: &Client, table: &str, stream: &str) -> Result<(), SourceError> {
    let until = Instant::now() + READY_WITHIN;
    let (mut waits, mut failures) = (0, 0);
    loop {
        match make_ready(client, table, stream).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(SourceError::Failed { .. }) if failures < FAILURES_MOST => failures += 1,
            Err(error) => return Err(error),
        }
        if Instant::now() >= until {
            return Err(SourceError::Failed {
                what: format!("open DynamoDB table {table}"),
                source: format!("it was not ready within {} s", READY_WITHIN.as_secs()).into(),
            });
        }
        // Full jitter: many workers start at once.
        sleep(WAIT_MOST.min(WAIT_FIRST * 2_u32.saturating_pow(waits)).mul_f64(fastrand::f64())).await;
        waits += 1;
    }
}

/// Does the next step; says whether none was left.
async fn make_ready(client: &Client, table: &str, stream: &str) -> Result<bool, SourceError> {
    let Some(found) = look(client, table).await? else {
        create(client, table).await?;
        return Ok(false);
    };
    if !is_usable(&found, table)? {
        return Ok(false);
    }
    is_keyed_by_lease(&found, table)?;
    is_of_stream(client, table, stream).await?;
    Ok(true)
}

async fn look(client: &Client, table: &str) -> Result<Option<TableDescription>, SourceError> {
    match client.describe_table().table_name(table).send().await.map_err(|error| Fault::of(&error)) {
        Ok(described) => Ok(described.table),
        Err(fault) if fault.is("ResourceNotFoundException") => Ok(None),
        Err(fault) if fault.is_denied() || fault.is("ValidationException") => {
            Err(fault.refused("DescribeTable", table))
        }
        Err(fault) => Err(fault.failed("look for leases", "DescribeTable", table)),
    }
}

async fn create(client: &Client, table: &str) -> Result<(), SourceError> {
    let key = KeySchemaElement::builder().attribute_name(name::KEY).key_type(KeyType::Hash).build();
    let kind = AttributeDefinition::builder().attribute_name(name::KEY).attribute_type(ScalarAttributeType::S).build();
    let built = key.and_then(|key| Ok((key, kind?)));
    let (key, kind) = built.map_err(|error| SourceError::Configuration(error.to_string()))?;
    let create = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    let created = create.key_schema(key).attribute_definitions(kind).send().await;
    match created.map_err(|error| Fault::of(&error)) {
        Ok(_) => info!(table, "made the lease table"),
        // Another worker was faster.
        Err(fault) if fault.is("ResourceInUseException") => {}
        Err(fault) if fault.is_denied() || fault.is("ValidationException") => {
            return Err(fault.refused("CreateTable", table));
        }
        Err(fault) => return Err(fault.failed("make the lease table", "CreateTable", table)),
    }
    Ok(())
}

/// Whether the table can be read and written by now.
fn is_usable(found: &TableDescription, table: &str) -> Result<bool, SourceError> {
    match &found.table_status {
        None | Some(TableStatus::Active | TableStatus::Updating) => Ok(true),
        Some(TableStatus::Creating | TableStatus::Deleting) => Ok(false),
        Some(other) => Err(SourceError::Configuration(format!(
            "DynamoDB table {table} is in the state {other}: restore it or its key, or name another table"
        ))),
    }
}

fn is_keyed_by_lease(found: &TableDescription, table: &str) -> Result<(), SourceError> {
    let kind = |name: &str| {
        let kinds = found.attribute_definitions().iter();
        kinds.clone().find(|kind| kind.attribute_name == name).map_or("?", |kind| kind.attribute_type.as_str())
    };
    let keys = found.key_schema().iter();
    let keys: Vec<_> = keys.map(|key| format!("{} ({})", key.attribute_name, kind(&key.attribute_name))).collect();
    let expected = format!("{} (S)", name::KEY);
    if keys == [expected.as_str()] {
        return Ok(());
    }
    Err(SourceError::Configuration(format!(
        "DynamoDB table {table} is no lease table: its key is {}, not {expected}: name another table, or one that does \
         not exist yet",
        keys.join(" and ")
    )))
}

/// Rows of single and of several streams do not know of each other, so each would read everything once more. A table
/// that has both is left to those who share it.
async fn is_of_stream(client: &Client, table: &str, stream: &str) -> Result<(), SourceError> {
    let scan = client.scan().table_name(table).limit(LOOK_AT).consistent_read(true).send().await;
    let scanned = scan.map_err(|error| Fault::of(&error)).map_err(|fault| match fault.is_denied() {
        true => fault.refused("Scan", table),
        false => fault.failed("look at leases", "Scan", table),
    })?;
    let mut of_several = false;
    for item in scanned.items() {
        if let Some(other) = row::other_stream(item, stream) {
            return Err(SourceError::Configuration(format!(
                "DynamoDB table {table} holds the leases of stream {other}, not of {stream}: name another table"
            )));
        }
    }
    for item in scanned.items() {
        match row::read(item, stream) {
            Row::Lease(_) | Row::Unreadable(_) => return Ok(()),
            Row::OtherStream => of_several = true,
            Row::Leader | Row::Other => {}
        }
    }
    match of_several {
        false => Ok(()),
        true => Err(SourceError::Configuration(format!(
            "DynamoDB table {table} holds the leases of an application that reads several streams: name another table"
        ))),
    }
}
