//! Entities and relationships, and the part of the graph that one resource owns.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::provenance::Provenance;
use crate::resource::{ResourceId, is_account};

/// A node: flat properties, `_key`, `_type` and `_class` among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entity(pub Map<String, Value>);

impl Entity {
    /// A node with the properties that every entity has.
    pub(crate) fn new(key: &str, kind: &str, classes: &[&str], name: &str) -> Self {
        let mut entity = Self(Map::new());
        entity.set("_key", key);
        entity.set("_type", kind);
        entity.set("_class", classes.to_vec());
        entity.set("name", name);
        entity.set("displayName", name);
        entity
    }

    /// The globally unique key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.get("_key").and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, property: &str, value: impl Into<Value>) {
        self.0.insert(property.to_owned(), value.into());
    }

    pub(crate) fn set_some(&mut self, property: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(property, value);
        }
    }
}

/// Which end of a relationship lies outside the snapshot that owns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FarEnd {
    /// Both ends are entities of the same snapshot.
    None,
    /// `_fromEntityKey` may be another resource's entity, or nobody's: a placeholder.
    From,
    /// `_toEntityKey` may be.
    To,
}

/// An edge: scalar properties, `_key`, `_type`, `_class` and the keys of both ends among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relationship {
    /// The properties.
    pub properties: Map<String, Value>,
    /// The end that needs a placeholder where no richer entity stands.
    pub(crate) far_end: FarEnd,
}

impl Relationship {
    /// An edge of `kind` whose key is told apart from others between the same ends by `apart`.
    pub(crate) fn new(kind: &str, class: &str, from: &str, to: &str, apart: &[&str], far_end: FarEnd) -> Self {
        let mut key = format!("{from}|{class}|{to}");
        for part in apart {
            key.push('|');
            key.push_str(part);
        }
        let mut properties = Map::new();
        for (property, value) in [
            ("_key", key.as_str()),
            ("_type", kind),
            ("_class", class),
            ("_fromEntityKey", from),
            ("_toEntityKey", to),
            ("displayName", class),
        ] {
            properties.insert(property.to_owned(), value.into());
        }
        Self { properties, far_end }
    }

    pub(crate) fn with(mut self, property: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(property.to_owned(), value.into());
        self
    }

    pub(crate) fn with_some(self, property: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(property, value),
            None => self,
        }
    }

    /// The globally unique key.
    #[must_use]
    pub fn key(&self) -> &str {
        self.text("_key")
    }

    /// The key of the entity at the far end, if there is one.
    #[must_use]
    pub fn far_key(&self) -> Option<&str> {
        match self.far_end {
            FarEnd::None => None,
            FarEnd::From => Some(self.text("_fromEntityKey")),
            FarEnd::To => Some(self.text("_toEntityKey")),
        }
    }

    fn text(&self, property: &str) -> &str {
        self.properties.get(property).and_then(Value::as_str).unwrap_or_default()
    }
}

/// SHA-256 of a snapshot: what was emitted, told apart even from what an attacker would craft to look alike.
pub type Digest = [u8; 32];

/// Everything that one resource owns in the graph; it replaces what stood there. Empty for a resource that
/// does not exist (any more).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The owner.
    pub resource: ResourceId,
    /// Its entities, sorted by key.
    pub entities: Vec<Entity>,
    /// The relationships that go with it, sorted by key.
    pub relationships: Vec<Relationship>,
    /// Where each facet's value comes from; shown, but not a part of the graph.
    pub provenance: Vec<Provenance>,
}

impl Snapshot {
    /// Of a resource of which nothing can be told but that it was there.
    #[must_use]
    pub fn bare(resource: &ResourceId) -> Self {
        let entities = vec![placeholder(resource.as_str())];
        Self { resource: resource.clone(), entities, relationships: vec![], provenance: vec![] }
    }

    /// What identifies the snapshot's content.
    ///
    /// # Panics
    /// Never: a snapshot is JSON with string keys.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a snapshot is JSON with string keys");
        Sha256::digest(&json).into()
    }
}

/// The entity that stands at the end of an edge while nobody owns a richer one. A function of the key alone, so
/// that it does not matter which edge came first.
#[must_use]
pub fn placeholder(key: &str) -> Entity {
    let (kind, classes, name): (_, &[&str], _) = match key {
        "global:everyone" => ("everyone", &["UserGroup", "Everyone"], "Everyone"),
        "global:aws-authenticated-users" => ("aws_authenticated_users", &["UserGroup"], "AWS authenticated users"),
        _ => by_prefix(key),
    };
    let mut entity = Entity::new(key, kind, classes, name);
    entity.set("placeholder", true);
    if let Some(account) = account_of(key) {
        entity.set("accountId", account);
    }
    if kind == "aws_s3_bucket" {
        entity.set("bucketName", name);
    }
    entity
}

fn by_prefix(key: &str) -> (&'static str, &'static [&'static str], &str) {
    let last = key.rsplit(':').next().unwrap_or(key);
    if let Some(id) = key.strip_prefix("aws:canonical-user:") {
        return ("aws_canonical_user", &["User"], id);
    }
    if let Some(address) = key.strip_prefix("aws:email:") {
        return ("aws_email_grantee", &["User"], address);
    }
    if let Some(service) = key.strip_prefix("aws:service:") {
        return ("aws_service", &["Service"], service);
    }
    let service = key.split(':').nth(2).unwrap_or_default();
    match service {
        "s3" if key.contains(":accesspoint/") => {
            ("aws_s3_access_point", &["NetworkEndpoint"], key.rsplit('/').next().unwrap_or(key))
        }
        "s3" => ("aws_s3_bucket", &["DataStore"], last),
        "kms" => ("aws_kms_key", &["Key"], last),
        "lambda" => ("aws_lambda_function", &["Function"], key.split(':').nth(6).unwrap_or(last)),
        "sqs" => ("aws_sqs_queue", &["Queue"], last),
        "sns" => ("aws_sns_topic", &["Channel"], last),
        "iam" if last == "root" => ("aws_account", &["Account"], key.split(':').nth(4).unwrap_or(key)),
        "iam" if last.starts_with("user/") => ("aws_iam_user", &["User"], last.rsplit('/').next().unwrap_or(last)),
        "iam" if last.starts_with("role/") => {
            ("aws_iam_role", &["AccessRole"], last.rsplit('/').next().unwrap_or(last))
        }
        _ => ("aws_principal", &["User"], key),
    }
}

fn account_of(key: &str) -> Option<&str> {
    key.strip_prefix("arn:")?.split(':').nth(3).filter(|account| is_account(account))
}
