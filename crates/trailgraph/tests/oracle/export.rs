//! The shape of the export: entities, relationships, and the placeholders that hold the far ends.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::resource::account_key;

/// Entities and relationships by key.
#[derive(Default)]
pub(super) struct Graph {
    entities: BTreeMap<String, Map<String, Value>>,
    placeholders: BTreeMap<String, Map<String, Value>>,
    relationships: BTreeMap<String, Map<String, Value>>,
}

/// What an edge may point to without its being described anywhere.
pub(super) struct End {
    pub(super) key: String,
    kind: &'static str,
    classes: &'static [&'static str],
    pub(super) name: String,
    more: Vec<(&'static str, Value)>,
}

impl Graph {
    pub(super) fn entity(&mut self, key: &str, kind: &str, classes: &[&str], name: &str, more: Map<String, Value>) {
        self.entities.insert(key.to_owned(), entity(key, kind, classes, name, more));
    }

    /// Keeps the end as a placeholder, unless it is or becomes an entity.
    pub(super) fn hold(&mut self, end: &End) {
        let mut more: Map<String, Value> =
            end.more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        more.insert("placeholder".to_owned(), true.into());
        self.placeholders.insert(end.key.clone(), entity(&end.key, end.kind, end.classes, &end.name, more));
    }

    /// Connects two keys; `apart` is what tells this edge from others of the pair. What is null in `more` is left out.
    pub(super) fn connect(&mut self, kind: &str, class: &str, ends: [&str; 2], apart: &str, more: Value) {
        let [from, to] = ends;
        let mut key = format!("{from}|{class}|{to}");
        if !apart.is_empty() {
            key = format!("{key}|{apart}");
        }
        let mut edge = if let Value::Object(more) = more { more } else { Map::new() };
        edge.retain(|_, value| !value.is_null());
        for (name, value) in [
            ("_key", key.as_str()),
            ("_type", kind),
            ("_class", class),
            ("_fromEntityKey", from),
            ("_toEntityKey", to),
            ("displayName", class),
        ] {
            edge.insert(name.to_owned(), value.into());
        }
        self.relationships.insert(key, edge);
    }

    pub(super) fn export(self) -> Value {
        let mut entities = self.placeholders;
        entities.extend(self.entities);
        json!({
            "entities": entities.into_values().collect::<Vec<_>>(),
            "relationships": self.relationships.into_values().collect::<Vec<_>>(),
        })
    }
}

fn entity(key: &str, kind: &str, classes: &[&str], name: &str, more: Map<String, Value>) -> Map<String, Value> {
    let mut entity = more;
    entity.insert("_key".to_owned(), key.into());
    entity.insert("_type".to_owned(), kind.into());
    entity.insert("_class".to_owned(), json!(classes));
    entity.insert("name".to_owned(), name.into());
    entity.insert("displayName".to_owned(), name.into());
    entity
}

fn end(key: &str, kind: &'static str, classes: &'static [&'static str], name: &str) -> End {
    End { key: key.to_owned(), kind, classes, name: name.to_owned(), more: Vec::new() }
}

/// What follows the last colon of an ARN.
pub(super) fn last_field(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or_default()
}

/// The account field of an ARN, where it has one.
fn in_account(mut end: End) -> End {
    if let Some(account) = end.key.split(':').nth(4).filter(|account| account.len() == 12) {
        end.more.push(("accountId", account.into()));
    }
    end
}

pub(super) fn everyone() -> End {
    end("global:everyone", "everyone", &["UserGroup", "Everyone"], "Everyone")
}

pub(super) fn authenticated_users() -> End {
    end("global:aws-authenticated-users", "aws_authenticated_users", &["UserGroup"], "AWS authenticated users")
}

pub(super) fn canonical_user(id: &str) -> End {
    end(&format!("aws:canonical-user:{id}"), "aws_canonical_user", &["User"], id)
}

pub(super) fn email(address: &str) -> End {
    end(&format!("aws:email:{address}"), "aws_email_grantee", &["User"], address)
}

pub(super) fn service(name: &str) -> End {
    end(&format!("aws:service:{name}"), "aws_service", &["Service"], name)
}

pub(super) fn account(partition: &str, id: &str) -> End {
    in_account(end(&account_key(partition, id), "aws_account", &["Account"], id))
}

pub(super) fn bucket(arn: &str) -> End {
    let name = last_field(arn);
    let mut end = end(arn, "aws_s3_bucket", &["DataStore"], name);
    end.more.push(("bucketName", name.into()));
    end
}

pub(super) fn kms_key(arn: &str) -> End {
    in_account(end(arn, "aws_kms_key", &["Key"], last_field(arn)))
}

/// A function, of whatever version.
pub(super) fn function(arn: &str) -> End {
    let name = arn.split_once(":function:").and_then(|(_, name)| name.split(':').next());
    in_account(end(arn, "aws_lambda_function", &["Function"], name.unwrap_or_else(|| last_field(arn))))
}

pub(super) fn queue(arn: &str) -> End {
    in_account(end(arn, "aws_sqs_queue", &["Queue"], last_field(arn)))
}

pub(super) fn topic(arn: &str) -> End {
    in_account(end(arn, "aws_sns_topic", &["Channel"], last_field(arn)))
}

/// A principal that is named by ARN.
pub(super) fn principal(arn: &str) -> Option<End> {
    let mut fields = arn.splitn(6, ':').skip(1);
    let (partition, _, _, account_id) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (kind, path) = fields.next()?.split_once('/').unwrap_or(("root", ""));
    let name = path.rsplit('/').next().unwrap_or_default();
    match kind {
        "root" => Some(account(partition, account_id)),
        "role" => Some(in_account(end(arn, "aws_iam_role", &["AccessRole"], name))),
        "user" => Some(in_account(end(arn, "aws_iam_user", &["User"], name))),
        _ => None,
    }
}
