//! What every part of the graph must look like.

use std::mem::discriminant;

use bucket_state::{Entity, Relationship, ResourceId, Snapshot, placeholder};
use serde_json::{Map, Value};

/// Checks that a snapshot can stand in a graph.
///
/// # Panics
/// Where it cannot.
pub fn check(id: &ResourceId, snapshot: &Snapshot) {
    assert_eq!(snapshot.resource, *id);
    let (entities, relationships) = (&snapshot.entities, &snapshot.relationships);
    if entities.is_empty() {
        return assert!(relationships.is_empty(), "{id} is not there, and has relationships");
    }
    assert!(entities.iter().any(|entity| entity.key() == id.as_str()), "{id} is not among its own entities");
    assert!(entities.is_sorted_by(|a, b| a.key() < b.key()), "keys of entities are sorted and unique");
    assert!(relationships.is_sorted_by(|a, b| a.key() < b.key()), "keys of relationships are sorted and unique");
    entities.iter().for_each(entity);
    relationships.iter().for_each(|edge| relationship(edge, entities));
}

fn entity(entity: &Entity) {
    filled(&entity.0, &["_key", "_type"]);
    for name in ["name", "displayName"] {
        assert!(entity.0.get(name).is_some_and(Value::is_string), "{} has no {name}", entity.key());
    }
    let classes = entity.0["_class"].as_array().is_some_and(|classes| !classes.is_empty());
    assert!(classes, "{} has no class", entity.key());
    for (name, value) in &entity.0 {
        assert!(is_flat(value), "{name} of {} is not flat: {value}", entity.key());
    }
}

fn relationship(edge: &Relationship, entities: &[Entity]) {
    filled(&edge.properties, &["_key", "_type", "_class", "_fromEntityKey", "_toEntityKey", "displayName"]);
    for (name, value) in &edge.properties {
        assert!(is_scalar(value), "{name} of {} is not a scalar: {value}", edge.key());
    }
    if let Some(far) = edge.far_key() {
        entity(&placeholder(far));
    }
    for end in ["_fromEntityKey", "_toEntityKey"] {
        let key = edge.properties[end].as_str();
        let stands = key == edge.far_key() || entities.iter().any(|entity| Some(entity.key()) == key);
        assert!(stands, "{end} of {} is neither the far end nor an entity of the snapshot", edge.key());
    }
}

fn filled(properties: &Map<String, Value>, names: &[&str]) {
    for name in names {
        let filled = properties.get(*name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        assert!(filled, "{name} is not there, or empty: {}", Value::Object(properties.clone()));
    }
}

fn is_flat(value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            items.iter().all(is_scalar) && items.windows(2).all(|pair| discriminant(&pair[0]) == discriminant(&pair[1]))
        }
        other => is_scalar(other),
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}
