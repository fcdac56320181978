//! JSON or YAML as one value. A key that stands twice is refused, since readers differ in which of the two they take.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_json::{Map, Value};

/// The YAML parser's time grows with the brackets that are open, and no template opens as many.
const OPEN_BRACKETS_MAX: usize = 1_000;

/// JSON is told by its first character, so that its errors are JSON's and not YAML's.
///
/// # Errors
/// What is wrong with the text, and in which line.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with(['{', '[']) {
        return json(text);
    }
    if most_open(text) > OPEN_BRACKETS_MAX {
        return Err(format!("it is no template: more than {OPEN_BRACKETS_MAX} brackets are open at once"));
    }
    let read = Reader { left: &size_max(text) }.deserialize(yaml_serde::Deserializer::from_str(text));
    read.map_err(|error| format!("it is no YAML: {error}"))
}

/// # Errors
/// What is wrong with the text, and in which line.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    let mut source = serde_json::Deserializer::from_str(text);
    let read = Reader { left: &size_max(text) }.deserialize(&mut source).and_then(|value| source.end().map(|()| value));
    read.map_err(|error| format!("it is no JSON: {error}"))
}

fn most_open(text: &str) -> usize {
    let open = text.bytes().scan(0_usize, |open, byte| {
        match byte {
            b'[' | b'{' => *open += 1,
            b']' | b'}' => *open = open.saturating_sub(1),
            _ => {}
        }
        Some(*open)
    });
    open.max().unwrap_or(0)
}

/// Only aliases make more of a text than it has characters; an empty value may have none.
fn size_max(text: &str) -> Cell<usize> {
    Cell::new(2 * text.len() + 1)
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    /// How many more values and bytes of text there may be.
    left: &'a Cell<usize>,
}

impl Reader<'_> {
    fn take<E: Error>(self, size: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(size);
        self.left.set(left.ok_or_else(|| E::custom("its aliases repeat too much: write out what they stand for"))?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.take(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.len())?;
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element_seed(self)? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = pairs.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the key {name:?} stands twice")));
            }
            object.insert(name, pairs.next_value_seed(self)?);
        }
        Ok(object.into())
    }

    /// `!Sub x` becomes `{"Fn::Sub": "x"}`, as CloudFormation reads it.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, content): (String, _) = tagged.variant()?;
        let name = match tag.trim_start_matches('!') {
            plain @ ("Ref" | "Condition") => plain.into(),
            function => format!("Fn::{function}"),
        };
        Ok(Map::from_iter([(name, content.newtype_variant_seed(self)?)]).into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_is_read_as_cloudformation_reads_it() {
        for (text, value) in [
            ("", json!(null)),
            ("a: !Sub x\nb: !If [c, 1, 1.5]\n", json!({"a": {"Fn::Sub": "x"}, "b": {"Fn::If": ["c", 1, 1.5]}})),
            ("? 2012-10-17\n: !Ref y\n1: [true, ~]\n", json!({"2012-10-17": {"Ref": "y"}, "1": [true, null]})),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_named() {
        for text in ["{\"a\": {\"source\": [],\n \"source\": []}}", "a:\n  source: []\n  source: []\n"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("the key \"source\" stands twice") && error.contains("line"), "{error}");
        }
    }

    #[test]
    fn neither_depth_nor_aliases_take_long() {
        for one in ["[", "{a: ", "- ", "? "] {
            let deep = format!("a:\n  {}", one.repeat(100_000));
            assert!(parse(&deep).is_err(), "{one}");
        }
        let aliases = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(10_000), "*a, ".repeat(10_000));
        assert!(parse(&aliases).unwrap_err().contains("aliases"));
    }
}
