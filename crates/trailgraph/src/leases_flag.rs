//! Opens the leases that the flags name.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use shard_consumer::{DynamoLeases, DynamoLeasesParams, LeaseStore, SourceError, SqliteLeases, sdk_config};

use crate::cli::{LeaseArgs, StoreUrl};
use crate::failure::Failure;

impl LeaseArgs {
    /// Opens the leases; makes the file or the table where there is none.
    ///
    /// # Errors
    /// [`Failure::Usage`] when they cannot be used, [`Failure::Running`] when they cannot be reached.
    pub async fn open(&self) -> Result<Arc<dyn LeaseStore>, Failure> {
        let opened: Result<Arc<dyn LeaseStore>, SourceError> = match &self.leases {
            StoreUrl::Sqlite(url) => {
                let leases = SqliteLeases::open(url.0.clone(), &self.app_name, &self.stream).await;
                leases.map(|leases| Arc::new(leases) as _)
            }
            StoreUrl::DynamoDb(table) => {
                let params = DynamoLeasesParams {
                    client: dynamodb_client().await?,
                    table: table.clone(),
                    stream: self.stream.clone(),
                };
                DynamoLeases::open(params).await.map(|leases| Arc::new(leases) as _)
            }
        };
        opened.map_err(|error| match error {
            SourceError::Configuration(message) => Failure::flag("--leases", &self.leases, message),
            other => Failure::Running(anyhow::anyhow!("--leases {}: {}", self.leases, other.chain())),
        })
    }

    /// Opens the leases; none where there is no such file or table. Makes nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_existing(&self) -> Result<Option<Arc<dyn LeaseStore>>, Failure> {
        if self.exist().await? { self.open().await.map(Some) } else { Ok(None) }
    }

    /// The same, to read them: a file is not changed by it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_read(&self) -> Result<Option<Arc<dyn LeaseStore>>, Failure> {
        match &self.leases {
            StoreUrl::Sqlite(url) if url.0.exists() => {
                let leases = SqliteLeases::open_to_read(url.0.clone(), &self.app_name, &self.stream).await;
                let leases = leases.map_err(|error| Failure::flag("--leases", &self.leases, error.chain()))?;
                Ok(Some(Arc::new(leases)))
            }
            _ => self.open_existing().await,
        }
    }

    async fn exist(&self) -> Result<bool, Failure> {
        match &self.leases {
            StoreUrl::Sqlite(url) => Ok(url.0.exists()),
            StoreUrl::DynamoDb(table) => has_table("--leases", table).await,
        }
    }

    /// What the leases are, for messages.
    pub(crate) fn described(&self) -> String {
        match &self.leases {
            StoreUrl::Sqlite(url) => {
                format!("--leases {url} of --app-name {} on --stream {}", self.app_name, self.stream)
            }
            StoreUrl::DynamoDb(table) => format!("--leases dynamodb:{table}"),
        }
    }
}

/// A client of DynamoDB.
pub(crate) async fn dynamodb_client() -> Result<Client, Failure> {
    Ok(Client::new(&sdk_config().await?))
}

/// Whether there is such a table; `flag` names it in messages.
pub(crate) async fn has_table(flag: &str, table: &str) -> Result<bool, Failure> {
    let answer = dynamodb_client().await?.describe_table().table_name(table).send().await;
    match answer.map_err(aws_sdk_dynamodb::error::SdkError::into_service_error) {
        Ok(_) => Ok(true),
        Err(error) if error.is_resource_not_found_exception() => Ok(false),
        Err(error) => {
            let what = format!(
                "{flag} dynamodb:{table}: the table cannot be described; check the region, the credentials, and that they \
                 allow dynamodb:DescribeTable"
            );
            Err(Failure::Running(anyhow::Error::new(error).context(what)))
        }
    }
}
