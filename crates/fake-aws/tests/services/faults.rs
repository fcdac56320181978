//! What goes wrong on demand.

use std::time::Duration;

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::{AttributeDefinition, AttributeValue, KeySchemaElement, KeyType, ScalarAttributeType};
use fake_aws::{FakeAws, Fault};
use tokio::time::Instant;

const TABLE: &str = "t";

/// A table with one item, and a client with neither patience nor repeats.
async fn world() -> (FakeAws, aws_sdk_dynamodb::Client) {
    let fake = FakeAws::new();
    let client = super::dynamodb(&fake, "worker");
    let definition = AttributeDefinition::builder().attribute_name("k").attribute_type(ScalarAttributeType::S);
    let element = KeySchemaElement::builder().attribute_name("k").key_type(KeyType::Hash);
    let create = client.create_table().table_name(TABLE).attribute_definitions(definition.build().unwrap());
    create.key_schema(element.build().unwrap()).send().await.unwrap();
    let config = client.config().to_builder();
    let config = config
        .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().read_timeout(Duration::from_secs(2)).build());
    (fake, aws_sdk_dynamodb::Client::from_conf(config.build()))
}

async fn count(
    client: &aws_sdk_dynamodb::Client,
) -> Result<(), aws_sdk_dynamodb::error::SdkError<impl std::fmt::Debug>> {
    let update = client.update_item().table_name(TABLE).key("k", AttributeValue::S("a".into()));
    let update =
        update.update_expression("ADD n :one").expression_attribute_values(":one", AttributeValue::N("1".into()));
    update.send().await.map(drop)
}

async fn counted(fake: &FakeAws) -> Option<String> {
    let client = super::dynamodb(fake, "judge");
    let got = client.get_item().table_name(TABLE).key("k", AttributeValue::S("a".into())).send().await.unwrap();
    got.item.map(|item| item["n"].as_n().unwrap().clone())
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_what_its_name_says() {
    struct Case {
        fault: Fault,
        /// What the caller has to be told, and after how many seconds.
        told: &'static str,
        after: u64,
        /// Whether the call is done then, and at last.
        done: [bool; 2],
    }
    let cases = [
        Case {
            fault: Fault::Error { status: 500, code: "InternalServerError" },
            told: "ServiceError",
            after: 0,
            done: [false; 2],
        },
        Case { fault: Fault::Reset, told: "DispatchFailure", after: 0, done: [false; 2] },
        Case { fault: Fault::LoseAnswer, told: "DispatchFailure", after: 0, done: [true; 2] },
        Case { fault: Fault::Late(Duration::from_secs(1)), told: "", after: 1, done: [true; 2] },
        Case { fault: Fault::Late(Duration::from_secs(5)), told: "DispatchFailure", after: 2, done: [true; 2] },
        Case { fault: Fault::LateStart(Duration::from_secs(1)), told: "", after: 1, done: [true; 2] },
        Case {
            fault: Fault::LateStart(Duration::from_secs(5)),
            told: "DispatchFailure",
            after: 2,
            done: [false, true],
        },
    ];
    for Case { fault, told, after, done } in cases {
        let (fake, client) = world().await;
        let mut once = Some(fault.clone());
        fake.set_faults(move |call| if call.operation == "UpdateItem" { once.take() } else { None });
        let start = Instant::now();
        let answer = count(&client).await;
        assert_eq!(start.elapsed().as_secs(), after, "{fault:?}");
        let error = answer.err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.starts_with(told) && error.is_empty() == told.is_empty(), "{fault:?}: {error}");
        assert_eq!(counted(&fake).await.is_some(), done[0], "{fault:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(counted(&fake).await.is_some(), done[1], "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_singles_out_one_worker() {
    let (fake, client) = world().await;
    fake.set_faults(|call| (call.caller == "cut-off").then_some(Fault::Reset));
    count(&client).await.unwrap();
    let config = super::dynamodb(&fake, "cut-off").config().to_builder();
    let config = config.retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled());
    assert!(count(&aws_sdk_dynamodb::Client::from_conf(config.build())).await.is_err());
    assert_eq!(counted(&fake).await.as_deref(), Some("1"));
    let callers: Vec<_> = fake.asked("UpdateItem").into_iter().map(|call| call.caller).collect();
    assert_eq!(callers, ["worker", "cut-off"]);
    assert_eq!(fake.asked("UpdateItem")[0].input["TableName"], TABLE);
}

#[tokio::test(start_paused = true)]
async fn reads_beyond_the_limits_of_a_shard_are_refused() {
    let fake = FakeAws::new();
    let client = super::kinesis(&fake, "reader");
    let config = client.config().to_builder().retry_config(aws_sdk_kinesis::config::retry::RetryConfig::disabled());
    let client = aws_sdk_kinesis::Client::from_conf(config.build());
    client.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
    let get = client.get_shard_iterator().stream_name("s").shard_id("shardId-000000000000");
    let get = get.shard_iterator_type(aws_sdk_kinesis::types::ShardIteratorType::TrimHorizon).send().await.unwrap();
    let iterator = get.shard_iterator.unwrap();
    let read = async |limit| match client.get_records().shard_iterator(&iterator).limit(limit).send().await {
        Ok(read) => Some(read.records.len()),
        Err(error) => {
            let error = error.into_service_error();
            assert!(error.is_provisioned_throughput_exceeded_exception(), "{error:?}");
            None
        }
    };
    fake.enforce_limits(true);
    for _ in 0..5 {
        assert_eq!(read(1).await, Some(0));
    }
    assert_eq!(read(1).await, None);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(read(1).await, Some(0));

    // 10 MiB in one answer are paid for with 5 s without any.
    for _ in 0..20 {
        let put = client.put_record().stream_name("s").partition_key("p");
        put.data(aws_sdk_kinesis::primitives::Blob::new(vec![0; 1024 * 512 - 1])).send().await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(read(20).await, Some(20));
    tokio::time::advance(Duration::from_millis(4990)).await;
    assert_eq!(read(1).await, None);
    tokio::time::advance(Duration::from_millis(10)).await;
    assert_eq!(read(2).await, Some(2));
    fake.enforce_limits(false);
    for _ in 0..6 {
        assert_eq!(read(20).await, Some(20));
    }
}
