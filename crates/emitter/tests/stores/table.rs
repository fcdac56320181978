//! Opening the table.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use emitter::{DynamoStore, StateStore, StoreError};
use futures::future::join_all;

use crate::support::{NOW, create, id, listed, mark};
use crate::wire::Fault;
use crate::world::{Table, of, row, save, sink};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_start_at_once_make_the_table_once_and_agree_on_its_generation() {
    let table = Table::new().await;
    let params = (0..5)
        .map(|worker| emitter::DynamoStoreParams { now_ms: NOW + worker, ..table.params(&format!("w-{worker}")) });
    let stores = join_all(params.map(DynamoStore::open)).await;
    let generations: Vec<i64> = stores.into_iter().map(|store| store.unwrap().generation()).collect();
    assert!(generations.iter().all(|generation| *generation == generations[0]), "{generations:?}");
    let described = table.client.describe_table().table_name(&table.name).send().await.unwrap().table.unwrap();
    assert_eq!(described.billing_mode_summary.unwrap().billing_mode, Some(BillingMode::PayPerRequest));
    assert_eq!(described.global_secondary_indexes.unwrap().len(), 2);
}

#[tokio::test]
async fn a_table_that_is_no_state_table_is_refused_with_the_mend() {
    for keys in [&["leaseKey"][..], &["pk", "sk"]] {
        let table = Table::new().await;
        let mut made = table.client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
        for (key, kind) in keys.iter().zip([KeyType::Hash, KeyType::Range]) {
            made = made.key_schema(KeySchemaElement::builder().attribute_name(*key).key_type(kind).build().unwrap());
            let defined = AttributeDefinition::builder().attribute_name(*key).attribute_type(ScalarAttributeType::S);
            made = made.attribute_definitions(defined.build().unwrap());
        }
        made.send().await.unwrap();
        let error = DynamoStore::open(table.params("worker")).await.unwrap_err();
        assert!(!error.is_transient());
        let (error, what) =
            (error.to_string(), if keys.len() == 1 { "its key is leaseKey (S)" } else { "pending is missing" });
        assert!(error.contains(&table.name) && error.contains(what) && error.contains("name another table"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[tokio::test]
async fn a_table_of_a_newer_build_is_refused() {
    let table = Table::new().await;
    table.open("worker").await;
    let key = |text: &str| AttributeValue::S(text.into());
    let update =
        table.client.update_item().table_name(&table.name).key("pk", key("store")).key("sk", key("generation"));
    let update = update.update_expression("SET #schema = :schema").expression_attribute_names("#schema", "schema");
    update.expression_attribute_values(":schema", AttributeValue::N("99".into())).send().await.unwrap();
    let error = DynamoStore::open(table.params("worker")).await.unwrap_err();
    assert!(matches!(&error, StoreError::Newer { what } if what.contains(&table.name)), "{error}");
}

#[tokio::test]
async fn a_denied_access_names_the_operation_and_the_permission() {
    let table = Table::new().await;
    table.wire.fail("CreateTable", Fault::Deny);
    let error = DynamoStore::open(table.params("worker")).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("dynamodb:CreateTable"), "{error}");
    table.wire.mend();
    let store = table.open("worker").await;
    table.wire.fail("BatchGetItem", Fault::Deny);
    let error = store.load(&[id("app")]).await.unwrap_err();
    assert!(error.is_transient(), "a policy may be mended while the service waits");
    let error = error.to_string();
    assert!(
        error.contains("load rows") && error.contains("dynamodb:BatchGetItem") && error.contains(&table.name),
        "{error}"
    );
}

#[tokio::test]
async fn a_fifth_sink_is_refused_with_the_mend_and_a_forgotten_one_makes_room() {
    let table = Table::new().await;
    let store = table.open("worker").await;
    let add = async |name: &str| store.add_sinks(&[listed(name, "one")], NOW).await;
    for name in ["a", "b", "c", "d"] {
        add(name).await.unwrap();
    }
    let error = add("e").await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("republish --forget"), "{error}");
    save(&store, of("app", 0, &[create("app", 1)], Some(mark(NOW)))).await;
    store.forget_sink(&sink("b")).await.unwrap();
    add("e").await.unwrap();
    let marks = row(&store, &id("app")).await.marks;
    assert_eq!(marks.keys().map(emitter::SinkName::as_str).collect::<Vec<_>>(), ["a", "c", "d", "e"]);
    for name in ["a", "c", "d", "e"] {
        assert_eq!(store.backlog(&sink(name)).await.unwrap().rows, 1, "{name}");
    }
}
