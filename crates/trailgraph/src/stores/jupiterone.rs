//! Opens JupiterOne: which AWS account is shown by which JupiterOne account, and with which key.

use std::collections::BTreeMap;
use std::sync::Arc;

use emitter::{GraphSink, JupiterOne, JupiterOneParams, Mode, Observe, Reqwest, Route, Scope, SinkName};
use secrecy::SecretString;

use crate::cli::{JupiterOneArgs, JupiterOneMode, JupiterOneScope};
use crate::failure::Failure;
use crate::permit::Permit;
use crate::secrets::Secrets;
use crate::stores::names::host_of;

/// Where the API key is read from: a flag would show it in lists of processes.
const API_KEY: &str = "TRAILGRAPH_JUPITERONE_API_KEY";

/// One lane per JupiterOne account.
pub(super) async fn open(
    name: SinkName,
    patched: Option<&str>,
    args: &JupiterOneArgs,
    permit: &Permit,
    worker: &str,
    observe: Observe,
) -> Result<Vec<Arc<dyn GraphSink>>, Failure> {
    let mode = match (args.jupiterone_mode, patched) {
        (JupiterOneMode::Diff, None) => Mode::Diff,
        (JupiterOneMode::Patch, Some(scope)) => Mode::Patch { scope: scope.to_owned() },
        (JupiterOneMode::Patch, None) => {
            let mend = "name the scope that is patched: --graph jupiterone:SCOPE";
            return Err(Failure::flag("--jupiterone-mode", "patch", mend));
        }
        (JupiterOneMode::Diff, Some(scope)) => {
            let mend = "only --jupiterone-mode patch takes a scope; else each AWS account has its own";
            return Err(Failure::flag("--graph", format!("jupiterone:{scope}"), mend));
        }
    };
    let Routes { default, routes } = Routes::of(args, permit).await?;
    let url = &args.jupiterone_url;
    let http = Reqwest::to(url).map_err(|error| Failure::flag("--jupiterone-url", url, error))?;
    Ok(JupiterOne::lanes(&JupiterOneParams {
        name,
        host: host_of(url).to_owned(),
        http: Arc::new(http),
        default,
        routes,
        scope: match args.jupiterone_scope {
            JupiterOneScope::Account => Scope::Account,
            JupiterOneScope::Bucket => Scope::Bucket,
        },
        mode,
        requests_per_minute: args.jupiterone_requests_per_minute,
        worker: worker.to_owned(),
        observe,
    }))
}

/// Which JupiterOne account shows which AWS account, each with its key.
pub(super) struct Routes {
    /// For all that are not routed otherwise.
    default: Option<Route>,
    routes: BTreeMap<String, Route>,
}

impl Routes {
    /// # Errors
    /// [`Failure::Usage`] where a key cannot be read, or there is no account at all.
    pub(super) async fn of(args: &JupiterOneArgs, permit: &Permit) -> Result<Self, Failure> {
        let mut keys = Keys::default();
        let default = match &args.jupiterone_account {
            Some(account) => Some(Route { account: account.clone(), key: keys.of_flags(args).await? }),
            None => None,
        };
        let mut routes = BTreeMap::new();
        for (aws_account, route) in permit.jupiterone_routes() {
            let key = match &route.api_key_secret {
                Some(secret) => keys.of_secret(secret).await.map_err(|error| {
                    Failure::flag("--permit", format!("account {aws_account}, apiKeySecret {secret}"), error)
                })?,
                None => keys.of_flags(args).await?,
            };
            routes.insert(aws_account.to_owned(), Route { account: route.account.clone(), key });
        }
        if default.is_none() && routes.is_empty() {
            let mend = "names no account: set --jupiterone-account, or \"jupiterone\" of accounts in the permit file";
            return Err(Failure::flag("--graph", "jupiterone:", mend));
        }
        Ok(Self { default, routes })
    }
}

/// Each secret is read once.
#[derive(Default)]
struct Keys {
    secrets: Option<Secrets>,
    read: BTreeMap<String, SecretString>,
}

impl Keys {
    async fn of_flags(&mut self, args: &JupiterOneArgs) -> Result<SecretString, Failure> {
        if let Some(secret) = &args.jupiterone_api_key_secret {
            let key = self.of_secret(secret).await;
            return key.map_err(|error| Failure::flag("--jupiterone-api-key-secret", secret, error));
        }
        match std::env::var(API_KEY) {
            Ok(key) if !key.trim().is_empty() => Ok(SecretString::from(key.trim().to_owned())),
            _ => {
                let mend = format!(
                    "the API key is missing: put it into {API_KEY}, or name its secret with \
                                    --jupiterone-api-key-secret"
                );
                Err(Failure::flag("--graph", "jupiterone:", mend))
            }
        }
    }

    async fn of_secret(&mut self, id: &str) -> Result<SecretString, String> {
        if let Some(key) = self.read.get(id) {
            return Ok(key.clone());
        }
        let secrets = match self.secrets.take() {
            Some(secrets) => secrets,
            None => Secrets::new().await.map_err(|failure| failure.to_string())?,
        };
        let key = secrets.read(id).await;
        self.secrets = Some(secrets);
        let key = key?;
        self.read.insert(id.to_owned(), key.clone());
        Ok(key)
    }
}
