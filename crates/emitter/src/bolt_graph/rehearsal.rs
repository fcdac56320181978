//! Whether a server understands what will be asked of it.

use bucket_state::Snapshot;
use serde_json::{Value, json};

use super::replace::{Outcome, replace};
use super::session::Transaction;
use super::trouble::Trouble;
use crate::sink::Emission;

/// No resource, and no bucket, has such a name. Their types are those of buckets, so that no label is left behind.
const RESOURCE: &str = "trailgraph:rehearsal";
const END: &str = "arn:aws:s3:::trailgraph:rehearsal";

/// Makes, changes and removes a node and an edge, all of it to be undone: every statement is run once. After that,
/// what a server refuses is the data's fault, and not the server's, which may speak another dialect.
///
/// # Errors
/// [`Trouble::Denied`] where the server does not understand: only another server, or version, helps.
pub(super) async fn rehearse(transaction: &mut Transaction) -> Result<(), Trouble> {
    transaction.undo();
    let entity = json!({"_key": RESOURCE, "_type": "aws_s3_bucket", "list": ["a"], "number": 1});
    let edge = |prefix: &str| {
        let properties = json!({
            "_key": format!("{RESOURCE}|LOGS|{END}"), "_type": "aws_s3_bucket_logs_to_bucket", "_class": "LOGS", "prefix": prefix,
            "_fromEntityKey": RESOURCE, "_toEntityKey": END,
        });
        json!({"properties": properties, "far_end": "to"})
    };
    let made = snapshot(std::slice::from_ref(&entity), &[edge("made")]);
    let changed = snapshot(&[entity], &[edge("changed")]);
    let removed = snapshot(&[], &[]);
    for (version, snapshot) in (1..).zip([made, changed, removed]) {
        let done = replace(transaction, 1, &[&Emission::new(version, snapshot)]).await;
        if let Outcome::Ahead { .. } = done.map_err(not_understood)? {
            return Err(Trouble::Failed(format!("{RESOURCE} has a head, which nothing should have given to it")));
        }
    }
    Ok(())
}

fn snapshot(entities: &[Value], relationships: &[Value]) -> Snapshot {
    let parts = json!({
        "resource": RESOURCE, "entities": entities, "relationships": relationships, "provenance": [],
    });
    serde_json::from_value(parts).expect("a snapshot has these parts")
}

fn not_understood(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused(words) => Trouble::Denied(format!(
            "the server does not understand what trailgraph asks of it: {words}: use Neo4j 5, or a server compatible with it"
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rehearsed_is_a_snapshot() {
        assert_eq!(snapshot(&[], &[]).resource.as_str(), RESOURCE);
    }

    #[test]
    fn only_what_is_refused_asks_for_another_server() {
        assert!(matches!(not_understood(Trouble::Refused("syntax".into())), Trouble::Denied(_)));
        assert!(matches!(not_understood(Trouble::Busy("later".into())), Trouble::Busy(_)));
    }
}
