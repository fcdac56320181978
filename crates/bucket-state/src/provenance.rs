//! Where each facet's value comes from: shown, but not a part of the graph.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Level;
use crate::catalogue::{CREATION, Facet};
use crate::event_id::EventId;
use crate::living::{Known, Living};
use crate::register::Unknown;
use crate::stamp::Origin;

/// Where the value of one facet comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The facet's name.
    pub facet: Cow<'static, str>,
    /// `event`, `default` or `unknown`.
    pub source: Cow<'static, str>,
    /// The event that wrote it last.
    pub event_id: Option<EventId>,
    /// When, in milliseconds since 1970.
    pub event_time: Option<i64>,
    /// By whom.
    pub actor: Option<Arc<str>>,
    /// Whether CloudTrail's times leave open that this was the last write.
    pub contested: bool,
    /// Why the value is unknown although an event has spoken of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unknown>,
}

/// Of a bucket, with the level above it.
pub(crate) fn of_bucket(bucket: &Living<'_>, account: &Level<'_>, contested: &[&str]) -> Vec<Provenance> {
    let created = bucket.created();
    let source = if created.is_some() { "event" } else { "unknown" };
    let mut entries = vec![entry(CREATION, source, created, None, contested.contains(&CREATION))];
    entries.extend(of_each(bucket, &Facet::OF_BUCKET, contested));
    let source = match account.origin {
        Some(_) => "event",
        None if account.assumed => "default",
        None => "unknown",
    };
    let facet = Facet::AccountPublicAccessBlock.as_str();
    entries.push(entry(facet, source, account.origin, None, account.contested));
    entries
}

/// Of anything else.
pub(crate) fn of_facets(living: &Living<'_>, facets: &[Facet], contested: &[&str]) -> Vec<Provenance> {
    of_each(living, facets, contested).collect()
}

fn of_each<'a>(
    living: &'a Living<'_>,
    facets: &'a [Facet],
    contested: &'a [&str],
) -> impl Iterator<Item = Provenance> + 'a {
    facets.iter().map(|facet| {
        let last_part = living.last_part(*facet);
        let origin = living.origin(*facet).max(last_part.map(|(origin, _)| origin));
        let (source, why) = match (last_part, living.known(*facet)) {
            (Some((_, Some(why))), _) => ("unknown", Some(why)),
            (Some(_), _) | (None, Known::Set(_) | Known::Cleared) => ("event", None),
            (None, Known::Default) => ("default", None),
            (None, Known::Unknown(why)) => ("unknown", why),
        };
        let name = facet.as_str();
        entry(name, source, origin, why, contested.contains(&name))
    })
}

fn entry(
    facet: &'static str,
    source: &'static str,
    origin: Option<&Origin>,
    reason: Option<Unknown>,
    contested: bool,
) -> Provenance {
    Provenance {
        facet: facet.into(),
        source: source.into(),
        event_id: origin.map(|origin| origin.event_id.clone()),
        event_time: origin.map(|origin| origin.stamp.happened_ms()),
        actor: origin.and_then(|origin| origin.actor.clone()),
        contested,
        reason,
    }
}
