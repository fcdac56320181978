//! The leases, and whether they may be written.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::AttributeValue;

use super::stores::made_by_the_first_run;
use super::{Answer, Finding};
use crate::cli::{LeaseArgs, StoreUrl};
use crate::failure::told;
use crate::leases_flag::dynamodb_client;

/// The key of a row that never exists, so that a write on the condition that it does changes nothing.
const NO_LEASE: &str = "trailgraph-check";
const LEASE_KEY: &str = "leaseKey";
const ONLY_IF_THERE: &str = "attribute_exists(leaseKey)";

pub(super) async fn check(args: &LeaseArgs) -> Finding {
    Finding::new(format!("leases {}", args.leases), answer(args).await)
}

async fn answer(args: &LeaseArgs) -> Answer {
    let leases = match args.open_to_read().await {
        Ok(Some(leases)) => leases,
        Ok(None) => return Answer::Note(made_by_the_first_run(&args.leases)),
        Err(failure) => return Answer::Failed(failure.to_string()),
    };
    let table = match leases.list().await {
        Ok(table) => table,
        Err(error) => return Answer::Failed(error.chain()),
    };
    if let StoreUrl::DynamoDb(table) = &args.leases
        && let Err(refused) = may_write(table).await
    {
        return Answer::Failed(refused);
    }
    let owned = table.leases.iter().filter(|lease| lease.owner.is_some()).count();
    Answer::Ok(format!("{} leases, {owned} of them owned; they may be read and written", table.leases.len()))
}

/// Tries each kind of write on a condition that does not hold.
async fn may_write(table: &str) -> Result<(), String> {
    let client = dynamodb_client().await.map_err(|failure| failure.to_string())?;
    let key = || AttributeValue::S(NO_LEASE.into());
    let put = client.put_item().table_name(table).item(LEASE_KEY, key()).condition_expression(ONLY_IF_THERE);
    judge("dynamodb:PutItem", put.send().await)?;
    let update = client.update_item().table_name(table).key(LEASE_KEY, key()).condition_expression(ONLY_IF_THERE);
    let update = update.update_expression("SET leaseCounter = leaseCounter");
    judge("dynamodb:UpdateItem", update.send().await)?;
    let delete = client.delete_item().table_name(table).key(LEASE_KEY, key()).condition_expression(ONLY_IF_THERE);
    judge("dynamodb:DeleteItem", delete.send().await)
}

fn judge<T, E>(action: &str, answer: Result<T, SdkError<E>>) -> Result<(), String>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Err(error) if error.code() != Some("ConditionalCheckFailedException") => {
            Err(format!("{action} fails; check that the task's role allows it ({})", told(&error)))
        }
        _ => Ok(()),
    }
}
