//! Opening the table: made where it is missing, and refused where it is another one.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, IndexStatus, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TableStatus,
};
use tokio::time::{Instant, sleep};
use tracing::info;

use super::attributes::name;
use super::call::Table;
use super::fault::Fault;
use super::item::{Item, PK, SK, STORE, key, needed, nonce, number, numeral};
use super::write::{Change, Outcome, Refusal};
use crate::row::Generation;
use crate::store::StoreError;

/// Rows pending, by the sinks for which they are, and since when.
pub(super) const PENDING_INDEX: &str = "pending";
/// Rows whose current version a sink rejected.
pub(super) const REJECTED_INDEX: &str = "rejected";

/// Counts up when an earlier build could not keep what is in the table.
const SCHEMA_VERSION: u64 = 1;
/// Making a table takes about ten seconds.
const READY_WITHIN: Duration = Duration::from_secs(60);
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MOST: Duration = Duration::from_secs(2);

/// The keys of the table and of its indexes: attribute and type.
const KEYS: [(&str, &str); 2] = [(PK, "S"), (SK, "S")];
const PENDING_KEYS: [(&str, &str); 2] = [(name::PENDING, "S"), (name::SINCE, "N")];
const REJECTED_KEYS: [(&str, &str); 1] = [(name::REJECTED, "S")];

impl Table {
    /// Waits up to a minute until the table can be used.
    pub(super) async fn open(&self) -> Result<(), StoreError> {
        let until = Instant::now() + READY_WITHIN;
        let mut waits = 0;
        while !self.make_ready().await? {
            if Instant::now() >= until {
                return Err(self.unavailable(&format!("the table was not ready within {} s", READY_WITHIN.as_secs())));
            }
            // Full jitter: many workers start at once.
            sleep(WAIT_MOST.min(WAIT_FIRST * 2_u32.saturating_pow(waits)).mul_f64(fastrand::f64())).await;
            waits += 1;
        }
        Ok(())
    }

    /// When the store was made: at `now_ms`, if nobody has said before.
    pub(super) async fn generation(&self, now_ms: i64) -> Result<Generation, StoreError> {
        let mut change = Change::new(key(STORE, "generation"), &nonce(), None);
        change.set("generation", number(now_ms));
        change.set("schema", number(SCHEMA_VERSION));
        let found = match self.write(&[change], "write the store's generation").await? {
            Outcome::Landed => return Ok(now_ms),
            Outcome::Refused(refusals) => refusals.into_iter().next(),
        };
        let Some(Refusal::Moved(item)) = found else {
            return Err(self.unavailable("the store's generation was removed this moment"));
        };
        self.generation_in(&item)
    }

    /// When the store was made, if anybody has said.
    pub(super) async fn stored_generation(&self) -> Result<Option<Generation>, StoreError> {
        let item = self.get(key(STORE, "generation"), "read the store's generation").await?;
        item.map(|item| self.generation_in(&item)).transpose()
    }

    fn generation_in(&self, item: &Item) -> Result<Generation, StoreError> {
        let schema: u64 = needed(numeral(item, "schema"), item, "schema")?;
        if schema > SCHEMA_VERSION {
            return Err(StoreError::Newer { what: format!("the state store dynamodb:{}", self.name) });
        }
        needed(numeral(item, "generation"), item, "generation")
    }

    /// Does the next step; says whether none was left.
    async fn make_ready(&self) -> Result<bool, StoreError> {
        let look = || self.client.describe_table().table_name(&self.name).send();
        let found = match self.call(look).await.map_err(|error| Fault::of(&error)) {
            Ok(described) => described.table,
            Err(fault) if fault.is("ResourceNotFoundException") => None,
            Err(fault) => return Err(self.not_opened(&fault, "DescribeTable")),
        };
        let Some(found) = found else {
            self.create().await?;
            return Ok(false);
        };
        if !self.is_usable(&found)? {
            return Ok(false);
        }
        self.is_ours(&found)?;
        let indexes = found.global_secondary_indexes().iter();
        Ok(indexes
            .clone()
            .all(|index| matches!(index.index_status, None | Some(IndexStatus::Active | IndexStatus::Updating))))
    }

    async fn create(&self) -> Result<(), StoreError> {
        let unbuilt = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Unusable(error.to_string());
        let mut create = self.client.create_table().table_name(&self.name).billing_mode(BillingMode::PayPerRequest);
        create = create.set_key_schema(Some(schema(&KEYS).map_err(unbuilt)?));
        for (attribute, kind) in KEYS.into_iter().chain(PENDING_KEYS).chain(REJECTED_KEYS) {
            let defined = AttributeDefinition::builder().attribute_name(attribute);
            let defined = defined.attribute_type(ScalarAttributeType::from(kind)).build().map_err(unbuilt)?;
            create = create.attribute_definitions(defined);
        }
        let marks =
            Projection::builder().projection_type(ProjectionType::Include).non_key_attributes(name::MARKS).build();
        let nothing = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        for (index, keys, projection) in
            [(PENDING_INDEX, &PENDING_KEYS[..], marks), (REJECTED_INDEX, &REJECTED_KEYS[..], nothing)]
        {
            let index = GlobalSecondaryIndex::builder().index_name(index).projection(projection);
            let index = index.set_key_schema(Some(schema(keys).map_err(unbuilt)?)).build().map_err(unbuilt)?;
            create = create.global_secondary_indexes(index);
        }
        match self.call(|| create.clone().send()).await.map_err(|error| Fault::of(&error)) {
            Ok(_) => info!(table = self.name, "made the state table"),
            // Another worker was faster, or the answer was lost.
            Err(fault) if fault.is("ResourceInUseException") => {}
            Err(fault) => return Err(self.not_opened(&fault, "CreateTable")),
        }
        Ok(())
    }

    /// Whether the table can be read and written by now.
    fn is_usable(&self, found: &TableDescription) -> Result<bool, StoreError> {
        match &found.table_status {
            None | Some(TableStatus::Active | TableStatus::Updating) => Ok(true),
            Some(TableStatus::Creating | TableStatus::Deleting) => Ok(false),
            Some(other) => Err(StoreError::Unusable(format!(
                "DynamoDB table {} is in the state {other}: restore it or its key, or name another table",
                self.name
            ))),
        }
    }

    fn is_ours(&self, found: &TableDescription) -> Result<(), StoreError> {
        let kind = |name: &str| {
            let mut kinds = found.attribute_definitions().iter();
            kinds.find(|kind| kind.attribute_name == name).map_or("?", |kind| kind.attribute_type.as_str())
        };
        let described = |keys: &[KeySchemaElement]| {
            let keys = keys.iter().map(|key| format!("{} ({})", key.attribute_name, kind(&key.attribute_name)));
            keys.collect::<Vec<_>>().join(" and ")
        };
        let expected = |keys: &[(&str, &str)]| {
            let keys = keys.iter().map(|(attribute, kind)| format!("{attribute} ({kind})"));
            keys.collect::<Vec<_>>().join(" and ")
        };
        let other = |what: &str, is: &str, expected: &str| {
            let name = &self.name;
            Err(StoreError::Unusable(format!(
                "DynamoDB table {name} is no state table: {what} is {is}, not {expected}: name another table, or one that \
                 does not exist yet"
            )))
        };
        let (is, wanted) = (described(found.key_schema()), expected(&KEYS));
        if is != wanted {
            return other("its key", &is, &wanted);
        }
        for (name, keys) in [(PENDING_INDEX, &PENDING_KEYS[..]), (REJECTED_INDEX, &REJECTED_KEYS[..])] {
            let mut indexes = found.global_secondary_indexes().iter();
            let index = indexes.find(|index| index.index_name.as_deref() == Some(name));
            let is = index.map_or_else(|| "missing".into(), |index| described(index.key_schema()));
            if is != expected(keys) {
                return other(&format!("its index {name}"), &is, &expected(keys));
            }
            let projection = index.and_then(|index| index.projection.as_ref());
            let has_marks = projection.is_some_and(|projection| {
                projection.projection_type == Some(ProjectionType::All)
                    || projection.non_key_attributes().iter().any(|attribute| attribute == name::MARKS)
            });
            if name == PENDING_INDEX && !has_marks {
                return other(
                    &format!("the projection of its index {name}"),
                    "without marks",
                    "one that includes marks",
                );
            }
        }
        Ok(())
    }

    /// That the table cannot be opened without a person's help, unless it does not answer.
    fn not_opened(&self, fault: &Fault, operation: &str) -> StoreError {
        if !fault.is_denied() && fault.is_passing() {
            return fault.failed("open the table", operation, &self.name);
        }
        let mend = match fault.is_denied() {
            true => format!("check the credentials, and that they allow dynamodb:{operation} on it"),
            false => "name another table".into(),
        };
        StoreError::Unusable(format!("DynamoDB table {} cannot be used: {mend} ({})", self.name, fault.text()))
    }
}

fn schema(keys: &[(&str, &str)]) -> Result<Vec<KeySchemaElement>, aws_sdk_dynamodb::error::BuildError> {
    let kinds = [KeyType::Hash, KeyType::Range];
    let element = |((attribute, _), kind): (&(&str, &str), KeyType)| {
        KeySchemaElement::builder().attribute_name(*attribute).key_type(kind).build()
    };
    keys.iter().zip(kinds).map(element).collect()
}
