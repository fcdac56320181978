//! Whether a bucket is public: every combination of what opens it and what closes it, against AWS's definition.

use serde_json::{Value, json};

use crate::support::samples::ALL_USERS;
use crate::support::*;

const AUTHENTICATED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const ACCOUNT: &str = "arn:aws:iam::111122223333:root";

/// The conditions on which AWS's definition rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    /// The ACL grants something to everyone or to everyone with an AWS account.
    PublicGrant,
    /// The policy allows something to a principal that nothing fixes.
    PublicStatement,
    /// Object ownership is BucketOwnerEnforced.
    AclsDisabled,
    BucketIgnoresPublicAcls,
    BucketRestrictsPublicBuckets,
    AccountIgnoresPublicAcls,
    AccountRestrictsPublicBuckets,
}
use Condition::*;

/// AWS's definition: each way in, with what opens it and everything that closes it.
const WAYS_IN: [(Condition, &[Condition]); 2] = [
    (PublicGrant, &[AclsDisabled, BucketIgnoresPublicAcls, AccountIgnoresPublicAcls]),
    (PublicStatement, &[BucketRestrictsPublicBuckets, AccountRestrictsPublicBuckets]),
];

/// What is known of a condition: that it holds, that it does not, or nothing.
type Knowledge = Vec<(Condition, Option<bool>)>;

fn is_public(holds: &dyn Fn(Condition) -> bool) -> bool {
    WAYS_IN.iter().any(|(opens, closers)| holds(*opens) && !closers.iter().any(|closer| holds(*closer)))
}

/// The verdict on which all worlds that agree with what is known agree; nothing where they do not.
fn verdict(knowledge: &Knowledge) -> Option<bool> {
    let open: Vec<Condition> = knowledge.iter().filter(|(_, known)| known.is_none()).map(|(it, _)| *it).collect();
    let in_world = |world: u32| {
        is_public(&|condition| match open.iter().position(|it| *it == condition) {
            Some(place) => world >> place & 1 == 1,
            None => knowledge.contains(&(condition, Some(true))),
        })
    };
    let first = in_world(0);
    (1..1 << open.len()).all(|world| in_world(world) == first).then_some(first)
}

/// One value of one input: its name, the event that sets it (if any), and what it tells.
type Input = (&'static str, Option<Value>, Knowledge);

fn acls() -> Vec<Input> {
    let put = |second: f64, parameters: Value| Some(at(second, "PutBucketAcl", parameters));
    let grant = json!({"Grant": {"Permission": "READ", "Grantee": {"xsi:type": "Group", "URI": AUTHENTICATED}}});
    let knows = |public| vec![(PublicGrant, public)];
    vec![
        ("private", put(1.0, json!({"x-amz-acl": "private"})), knows(Some(false))),
        ("public-read", put(1.0, json!({"x-amz-acl": "public-read"})), knows(Some(true))),
        ("authenticated", put(1.0, json!({"AccessControlPolicy": {"AccessControlList": grant}})), knows(Some(true))),
        ("acl not told", None, knows(None)),
    ]
}

fn ownerships() -> Vec<Input> {
    let put = |ownership: &str| {
        let rule = json!({"OwnershipControls": {"Rule": {"ObjectOwnership": ownership}}});
        Some(at(2.0, "PutBucketOwnershipControls", rule))
    };
    let knows = |disabled| vec![(AclsDisabled, disabled)];
    vec![
        ("enforced", put("BucketOwnerEnforced"), knows(Some(true))),
        ("preferred", put("BucketOwnerPreferred"), knows(Some(false))),
        ("writer", put("ObjectWriter"), knows(Some(false))),
        ("ownership deleted", Some(at(2.0, "DeleteBucketOwnershipControls", json!({}))), knows(Some(false))),
        ("ownership not told", None, knows(None)),
    ]
}

/// The four switches, as a request sets them.
fn switches(on: &[&str]) -> Value {
    let is_on = |name: &&str| ((*name).to_owned(), json!(on.contains(name)));
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    json!({"PublicAccessBlockConfiguration": Value::Object(names.iter().map(is_on).collect())})
}

const ALL: &[&str] = &["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

fn blocks() -> Vec<Input> {
    let put = |on: &[&str]| Some(at(3.0, "PutBucketPublicAccessBlock", switches(on)));
    let knows =
        |ignores, restricts| vec![(BucketIgnoresPublicAcls, ignores), (BucketRestrictsPublicBuckets, restricts)];
    vec![
        ("none", put(&[]), knows(Some(false), Some(false))),
        ("deleted", Some(at(3.0, "DeleteBucketPublicAccessBlock", json!({}))), knows(Some(false), Some(false))),
        ("ignore", put(&["IgnorePublicAcls"]), knows(Some(true), Some(false))),
        ("restrict", put(&["RestrictPublicBuckets"]), knows(Some(false), Some(true))),
        ("all", put(ALL), knows(Some(true), Some(true))),
        // These refuse new writes: they close nothing.
        ("refuse", put(&["BlockPublicAcls", "BlockPublicPolicy"]), knows(Some(false), Some(false))),
        ("blocks not told", None, knows(None, None)),
    ]
}

fn put_policy(second: f64, condition: Value) -> Value {
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"});
    at(second, "PutBucketPolicy", json!({"bucketPolicy": {"Statement": with(statement, condition)}}))
}

fn policies() -> Vec<Input> {
    let pinned = json!({"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}});
    let knows = |public| vec![(PublicStatement, public)];
    vec![
        ("no policy", Some(at(4.0, "DeleteBucketPolicy", json!({}))), knows(Some(false))),
        ("public policy", Some(put_policy(4.0, json!({}))), knows(Some(true))),
        ("pinned policy", Some(put_policy(4.0, pinned)), knows(Some(false))),
        ("policy not told", None, knows(None)),
    ]
}

fn put_account(second: f64, body: Value) -> Value {
    without(at(second, "PutAccountPublicAccessBlock", with(body, json!({"bucketName": null}))), &["resources"])
}

fn accounts() -> Vec<Input> {
    let put = |on: &[&str]| Some(put_account(5.0, switches(on)));
    let knows =
        |ignores, restricts| vec![(AccountIgnoresPublicAcls, ignores), (AccountRestrictsPublicBuckets, restricts)];
    vec![
        ("account silent", None, knows(Some(false), Some(false))),
        ("account all", put(ALL), knows(Some(true), Some(true))),
        ("account restricts", put(&["RestrictPublicBuckets"]), knows(Some(false), Some(true))),
        ("account ignores", put(&["IgnorePublicAcls"]), knows(Some(true), Some(false))),
        ("account refuses", put(&["BlockPublicAcls", "BlockPublicPolicy"]), knows(Some(false), Some(false))),
        ("account none", put(&[]), knows(Some(false), Some(false))),
        ("account not told", Some(put_account(5.0, json!({"omitted": true}))), knows(None, None)),
    ]
}

/// Every combination of one value of each input.
fn combinations() -> Vec<Vec<Input>> {
    let mut combinations = vec![vec![]];
    for inputs in [acls(), ownerships(), blocks(), policies(), accounts()] {
        let longer = |combination: &Vec<Input>| {
            let combination = combination.clone();
            inputs.clone().into_iter().map(move |input| [combination.clone(), vec![input]].concat())
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    combinations
}

/// Something that says nothing about who may read the bucket, so that it exists.
fn bystander() -> Value {
    at(0.0, "PutBucketAbac", json!({"AbacStatus": {"Status": "Disabled"}}))
}

#[test]
fn a_bucket_is_public_exactly_where_awss_definition_says_so() {
    let (mut seen, mut wrong) = ([0; 3], Vec::new());
    for combination in combinations() {
        let names: Vec<&str> = combination.iter().map(|(name, ..)| *name).collect();
        let events = combination.iter().filter_map(|(_, event, _)| event.clone());
        let records: Vec<Value> = [bystander()].into_iter().chain(events).collect();
        let knowledge: Knowledge = combination.iter().flat_map(|(.., knowledge)| knowledge.clone()).collect();
        let expected = verdict(&knowledge);
        seen[expected.map_or(2, usize::from)] += 1;
        let snapshot = snapshot(&records);
        let bucket = snapshot.entities.iter().find(|entity| entity.key() == LEDGER).expect("the bucket exists");
        let shown = |name: &str| bucket.0.get(name).cloned().unwrap_or_default();
        if shown("public") != json!(expected) {
            wrong.push(format!("{}: not {expected:?}", names.join(", ")));
        }
        // The account is assumed to block nothing; that counts only where an unknown one would make a difference.
        let unknown_account = knowledge.iter().map(|(condition, known)| match condition {
            AccountIgnoresPublicAcls | AccountRestrictsPublicBuckets => (*condition, None),
            _ => (*condition, *known),
        });
        let matters = names.contains(&"account silent") && verdict(&unknown_account.collect()) != expected;
        let assumes = if matters { json!(["accountPublicAccessBlock"]) } else { Value::Null };
        if shown("publicAssumes") != assumes {
            wrong.push(format!("{}: assumes not {assumes}", names.join(", ")));
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(seen.iter().sum::<i32>(), 4 * 5 * 7 * 4 * 7);
    assert!(seen.iter().all(|count| *count > 300), "each verdict is common: {seen:?}");
}

#[test]
fn a_facet_whose_body_was_left_out_is_as_unknown_as_one_nobody_spoke_of() {
    let omitted = |second: f64, call: &str| at(second, call, json!({"omitted": true}));
    let acl = || at(1.0, "PutBucketAcl", json!({"x-amz-acl": "public-read"}));
    let writer = || at(2.0, "DeleteBucketOwnershipControls", json!({}));
    let open = || at(3.0, "DeleteBucketPublicAccessBlock", json!({}));
    let none = || at(4.0, "DeleteBucketPolicy", json!({}));
    let cases = [
        ("all told", vec![acl(), writer(), open(), none()], json!(true)),
        ("no acl", vec![omitted(1.5, "PutBucketAcl"), acl(), writer(), open(), none()], Value::Null),
        (
            "no ownership",
            vec![acl(), writer(), omitted(2.5, "PutBucketOwnershipControls"), open(), none()],
            Value::Null,
        ),
        ("no block", vec![acl(), writer(), open(), omitted(3.5, "PutBucketPublicAccessBlock"), none()], Value::Null),
        ("no policy, but an open ACL", vec![acl(), writer(), open(), omitted(4.5, "PutBucketPolicy")], json!(true)),
    ];
    for (case, records, public) in cases {
        assert_eq!(property(&records, "public"), public, "{case}");
    }
}

/// A bucket made in 2019, when nothing was blocked and ACLs applied.
fn old_bucket() -> Value {
    let location = json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}});
    with(at(0.0, "CreateBucket", location), json!({"eventTime": "2019-06-01T00:00:00Z"}))
}

#[test]
fn the_reasons_are_the_events_on_the_way_that_is_open() {
    let acl = || named("acl", at(1.0, "PutBucketAcl", json!({"x-amz-acl": "public-read"})));
    let ownership = || named("own", at(2.0, "DeleteBucketOwnershipControls", json!({})));
    let refuse = || {
        let on = switches(&["BlockPublicAcls", "BlockPublicPolicy"]);
        named("block", at(3.0, "PutBucketPublicAccessBlock", on))
    };
    let restrict = || named("block", at(3.0, "PutBucketPublicAccessBlock", switches(&["RestrictPublicBuckets"])));
    let policy = || named("policy", put_policy(4.0, json!({})));
    let account = |on: &[&str]| named("account", put_account(5.0, switches(on)));
    let cleared = || named("account", without(at(6.0, "DeleteAccountPublicAccessBlock", json!({})), &["resources"]));
    let created_public = || {
        let record = with(old_bucket(), json!({"eventID": "made"}));
        with(
            record,
            json!({"requestParameters": {
                "bucketName": "ledger", "x-amz-acl": "public-read", "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"},
            }}),
        )
    };
    let header = with(created_public()["requestParameters"].clone(), json!({"x-amz-object-ownership": "ObjectWriter"}));
    let created_with_header = with(created_public(), json!({"requestParameters": header}));
    let cases = [
        ("an ACL by default open", vec![old_bucket(), acl()], json!(["acl:acl"])),
        ("an ACL made to count", vec![old_bucket(), acl(), ownership()], json!(["acl:acl", "ownership:own"])),
        ("a policy", vec![old_bucket(), policy()], json!(["policy:policy"])),
        ("a policy, ownership aside", vec![old_bucket(), policy(), ownership()], json!(["policy:policy"])),
        ("both", vec![old_bucket(), acl(), policy()], json!(["acl:acl", "policy:policy"])),
        (
            "both, and blocks that close nothing",
            vec![old_bucket(), acl(), policy(), refuse()],
            json!(["acl:acl", "policy:policy", "publicAccessBlock:block"]),
        ),
        (
            "the ACL where the policy is restricted",
            vec![old_bucket(), acl(), policy(), restrict()],
            json!(["acl:acl", "publicAccessBlock:block"]),
        ),
        (
            "the account spoke",
            vec![old_bucket(), policy(), account(&["IgnorePublicAcls"])],
            json!(["accountPublicAccessBlock:account", "policy:policy"]),
        ),
        (
            "the account's block went",
            vec![old_bucket(), policy(), account(ALL), cleared()],
            json!(["accountPublicAccessBlock:account", "policy:policy"]),
        ),
        (
            "a policy, whatever else is unknown",
            vec![policy(), named("block", at(3.0, "DeleteBucketPublicAccessBlock", json!({})))],
            json!(["policy:policy", "publicAccessBlock:block"]),
        ),
        ("created public", vec![created_public()], json!(["acl:made"])),
        ("created public by its headers", vec![created_with_header], json!(["acl:made", "ownership:made"])),
        ("closed", vec![old_bucket(), acl(), policy(), account(ALL)], Value::Null),
        ("not known", vec![policy()], Value::Null),
    ];
    for (case, records, reasons) in cases {
        assert_eq!(property(&records, "publicReasons"), reasons, "{case}");
        assert_eq!(property(&records, "public") == json!(true), !reasons.is_null(), "{case}");
    }
}

#[test]
fn the_account_closes_and_opens_all_of_its_buckets() {
    let policy = || put_policy(1.0, json!({}));
    let cleared = || without(at(4.0, "DeleteAccountPublicAccessBlock", json!({})), &["resources"]);
    let story = [
        (old_bucket(), json!(false)),
        (policy(), json!(true)),
        (put_account(2.0, switches(&["RestrictPublicBuckets"])), json!(false)),
        (put_account(3.0, switches(&["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy"])), json!(true)),
        (put_account(3.5, switches(ALL)), json!(false)),
        (cleared(), json!(true)),
        (put_account(5.0, json!({"omitted": true})), Value::Null),
    ];
    let mut records = Vec::new();
    for (record, public) in story {
        records.push(record);
        assert_eq!(property(&records, "public"), public, "after {}", records.last().expect("a record")["eventName"]);
    }
    let account = snapshot_of(ACCOUNT, &records);
    assert_eq!(account.entities.len(), 1, "the account is known, its switches are not");
    assert_eq!(account.entities[0].0.get("restrictPublicBuckets"), None);
}

#[test]
fn another_account_has_no_say() {
    let theirs = with(put_account(5.0, switches(ALL)), json!({"recipientAccountId": "444455556666"}));
    let public = [old_bucket(), put_policy(1.0, json!({})), theirs];
    assert_eq!(property(&public, "public"), json!(true));
    assert_eq!(property(&public, "publicAssumes"), json!(["accountPublicAccessBlock"]));
}

#[test]
fn where_nobody_knows_the_owner_the_account_is_assumed_to_block_nothing() {
    let nobodys = |record: Value| without(record, &["resources", "recipientAccountId"]);
    let records = [nobodys(old_bucket()), nobodys(put_policy(1.0, json!({}))), put_account(5.0, switches(ALL))];
    assert_eq!(property(&records, "public"), json!(true));
    assert_eq!(property(&records, "publicAssumes"), json!(["accountPublicAccessBlock"]));
}

#[test]
fn the_findings_are_raw_whatever_closes_the_ways_in() {
    let acl =
        at(1.0, "PutBucketAcl", json!({"accessControlList": {"x-amz-grant-read": format!("uri=\"{ALL_USERS}\"")}}));
    let enforced = json!({"OwnershipControls": {"Rule": {"ObjectOwnership": "BucketOwnerEnforced"}}});
    let enforced = at(2.0, "PutBucketOwnershipControls", enforced);
    let records = [acl, enforced, at(3.0, "PutBucketPublicAccessBlock", switches(ALL)), put_policy(4.0, json!({}))];
    let shown = ["aclPublic", "policyPublic", "public"].map(|name| property(&records, name));
    assert_eq!(shown, [json!(true), json!(true), json!(false)]);
    let snapshot = snapshot(&records);
    let policy = snapshot.entities.iter().find(|entity| entity.0["_type"] == "aws_s3_bucket_policy").expect("a policy");
    assert_eq!(policy.0["public"], json!(true));
}

#[test]
fn a_contested_facet_gives_the_verdict_of_its_winner() {
    let deleted = |id: &str| named(id, at(4.0, "DeleteBucketPolicy", json!({})));
    let put = |id: &str| named(id, put_policy(4.0, json!({})));
    let block = |id: &str, on: &[&str]| named(id, at(3.0, "PutBucketPublicAccessBlock", switches(on)));
    let account = |id: &str, on: &[&str]| named(id, put_account(5.0, switches(on)));
    let policy = || named("policy", put_policy(1.0, json!({})));
    let cases = [
        ("the policy", vec![deleted("a"), put("b")], json!(true), json!(["policy"])),
        ("its deletion", vec![put("a"), deleted("b")], json!(false), json!(["policy"])),
        ("the open block", vec![policy(), block("a", ALL), block("b", &[])], json!(true), json!(["publicAccessBlock"])),
        (
            "the closed one",
            vec![policy(), block("a", &[]), block("b", ALL)],
            json!(false),
            json!(["publicAccessBlock"]),
        ),
        ("the open account", vec![policy(), account("a", ALL), account("b", &[])], json!(true), Value::Null),
        ("the closed account", vec![policy(), account("a", &[]), account("b", ALL)], json!(false), Value::Null),
    ];
    for (case, records, public, contested) in cases {
        let records: Vec<Value> = [old_bucket()].into_iter().chain(records).collect();
        assert_eq!(property(&records, "public"), public, "{case}");
        assert_eq!(property(&records, "contestedFacets"), contested, "{case}");
        let provenance = json!(snapshot(&records).provenance);
        let of_account = provenance.as_array().and_then(|entries| entries.last()).expect("the account's entry");
        assert_eq!(of_account["contested"], json!(case.contains("account")), "{case}");
    }
}
