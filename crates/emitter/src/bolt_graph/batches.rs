//! Snapshots in bounded transactions.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::sink::Emission;

/// Snapshots in one transaction. Twice as many are hardly faster, and lock twice as much.
const SNAPSHOTS_MAX: usize = 200;

/// Entities and relationships in one transaction, unless a single snapshot has more.
const PARTS_MAX: usize = 4_000;

/// What is still to be taken: each batch with no resource twice, in the order of the emissions.
pub(super) struct Batches(Vec<Range<usize>>);

impl Batches {
    /// All of these.
    pub(super) fn new(emissions: &[Emission]) -> Self {
        let (mut batches, mut begin, mut parts) = (Vec::new(), 0, 0);
        let mut resources = BTreeSet::new();
        for (at, emission) in emissions.iter().enumerate() {
            let size = emission.snapshot.entities.len() + emission.snapshot.relationships.len();
            let is_full = at - begin == SNAPSHOTS_MAX || (at > begin && parts + size > PARTS_MAX);
            if is_full || resources.contains(&emission.snapshot.resource) {
                batches.push(begin..at);
                (begin, parts) = (at, 0);
                resources.clear();
            }
            resources.insert(&emission.snapshot.resource);
            parts += size;
        }
        if begin < emissions.len() {
            batches.push(begin..emissions.len());
        }
        batches.reverse();
        Self(batches)
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        self.0.pop()
    }

    /// Puts a batch back as two.
    pub(super) fn halve(&mut self, batch: Range<usize>) {
        let middle = batch.start + batch.len() / 2;
        self.0.extend([middle..batch.end, batch.start..middle]);
    }
}

#[cfg(test)]
mod tests {
    use bucket_state::{ResourceId, Snapshot};

    use super::*;

    fn emission(bucket: &str, entities: usize) -> Emission {
        let mut snapshot = Snapshot::bare(&ResourceId::bucket("eu-west-1", bucket));
        snapshot.entities = vec![snapshot.entities[0].clone(); entities];
        Emission { version: 1, snapshot, digest: [0; 32] }
    }

    fn all(mut batches: Batches) -> Vec<Range<usize>> {
        std::iter::from_fn(|| batches.next()).collect()
    }

    #[test]
    fn a_batch_has_no_resource_twice_and_is_bounded_by_snapshots_and_by_parts() {
        let twice = [emission("a", 1), emission("b", 1), emission("a", 1)];
        assert_eq!(all(Batches::new(&twice)), [0..2, 2..3]);
        let many: Vec<Emission> = (0..450).map(|at| emission(&format!("b{at}"), 1)).collect();
        assert_eq!(all(Batches::new(&many)), [0..200, 200..400, 400..450]);
        let large = [emission("a", 3_000), emission("b", 3_000), emission("c", 5_000), emission("d", 1)];
        assert_eq!(all(Batches::new(&large)), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!(all(Batches::new(&[])), []);
    }

    #[test]
    fn what_is_halved_comes_next_and_in_order() {
        let mut batches = Batches::new(&[emission("a", 1), emission("b", 1), emission("c", 1)]);
        let batch = batches.next().unwrap();
        batches.halve(batch);
        assert_eq!(all(batches), [0..1, 1..3]);
    }
}
