//! Faults of the protocol, planted on purpose: a simulation that does not find them proves nothing.

/// A worker that breaks one rule of the commit protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A snapshot is emitted before the state that it shows is saved.
    EmitBeforeSave,
    /// A pending row whose snapshot the sink is thought to show already is cleared without being emitted.
    ElideAtEmission,
    /// Not the cut that was sealed is checkpointed, but how far reading has come meanwhile.
    CheckpointOfTheLiveCut,
    /// The cut is checkpointed, and saved then.
    CheckpointBeforeSave,
    /// A row is written whatever became of the version that it is based on.
    UnconditionalSave,
    /// A mark is cleared although the row has moved since it was read.
    ClearWithoutTheVersion,
    /// What the worker emitted before is compared with what it emits now, and only what went is deleted.
    DeleteByDiff,
    /// The graph forgets the version of a bucket that is gone.
    NoHeadRow,
    /// A worker whose renewals are refused, or do not arrive, believes all the same that it holds the lease.
    NoLeaseFence,
    /// A default is written into the state, as if somebody had set it.
    DefaultsStoredByTheFold,
}

impl Planted {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::EmitBeforeSave,
        Self::ElideAtEmission,
        Self::CheckpointOfTheLiveCut,
        Self::CheckpointBeforeSave,
        Self::UnconditionalSave,
        Self::ClearWithoutTheVersion,
        Self::DeleteByDiff,
        Self::NoHeadRow,
        Self::NoLeaseFence,
        Self::DefaultsStoredByTheFold,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EmitBeforeSave => "emit-before-save",
            Self::ElideAtEmission => "elide-at-emission",
            Self::CheckpointOfTheLiveCut => "checkpoint-of-the-live-cut",
            Self::CheckpointBeforeSave => "checkpoint-before-save",
            Self::UnconditionalSave => "unconditional-save",
            Self::ClearWithoutTheVersion => "clear-without-the-version",
            Self::DeleteByDiff => "delete-by-diff",
            Self::NoHeadRow => "no-head-row",
            Self::NoLeaseFence => "no-lease-fence",
            Self::DefaultsStoredByTheFold => "defaults-stored-by-the-fold",
        }
    }
}
