//! Events go from the senders' buses to the graph, as the templates say.

use aws_sdk_kinesis::primitives::Blob;
use serde_json::{Value, json};

use crate::REQUIRED;
use crate::bus::{Buses, From, Sent};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_senders_put_makes_the_graph() {
    let buses = buses();
    let block = |all: bool| json!({"BlockPublicAcls": all, "IgnorePublicAcls": all, "BlockPublicPolicy": all, "RestrictPublicBuckets": all});
    let public = json!({
        "bucketName": "acme-site", "policy": "", "bucketPolicy": {"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-site/*"}},
    });
    let open =
        json!({"bucketName": "acme-site", "publicAccessBlock": "", "PublicAccessBlockConfiguration": block(false)});
    let of_account = json!({"PublicAccessBlockConfiguration": block(true), "Host": "111122223333.s3-control.eu-west-1.amazonaws.com"});
    let other = From { account: "444455556666", ..PERMITTED };
    let entries = [
        (PERMITTED, call(PERMITTED, "CreateBucket", 1, &[of_bucket("acme-site")])),
        (PERMITTED, call(PERMITTED, "PutBucketPublicAccessBlock", 2, &[("requestParameters", open)])),
        (PERMITTED, call(PERMITTED, "PutBucketPolicy", 3, &[("requestParameters", public)])),
        (other, call(other, "CreateBucket", 4, &[of_bucket("acme-ledger")])),
        (PERMITTED, call(PERMITTED, "PutAccountPublicAccessBlock", 5, &[("requestParameters", of_account)])),
        // None of these may be seen.
        (
            PERMITTED,
            call(PERMITTED, "DeleteBucket", 6, &[of_bucket("acme-site"), ("errorCode", json!("BucketNotEmpty"))]),
        ),
        (PERMITTED, call(PERMITTED, "PutBucketMoon", 7, &[of_bucket("acme-moon")])),
        (STRANGER, call(STRANGER, "CreateBucket", 8, &[of_bucket("acme-stranger")])),
    ];
    let (mut put, mut fates) = (Vec::new(), Vec::new());
    for (from, entry) in &entries {
        match buses.carry(*from, entry) {
            Sent::Put { key, record } => {
                fates.push(key.clone());
                put.push((key, record));
            }
            other => fates.push(format!("{other:?}")),
        }
    }
    let expected =
        ["acme-site", "acme-site", "acme-site", "acme-ledger", "111122223333", "NotTaken", "NotTaken", "Refused"];
    assert_eq!(fates, expected);

    let stream = Stream::start(2).await;
    for (key, record) in &put {
        let request = stream.client.put_record().stream_name(&stream.name).partition_key(key);
        request.data(Blob::new(record.clone())).send().await.unwrap();
    }
    let sandbox = Sandbox::new();
    let permit = buses.receiver["Permit"]["Properties"]["Value"].as_str().unwrap();
    std::fs::write(sandbox.path("permit.json"), permit).unwrap();
    let service = stream.serve_permitted(&sandbox, &["--permit", "permit.json", "--flush-after", "200ms"]);
    let bucket = |graph: &Value, name: &str| {
        let mut entities = graph["entities"].as_array().cloned().unwrap_or_default().into_iter();
        entities.find(|entity| entity["_type"] == "aws_s3_bucket" && entity["name"] == name)
    };
    let graph = eventually("the account's block is in the graph", async || {
        let graph: Value = serde_json::from_slice(&sandbox.run(&["graph", "export"]).stdout).unwrap_or_default();
        // The last of what was put: what was put before is there as well once its bucket is.
        let closed = bucket(&graph, "acme-site")
            .is_some_and(|site| site["accountPublicAccessBlock"].as_str().is_some() || site["public"] == false);
        (closed && bucket(&graph, "acme-ledger").is_some()).then_some(graph)
    })
    .await;
    println!("{}", serde_json::to_string_pretty(&bucket(&graph, "acme-site")).unwrap());
    for absent in ["acme-moon", "acme-stranger"] {
        assert_eq!(bucket(&graph, absent), None);
    }
    assert_eq!(service.stop("-TERM").0, Some(0));

    // The same as of these records alone.
    let replayed = Sandbox::new();
    let records: Vec<Vec<u8>> = put.into_iter().map(|(_, record)| record).collect();
    replayed.replay(&records, &[]);
    assert_eq!(sandbox.export(), replayed.export());
}
