//! Which JupiterOne accounts there are, and how they are reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;

use super::http::Http;
use crate::row::SinkName;
use crate::sink::Observe;

/// A JupiterOne account with a key to it.
#[derive(Clone, Debug)]
pub struct Route {
    /// The account's id.
    pub account: String,
    /// An API key.
    pub key: SecretString,
}

/// What a job replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that belongs to an AWS account: few requests, however many buckets have changed.
    Account,
    /// One bucket: small requests, and four or so for each bucket that has changed.
    Bucket,
}

/// How a job changes its scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It replaces it.
    Diff,
    /// It adds properties to the entities of this scope, which others own, and deletes nothing.
    Patch {
        /// The scope.
        scope: String,
    },
}

/// How JupiterOne is reached.
#[derive(Clone)]
pub struct JupiterOneParams {
    /// The name under which progress is kept.
    pub name: SinkName,
    /// Tells this API from others in claims, such as `api.us.jupiterone.io`.
    pub host: String,
    /// Carries requests.
    pub http: Arc<dyn Http>,
    /// The account for all AWS accounts that are not routed otherwise.
    pub default: Option<Route>,
    /// The account of an AWS account.
    pub routes: BTreeMap<String, Route>,
    /// What a job replaces.
    pub scope: Scope,
    /// How.
    pub mode: Mode,
    /// Requests a minute to each account, at the most.
    pub requests_per_minute: u32,
    /// This worker, as claims tell it to people.
    pub worker: String,
    /// Hears of the traffic.
    pub observe: Observe,
}
