//! Attributes and keys of items.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::store::StoreError;

pub(super) type Item = HashMap<String, AttributeValue>;

/// The table's keys.
pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";

/// The sort key of a resource's row.
pub(super) const STATE: &str = "state";
/// The partition of what belongs to the store as a whole.
pub(super) const STORE: &str = "store";

/// Another one with every write of an item: who is refused learns from it whether it was its own write that landed.
pub(super) const WRITE: &str = "write";

pub(super) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

#[allow(clippy::needless_pass_by_value, reason = "numbers are handed over as they are")]
pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(super) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Item {
    Item::from([(PK.to_owned(), string(pk)), (SK.to_owned(), string(sk))])
}

pub(super) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

pub(super) fn numeral<N: FromStr>(item: &Item, name: &str) -> Option<N> {
    item.get(name).and_then(|value| value.as_n().ok()).and_then(|digits| digits.parse().ok())
}

pub(super) fn blob<'a>(item: &'a Item, name: &str) -> Option<&'a [u8]> {
    item.get(name).and_then(|value| value.as_b().ok()).map(AsRef::as_ref)
}

pub(super) fn map<'a>(item: &'a Item, name: &str) -> Option<&'a Item> {
    item.get(name).and_then(|value| value.as_m().ok())
}

/// An attribute that must be there.
pub(super) fn needed<T>(found: Option<T>, item: &Item, name: &str) -> Result<T, StoreError> {
    let of = |key| text(item, key).unwrap_or("?");
    found.ok_or_else(|| {
        StoreError::Unusable(format!(
            "the item {} / {} of the state store lacks a readable attribute {name}: restore the item, or delete it and \
             replay the trail's files",
            of(PK),
            of(SK)
        ))
    })
}

/// Words that nobody else writes.
pub(super) fn nonce() -> String {
    format!("{:016x}", fastrand::u64(..))
}
