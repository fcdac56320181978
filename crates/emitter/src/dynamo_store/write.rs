//! Conditional writes of one or several items, and what became of them.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::call::{TRIES, Table, pause};
use super::fault::is_passing;
use super::item::{Item, PK, WRITE, string, text};
use crate::store::StoreError;

/// One item's write, on the condition that the item is as it was seen: attribute by attribute, so that what newer builds
/// keep there survives.
#[derive(Clone, Debug)]
pub(super) struct Change {
    key: Item,
    write: String,
    condition: String,
    set: Vec<String>,
    remove: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

/// What became of writes that land together or not at all.
#[derive(Debug)]
pub(super) enum Outcome {
    Landed,
    /// Beside each write: what refused it.
    Refused(Vec<Refusal>),
}

/// Why one write did not land.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Others of its transaction were refused.
    None,
    /// The item is another one.
    Moved(Item),
    /// There is no such item.
    Gone,
}

impl Change {
    /// A write that will be known as `write`, to an item that was last written as `seen`, or does not exist.
    pub(super) fn new(key: Item, write: &str, seen: Option<&str>) -> Self {
        match seen {
            Some(seen) => Self::on(key, write, (WRITE, string(seen))),
            None => {
                let mut change = Self::under(key, write, format!("attribute_not_exists(#{PK})"));
                change.names.insert(format!("#{PK}"), PK.into());
                change
            }
        }
    }

    /// A write to an item whose attribute has this value.
    pub(super) fn on(key: Item, write: &str, (name, value): (&str, AttributeValue)) -> Self {
        let mut change = Self::under(key, write, format!("#{name} = :seen"));
        change.names.insert(format!("#{name}"), name.to_owned());
        change.values.insert(":seen".into(), value);
        change
    }

    fn under(key: Item, write: &str, condition: String) -> Self {
        let (names, values) = (HashMap::new(), HashMap::new());
        let mut change =
            Self { key, write: write.to_owned(), condition, set: Vec::new(), remove: Vec::new(), names, values };
        change.set(WRITE, string(write));
        change
    }

    /// Attributes always go by a placeholder, since the reserved words grow.
    pub(super) fn set(&mut self, name: &str, value: AttributeValue) {
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
        self.set.push(format!("#{name} = :{name}"));
    }

    pub(super) fn set_or_remove(&mut self, name: &str, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.set(name, value),
            None => {
                self.names.insert(format!("#{name}"), name.to_owned());
                self.remove.push(format!("#{name}"));
            }
        }
    }

    fn expression(&self) -> String {
        let mut expression = format!("SET {}", self.set.join(", "));
        if !self.remove.is_empty() {
            expression = format!("{expression} REMOVE {}", self.remove.join(", "));
        }
        expression
    }

    fn action(&self, table: &str) -> TransactWriteItem {
        let update = Update::builder().table_name(table).set_key(Some(self.key.clone()));
        let update = update.update_expression(self.expression()).condition_expression(&self.condition);
        let update = update.set_expression_attribute_names(Some(self.names.clone()));
        let update = update.set_expression_attribute_values(Some(self.values.clone()));
        let told = ReturnValuesOnConditionCheckFailure::AllOld;
        let update = update.return_values_on_condition_check_failure(told).build();
        TransactWriteItem::builder().update(update.expect("key, expression and table are set")).build()
    }
}

impl Table {
    /// Writes all of them or none. An answer that was lost is asked for again: a refusal by one's own write is none.
    pub(super) async fn write(&self, changes: &[Change], what: &str) -> Result<Outcome, StoreError> {
        let refusals = match changes {
            [change] => self.update(change, what).await?.map(|refusal| vec![refusal]),
            _ => self.transact(changes, what).await?,
        };
        let Some(refusals) = refusals else { return Ok(Outcome::Landed) };
        let is_own = |(change, refusal): (&Change, &Refusal)| match refusal {
            Refusal::Moved(item) => text(item, WRITE) == Some(&change.write),
            Refusal::None | Refusal::Gone => false,
        };
        match changes.iter().zip(&refusals).any(is_own) {
            true => Ok(Outcome::Landed),
            false => Ok(Outcome::Refused(refusals)),
        }
    }

    async fn update(&self, change: &Change, what: &str) -> Result<Option<Refusal>, StoreError> {
        let told = ReturnValuesOnConditionCheckFailure::AllOld;
        let send = || {
            let update = self.client.update_item().table_name(&self.name).set_key(Some(change.key.clone()));
            let update = update.update_expression(change.expression()).condition_expression(&change.condition);
            let update = update.set_expression_attribute_names(Some(change.names.clone()));
            let update = update.set_expression_attribute_values(Some(change.values.clone()));
            update.return_values_on_condition_check_failure(told.clone()).send()
        };
        match self
            .call(send)
            .await
            .map_err(|error| (self.failed(&error, what, "UpdateItem"), error.into_service_error()))
        {
            Ok(_) => Ok(None),
            Err((_, UpdateItemError::ConditionalCheckFailedException(refusal))) => {
                self.refusal(change, refusal.item).await.map(Some)
            }
            Err((failed, _)) => Err(failed),
        }
    }

    async fn transact(&self, changes: &[Change], what: &str) -> Result<Option<Vec<Refusal>>, StoreError> {
        let mut tries = 0;
        loop {
            let actions: Vec<_> = changes.iter().map(|change| change.action(&self.name)).collect();
            let send = || self.client.transact_write_items().set_transact_items(Some(actions.clone())).send();
            let done = self.call(send).await;
            // A transaction asks for the permissions of its parts.
            let told = done.map_err(|error| (self.failed(&error, what, "UpdateItem"), error.into_service_error()));
            let reasons = match told {
                Ok(_) => return Ok(None),
                Err((_, TransactWriteItemsError::TransactionCanceledException(cancelled))) => {
                    cancelled.cancellation_reasons.unwrap_or_default()
                }
                Err((failed, _)) => return Err(failed),
            };
            let code = |reason: &CancellationReason| reason.code.clone().unwrap_or_default();
            if reasons.iter().any(|reason| code(reason) == "ConditionalCheckFailed") {
                return self.refusals(changes, reasons).await.map(Some);
            }
            tries += 1;
            let passes = |code: &str| is_passing(code) || is_passing(&format!("{code}Exception"));
            if tries == TRIES || !reasons.iter().any(|reason| passes(&code(reason))) {
                let why = reasons.iter().map(|reason| format!("{}: {}", code(reason), reason.message().unwrap_or("-")));
                let why = format!("{what}: the transaction was cancelled ({})", why.collect::<Vec<_>>().join("; "));
                return Err(match tries == TRIES {
                    true => self.unavailable(&why),
                    false => StoreError::Unusable(format!("state store dynamodb:{}: {why}", self.name)),
                });
            }
            pause(tries).await;
        }
    }

    async fn refusals(&self, changes: &[Change], reasons: Vec<CancellationReason>) -> Result<Vec<Refusal>, StoreError> {
        let mut refusals = Vec::with_capacity(changes.len());
        for (change, reason) in changes.iter().zip(reasons) {
            refusals.push(match reason.code.as_deref() {
                Some("ConditionalCheckFailed") => self.refusal(change, reason.item).await?,
                _ => Refusal::None,
            });
        }
        Ok(refusals)
    }

    /// What refused a write: as the refusal told it, else as it is now.
    async fn refusal(&self, change: &Change, told: Option<Item>) -> Result<Refusal, StoreError> {
        let found = match told {
            Some(item) if !item.is_empty() => Some(item),
            _ => self.get(change.key.clone(), "read what refused a write").await?,
        };
        Ok(found.map_or(Refusal::Gone, Refusal::Moved))
    }
}
