//! DynamoDB: tables, and the operations on them.

mod condition;
mod expression;
mod items;
mod number;
mod reserved;
mod table;
mod tokens;
mod update;
mod value;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::Now;
use crate::protocol::{Failure, Input};
use table::Table;

pub(crate) struct DynamoDb {
    /// So many items in a page of a scan.
    pub(crate) scan_page: usize,
    tables: BTreeMap<String, Table>,
}

impl Default for DynamoDb {
    fn default() -> Self {
        Self { scan_page: usize::MAX, tables: BTreeMap::new() }
    }
}

impl DynamoDb {
    pub(crate) fn answer(&mut self, operation: &str, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        match operation {
            "CreateTable" => self.create_table(input, now),
            "DescribeTable" => self.describe_table(input),
            "DeleteTable" => self.delete_table(input),
            "GetItem" => self.get_item(input),
            "PutItem" => self.put_item(input),
            "UpdateItem" => self.update_item(input),
            "DeleteItem" => self.delete_item(input),
            "Scan" => self.scan(input),
            _ => Err(Failure::new("UnknownOperationException", format!("fake-aws does not know {operation}"))),
        }
    }

    fn create_table(&mut self, input: Input<'_>, now: Now) -> Result<Value, Failure> {
        let settings = ["BillingMode", "ProvisionedThroughput", "DeletionProtectionEnabled", "TableClass", "Tags"];
        input.only(&[&["TableName", "AttributeDefinitions", "KeySchema"], settings.as_slice()].concat())?;
        let name = input.needed_text("TableName")?;
        if self.tables.contains_key(name) {
            return Err(Failure::new("ResourceInUseException", format!("Table already exists: {name}")));
        }
        let table = Table::new(input, now.ms)?;
        let described = table.describe("CREATING");
        self.tables.insert(name.into(), table);
        Ok(json!({ "TableDescription": described }))
    }

    fn describe_table(&self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["TableName"])?;
        Ok(json!({ "Table": self.table(input)?.describe("ACTIVE") }))
    }

    fn delete_table(&mut self, input: Input<'_>) -> Result<Value, Failure> {
        input.only(&["TableName"])?;
        let name = input.needed_text("TableName")?;
        let table = self.tables.remove(name).ok_or_else(|| unknown_table(name))?;
        Ok(json!({ "TableDescription": table.describe("DELETING") }))
    }

    fn table(&self, input: Input<'_>) -> Result<&Table, Failure> {
        let name = input.needed_text("TableName")?;
        self.tables.get(name).ok_or_else(|| unknown_table(name))
    }

    fn table_mut(&mut self, input: Input<'_>) -> Result<&mut Table, Failure> {
        let name = input.needed_text("TableName")?;
        self.tables.get_mut(name).ok_or_else(|| unknown_table(name))
    }
}

fn unknown_table(name: &str) -> Failure {
    Failure::new("ResourceNotFoundException", format!("Requested resource not found: Table: {name} not found"))
}
