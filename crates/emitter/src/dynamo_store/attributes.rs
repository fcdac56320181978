//! A row as attributes of its item.

use litemap::LiteMap;

use aws_sdk_dynamodb::types::AttributeValue;
use bucket_state::ResourceId;

use super::item::{Item, STATE, WRITE, blob, bytes, key, map, needed, nonce, number, numeral, string, text};
use super::record::{Kept, Parts, Record, SinkMark, Waiting};
use super::write::Change;
use crate::row::{PendingMark, SinkName};
use crate::store::StoreError;

/// The names of attributes.
pub(super) mod name {
    pub(in super::super) const VERSION: &str = "version";
    pub(in super::super) const STATE: &str = "state";
    pub(in super::super) const PARTS: &str = "parts";
    pub(in super::super) const ACCOUNT: &str = "account";
    pub(in super::super) const MARKS: &str = "marks";
    pub(in super::super) const PENDING: &str = "pending";
    pub(in super::super) const SINCE: &str = "since";
    pub(in super::super) const REJECTED: &str = "rejected";
}

impl Record {
    /// Reads an item; a state that the item was read without is left open.
    pub(super) fn read(item: &Item) -> Result<Self, StoreError> {
        let state = match (blob(item, name::STATE), map(item, name::PARTS)) {
            (Some(state), _) => Some(Kept::Here(state.into())),
            (None, Some(parts)) => Some(Kept::Apart(Parts {
                version: needed(numeral(parts, name::VERSION), item, name::PARTS)?,
                write: needed(text(parts, WRITE), item, name::PARTS)?.to_owned(),
                count: needed(numeral(parts, "count"), item, name::PARTS)?,
            })),
            (None, None) => None,
        };
        Ok(Self {
            version: needed(numeral(item, name::VERSION), item, name::VERSION)?,
            write: needed(text(item, WRITE), item, WRITE)?.to_owned(),
            state,
            account: text(item, name::ACCOUNT).map(ResourceId::from),
            marks: read_marks(item)?,
        })
    }

    /// The write that makes this of `base`, or of no row; under a `write` of its own, which this takes on.
    pub(super) fn change_from(&mut self, base: Option<&Self>, resource: &ResourceId) -> Change {
        self.write = nonce();
        let mut change = Change::new(key(resource.as_str(), STATE), &self.write, base.map(|base| base.write.as_str()));
        change.set(name::VERSION, number(self.version));
        change.set(name::MARKS, AttributeValue::M(written_marks(&self.marks)));
        if base.is_none_or(|base| base.account != self.account) {
            change.set_or_remove(name::ACCOUNT, self.account.as_ref().map(|account| string(account.as_str())));
        }
        if let Some(state) =
            self.state.as_ref().filter(|state| base.is_none_or(|base| base.state.as_ref() != Some(state)))
        {
            let (here, apart) = match state {
                Kept::Here(state) => (Some(bytes(&**state)), None),
                Kept::Apart(parts) => (None, Some(written_parts(parts))),
            };
            change.set_or_remove(name::STATE, here);
            change.set_or_remove(name::PARTS, apart);
        }
        let (pending, since) = self.pending(resource).unzip();
        change.set_or_remove(name::PENDING, pending.map(string));
        change.set_or_remove(name::SINCE, since.map(number));
        change.set_or_remove(name::REJECTED, self.rejected().map(string));
        change
    }
}

fn written_parts(parts: &Parts) -> AttributeValue {
    let Parts { version, write, count } = parts;
    let parts = [(name::VERSION, number(version)), (WRITE, string(write)), ("count", number(count))];
    AttributeValue::M(parts.map(|(name, value)| (name.to_owned(), value)).into())
}

/// The marks of a row, or of its entry in the index.
pub(super) fn read_marks(item: &Item) -> Result<LiteMap<SinkName, SinkMark>, StoreError> {
    let marks = needed(map(item, name::MARKS), item, name::MARKS)?;
    let read = |(sink, mark): (&String, &AttributeValue)| {
        let mark = needed(mark.as_m().ok().and_then(read_mark), item, name::MARKS)?;
        Ok((SinkName::from(sink.as_str()), mark))
    };
    marks.iter().map(read).collect()
}

fn read_mark(mark: &Item) -> Option<SinkMark> {
    let times = |names: [&str; 3]| {
        let [since_ms, arrived_ms, happened_ms] = names.map(|name| numeral::<i64>(mark, name));
        Some(PendingMark { since_ms: since_ms?, arrived_ms: arrived_ms?, happened_ms: happened_ms? })
    };
    let waiting = times(FIRST).map(|first| Waiting {
        mark: first,
        last: times(LAST).unwrap_or(first),
        worker: text(mark, "worker").unwrap_or_default().to_owned(),
    });
    Some(SinkMark {
        slot: numeral(mark, "slot")?,
        epoch: numeral(mark, "epoch")?,
        waiting,
        digest: blob(mark, "digest").and_then(|digest| digest.try_into().ok()),
        rejected: numeral(mark, "rejected"),
    })
}

const FIRST: [&str; 3] = ["since", "arrived", "happened"];
/// Left out where they are the same: most rows are shown before they are saved again.
const LAST: [&str; 3] = ["last_since", "last_arrived", "last_happened"];

fn written_marks(marks: &LiteMap<SinkName, SinkMark>) -> Item {
    let written =
        |(name, mark): (&SinkName, &SinkMark)| (name.as_str().to_owned(), AttributeValue::M(written_mark(mark)));
    marks.iter().map(written).collect()
}

fn written_mark(mark: &SinkMark) -> Item {
    let mut item = Item::from([("slot".to_owned(), number(mark.slot)), ("epoch".to_owned(), number(mark.epoch))]);
    let mut put = |name: &str, value: Option<AttributeValue>| {
        if let Some(value) = value {
            item.insert(name.to_owned(), value);
        }
    };
    if let Some(waiting) = &mark.waiting {
        let last = (waiting.last != waiting.mark).then_some((LAST, waiting.last));
        for (names, times) in std::iter::once((FIRST, waiting.mark)).chain(last) {
            let times = [times.since_ms, times.arrived_ms, times.happened_ms];
            names.into_iter().zip(times).for_each(|(name, time)| put(name, Some(number(time))));
        }
        put("worker", Some(string(&waiting.worker)));
    }
    put("digest", mark.digest.map(bytes));
    put("rejected", mark.rejected.map(number));
    item
}
