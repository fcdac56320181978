//! Where the permit list is read from.

use aws_sdk_ssm::Client;
use shard_consumer::sdk_config;

use super::Permit;
use crate::cli::{PermitArgs, PermitUrl};
use crate::failure::{Failure, told};

/// A permit list that is read again and again.
pub struct PermitSource {
    url: PermitUrl,
    ssm: Option<Client>,
    text: String,
}

/// What the flags permit, `unsaid` where they say nothing; with what is to be read again.
///
/// # Errors
/// [`Failure::Usage`] with the flag, the fault and the mend.
pub async fn open(args: &PermitArgs, unsaid: Option<Permit>) -> Result<(Permit, Option<PermitSource>), Failure> {
    match (&args.permit, args.permit_any, unsaid) {
        (Some(url), ..) => {
            let opened = PermitSource::open(url.clone()).await;
            let (permit, source) = opened.map_err(|error| Failure::flag("--permit", url, error))?;
            Ok((permit, Some(source)))
        }
        (None, true, _) => Ok((Permit::Any, None)),
        (None, false, Some(unsaid)) => Ok((unsaid, None)),
        (None, false, None) => Err(Failure::Usage(
            "--permit FILE|ssm:NAME is missing: name the permitted accounts in a file or a parameter, or permit all with \
             --permit-any"
                .into(),
        )),
    }
}

impl PermitSource {
    async fn open(url: PermitUrl) -> Result<(Permit, Self), String> {
        let ssm = match &url {
            PermitUrl::File(_) => None,
            PermitUrl::Ssm(_) => Some(Client::new(&sdk_config().await.map_err(|error| error.chain())?)),
        };
        let mut source = Self { url, ssm, text: String::new() };
        source.text = source.read().await?;
        Ok((Permit::parse(&source.text)?, source))
    }

    /// The list, if its text has changed since it was last read.
    ///
    /// # Errors
    /// The fault, with the mend; a text that is wrong is told of each time.
    pub async fn changed(&mut self) -> Result<Option<Permit>, String> {
        let text = self.read().await?;
        if text == self.text {
            return Ok(None);
        }
        let permit = Permit::parse(&text)?;
        self.text = text;
        Ok(Some(permit))
    }

    async fn read(&self) -> Result<String, String> {
        match (&self.url, &self.ssm) {
            (PermitUrl::Ssm(name), Some(ssm)) => parameter(ssm, name).await,
            (PermitUrl::File(path), _) => tokio::fs::read_to_string(path).await.map_err(|error| error.to_string()),
            (PermitUrl::Ssm(_), None) => unreachable!("a client is made for each parameter"),
        }
    }
}

async fn parameter(ssm: &Client, name: &str) -> Result<String, String> {
    let got = ssm.get_parameter().name(name).with_decryption(true).send().await.map_err(|error| {
        let missing = error.as_service_error().is_some_and(|error| error.is_parameter_not_found());
        let mend = if missing {
            "there is no such parameter: check its name and the Region, or make it with `aws ssm put-parameter`"
        } else {
            "the parameter cannot be read: check the Region and the credentials, and that they allow ssm:GetParameter on \
             it, and kms:Decrypt on its key if it is a SecureString of a key of your own"
        };
        format!("{mend} ({})", told(&error))
    })?;
    got.parameter.and_then(|parameter| parameter.value).ok_or_else(|| "the parameter has no value".into())
}

impl std::fmt::Display for PermitSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}
