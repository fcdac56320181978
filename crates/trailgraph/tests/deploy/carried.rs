//! Events go from the senders' buses to the graph, as the templates say.

use std::collections::BTreeMap;

use aws_sdk_kinesis::primitives::Blob;
use serde_json::{Value, json};

use crate::REQUIRED;
use crate::bus::{Buses, From, Sent};
use crate::created::Account;
use crate::support::Sandbox;
use crate::support::stream::{Stream, eventually};
use crate::template::Template;

const PERMITTED: From = From { account: "111122223333", organization: None, region: "eu-west-1" };
const STRANGER: From = From { account: "999988887777", organization: Some("o-0000000000"), region: "eu-west-1" };
const BUS: (&str, &str) = ("BusArn", "arn:aws:events:eu-west-1:000000000000:event-bus/trailgraph");

fn buses() -> Buses {
    Buses { sender: Template::sender().resources(&[BUS]), receiver: Template::receiver().resources(REQUIRED) }
}

/// An entry of `PutEvents` with what CloudTrail records of a call.
fn call(from: From, name: &str, second: usize, changes: &[(&str, Value)]) -> Value {
    let mut detail = json!({
        "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": from.region,
        "eventTime": format!("2026-03-01T12:00:{second:02}Z"), "recipientAccountId": from.account,
        "eventID": format!("0a0b0c0d-0000-4000-8000-{second:012}"), "readOnly": false, "managementEvent": true,
        "eventType": "AwsApiCall", "eventCategory": "Management", "requestParameters": {},
    });
    for (field, value) in changes {
        detail[*field] = value.clone();
    }
    json!({"Source": "aws.s3", "DetailType": "AWS API Call via CloudTrail", "Detail": detail.to_string()})
}

fn of_bucket(bucket: &str) -> (&'static str, Value) {
    ("requestParameters", json!({"bucketName": bucket}))
}

#[test]
fn every_event_is_put_once_by_its_bucket_or_by_its_account() {
    let buses = buses();
    let pattern = &buses.sender["Rule"]["Properties"]["EventPattern"];
    let names = pattern["detail"]["eventName"].as_array().unwrap();
    for name in names.iter().map(|name| name.as_str().unwrap()) {
        for (parameters, expected) in [
            (json!({"bucketName": "acme-logs"}), "acme-logs"),
            (json!({"name": "reports"}), "111122223333"),
            (json!(null), "111122223333"),
        ] {
            let entry = call(PERMITTED, name, 0, &[("requestParameters", parameters)]);
            match buses.carry(PERMITTED, &entry) {
                Sent::Put { key, .. } => assert_eq!(key, expected, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn what_is_no_change_of_a_bucket_goes_nowhere() {
    let buses = buses();
    let in_other_case = |field: &str, value: &str| {
        let mut entry = call(PERMITTED, "CreateBucket", 0, &[of_bucket("acme-logs")]);
        entry[field] = value.into();
        entry
    };
    for entry in [
        call(PERMITTED, "PutBucketPolicy", 0, &[of_bucket("acme-logs"), ("errorCode", json!("AccessDenied"))]),
        call(PERMITTED, "GetBucketAcl", 0, &[of_bucket("acme-logs")]),
        call(PERMITTED, "PutBucketMoon", 0, &[of_bucket("acme-logs")]),
        call(
            PERMITTED,
            "CreateBucket",
            0,
            &[of_bucket("acme-logs"), ("eventSource", json!("s3express.amazonaws.com"))],
        ),
        in_other_case("Source", "acme.s3"),
        in_other_case("DetailType", "Object Created"),
    ] {
        assert_eq!(buses.carry(PERMITTED, &entry), Sent::NotTaken, "{entry}");
        // A sender that has a wider rule than this does not get further either.
        let mut wide = self::buses();
        wide.sender.get_mut("Rule").unwrap()["Properties"]["EventPattern"] = json!({"account": [PERMITTED.account]});
        assert_eq!(wide.carry(PERMITTED, &entry), Sent::Dropped, "{entry}");
    }
}

#[test]
fn the_bus_lets_in_whom_the_parameters_name() {
    let member = From { organization: Some("o-a1b2c3d4e5"), ..STRANGER };
    let named = ("PermittedAccounts", "111122223333");
    let organization = ("OrganizationId", "o-a1b2c3d4e5");
    let nobody = ("PermittedAccounts", "");
    for (parameters, lets_in) in [
        ([named, ("OrganizationId", "")], [true, false, false]),
        ([nobody, organization], [false, false, true]),
        ([named, organization], [true, false, true]),
    ] {
        let others = REQUIRED.iter().filter(|(name, _)| *name != "PermittedAccounts");
        let parameters: Vec<_> = others.chain(&parameters).copied().collect();
        let buses = Buses { receiver: Template::receiver().resources(&parameters), ..buses() };
        for (from, expected) in [PERMITTED, STRANGER, member].into_iter().zip(lets_in) {
            let sent = buses.carry(from, &call(from, "CreateBucket", 0, &[of_bucket("acme-logs")]));
            assert_eq!(sent != Sent::Refused, expected, "{} {:?} {parameters:?}", from.account, from.organization);
        }
    }
}

/// What the accounts do, one after the other, and where it has to go: under a key into the stream, or nowhere.
fn deeds() -> Vec<(From<'static>, Value, &'static str)> {
    let other = From { account: "444455556666", ..PERMITTED };
    let block = |all: bool| {
        let kinds = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
        kinds.into_iter().map(|kind| (kind.to_owned(), Value::Bool(all))).collect::<Value>()
    };
    let open = json!({"bucketName": "acme-site", "PublicAccessBlockConfiguration": block(false)});
    let public = json!({"bucketName": "acme-site", "bucketPolicy": {"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-site/*"}}});
    let of_account = json!({"PublicAccessBlockConfiguration": block(true)});
    let with = |parameters: Value| ("requestParameters", parameters);
    let failed = ("errorCode", json!("BucketNotEmpty"));
    let deeds = [
        (PERMITTED, "CreateBucket", vec![of_bucket("acme-site")], "acme-site"),
        (PERMITTED, "PutBucketPublicAccessBlock", vec![with(open)], "acme-site"),
        (PERMITTED, "PutBucketPolicy", vec![with(public)], "acme-site"),
        (other, "CreateBucket", vec![of_bucket("acme-ledger")], "acme-ledger"),
        (PERMITTED, "PutAccountPublicAccessBlock", vec![with(of_account)], "111122223333"),
        (PERMITTED, "DeleteBucket", vec![of_bucket("acme-site"), failed], "NotTaken"),
        (PERMITTED, "PutBucketMoon", vec![of_bucket("acme-moon")], "NotTaken"),
        (STRANGER, "CreateBucket", vec![of_bucket("acme-stranger")], "Refused"),
    ];
    let with_time = deeds.into_iter().enumerate();
    with_time.map(|(second, (from, name, more, goes))| (from, call(from, name, second, &more), goes)).collect()
}

/// The stack's parameter, as CloudFormation writes it.
fn write_permit(account: &Account, buses: &Buses) {
    let permit = &buses.receiver["Permit"]["Properties"];
    let (name, value) = (permit["Name"].as_str().unwrap(), permit["Value"].as_str().unwrap());
    let how = "--type String --overwrite --region us-east-1";
    account.aws(&format!("ssm put-parameter --name {name} {how} --value {value}"));
}

async fn put(stream: &Stream, key: &str, record: &[u8]) {
    let request = stream.client.put_record().stream_name(&stream.name).partition_key(key);
    request.data(Blob::new(record)).send().await.unwrap();
}

/// Waits until the graph is the one of these records, and returns its buckets by name.
async fn until_graph_of(sandbox: &Sandbox, records: &[Vec<u8>]) -> BTreeMap<String, Value> {
    let replayed = Sandbox::new();
    replayed.replay(records, &[]);
    let expected = replayed.export();
    let export = || String::from_utf8_lossy(&sandbox.run(&["graph", "export"]).stdout).into_owned();
    eventually("the graph is the one of the records", async || (export() == expected).then_some(())).await;
    let graph = replayed.graph();
    let buckets = graph["entities"].as_array().unwrap().iter().filter(|entity| entity["_type"] == "aws_s3_bucket");
    buckets.map(|bucket| (bucket["name"].as_str().unwrap().to_owned(), bucket.clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_senders_put_makes_the_graph() {
    let buses = buses();
    let account = tokio::task::spawn_blocking(Account::new).await.unwrap();
    write_permit(&account, &buses);
    let mut stream = Stream::start(2).await;
    stream.more.push(("AWS_ENDPOINT_URL_SSM", account.endpoint()));
    let mut records = Vec::new();
    for (from, entry, goes) in deeds() {
        match buses.carry(from, &entry) {
            Sent::Put { key, record } => {
                assert_eq!(key, goes);
                put(&stream, &key, &record).await;
                records.push(record);
            }
            nowhere => assert_eq!(format!("{nowhere:?}"), goes, "{entry}"),
        }
    }
    let sandbox = Sandbox::new();
    let service = stream.serve_permitted(&sandbox, &["--permit", "ssm:/trailgraph/permit", "--flush-after", "200ms"]);
    let buckets = until_graph_of(&sandbox, &records).await;
    assert_eq!(buckets.keys().collect::<Vec<_>>(), ["acme-ledger", "acme-site"]);
    let site = &buckets["acme-site"];
    assert_eq!((&site["policyPublic"], &site["public"]), (&json!(true), &json!(false)), "the account's block wins");

    // One more account, as an update of the stack permits it.
    let accounts = ("PermittedAccounts", "111122223333,444455556666,999988887777");
    let others = REQUIRED.iter().filter(|(name, _)| *name != accounts.0);
    let parameters: Vec<_> = others.copied().chain([accounts]).collect();
    let buses = Buses { receiver: Template::receiver().resources(&parameters), ..buses };
    write_permit(&account, &buses);
    let changed = "trailgraph_permit_reloads_total{outcome=\"changed\"} 1";
    eventually("the permit is taken up", async || service.get("/metrics").filter(|told| told.contains(changed))).await;
    let (from, entry, _) = deeds().pop().unwrap();
    let Sent::Put { key, record } = buses.carry(from, &entry) else { panic!("it is let in now") };
    put(&stream, &key, &record).await;
    records.push(record);
    let buckets = until_graph_of(&sandbox, &records).await;
    assert_eq!(buckets.keys().collect::<Vec<_>>(), ["acme-ledger", "acme-site", "acme-stranger"]);
    assert_eq!(service.stop("-TERM").0, Some(0));
}
