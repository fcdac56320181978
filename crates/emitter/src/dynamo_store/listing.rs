//! The list of sinks: one item, which every save reads.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::call::Table;
use super::item::{Item, STORE, WRITE, key, map, needed, nonce, number, numeral, string, text};
use super::record::SinkMark;
use super::write::{Change, Outcome};
use crate::row::SinkName;
use crate::store::StoreError;

/// What is pending is looked for in every set of sinks that contains the one in question: 2^(n - 1).
pub(super) const SINKS_MOST: u8 = 4;

const SINKS: &str = "sinks";
const EPOCHS: &str = "epochs";

/// The list, as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    sinks: BTreeMap<SinkName, Entry>,
    /// The last one given out.
    epochs: u64,
    write: Option<String>,
}

/// A sink in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The least number that no other one has. One that was forgotten may have had it, so a row may be found where it is
    /// not pending; whoever emits it reads the row.
    pub(super) slot: u8,
    /// Another one for each graph that ever stood under any name: a mark of another epoch is of another graph.
    pub(super) epoch: u64,
    pub(super) stage: Stage,
    pub(super) instance: String,
}

/// How far a sink has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Saves mark their rows for it, and all others are being marked.
    Joining,
    /// Every row has been marked for it.
    Listed,
    /// It is forgotten: its marks are being removed.
    Leaving,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Listed => "listed",
            Self::Leaving => "leaving",
        }
    }
}

impl Entry {
    /// The mark of a row that the sink has never heard of.
    pub(super) fn unmarked(&self) -> SinkMark {
        SinkMark { slot: self.slot, epoch: self.epoch, ..SinkMark::default() }
    }

    fn read(entry: &Item) -> Option<Self> {
        let word = text(entry, "stage")?;
        Some(Self {
            slot: numeral(entry, "slot")?,
            epoch: numeral(entry, "epoch")?,
            stage: [Stage::Joining, Stage::Listed, Stage::Leaving].into_iter().find(|stage| stage.word() == word)?,
            instance: text(entry, "instance")?.to_owned(),
        })
    }

    fn written(&self) -> AttributeValue {
        let attributes = [
            ("slot", number(self.slot)),
            ("epoch", number(self.epoch)),
            ("stage", string(self.stage.word())),
            ("instance", string(&self.instance)),
        ];
        AttributeValue::M(attributes.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

impl Listing {
    /// The sinks for which a save marks its row.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&SinkName, &Entry)> {
        self.sinks.iter().filter(|(_, entry)| entry.stage != Stage::Leaving)
    }

    pub(super) fn names(&self, name: &SinkName) -> bool {
        self.entry(name).is_some_and(|entry| entry.stage != Stage::Leaving)
    }

    pub(super) fn entry(&self, name: &SinkName) -> Option<&Entry> {
        self.sinks.get(name)
    }

    pub(super) fn slots(&self) -> Vec<u8> {
        self.sinks.values().map(|entry| entry.slot).collect()
    }

    /// The list with this graph joining, under its name's number or a free one.
    pub(super) fn joined(&self, name: &SinkName, instance: &str) -> Result<Self, StoreError> {
        let free = (0..SINKS_MOST).find(|slot| self.sinks.values().all(|entry| entry.slot != *slot));
        let Some(slot) = self.entry(name).map(|entry| entry.slot).or(free) else {
            let names: Vec<&str> = self.sinks.keys().map(SinkName::as_str).collect();
            return Err(StoreError::Unusable(format!(
                "{name} cannot be added to the state store: it lists {SINKS_MOST} graphs, and no more fit ({}): take one \
                 off with `trailgraph republish --forget NAME`",
                names.join(", ")
            )));
        };
        let mut next = self.clone();
        next.epochs += 1;
        let entry = Entry { slot, epoch: next.epochs, stage: Stage::Joining, instance: instance.to_owned() };
        next.sinks.insert(name.clone(), entry);
        Ok(next)
    }

    pub(super) fn with_stage(&self, name: &SinkName, stage: Stage) -> Self {
        let mut next = self.clone();
        if let Some(entry) = next.sinks.get_mut(name) {
            entry.stage = stage;
        }
        next
    }

    pub(super) fn with_instance(&self, name: &SinkName, instance: &str) -> Self {
        let mut next = self.clone();
        if let Some(entry) = next.sinks.get_mut(name) {
            instance.clone_into(&mut entry.instance);
        }
        next
    }

    pub(super) fn without(&self, name: &SinkName) -> Self {
        let mut next = self.clone();
        next.sinks.remove(name);
        next
    }

    fn read(item: &Item) -> Result<Self, StoreError> {
        let entries = needed(map(item, SINKS), item, SINKS)?;
        let read = |(name, entry): (&String, &AttributeValue)| {
            let entry = needed(entry.as_m().ok().and_then(Entry::read), item, SINKS)?;
            Ok((SinkName::from(name.as_str()), entry))
        };
        Ok(Self {
            sinks: entries.iter().map(read).collect::<Result<_, StoreError>>()?,
            epochs: needed(numeral(item, EPOCHS), item, EPOCHS)?,
            write: Some(needed(text(item, WRITE), item, WRITE)?.to_owned()),
        })
    }
}

impl Table {
    /// The list as it is now.
    pub(super) async fn listing(&self) -> Result<Listing, StoreError> {
        let item = self.get(key(STORE, SINKS), "read the list of sinks").await?;
        item.as_ref().map_or_else(|| Ok(Listing::default()), Listing::read)
    }

    /// Writes the list, unless it is another one by now; tells whether it was written.
    pub(super) async fn list(&self, seen: &Listing, next: &Listing) -> Result<bool, StoreError> {
        let mut change = Change::new(key(STORE, SINKS), &nonce(), seen.write.as_deref());
        let entries = next.sinks.iter().map(|(name, entry)| (name.as_str().to_owned(), entry.written())).collect();
        change.set(SINKS, AttributeValue::M(entries));
        change.set(EPOCHS, number(next.epochs));
        Ok(matches!(self.write(&[change], "write the list of sinks").await?, Outcome::Landed))
    }
}
