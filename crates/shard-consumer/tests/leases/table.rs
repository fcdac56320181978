//! A DynamoDB table, looked at and written to past the store.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use serde_json::Value;

use crate::wire::Wire;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) wire: Wire,
    pub(crate) name: String,
}

impl Table {
    /// Makes a table with these keys: the hash key, and perhaps a range key.
    pub(crate) async fn make(&self, name: &str, keys: &[(&str, ScalarAttributeType)]) {
        let mut create = self.client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for ((key, kind), place) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
            let schema = KeySchemaElement::builder().attribute_name(*key).key_type(place).build().unwrap();
            let kind = AttributeDefinition::builder().attribute_name(*key).attribute_type(kind.clone());
            create = create.key_schema(schema).attribute_definitions(kind.build().unwrap());
        }
        create.send().await.unwrap();
    }

    /// Puts an item, given in DynamoDB's own JSON.
    pub(crate) async fn put(&self, item: &Value) {
        self.put_into(&self.name, item).await;
    }

    pub(crate) async fn put_into(&self, table: &str, item: &Value) {
        self.client.put_item().table_name(table).set_item(Some(item_of(item))).send().await.unwrap();
    }

    pub(crate) async fn get(&self, key: &str) -> Item {
        let get = self.client.get_item().table_name(&self.name).consistent_read(true);
        get.key("leaseKey", AttributeValue::S(key.into())).send().await.unwrap().item.unwrap()
    }
}

pub(crate) fn item_of(item: &Value) -> Item {
    item.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value_of(value))).collect()
}

fn value_of(value: &Value) -> AttributeValue {
    let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
    let text = || value.as_str().unwrap().to_owned();
    let texts = || value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
    match kind.as_str() {
        "S" => AttributeValue::S(text()),
        "N" => AttributeValue::N(text()),
        "B" => AttributeValue::B(text().into_bytes().into()),
        "SS" => AttributeValue::Ss(texts()),
        "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
        "L" => AttributeValue::L(value.as_array().unwrap().iter().map(value_of).collect()),
        "M" => AttributeValue::M(item_of(value)),
        other => panic!("no value of the type {other}"),
    }
}
