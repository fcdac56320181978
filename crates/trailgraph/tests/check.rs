//! `trailgraph check` on real protocol servers.

#![allow(clippy::unwrap_used, reason = "a test that panics has said what is wrong")]

mod support;

use aws_sdk_kinesis::primitives::Blob;
use support::Sandbox;
use support::buckets::{creations, until_buckets};
use support::proxy::Proxy;
use support::stream::Stream;
use xtask::servers::MinistackServer;

/// A stream and tables, each behind a proxy.
struct World {
    stream: Stream,
    kinesis: Proxy,
    dynamodb: Proxy,
    sandbox: Sandbox,
    ministack: MinistackServer,
}

const TABLES: [&str; 4] = ["--leases", "dynamodb:leases", "--state", "dynamodb:states"];

impl World {
    async fn start() -> Self {
        let ministack = tokio::task::spawn_blocking(MinistackServer::start).await.unwrap().unwrap();
        let mut stream = Stream::start(2).await;
        let (kinesis, dynamodb) = (Proxy::before(stream.endpoint()).await, Proxy::before(ministack.endpoint()).await);
        stream.more.push(("AWS_ENDPOINT_URL_KINESIS", kinesis.endpoint()));
        stream.more.push(("AWS_ENDPOINT_URL_DYNAMODB", dynamodb.endpoint()));
        Self { stream, kinesis, dynamodb, sandbox: Sandbox::new(), ministack }
    }

    /// The exit code and all that was said.
    async fn check(&self, flags: &[&str]) -> (Option<i32>, String) {
        let arguments = [&["check", "--permit-any"][..], flags].concat();
        let mut command = self.stream.command(&self.sandbox, &arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    }

    fn dynamodb_client(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::v2026_01_12())
            .credentials_provider(aws_sdk_dynamodb::config::Credentials::new("test", "test", None, None, "test"))
            .region(aws_sdk_dynamodb::config::Region::new("us-east-1"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .endpoint_url(self.ministack.endpoint());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    async fn run_once(&mut self) {
        let service = self.stream.serve(&self.sandbox, &[&TABLES[..], &["--flush-after", "200ms"]].concat());
        self.stream.put(&creations(0..8)).await;
        until_buckets(&self.sandbox, 8).await;
        assert_eq!(service.stop("-TERM").0, Some(0));
    }
}

/// The state table, with the keys alone: what is read of an empty one.
async fn make_states(client: &aws_sdk_dynamodb::Client) {
    use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
    let mut table = client.create_table().table_name("states").billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        let defined = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        table = table.key_schema(key).attribute_definitions(defined.build().unwrap());
    }
    table.send().await.unwrap();
}

fn assert_lines(said: &str, expected: &[&str]) {
    for (line, begins) in said.lines().zip(expected) {
        assert!(line.starts_with(begins), "{begins:?} in\n{said}");
    }
    assert!(said.lines().count() >= expected.len(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_before_the_first_run_tells_what_is_there_and_makes_nothing() {
    let world = World::start().await;
    let (code, said) = world.check(&[&["--stream", "cloudtrail"], &TABLES[..]].concat()).await;
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert_lines(
        &said,
        &[
            "ok      permit: every account",
            "ok      stream cloudtrail: 2 open shards, keeps records for 24 h",
            "note    partition keys: nothing has come within 60 minutes",
            "ok      clock: within a few seconds of the service's",
            "note    leases dynamodb:leases: the table is not there yet: the first run makes it",
            "note    state dynamodb:states: the table is not there yet",
            "note    graph sqlite:/",
            "ok      dead letters file:dead-letters.jsonl: can be written",
        ],
    );
    let wrote = |action: &str| !["DescribeTable", "GetItem"].iter().any(|reads| action.ends_with(reads));
    let calls = world.dynamodb.calls();
    assert!(!calls.is_empty() && !calls.iter().any(|call| wrote(&call.action)), "{calls:?}");
    assert!(!world.sandbox.path("trailgraph.db").exists());

    // Tables as the template makes them: there, and empty.
    let made = world.dynamodb_client();
    make_states(&made).await;
    let (code, said) = world.check(&[&["--stream", "cloudtrail"], &TABLES[..]].concat()).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok      state dynamodb:states: empty: the first run begins it"), "{said}");
    assert_eq!(made.scan().table_name("states").send().await.unwrap().count(), 0, "nothing is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_of_what_runs_says_of_each_part_how_it_stands() {
    let mut world = World::start().await;
    world.run_once().await;
    let flags = [&["--stream", "cloudtrail"], &TABLES[..]].concat();
    let (code, said) = world.check(&flags).await;
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert_lines(
        &said,
        &[
            "ok      permit: every account",
            "ok      stream cloudtrail: 2 open shards",
            "ok      partition keys: each of 8 events of the last 60 minutes has its bucket's name",
            "ok      clock: ",
            "ok      leases dynamodb:leases: 2 leases, 0 of them owned; they may be read and written",
            "ok      state dynamodb:states: made 20",
            "ok      graph sqlite:/",
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_what_is_wrong_and_says_what_mends_it() {
    let mut world = World::start().await;
    world.run_once().await;
    let flags = [&["--stream", "cloudtrail"], &TABLES[..]].concat();

    // One key for all, as by a rule that sets no path.
    let stray = creations(100..101).remove(0);
    let put = world.stream.client.put_record().stream_name("cloudtrail").partition_key("one-for-all");
    put.data(Blob::new(stray)).send().await.unwrap();
    let (code, said) = world.check(&flags).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  partition keys: 1 of 9 events"), "{said}");
    assert!(said.contains("such as \"one-for-all\" for \"acme-trigger-0100\"") && said.contains("PartitionKeyPath"));

    let (code, said) = world.check(&[&["--stream", "cloudtrial"], &TABLES[..]].concat()).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  stream cloudtrial: there is no such stream: check --stream, AWS_REGION"), "{said}");

    for (denied, expected) in [
        ("kinesis:ListShards", "FAILED  stream cloudtrail: the credentials do not allow kinesis:ListShards"),
        ("kinesis:DescribeStreamSummary", "note    stream cloudtrail: 2 open shards; their lag is not compared"),
        ("kinesis:GetRecords", "FAILED  partition keys: the credentials do not allow kinesis:GetRecords"),
        ("dynamodb:Scan", "FAILED  leases dynamodb:leases: "),
        ("dynamodb:PutItem", "FAILED  leases dynamodb:leases: dynamodb:PutItem fails; check that the task's role"),
        ("dynamodb:DeleteItem", "FAILED  leases dynamodb:leases: dynamodb:DeleteItem fails"),
        ("dynamodb:UpdateItem", "FAILED  state dynamodb:states: "),
    ] {
        world.kinesis.deny(&[denied]);
        world.dynamodb.deny(&[denied]);
        let (_, said) = world.check(&flags).await;
        println!("without {denied}: {}", said.lines().find(|line| line.starts_with(expected)).unwrap_or(&said));
        assert!(said.contains(expected), "without {denied}: {said}");
    }
    world.kinesis.deny(&[]);
    world.dynamodb.deny(&[]);

    world.kinesis.date("Mon, 02 Mar 2026 12:00:00 GMT");
    let (code, said) = world.check(&flags).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  clock: ") && said.contains(" s ahead of the service's: have this host"), "{said}");
}
