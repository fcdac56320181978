//! Our model in the shapes that JupiterOne takes.
//!
//! Sources: the reference client (`JupiterOne/sdk`: entities, mapped relationships, raw data), the data model's class
//! `DataStore`, and the documented limits of property values.

use std::collections::BTreeSet;

use bucket_state::{Entity, Relationship, Snapshot, placeholder};
use serde_json::{Map, Value, json};

/// The indexer keeps so many characters of a string.
const CHARACTERS_MAX: usize = 4_096;
/// Longer lists were seen to be dropped without a word.
const ELEMENTS_MAX: usize = 1_500;
const CUT: &str = "…";
/// What an entity that is rejected is sent with: enough to stay where it is.
const BARE: [&str; 5] = ["_key", "_type", "_class", "name", "displayName"];

/// An entity as JSON; of one that is others' (`patches`), only what is known of it: null would clear their values.
pub(crate) fn entity(entity: &Entity, patches: bool) -> Value {
    let mut map: Map<String, Value> = entity.0.iter().map(|(name, value)| (name.clone(), bounded(value))).collect();
    if !patches && map.get("_type").is_some_and(|kind| kind == "aws_s3_bucket") {
        // The class DataStore requires both; null says that they are not known.
        for property in ["encrypted", "classification"] {
            map.entry(property).or_insert(Value::Null);
        }
    }
    if let Some(raw) = entity.0.get("_rawData") {
        let raw = if raw.is_array() { Value::String(raw.to_string()) } else { raw.clone() };
        map.insert("_rawData".into(), json!([{"name": "default", "rawData": raw}]));
    }
    Value::Object(map)
}

/// The account to which a snapshot says that its bucket belongs.
pub(crate) fn owner(snapshot: &Snapshot) -> Option<&str> {
    let own = snapshot.entities.iter().find(|entity| entity.key() == snapshot.resource.as_str())?;
    own.0.get("accountId")?.as_str()
}

/// What is left of an entity that is rejected.
pub(crate) fn bare(entity: &Value) -> Value {
    let kept = |name: &&str| Some(((*name).to_owned(), entity.get(*name)?.clone()));
    Value::Object(BARE.iter().filter_map(kept).collect())
}

/// A relationship as JSON. An end that is none of the `own` entities of the job is found, or made, by what it is: a
/// mapped relationship, so that the entities of JupiterOne's own integrations are met.
pub(crate) fn relationship(edge: &Relationship, is_own: impl Fn(&str) -> bool) -> Value {
    let mut map: Map<String, Value> =
        edge.properties.iter().map(|(name, value)| (name.clone(), bounded(value))).collect();
    let Some(far) = edge.far_key().filter(|far| !is_own(far)) else { return Value::Object(map) };
    let (from, to) = (map.remove("_fromEntityKey"), map.remove("_toEntityKey"));
    let is_forward = to.as_ref().is_some_and(|to| to == far);
    let mut target = placeholder(far).0;
    target.remove("placeholder");
    let mapping = json!({
        "relationshipDirection": if is_forward { "FORWARD" } else { "REVERSE" },
        "sourceEntityKey": if is_forward { from } else { to },
        "targetFilterKeys": [["_type", "_key"]],
        "targetEntity": target,
        "skipTargetCreation": false,
    });
    map.insert("_mapping".into(), mapping);
    Value::Object(map)
}

/// A value within the limits of a property.
fn bounded(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > CHARACTERS_MAX && text.chars().count() > CHARACTERS_MAX => {
            let kept: String = text.chars().take(CHARACTERS_MAX - 1).collect();
            Value::String(kept + CUT)
        }
        Value::Array(elements) if elements.len() > ELEMENTS_MAX => {
            let mut kept: Vec<Value> = elements[..ELEMENTS_MAX - 1].iter().map(bounded).collect();
            if elements.iter().all(Value::is_string) {
                kept.push(CUT.into());
            }
            Value::Array(kept)
        }
        Value::Array(elements) => Value::Array(elements.iter().map(bounded).collect()),
        other => other.clone(),
    }
}

/// The keys of a job's entities.
pub(crate) type Keys = BTreeSet<String>;
