//! What leases and stores rely upon in DynamoDB.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
};
use futures::future::join_all;

use crate::worlds::refused;

type Item = HashMap<String, AttributeValue>;

/// A table of one check, with the key `k`.
#[derive(Clone)]
struct Table {
    client: Client,
    name: &'static str,
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

fn create(
    client: &Client,
    name: &str,
) -> aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder {
    let definition = AttributeDefinition::builder().attribute_name("k").attribute_type(ScalarAttributeType::S);
    let element = KeySchemaElement::builder().attribute_name("k").key_type(KeyType::Hash);
    let create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    create.attribute_definitions(definition.build().unwrap()).key_schema(element.build().unwrap())
}

impl Table {
    async fn new(client: Client, name: &'static str) -> Self {
        create(&client, name).send().await.unwrap();
        for _ in 0..200 {
            let described = client.describe_table().table_name(name).send().await.unwrap();
            if described.table.unwrap().table_status.unwrap().as_str() == "ACTIVE" {
                return Self { client, name };
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the table does not become active")
    }

    async fn put(&self, item: Item) {
        self.client.put_item().table_name(self.name).set_item(Some(item)).send().await.unwrap();
    }

    async fn get(&self, key: &str) -> Option<Item> {
        let get = self.client.get_item().table_name(self.name).key("k", s(key)).consistent_read(true);
        get.send().await.unwrap().item
    }

    fn update(&self, key: &str, expression: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(self.name).key("k", s(key)).update_expression(expression)
    }
}

pub(crate) async fn one_of_eight_creates_an_item(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    for round in 0..10 {
        let key = round.to_string();
        let races = (0..8).map(|racer| {
            let put = table.client.put_item().table_name(name).item("k", s(&key)).item("racer", n(racer));
            tokio::spawn(put.condition_expression("attribute_not_exists(k)").send())
        });
        let outcomes = join_all(races).await.into_iter().map(Result::unwrap);
        let won: Vec<_> = (0..).zip(outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(racer, _)| racer).collect();
        assert_eq!(won.len(), 1, "in round {round}");
        assert_eq!(table.get(&key).await.unwrap()["racer"], n(won[0]));
    }
}

pub(crate) async fn no_update_is_lost_among_eight_writers(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    table.put(item([("k", s("a")), ("counter", n(0)), ("sum", n(0))])).await;
    let writers = (0..8).map(|_| {
        let table = table.clone();
        tokio::spawn(async move {
            let mut won = 0;
            for _ in 0..10 {
                let seen = table.get("a").await.unwrap()["counter"].as_n().unwrap().parse::<i64>().unwrap();
                let update = table.update("a", "SET #c = :next ADD #s :one").condition_expression("#c = :seen");
                let update = update.expression_attribute_names("#c", "counter").expression_attribute_names("#s", "sum");
                let update = update.expression_attribute_values(":seen", n(seen));
                let update = update.expression_attribute_values(":next", n(seen + 1));
                match update.expression_attribute_values(":one", n(1)).send().await {
                    Ok(_) => won += 1,
                    failed => assert_eq!(refused(failed), "ConditionalCheckFailedException"),
                }
            }
            won
        })
    });
    let won: i64 = join_all(writers).await.into_iter().map(Result::unwrap).sum();
    let row = table.get("a").await.unwrap();
    assert_eq!((&row["counter"], &row["sum"]), (&n(won), &n(won)));
}

pub(crate) async fn a_failed_condition_shows_the_old_item(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    let row = item([("k", s("a")), ("leaseCounter", n(3)), ("leaseOwner", s("me"))]);
    table.put(row.clone()).await;
    for (key, old) in [("a", Some(row.clone())), ("missing", None)] {
        let update = table.update(key, "SET leaseCounter = :next").condition_expression("leaseCounter = :seen");
        let update = update.expression_attribute_values(":seen", n(2)).expression_attribute_values(":next", n(3));
        let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let UpdateItemError::ConditionalCheckFailedException(failed) =
            update.send().await.unwrap_err().into_service_error()
        else {
            panic!("another error")
        };
        assert_eq!(failed.item, old);
    }
    assert_eq!(table.get("a").await, Some(row));
}

pub(crate) async fn conditions_hold_or_fail(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    table.put(item([("k", s("a")), ("ten", n(10)), ("me", s("me"))])).await;
    for (condition, holds) in [
        ("ten > :nine", true),
        ("ten < :nine OR me = :nine", false),
        ("absent <> :nine", true),
        ("absent = :nine", false),
        ("NOT absent = :nine", true),
        ("attribute_not_exists(absent) AND (ten = :nine OR ten >= :nine)", true),
        ("attribute_exists(ten) AND NOT (ten <= :nine OR ten = :nine)", true),
        ("ten > :nine AND attribute_exists(absent) OR me = :nine", false),
    ] {
        let update = table.update("a", "SET seen = :nine").condition_expression(condition);
        let outcome = update.expression_attribute_values(":nine", n(9)).send().await;
        let expected = if holds { "accepted" } else { "ConditionalCheckFailedException" };
        assert_eq!(refused(outcome), expected, "{condition}");
    }
}

pub(crate) async fn an_update_sees_the_item_as_it_was(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    table.put(item([("k", s("a")), ("c", n(1)), ("gone", s("x")), ("kept", s("y"))])).await;
    let update = table.update(
        "a",
        "SET c = c + :one, earlier = c, kept = if_not_exists(kept, :me), fresh = if_not_exists(fresh, :me) \
         REMOVE gone, absent ADD switches :one",
    );
    let update = update.expression_attribute_values(":one", n(1)).expression_attribute_values(":me", s("me"));
    let new = update.return_values(ReturnValue::AllNew).send().await.unwrap().attributes.unwrap();
    let expected =
        item([("k", s("a")), ("c", n(2)), ("earlier", n(1)), ("kept", s("y")), ("fresh", s("me")), ("switches", n(1))]);
    assert_eq!(new, expected);
    assert_eq!(table.get("a").await, Some(expected));
}

pub(crate) async fn an_update_makes_a_missing_item(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    let update = table.update("new", "SET c = :v ADD d :v").expression_attribute_values(":v", n(5));
    update.send().await.unwrap();
    assert_eq!(table.get("new").await, Some(item([("k", s("new")), ("c", n(5)), ("d", n(5))])));
}

pub(crate) async fn writes_return_what_was_asked_for(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    let row = item([("k", s("a")), ("c", n(1)), ("d", n(7))]);
    table.put(row.clone()).await;
    let with_two = item([("k", s("a")), ("c", n(2)), ("d", n(7))]);
    for (values, expected) in [
        (ReturnValue::None, None),
        (ReturnValue::AllOld, Some(row.clone())),
        (ReturnValue::AllNew, Some(with_two)),
        (ReturnValue::UpdatedOld, Some(item([("c", n(1))]))),
        (ReturnValue::UpdatedNew, Some(item([("c", n(2))]))),
    ] {
        table.put(row.clone()).await;
        let update = table.update("a", "SET c = :two").expression_attribute_values(":two", n(2));
        let returned = update.return_values(values.clone()).send().await.unwrap().attributes;
        assert_eq!(returned, expected, "{values:?}");
    }
}

pub(crate) async fn a_delete_on_condition(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    let row = item([("k", s("a")), ("c", n(1))]);
    table.put(row.clone()).await;
    let delete = |seen| {
        let delete = table.client.delete_item().table_name(name).key("k", s("a")).condition_expression("c = :seen");
        delete.expression_attribute_values(":seen", n(seen)).return_values(ReturnValue::AllOld).send()
    };
    assert_eq!(refused(delete(2).await), "ConditionalCheckFailedException");
    assert_eq!(delete(1).await.unwrap().attributes, Some(row));
    assert_eq!(table.get("a").await, None);
}

pub(crate) async fn a_scan_comes_in_pages(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    let keys: BTreeSet<String> = (0..20).map(|number| number.to_string()).collect();
    for key in &keys {
        table.put(item([("k", s(key))])).await;
    }
    let (mut seen, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let scan = table.client.scan().table_name(name).limit(7).set_exclusive_start_key(from).consistent_read(true);
        let page = scan.send().await.unwrap();
        assert!(page.items().len() <= 7);
        seen.extend(page.items().iter().map(|item| item["k"].as_s().unwrap().clone()));
        pages += 1;
        from = page.last_evaluated_key;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (3, 20));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), keys);
}

pub(crate) async fn what_is_missing_is_not_found(client: Client, name: &'static str) {
    let codes = [
        refused(client.describe_table().table_name(name).send().await),
        refused(client.scan().table_name(name).send().await),
        refused(client.get_item().table_name(name).key("k", s("a")).send().await),
        refused(client.put_item().table_name(name).item("k", s("a")).send().await),
    ];
    assert!(codes.iter().all(|code| code == "ResourceNotFoundException"), "{codes:?}");
}

pub(crate) async fn a_table_is_made_once(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    assert_eq!(refused(create(&table.client, name).send().await), "ResourceInUseException");
}

pub(crate) async fn wrong_expressions_are_refused(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    table.put(item([("k", s("a")), ("text", s("x"))])).await;
    for expression in [
        "SET k = :v",
        "SET a = :w",
        "SET #a = :v",
        "REMOVE a",
        "SET c = absent, d = :v",
        "SET c = text + :v",
        "ADD text :v",
    ] {
        let update = table.update("a", expression).expression_attribute_values(":v", n(1)).send().await;
        assert_eq!(refused(update), "ValidationException", "{expression}");
    }
}

pub(crate) async fn a_malformed_update_is_refused(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    for expression in ["SET a = :v, a = :v", "SET a :v"] {
        let update = table.update("a", expression).expression_attribute_values(":v", n(1)).send().await;
        assert_eq!(refused(update), "ValidationException", "{expression}");
    }
}

pub(crate) async fn a_reserved_word_is_refused(client: Client, name: &'static str) {
    let table = Table::new(client, name).await;
    let update = table.update("a", "SET owner = :v").expression_attribute_values(":v", n(1)).send().await;
    assert_eq!(refused(update), "ValidationException");
}
