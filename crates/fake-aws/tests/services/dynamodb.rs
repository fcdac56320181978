//! Tables, conditions and updates.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ReturnValue,
    ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
};
use fake_aws::FakeAws;

const TABLE: &str = "leases";

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: &str) -> AttributeValue {
    AttributeValue::N(number.into())
}

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> HashMap<String, AttributeValue> {
    attributes.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

async fn create(client: &Client, table: &str, keys: &[(&str, KeyType, ScalarAttributeType)]) {
    let mut create = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, key, kind) in keys {
        let definition = AttributeDefinition::builder().attribute_name(*name).attribute_type(kind.clone());
        create = create.attribute_definitions(definition.build().unwrap());
        let element = KeySchemaElement::builder().attribute_name(*name).key_type(key.clone());
        create = create.key_schema(element.build().unwrap());
    }
    create.send().await.unwrap();
}

async fn world() -> (FakeAws, Client) {
    let fake = FakeAws::new();
    let client = super::dynamodb(&fake, "worker");
    create(&client, TABLE, &[("leaseKey", KeyType::Hash, ScalarAttributeType::S)]).await;
    (fake, client)
}

#[tokio::test(start_paused = true)]
async fn an_item_is_put_read_and_deleted_with_all_of_its_types() {
    let (_fake, client) = world().await;
    let all = item([
        ("leaseKey", s("a")),
        ("n", n("3.25")),
        ("b", AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new([0, 255]))),
        ("ss", AttributeValue::Ss(vec!["x".into(), "y".into()])),
        ("bool", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null(true)),
        ("l", AttributeValue::L(vec![n("1"), s("")])),
        ("m", AttributeValue::M(item([("inner", n("-7"))]))),
    ]);
    client.put_item().table_name(TABLE).set_item(Some(all.clone())).send().await.unwrap();
    let got = client.get_item().table_name(TABLE).key("leaseKey", s("a")).send().await.unwrap();
    assert_eq!(got.item, Some(all.clone()));
    let gone = client.delete_item().table_name(TABLE).key("leaseKey", s("a")).return_values(ReturnValue::AllOld);
    assert_eq!(gone.send().await.unwrap().attributes, Some(all));
    let got = client.get_item().table_name(TABLE).key("leaseKey", s("a")).send().await.unwrap();
    assert_eq!(got.item, None);
}

#[tokio::test(start_paused = true)]
async fn a_failed_condition_changes_nothing_and_shows_the_item() {
    let (_fake, client) = world().await;
    let put = || client.put_item().table_name(TABLE).condition_expression("attribute_not_exists(leaseKey)");
    let row = item([("leaseKey", s("a")), ("leaseCounter", n("1"))]);
    put().set_item(Some(row.clone())).send().await.unwrap();
    let error = put().item("leaseKey", s("a")).send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");

    let update = client.update_item().table_name(TABLE).key("leaseKey", s("a"));
    let update = update.update_expression("SET leaseCounter = :n").condition_expression("leaseCounter = :c");
    let update = update.expression_attribute_values(":c", n("7")).expression_attribute_values(":n", n("8"));
    let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = update.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(failed.item, Some(row.clone()));
    let got = client.get_item().table_name(TABLE).key("leaseKey", s("a")).send().await.unwrap();
    assert_eq!(got.item, Some(row));
}

#[tokio::test(start_paused = true)]
async fn conditions_are_judged_as_they_read() {
    let (_fake, client) = world().await;
    let row = item([("leaseKey", s("a")), ("leaseOwner", s("me")), ("n", n("10")), ("m", n("9.0"))]);
    client.put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
    let conditions = [
        ("n > :nine", true),
        ("n >= :ten AND n <= :ten AND NOT n < :ten", true),
        ("m = :nine", true),
        ("n < m", false),
        ("leaseOwner < :ten", false),
        ("absent <> :ten AND :ten = n AND :nine = m", true),
        ("absent = :ten OR absent < :ten", false),
        ("attribute_exists(n) AND (attribute_not_exists(absent) OR n = :nine)", true),
        ("attribute_exists(absent) OR n = :ten AND n = :nine", false),
        ("NOT (n = :ten AND m = :nine)", false),
    ];
    for (condition, holds) in conditions {
        let mut put = client.update_item().table_name(TABLE).key("leaseKey", s("a")).condition_expression(condition);
        for (name, value) in [(":nine", "9"), (":ten", "10.0")] {
            if condition.contains(name) {
                put = put.expression_attribute_values(name, n(value));
            }
        }
        match put.send().await {
            Ok(_) => assert!(holds, "{condition}"),
            Err(error) => {
                let error = error.into_service_error();
                assert!(error.is_conditional_check_failed_exception() && !holds, "{condition}: {error:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_sees_the_item_as_it_was() {
    let (_fake, client) = world().await;
    let row = item([("leaseKey", s("a")), ("leaseCounter", n("1")), ("old", s("x")), ("kept", s("k"))]);
    client.put_item().table_name(TABLE).set_item(Some(row)).send().await.unwrap();
    let update = client.update_item().table_name(TABLE).key("leaseKey", s("a")).return_values(ReturnValue::AllNew);
    let update = update
        .update_expression(
            "SET leaseCounter = leaseCounter + :one, #owner = :me, seen = leaseCounter, \
             first = if_not_exists(first, :me), kept = if_not_exists(kept, :me) REMOVE #old, absent \
             ADD switches :one",
        )
        .expression_attribute_names("#owner", "leaseOwner")
        .expression_attribute_names("#old", "old")
        .expression_attribute_values(":one", n("1"))
        .expression_attribute_values(":me", s("me"));
    let expected = item([
        ("leaseKey", s("a")),
        ("leaseCounter", n("2")),
        ("leaseOwner", s("me")),
        ("seen", n("1")),
        ("first", s("me")),
        ("kept", s("k")),
        ("switches", n("1")),
    ]);
    // `first` is a reserved word: the service takes it as `#first` only.
    let refused = update.clone().send().await.unwrap_err().into_service_error();
    assert!(refused.message().unwrap().contains("reserved keyword: first"), "{refused:?}");
    let text = update.get_update_expression().clone().unwrap().replace("first", "#first");
    let update = update.update_expression(text).expression_attribute_names("#first", "first");
    assert_eq!(update.send().await.unwrap().attributes, Some(expected));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_is_refused() {
    let (_fake, client) = world().await;
    let updates = [
        ("SET a.b = :v", "fake-aws does not understand '.'"),
        ("SET a = list_append(a, :v)", "does not know the function list_append"),
        ("DELETE a :v", "found DELETE where SET, REMOVE or ADD is needed"),
        ("SET a = :v, a = :v", "overlap"),
        ("SET a = :v SET b = :v", "SET may stand only once"),
        ("SET leaseKey = :v", "part of the key"),
        ("SET c = :v, a = b", "refers to an attribute that does not exist"),
        ("SET a = :v :v", "found :v where SET, REMOVE or ADD is needed"),
        ("SET a = :w", ":w is not in ExpressionAttributeValues"),
        ("REMOVE a", "unused in expressions: keys: {:v}"),
        ("SET a = #a + :v", "#a is not in ExpressionAttributeNames"),
        ("", "can not be empty"),
    ];
    for (expression, expected) in updates {
        let update = client.update_item().table_name(TABLE).key("leaseKey", s("a")).update_expression(expression);
        let error = update.expression_attribute_values(":v", n("1")).send().await.unwrap_err().into_service_error();
        assert_eq!(error.code(), Some("ValidationException"));
        assert!(error.message().unwrap().contains(expected), "{expression}: {error}");
    }
    let scan = client.scan().table_name(TABLE).filter_expression("attribute_exists(a)").send().await;
    let error = scan.unwrap_err().into_service_error();
    assert!(error.message().unwrap().contains("does not know FilterExpression of Scan"), "{error}");
    let error = client.query().table_name(TABLE).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("UnknownOperationException"));
}

#[tokio::test(start_paused = true)]
async fn a_scan_comes_in_pages_and_shows_each_item_once() {
    let (fake, client) = world().await;
    for number in 0..25 {
        client.put_item().table_name(TABLE).item("leaseKey", s(&number.to_string())).send().await.unwrap();
    }
    fake.set_scan_page(10);
    let (mut seen, mut pages, mut from) = (Vec::new(), 0, None);
    loop {
        let page = client.scan().table_name(TABLE).limit(7).set_exclusive_start_key(from).send().await.unwrap();
        seen.extend(page.items().iter().map(|item| item["leaseKey"].as_s().unwrap().parse::<u32>().unwrap()));
        pages += 1;
        from = page.last_evaluated_key;
        if from.is_none() {
            break;
        }
    }
    seen.sort_unstable();
    assert_eq!((pages, seen), (4, (0..25).collect()));
    let page = client.scan().table_name(TABLE).send().await.unwrap();
    assert_eq!((page.count, page.last_evaluated_key.is_some()), (10, true));
}

#[tokio::test(start_paused = true)]
async fn a_range_key_orders_the_items_of_one_hash_key() {
    let (_fake, client) = world().await;
    let keys = [("h", KeyType::Hash, ScalarAttributeType::S), ("r", KeyType::Range, ScalarAttributeType::N)];
    create(&client, "ranged", &keys).await;
    for range in ["10", "9", "-1"] {
        client.put_item().table_name("ranged").item("h", s("x")).item("r", n(range)).send().await.unwrap();
    }
    let scanned = client.scan().table_name("ranged").send().await.unwrap();
    let ranges: Vec<_> = scanned.items().iter().map(|item| item["r"].as_n().unwrap().as_str()).collect();
    assert_eq!(ranges, ["-1", "9", "10"]);
    let error = client.get_item().table_name("ranged").key("h", s("x")).send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn tables_are_found_or_not_and_made_once() {
    let (_fake, client) = world().await;
    let described = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    assert_eq!(described.table_status.unwrap().as_str(), "ACTIVE");
    let error = client.describe_table().table_name("other").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
    let error = client.scan().table_name("other").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
    let definition = AttributeDefinition::builder().attribute_name("k").attribute_type(ScalarAttributeType::S);
    let element = KeySchemaElement::builder().attribute_name("k").key_type(KeyType::Hash);
    let create = client.create_table().table_name(TABLE).attribute_definitions(definition.build().unwrap());
    let error = create.key_schema(element.build().unwrap()).send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_in_use_exception());
}
