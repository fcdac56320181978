//! JSON as properties of a graph, and back.
//!
//! A property is a string, a boolean, a number, or a list of one of these. What JSON can say beyond that becomes text.

use neo4rs::{BoltList, BoltMap, BoltType};
use serde_json::{Map, Number, Value};

/// These properties. One that is null is left out, since a graph has no such property.
pub(super) fn properties(json: &Map<String, Value>) -> BoltMap {
    let mut map = BoltMap::with_capacity(json.len() + 1);
    for (name, value) in json {
        if let Some(value) = property(value) {
            map.put(name.as_str().into(), value);
        }
    }
    map
}

/// A map of parameters.
pub(super) fn row<const N: usize>(parameters: [(&str, BoltType); N]) -> BoltType {
    let mut map = BoltMap::with_capacity(N);
    for (name, value) in parameters {
        map.put(name.into(), value);
    }
    BoltType::Map(map)
}

/// A list of parameters.
pub(super) fn list<T: Into<BoltType>>(values: impl IntoIterator<Item = T>) -> BoltType {
    BoltType::List(BoltList::from(values.into_iter().map(Into::into).collect::<Vec<_>>()))
}

fn property(json: &Value) -> Option<BoltType> {
    match json {
        Value::Null => None,
        Value::Bool(value) => Some((*value).into()),
        Value::Number(value) => Some(number(value)),
        Value::String(value) => Some(value.as_str().into()),
        Value::Array(values) => Some(of_one_type(values)),
        Value::Object(_) => Some(json.to_string().into()),
    }
}

/// Whole numbers have 64 bits with a sign; larger ones lose their last digits.
fn number(number: &Number) -> BoltType {
    number.as_i64().map_or_else(|| number.as_f64().unwrap_or(f64::NAN).into(), Into::into)
}

/// A list of values of one type. Graphs take no others, and no null in a list: whole numbers among fractions become
/// fractions, and anything else that is mixed, or nested, becomes text.
fn of_one_type(values: &[Value]) -> BoltType {
    let values: Vec<&Value> = values.iter().filter(|value| !value.is_null()).collect();
    if values.iter().all(|value| value.is_boolean()) || values.iter().all(|value| value.is_i64()) {
        return list(values.into_iter().filter_map(property));
    }
    if values.iter().all(|value| value.is_number()) {
        return list(values.into_iter().filter_map(Value::as_f64));
    }
    list(values.into_iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(json: &Value, stored: impl Into<BoltType>) {
        assert_eq!(property(json), Some(stored.into()), "{json}");
    }

    #[test]
    fn scalars_keep_their_type_and_a_number_too_large_becomes_a_fraction() {
        check(&json!(true), true);
        check(&json!(9_223_372_036_854_775_807_i64), i64::MAX);
        check(&json!(9_223_372_036_854_775_808_u64), 9_223_372_036_854_775_808_f64);
        check(&json!(0.5), 0.5);
        check(&json!("text"), "text");
        check(&json!({"nested": [1]}), r#"{"nested":[1]}"#);
    }

    #[test]
    fn lists_are_of_one_type() {
        check(&json!([]), list(Vec::<i64>::new()));
        check(&json!([1, 2]), list([1, 2]));
        check(&json!([1, 0.5]), list([1.0, 0.5]));
        check(&json!([true, null, false]), list([true, false]));
        check(&json!(["a", 1, true, [2]]), list(["a", "1", "true", "[2]"]));
    }

    #[test]
    fn a_property_that_is_null_is_left_out() {
        let json = json!({"a": null, "tag.Owner": 1});
        let map = properties(json.as_object().unwrap());
        assert_eq!(map.value.len(), 1);
        assert_eq!(map.get::<i64>("tag.Owner").unwrap(), 1);
    }
}
