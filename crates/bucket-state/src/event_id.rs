//! What tells events apart.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// The id of an event: a text, of which CloudTrail makes UUIDs. Those take 16 bytes here, and nothing besides. Ordered as
/// texts are.
#[derive(Clone, PartialEq, Eq)]
pub struct EventId(Id);

#[derive(Clone, PartialEq, Eq)]
enum Id {
    /// One that is written as CloudTrail writes it, so that the text can be told from it.
    Uuid(Uuid),
    Text(Box<str>),
}

impl EventId {
    /// Calls `with` with the text.
    fn with_text<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        match &self.0 {
            Id::Uuid(uuid) => with(uuid.as_hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH])),
            Id::Text(text) => with(text),
        }
    }
}

impl From<&str> for EventId {
    fn from(text: &str) -> Self {
        let uuid = Uuid::try_parse(text).ok();
        let uuid = uuid.filter(|uuid| *uuid.as_hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]) == *text);
        Self(uuid.map_or_else(|| Id::Text(text.into()), Id::Uuid))
    }
}

impl Ord for EventId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // Digits stand before letters in texts, too.
            (Id::Uuid(ours), Id::Uuid(theirs)) => ours.cmp(theirs),
            _ => self.with_text(|ours| other.with_text(|theirs| ours.cmp(theirs))),
        }
    }
}

impl PartialOrd for EventId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| fmt::Debug::fmt(text, f))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::Text::deserialize(deserializer).map(|text| Self::from(&*text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "4f1d3b0a-92c1-4e7e-b0c4-0a1b2c3d4e5f";

    #[test]
    fn only_what_can_be_written_again_as_it_was_is_kept_as_a_uuid() {
        let simple = UUID.replace('-', "");
        for (text, is_uuid) in [
            (UUID, true),
            (&*UUID.to_uppercase(), false),
            (&*simple, false),
            (&*format!("{{{UUID}}}"), false),
            (&*format!("urn:uuid:{UUID}"), false),
            (&*format!("{UUID}-2"), false),
            ("", false),
        ] {
            let id = EventId::from(text);
            assert_eq!((matches!(id.0, Id::Uuid(_)), id.to_string().as_str()), (is_uuid, text));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!((json.as_str(), serde_json::from_str(&json).unwrap()), (&*format!("{text:?}"), id));
        }
    }

    fn id() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[0-9a-zA-Z-]{0,40}",
            "event-[0-9]"
        ]
    }

    proptest! {
        #[test]
        fn ids_are_ordered_as_their_texts((ours, theirs) in (id(), id())) {
            let expected = ours.cmp(&theirs);
            prop_assert_eq!(EventId::from(&*ours).cmp(&EventId::from(&*theirs)), expected);
        }
    }
}
