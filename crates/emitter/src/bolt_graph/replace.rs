//! One transaction: heads are locked and compared, then what stands is replaced.

use std::collections::{BTreeMap, BTreeSet};

use bucket_state::{Digest, Snapshot};
use neo4rs::BoltType;

use super::session::{Transaction, text, unreadable};
use super::trouble::Trouble;
use super::values::{list, row};
use super::write::Changes;
use crate::row::{Generation, Version};
use crate::sink::{Emission, Verdict};

/// What the graph last took for a resource.
struct Head {
    generation: Generation,
    version: Version,
    digest: String,
}

/// What came of a batch.
pub(super) enum Outcome {
    /// A verdict for each emission.
    Taken(Vec<Verdict>),
    /// The graph shows a newer generation. Nothing was written.
    Ahead { resource: String, generation: Generation },
}

/// Replaces each snapshot's part of the graph. No resource may occur twice.
pub(super) async fn replace(
    transaction: &mut Transaction,
    generation: Generation,
    emissions: &[&Emission],
) -> Result<Outcome, Trouble> {
    let resources: BTreeSet<&str> = emissions.iter().map(|emission| emission.snapshot.resource.as_str()).collect();
    debug_assert_eq!(resources.len(), emissions.len(), "a resource occurs once");
    let heads = lock(transaction, &resources).await?;
    let newer = heads.iter().find(|(_, head)| head.generation > generation);
    if let Some((resource, Head { generation, .. })) = newer {
        return Ok(Outcome::Ahead { resource: resource.clone(), generation: *generation });
    }
    let verdict = |emission: &Emission| match heads.get(emission.snapshot.resource.as_str()) {
        Some(head) if head.generation == generation && head.version > emission.version => Verdict::Newer(head.version),
        Some(head) if head.digest == hex(&emission.digest) => Verdict::Unchanged,
        _ => Verdict::Applied,
    };
    let verdicts: Vec<Verdict> = emissions.iter().map(|emission| verdict(emission)).collect();
    let with = |wanted: &'static [Verdict]| {
        let pairs = emissions.iter().zip(&verdicts);
        pairs.filter(|(_, verdict)| wanted.contains(verdict)).map(|(emission, _)| *emission).collect::<Vec<_>>()
    };
    let changed: Vec<&Snapshot> = with(&[Verdict::Applied]).into_iter().map(|emission| &emission.snapshot).collect();
    if !changed.is_empty() {
        // A resource without a head has nothing in the graph yet.
        let is_known = |snapshot: &&Snapshot| heads.contains_key(snapshot.resource.as_str());
        let known = changed.iter().copied().filter(is_known).map(|snapshot| snapshot.resource.as_str()).collect();
        Changes::read(transaction, &changed, &known).await?.write(transaction).await?;
    }
    move_heads(transaction, generation, &with(&[Verdict::Applied, Verdict::Unchanged])).await?;
    Ok(Outcome::Taken(verdicts))
}

/// Which of these resources the graph knows in a newer generation, if any.
pub(super) async fn ahead(
    transaction: &mut Transaction,
    generation: Generation,
    resources: &BTreeSet<&str>,
) -> Result<Option<(String, Generation)>, Trouble> {
    let heads = read_heads(transaction, resources).await?;
    let newer = heads.into_iter().find(|(_, head)| head.generation > generation);
    Ok(newer.map(|(resource, head)| (resource, head.generation)))
}

/// Makes the heads that are missing and takes the write lock of all, in one order everywhere, by writing to them; reads
/// them only then. Two transactions that compared before they locked could both find that they are the newer one.
async fn lock(transaction: &mut Transaction, resources: &BTreeSet<&str>) -> Result<BTreeMap<String, Head>, Trouble> {
    let statement = "UNWIND $resources AS resource MERGE (h:TrailgraphHead {resource: resource}) SET h.lock = $lock";
    let lock = uuid::Uuid::new_v4().to_string();
    transaction.run(statement, [("resources", list(resources.iter().copied())), ("lock", lock.into())]).await?;
    read_heads(transaction, resources).await
}

/// Those that have taken a snapshot.
async fn read_heads(
    transaction: &mut Transaction,
    resources: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Head>, Trouble> {
    let statement = "UNWIND $resources AS resource MATCH (h:TrailgraphHead {resource: resource}) \
                     WHERE h.version IS NOT NULL \
                     RETURN h.resource AS resource, h.generation AS generation, h.version AS version, \
                     h.digest AS digest";
    let rows = transaction.run(statement, [("resources", list(resources.iter().copied()))]).await?;
    let head = |row: &neo4rs::Row| {
        let number = |column: &str| row.get::<i64>(column).map_err(|error| unreadable(column, &error));
        let version = number("version")?.cast_unsigned();
        let head = Head { generation: number("generation")?, version, digest: text(row, "digest")? };
        Ok((text(row, "resource")?, head))
    };
    rows.iter().map(head).collect()
}

async fn move_heads(
    transaction: &mut Transaction,
    generation: Generation,
    emissions: &[&Emission],
) -> Result<(), Trouble> {
    if emissions.is_empty() {
        return Ok(());
    }
    let statement = "UNWIND $rows AS row MATCH (h:TrailgraphHead {resource: row.resource}) \
                     SET h.generation = $generation, h.version = row.version, h.digest = row.digest";
    let head = |emission: &&Emission| {
        row([
            ("resource", emission.snapshot.resource.as_str().into()),
            ("version", emission.version.cast_signed().into()),
            ("digest", hex(&emission.digest).into()),
        ])
    };
    let rows: BoltType = list(emissions.iter().map(head));
    transaction.run(statement, [("rows", rows), ("generation", generation.into())]).await.map(drop)
}

fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
