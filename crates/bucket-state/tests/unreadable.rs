//! What cannot be read: of another type, cut, ambiguous, too deep, forged or too much. It is never taken for an answer.

use bucket_state::{Parsed, Parser, ResourceState, Snapshot, supported};
use serde_json::{Value, json};

use crate::support::samples::{ALL_USERS, sample};
use crate::support::*;

/// The pointers to every node of a value, but not to the value itself.
fn pointers(value: &Value) -> Vec<String> {
    let below = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        let own = format!("/{key}");
        let deeper: Vec<String> = pointers(value).into_iter().map(|rest| format!("{own}{rest}")).collect();
        [vec![own], deeper].concat()
    };
    match value {
        Value::Object(members) => members.iter().flat_map(|(key, value)| below(key, value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(place, item)| below(&place.to_string(), item)).collect()
        }
        _ => vec![],
    }
}

/// Values that no property of an entity and no property of a relationship may have.
fn misshapen(snapshot: &Snapshot) -> Vec<String> {
    let scalar = |value: &Value| !value.is_object() && !value.is_array();
    let flat = |value: &Value| scalar(value) || value.as_array().is_some_and(|items| items.iter().all(scalar));
    let in_entities = snapshot.entities.iter().flat_map(|entity| &entity.0).filter(|(_, value)| !flat(value));
    let edges = snapshot.relationships.iter().flat_map(|edge| &edge.properties).filter(|(_, value)| !scalar(value));
    in_entities.chain(edges).map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn a_value_of_the_wrong_type_anywhere_is_counted_and_never_a_panic() {
    let deep: Value = serde_json::from_str(&nested(70, "")).expect("nested lists");
    let odd = [
        Value::Null,
        json!(true),
        json!(7),
        json!(-1.5),
        json!(1e300),
        json!("text"),
        json!(""),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"content": {}}),
        json!([1, "a", {}, null]),
        json!({"Status": [{}]}),
        deep,
    ];
    let (mut events, mut others) = (0, 0);
    for call in supported() {
        let record = record(call.name, sample(call.name));
        for pointer in pointers(&record) {
            for value in &odd {
                let mut record = record.clone();
                *record.pointer_mut(&pointer).expect("a pointer into the record") = value.clone();
                let mut outcomes = 0;
                Parser::default().parse(record.to_string().as_bytes(), ARRIVED_MS, &mut |parsed| {
                    outcomes += 1;
                    let Parsed::Event(event) = parsed else { return others += 1 };
                    events += 1;
                    let mut state = ResourceState::default();
                    let id = event.resource.clone();
                    state.fold(event);
                    let snapshot = bucket_state::project(&id, &state, bucket_state::AccountLevel::Silent);
                    assert_eq!(misshapen(&snapshot), [""; 0], "{pointer} of {}", call.name);
                });
                assert_eq!(outcomes, 1, "{pointer} of {}: {value}", call.name);
            }
        }
    }
    assert!(events > 1_000 && others > 1_000, "{events} events, {others} others");
}

#[test]
fn a_document_that_is_none_or_stands_beside_another_makes_its_facet_unknown() {
    let shown = |call: &str, parameters: Value, name: &str| property(&[record(call, parameters)], name);
    let versioning = json!({"Status": "Enabled"});
    for (case, parameters) in [
        ("a number", json!({"VersioningConfiguration": 7})),
        ("a text", json!({"VersioningConfiguration": "Enabled"})),
        ("a list", json!({"VersioningConfiguration": []})),
        ("left out in its place", json!({"VersioningConfiguration": {"omitted": true}})),
        ("without what S3 demands", json!({"VersioningConfiguration": {"NoSuchMember": 1}})),
        ("empty beside another", json!({"VersioningConfiguration": "", "Other": versioning})),
        ("one of two others", json!({"Other": versioning, "Another": {}})),
    ] {
        assert_eq!(shown("PutBucketVersioning", parameters, "versioningEnabled"), Value::Null, "{case}");
    }
    let decoy = json!({"VersioningConfiguration": versioning, "Other": {"Status": "Suspended"}});
    assert_eq!(shown("PutBucketVersioning", decoy, "versioningEnabled"), json!(true));

    let grant = json!({"Permission": "READ", "Grantee": {"URI": ALL_USERS}});
    for decoy in ["accessControlList", "x-amz-grant-read", "x-amz-acl"] {
        let hidden = json!({"Other": {"AccessControlList": {"Grant": grant}}, decoy: "private"});
        assert_eq!(shown("PutBucketAcl", hidden, "aclPublic"), Value::Null, "{decoy}");
    }
    for (case, configuration) in [("a number", json!(7)), ("empty", json!(""))] {
        let parameters = json!({"CreateBucketConfiguration": configuration, "Other": {"Tags": {"Tag": []}}});
        assert_eq!(shown("CreateBucket", parameters, "tags"), Value::Null, "{case}");
    }
    let left_out = json!({"bucketPolicy": {"omitted": true}});
    assert_eq!(shown("PutBucketPolicy", left_out, "policyPublic"), Value::Null);
    assert_eq!(
        shown("CreateBucket", json!({"x-amz-grant-read": format!("uri=\"{ALL_USERS}\"")}), "aclPublic"),
        json!(true)
    );
}

#[test]
fn a_creation_nested_too_deeply_is_refused_and_does_not_lose_its_region() {
    let deep: Value = serde_json::from_str(&nested(70, "1")).expect("JSON");
    let configuration = json!({"CreateBucketConfiguration": {"LocationConstraint": "eu-north-1", "x": deep}});
    assert_eq!(outcomes(record("CreateBucket", configuration).to_string().as_bytes()), ["malformed too_deep"]);
}

#[test]
fn an_envelope_that_does_not_fit_its_record_is_forged_and_kept_whole() {
    let call = record("DeleteBucketPolicy", json!({}));
    for (forged, expected) in [
        (json!({}), "event DeleteBucketPolicy arn:aws:s3:::ledger"),
        (json!({"source": "my.app"}), "malformed forged"),
        (json!({"source": ""}), "malformed forged"),
        (json!({"account": "444455556666"}), "malformed forged"),
        (json!({"account": ""}), "malformed forged"),
        (json!({"region": "us-east-1"}), "malformed forged"),
        (json!({"detail-type": "S3 Bucket Report", "source": "my.app"}), "ignored not_cloudtrail"),
        (json!({"source": "my.app", "detail": without(call.clone(), &["eventTime"])}), "malformed forged"),
    ] {
        let text = with(envelope(&call), forged).to_string();
        assert_eq!(outcomes(text.as_bytes()), [expected], "{text}");
        // Nor does it become true by way of the dead letters.
        Parser::default().parse(text.as_bytes(), ARRIVED_MS, &mut |parsed| {
            if let Parsed::Malformed { data, .. } = parsed {
                assert_eq!(String::from_utf8_lossy(data), text);
            }
        });
    }
    for (field, value) in [("recipientAccountId", "444455556666"), ("awsRegion", "us-east-1")] {
        let text = envelope(&with(call.clone(), json!({field: value}))).to_string();
        assert_eq!(outcomes(text.as_bytes()), ["malformed forged"], "{text}");
    }
}

#[test]
fn a_map_that_is_full_proves_no_absence() {
    let put = at(1.0, "PutBucketInventoryConfiguration", sample("PutBucketInventoryConfiguration"));
    let delete = |number: usize| {
        let record =
            at(2.0, "DeleteBucketInventoryConfiguration", json!({"inventory": "", "id": format!("id-{number}")}));
        named(&format!("event-{number}"), record)
    };
    let records: Vec<Value> =
        [at(0.0, "CreateBucket", json!({})), put].into_iter().chain((0..2_000).map(delete)).collect();
    assert_eq!(property(&records, "inventoryEnabled"), Value::Null);
    let tag = |number: usize| {
        named(
            &format!("event-{number}"),
            at(2.0, "UntagResource", json!({"resource": LEDGER, "tagKeys": format!("key-{number}")})),
        )
    };
    let records: Vec<Value> = [at(0.0, "CreateBucket", json!({}))].into_iter().chain((0..1_000).map(tag)).collect();
    assert_eq!(property(&records, "tags"), Value::Null);
}
