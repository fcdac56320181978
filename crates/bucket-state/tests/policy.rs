//! From records to the graph: a bucket's policy, whom it lets in, and the keys of all that it adds.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::*;

fn put(policy: impl Into<Value>) -> [Value; 1] {
    [record("PutBucketPolicy", json!({"policy": "", "bucketPolicy": policy.into()}))]
}

fn allow(principal: impl Into<Value>) -> Value {
    json!({"Effect": "Allow", "Principal": principal.into(), "Action": "s3:GetObject"})
}

/// The policy's own entity.
fn entity(records: &[Value]) -> Value {
    let snapshot = snapshot(records);
    let policy = snapshot.entities.into_iter().find(|entity| entity.0["_type"] == "aws_s3_bucket_policy");
    policy.map_or(Value::Null, |entity| Value::Object(entity.0))
}

fn principals(statements: impl Into<Value>) -> Value {
    edges(&put(json!({"Statement": statements.into()})), "aws_s3_bucket_policy_allows_principal")
}

#[test]
fn a_policy_is_an_entity_of_its_own() {
    let document = json!({"Version": "2012-10-17", "Statement": [allow("*"), allow(json!({"AWS": "111122223333"}))]});
    let records = put(document.clone());
    let expected = json!({
        "_key": format!("{LEDGER}/policy"), "_type": "aws_s3_bucket_policy", "_class": ["AccessPolicy"],
        "name": "ledger", "displayName": "ledger", "accountId": "111122223333", "region": "eu-west-1",
        "public": true, "statementCount": 2, "principals": ["*", "111122223333"], "_rawData": document.to_string(),
    });
    assert_eq!(entity(&records), expected);
    assert_eq!(edges(&records, "aws_s3_bucket_has_policy"), json!([{"to": format!("{LEDGER}/policy")}]));
    assert_eq!(properties(&records), json!({"policyPublic": true, "secureTransport": false}));
}

#[test]
fn a_policy_that_is_gone_or_not_recorded_is_no_entity() {
    let delete = [
        at(1.0, "PutBucketPolicy", json!({"bucketPolicy": {"Statement": []}})),
        at(2.0, "DeleteBucketPolicy", json!({})),
    ];
    assert_eq!(
        (entity(&delete), properties(&delete)),
        (Value::Null, json!({"policyPublic": false, "secureTransport": false}))
    );
    let omitted = [record("PutBucketPolicy", json!({"omitted": true}))];
    assert_eq!((entity(&omitted), properties(&omitted)), (Value::Null, json!({})));
    assert_eq!(snapshot(&omitted).relationships.len(), 1, "the account's edge alone");
}

#[test]
fn a_policy_is_read_alike_as_an_object_or_a_text_and_what_is_neither_is_not_judged() {
    let document = json!({"Statement": allow("*")});
    let judged = json!({"policyPublic": true, "secureTransport": false});
    let cases = [
        (document.clone(), judged.clone()),
        (json!({"Statement": [allow("*")]}), judged.clone()),
        (json!(document.to_string()), judged),
        (json!({"Statement": []}), json!({"policyPublic": false, "secureTransport": false})),
        (json!("{\"Statement\": "), json!({})),
        (json!(nested(500, "")), json!({})),
        (json!({}), json!({})),
        (json!({"Statement": null}), json!({})),
        (json!({"Statement": "Allow"}), json!({})),
        (json!({"Statement": [allow("*"), "Allow"]}), json!({})),
        (json!(json!(document.to_string()).to_string()), json!({})),
        (json!(""), json!({})),
        (json!([]), json!({})),
        (json!(7), json!({})),
    ];
    for (policy, expected) in cases {
        assert_eq!(properties(&put(policy.clone())), expected, "{policy}");
    }
}

#[test]
fn every_principal_that_has_a_place_in_the_graph_has_an_edge() {
    let edge = |to: &str| json!([{"to": to, "actions": "s3:GetObject", "conditional": false}]);
    let role = "arn:aws:iam::444455556666:role/deploy";
    let cases = [
        (json!("*"), edge("global:everyone")),
        (json!({"AWS": "*"}), edge("global:everyone")),
        (json!({"AWS": ["*"]}), edge("global:everyone")),
        (json!({"AWS": "444455556666"}), edge("arn:aws:iam::444455556666:root")),
        (json!({"AWS": "arn:aws:iam::444455556666:root"}), edge("arn:aws:iam::444455556666:root")),
        (json!({"AWS": role}), edge(role)),
        (json!({"Service": "cloudtrail.amazonaws.com"}), edge("aws:service:cloudtrail.amazonaws.com")),
        (json!({"CanonicalUser": "c0ffee"}), edge("aws:canonical-user:c0ffee")),
        // An identity whose owner was deleted, a session and a federation: named, but nowhere in the graph.
        (json!({"AWS": "AROAEXAMPLEID"}), json!([])),
        (json!({"AWS": "arn:aws:sts::444455556666:assumed-role/deploy/grace"}), json!([])),
        (json!({"Federated": "accounts.example.com"}), json!([])),
        (json!({"AWS": []}), json!([])),
        (Value::Null, json!([])),
    ];
    for (principal, expected) in cases {
        assert_eq!(principals(allow(principal.clone())), expected, "{principal}");
    }
    assert_eq!(
        entity(&put(json!({"Statement": allow(json!({"AWS": "AROAEXAMPLEID"}))})))["principals"],
        json!(["AROAEXAMPLEID"])
    );
}

#[test]
fn the_statements_about_one_principal_make_one_edge() {
    let account = |name: &str, actions: Value, condition: Value| json!({"Effect": "Allow", "Principal": {"AWS": name}, "Action": actions, "Condition": condition});
    let (root, id) = ("arn:aws:iam::444455556666:root", "444455556666");
    let tls = json!({"Bool": {"aws:SecureTransport": "true"}});
    let edge = |actions: &str, conditional: bool| json!([{"to": root, "actions": actions, "conditional": conditional}]);
    let without_actions = json!({"Effect": "Allow", "Principal": {"AWS": id}, "NotAction": ["s3:PutObject"]});
    let denied = json!({"Effect": "Deny", "Principal": {"AWS": id}, "Action": "s3:DeleteObject"});
    let cases = [
        (
            json!([account(id, json!(["s3:PutObject", "s3:GetObject"]), json!({}))]),
            edge("s3:GetObject,s3:PutObject", false),
        ),
        (json!([account(id, json!("s3:GetObject"), tls.clone())]), edge("s3:GetObject", true)),
        (
            json!([account(id, json!("s3:GetObject"), tls.clone()), account(id, json!("s3:PutObject"), Value::Null)]),
            edge("s3:GetObject,s3:PutObject", false),
        ),
        (
            json!([account(id, json!("s3:PutObject"), tls.clone()), account(root, json!("s3:GetObject"), tls)]),
            edge("s3:GetObject,s3:PutObject", true),
        ),
        (json!([without_actions]), edge("not s3:PutObject", false)),
        (json!([denied]), json!([])),
    ];
    for (statements, expected) in cases {
        assert_eq!(principals(statements.clone()), expected, "{statements}");
    }
}

#[test]
fn plain_http_is_denied_only_when_it_is_denied_to_everyone_for_everything() {
    let tls = |value: Value| json!({"Condition": {"Bool": {"aws:SecureTransport": value}}});
    let sets = |element: &str, value: Value| json!({element: value});
    let condition = |condition: Value| json!({"Condition": condition});
    let plain = json!({"aws:SecureTransport": "false"});
    let cases = [
        (json!({}), true),
        (sets("Principal", json!({"AWS": "*"})), true),
        (sets("Principal", json!({"AWS": ["*"]})), true),
        (sets("Principal", json!({"AWS": "444455556666"})), false),
        (sets("Principal", json!({"Service": "*"})), false),
        (json!({"Principal": null, "NotPrincipal": {"AWS": "444455556666"}}), false),
        (tls(json!(["false"])), true),
        (tls(json!(false)), true),
        (tls(json!("true")), false),
        (condition(json!({})), false),
        (condition(json!({"bool": {"AWS:SECURETRANSPORT": "false"}})), true),
        (condition(json!({"BoolIfExists": plain})), true),
        (condition(json!({"StringEquals": plain})), false),
        (condition(json!({"Bool": plain, "IpAddress": {"aws:SourceIp": "203.0.113.7/32"}})), false),
        (condition(json!({"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}})), false),
        (condition(json!({"Bool": plain, "IpAddress": "?"})), false),
        (sets("Action", json!("*")), true),
        (sets("Action", json!(["s3:GetObject", "S3:*"])), true),
        (sets("Action", json!("s3:PutObject")), false),
        (json!({"Action": null, "NotAction": "s3:GetObject"}), false),
        (sets("Resource", json!("*")), true),
        (sets("Resource", json!("arn:aws:s3:::*")), true),
        (sets("Resource", json!(format!("{LEDGER}*"))), true),
        (sets("Resource", json!(format!("{LEDGER}/?*"))), false),
        (sets("Resource", json!(format!("{LEDGER}/"))), false),
        (sets("Resource", json!([LEDGER, format!("{LEDGER}/*")])), true),
        (sets("Resource", json!(LEDGER)), false),
        (sets("Resource", json!(format!("{LEDGER}/tmp/*"))), false),
        (sets("Resource", json!("arn:aws:s3:::ledger-archive/*")), false),
        (json!({"Resource": null, "NotResource": format!("{LEDGER}/public/*")}), false),
        (sets("Effect", json!("Allow")), false),
    ];
    for (members, expected) in cases {
        let statement = json!({
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": format!("{LEDGER}/*"),
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        let statement = with(statement, members.clone());
        let shown = property(&put(json!({"Statement": [statement]})), "secureTransport");
        assert_eq!(shown, json!(expected), "{members}");
    }
}

#[test]
fn a_bucket_of_another_partition_is_connected_within_it() {
    let china = |record: Value| without(with(record, json!({"awsRegion": "cn-north-1"})), &["resources"]);
    let policy = json!({"bucketPolicy": {"Statement": allow(json!({"AWS": "111122223333"}))}});
    let logging = json!({"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "archive"}}});
    let rule =
        json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/ledger"}});
    let encryption = json!({"ServerSideEncryptionConfiguration": {"Rule": rule}});
    let calls = [("PutBucketPolicy", policy), ("PutBucketLogging", logging), ("PutBucketEncryption", encryption)];
    let mut state = bucket_state::ResourceState::default();
    for (second, (call, parameters)) in (1_u8..).zip(calls) {
        state.fold(event(&china(at(second.into(), call, parameters))));
    }
    let snapshot = bucket_state::project(&"arn:aws-cn:s3:::ledger".into(), &state, bucket_state::AccountLevel::Silent);
    let keys: Vec<&str> = snapshot.relationships.iter().map(bucket_state::Relationship::key).collect();
    let expected = [
        "arn:aws-cn:iam::111122223333:root|HAS|arn:aws-cn:s3:::ledger",
        "arn:aws-cn:s3:::ledger/policy|ALLOWS|arn:aws-cn:iam::111122223333:root",
        "arn:aws-cn:s3:::ledger|HAS|arn:aws-cn:s3:::ledger/policy",
        "arn:aws-cn:s3:::ledger|LOGS|arn:aws-cn:s3:::archive",
        "arn:aws-cn:s3:::ledger|USES|arn:aws-cn:kms:cn-north-1:111122223333:alias/ledger",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn the_keys_of_a_snapshot_are_unique_and_sorted() {
    let everyone = "http://acs.amazonaws.com/groups/global/AllUsers";
    let grant = |permission: &str, grantee: Value| json!({"Permission": permission, "Grantee": grantee});
    let acl = json!({"AccessControlPolicy": {"AccessControlList": {"Grant": [
        grant("READ", json!({"URI": everyone})), grant("READ", json!({"URI": everyone})), grant("WRITE", json!({"URI": everyone})),
        grant("FULL_CONTROL", json!({"ID": "c0ffee"})), grant("FULL_CONTROL", json!({"ID": "c0ffee", "DisplayName": "ada"})),
    ]}}});
    let statements = json!([
        allow("*"),
        allow(json!({"AWS": ["*", "111122223333", "arn:aws:iam::111122223333:root"]})),
        allow(json!({"CanonicalUser": ["c0ffee", "c0ffee"], "Service": "logging.s3.amazonaws.com"})),
    ]);
    let logging = json!({"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "ledger"}}});
    let records = [
        at(1.0, "PutBucketAcl", acl),
        at(2.0, "PutBucketPolicy", json!({"bucketPolicy": {"Statement": statements}})),
        at(3.0, "PutBucketLogging", logging),
    ];
    let snapshot = snapshot(&records);
    let keys: Vec<&str> = snapshot.relationships.iter().map(bucket_state::Relationship::key).collect();
    let unique: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(keys, unique.into_iter().collect::<Vec<_>>());
    assert_eq!(keys.len(), 10, "{keys:#?}");
    let entities: Vec<&str> = snapshot.entities.iter().map(bucket_state::Entity::key).collect();
    assert_eq!(entities, [LEDGER, &format!("{LEDGER}/policy")]);
}
