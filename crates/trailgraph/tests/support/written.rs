//! Graphs written by hand, through the sink: what they show does not depend on how events are projected.

use std::path::Path;

use bucket_state::Snapshot;
use emitter::{Emission, GraphSink, SinkName, SqliteFile, SqliteGraph};
use serde_json::{Value, json};

/// 2026-03-01T12:00:00Z
pub(crate) const NOON: i64 = 1_772_366_400_000;
/// Who made every change.
pub(crate) const ADA: &str = "arn:aws:iam::111122223333:user/ada";
/// The event that made it.
pub(crate) const EVENT: &str = "0a0b0c0d-0000-4000-8000-000000000001";

/// A bucket that last changed at `updated_on`; `more` are its other properties. One that is public lets everyone list
/// it, by its ACL.
pub(crate) fn bucket(key: &str, updated_on: i64, more: &Value) -> Snapshot {
    let name = key.rsplit(':').next().expect("an ARN");
    let mut entity = json!({
        "_key": key, "_type": "aws_s3_bucket", "_class": ["DataStore"], "name": name, "displayName": name,
        "accountId": "111122223333", "region": "eu-west-1", "updatedOn": updated_on, "updatedBy": ADA,
    });
    for (property, value) in more.as_object().expect("properties") {
        entity[property] = value.clone();
    }
    let is_public = entity["public"] == true;
    if is_public {
        entity["publicReasons"] = json!([format!("acl:{EVENT}")]);
        entity["publicAssumes"] = json!(["accountPublicAccessBlock"]);
    }
    let grant = json!({"far_end": "to", "properties": {
        "_key": format!("{key}|ALLOWS|global:everyone|READ"), "_type": "aws_s3_bucket_grant", "_class": "ALLOWS",
        "_fromEntityKey": key, "_toEntityKey": "global:everyone", "displayName": "ALLOWS", "permission": "READ",
    }});
    let snapshot = json!({
        "resource": key,
        "entities": [entity],
        "relationships": if is_public { vec![grant] } else { vec![] },
        "provenance": [
            {"facet": "acl", "source": "event", "eventId": EVENT, "eventTime": updated_on, "actor": ADA,
             "contested": false},
            {"facet": "tags", "source": "unknown", "eventId": null, "eventTime": null, "actor": null,
             "contested": false},
        ],
    });
    serde_json::from_value(snapshot).expect("a snapshot")
}

/// Writes the snapshots into the graph in `file`, which is made if it is not there.
pub(crate) async fn write(file: &Path, snapshots: Vec<Snapshot>) {
    let file = SqliteFile::open(file).expect("the file can be made");
    let graph = SqliteGraph::open(file, SinkName::from("test")).expect("the graph can be made");
    let emissions: Vec<Emission> = snapshots.into_iter().map(|snapshot| Emission::new(1, snapshot)).collect();
    graph.replace(1, &emissions).await.expect("the graph takes them");
}
