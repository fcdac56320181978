//! How far each shard has been handled.

use std::collections::BTreeMap;

use crate::record::{Epoch, Position, ShardId};

/// For each shard, the position after the last record that is in memory, under one tenure of its lease.
///
/// A cut only moves forward within an epoch. A newer epoch replaces an older one, never the reverse: what was
/// read under a lost lease is another worker's to checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut(BTreeMap<ShardId, (Epoch, Position)>);

impl Cut {
    /// Records that everything of `shard` before `position` has been handled.
    pub fn advance(&mut self, shard: &ShardId, epoch: Epoch, position: Position) {
        match self.0.get_mut(shard) {
            Some((known, _)) if *known > epoch => {}
            Some((known, reached)) if *known == epoch => {
                assert!(*reached <= position, "shard {shard} went back from {reached:?} to {position:?}");
                *reached = position;
            }
            _ => {
                self.0.insert(shard.clone(), (epoch, position));
            }
        }
    }

    /// Stops speaking for `shard`, unless a newer tenure already does.
    pub fn forget(&mut self, shard: &ShardId, epoch: Epoch) {
        if self.0.get(shard).is_some_and(|(known, _)| *known <= epoch) {
            self.0.remove(shard);
        }
    }

    /// Each shard with its epoch and position.
    pub fn iter(&self) -> impl Iterator<Item = (&ShardId, Epoch, &Position)> {
        self.0.iter().map(|(shard, (epoch, position))| (shard, *epoch, position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sequence: &str) -> Position {
        Position::After { sequence: sequence.into(), sub_sequence: 0 }
    }

    #[test]
    fn a_forgotten_shard_is_never_checkpointed() {
        let shard = ShardId::from("shardId-000000000000");
        let mut cut = Cut::default();
        cut.advance(&shard, 1, after("5"));
        cut.forget(&shard, 1);
        assert_eq!(cut, Cut::default());
    }

    #[test]
    fn a_late_word_of_an_old_tenure_changes_nothing() {
        let shard = ShardId::from("shardId-000000000000");
        let mut cut = Cut::default();
        cut.advance(&shard, 7, after("5"));
        cut.advance(&shard, 3, after("9"));
        cut.forget(&shard, 3);
        assert_eq!(cut.iter().collect::<Vec<_>>(), [(&shard, 7, &after("5"))]);
    }
}
