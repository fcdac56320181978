//! Secrets that AWS keeps.

use aws_sdk_secretsmanager::Client;
use secrecy::SecretString;
use shard_consumer::sdk_config;

use crate::failure::{Failure, told};

/// Reads secrets from Secrets Manager.
pub struct Secrets(Client);

impl Secrets {
    /// With the credentials of this process.
    ///
    /// # Errors
    /// [`Failure::Usage`] where no Region is set.
    pub async fn new() -> Result<Self, Failure> {
        Ok(Self(Client::new(&sdk_config().await?)))
    }

    /// The text of a secret, by its ARN or name.
    ///
    /// # Errors
    /// One line with the mend; never with the secret.
    pub async fn read(&self, id: &str) -> Result<SecretString, String> {
        let mend =
            "check the ARN, the Region and the credentials, and that they allow secretsmanager:GetSecretValue on it";
        let got = self.0.get_secret_value().secret_id(id).send().await;
        let got = got.map_err(|error| format!("the secret cannot be read: {mend} ({})", told(&error)))?;
        match got.secret_string.map(|text| text.trim().to_owned()) {
            Some(text) if !text.is_empty() => Ok(SecretString::from(text)),
            _ => Err("the secret holds no text: store the API key itself as its SecretString".into()),
        }
    }
}
