//! Reads and writes items.

use serde_json::{Value, json};

use super::DynamoDb;
use super::condition::Condition;
use super::expression::Scope;
use super::table::Key;
use super::update::Update;
use super::value::{self, Item};
use crate::protocol::{Failure, Input};

const WRITE: [&str; 6] = [
    "TableName",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValues",
    "ReturnValuesOnConditionCheckFailure",
];

impl DynamoDb {
    pub(super) fn get_item(&self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["TableName", "Key", "ConsistentRead"])?;
        let table = self.table(input)?;
        let (key, _) = table.key_alone(input.needed("Key", input.map("Key")?)?)?;
        Ok(table.items.get(&key).map_or_else(|| json!({}), |item| json!({ "Item": item })))
    }

    pub(super) fn put_item(&mut self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&[WRITE.as_slice(), &["Item"]].concat())?;
        let returned = returned(input, &["NONE", "ALL_OLD"])?;
        let scope = Scope::of(input)?;
        let condition = condition(input, &scope)?;
        scope.finish()?;
        let table = self.table_mut(input)?;
        let item = value::item(input.needed("Item", input.map("Item")?)?)?;
        let key = table.key(&item)?;
        check(input, condition.as_ref(), table.items.get(&key))?;
        let old = table.items.insert(key, item);
        Ok(attributes(old.filter(|_| returned == "ALL_OLD")))
    }

    pub(super) fn delete_item(&mut self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&[WRITE.as_slice(), &["Key"]].concat())?;
        let returned = returned(input, &["NONE", "ALL_OLD"])?;
        let scope = Scope::of(input)?;
        let condition = condition(input, &scope)?;
        scope.finish()?;
        let table = self.table_mut(input)?;
        let (key, _) = table.key_alone(input.needed("Key", input.map("Key")?)?)?;
        check(input, condition.as_ref(), table.items.get(&key))?;
        let old = table.items.remove(&key);
        Ok(attributes(old.filter(|_| returned == "ALL_OLD")))
    }

    pub(super) fn update_item(&mut self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&[WRITE.as_slice(), &["Key", "UpdateExpression"]].concat())?;
        let returned = returned(input, &["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])?;
        let scope = Scope::of(input)?;
        let condition = condition(input, &scope)?;
        let update = input.text("UpdateExpression")?.map(|text| Update::parse(text, &scope)).transpose()?;
        scope.finish()?;
        let table = self.table_mut(input)?;
        let (key, bare) = table.key_alone(input.needed("Key", input.map("Key")?)?)?;
        let written: Vec<&str> = update.iter().flat_map(Update::attributes).collect();
        if let Some(attribute) = written.iter().find(|attribute| table.is_key(attribute)) {
            let message = format!("Cannot update attribute {attribute}. This attribute is part of the key");
            return Err(Failure::invalid(message));
        }
        let old = table.items.get(&key).cloned();
        check(input, condition.as_ref(), old.as_ref())?;
        let before = old.clone().unwrap_or(bare);
        let new = update.as_ref().map_or_else(|| Ok(before.clone()), |update| update.apply(&before))?;
        let only_written = |item: Item| item.into_iter().filter(|(name, _)| written.contains(&name.as_str())).collect();
        let answer = match returned {
            "ALL_OLD" => old,
            "ALL_NEW" => Some(new.clone()),
            "UPDATED_OLD" => old.map(only_written),
            "UPDATED_NEW" => Some(only_written(new.clone())),
            _ => None,
        };
        table.items.insert(key, new);
        Ok(attributes(answer))
    }

    pub(super) fn scan(&self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["TableName", "Limit", "ExclusiveStartKey", "ConsistentRead"])?;
        let limit = match input.integer("Limit")? {
            None => usize::MAX,
            Some(limit) if limit >= 1 => limit.unsigned_abs() as usize,
            Some(limit) => return Err(Failure::invalid(format!("Limit is {limit}: it has to be 1 or more"))),
        };
        let table = self.table(input)?;
        let after = input.map("ExclusiveStartKey")?.map(|key| table.key_alone(key)).transpose()?;
        let rest: Box<dyn Iterator<Item = (&Key, &Item)>> = match after {
            None => Box::new(table.items.iter()),
            Some((after, _)) => {
                use std::ops::Bound::{Excluded, Unbounded};
                Box::new(table.items.range((Excluded(after), Unbounded)))
            }
        };
        let page = limit.min(self.scan_page);
        let items: Vec<&Item> = rest.take(page).map(|(_, item)| item).collect();
        let mut answer = json!({ "Items": items, "Count": items.len(), "ScannedCount": items.len() });
        // A full page has a key even if nothing comes behind it: the service has not looked.
        if let Some(last) = items.last().filter(|_| items.len() == page) {
            answer["LastEvaluatedKey"] = table.key_of(last);
        }
        Ok(answer)
    }
}

fn condition(input: Input<'_>, scope: &Scope<'_>) -> Result<Option<Condition>, Failure> {
    input.text("ConditionExpression")?.map(|text| Condition::parse(text, scope)).transpose()
}

fn check(input: Input<'_>, condition: Option<&Condition>, item: Option<&Item>) -> Result<(), Failure> {
    let shown = match input.text("ReturnValuesOnConditionCheckFailure")? {
        None | Some("NONE") => None,
        Some("ALL_OLD") => item.map(|item| json!(item)),
        Some(other) => {
            let message = format!("ReturnValuesOnConditionCheckFailure is {other}: it has to be NONE or ALL_OLD");
            return Err(Failure::invalid(message));
        }
    };
    if condition.is_none_or(|condition| condition.holds(item)) {
        return Ok(());
    }
    Err(Failure::new("ConditionalCheckFailedException", "The conditional request failed").with_item(shown))
}

fn returned<'a>(input: Input<'a>, possible: &[&str]) -> Result<&'a str, Failure> {
    let returned = input.text("ReturnValues")?.unwrap_or("NONE");
    if possible.contains(&returned) {
        return Ok(returned);
    }
    Err(Failure::invalid(format!("ReturnValues is {returned}: it has to be one of {}", possible.join(", "))))
}

fn attributes(item: Option<Item>) -> Value {
    item.map_or_else(|| json!({}), |item| json!({ "Attributes": item }))
}
