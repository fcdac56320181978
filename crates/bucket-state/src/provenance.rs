//! Where each facet's value comes from: shown, but not a part of the graph.

use serde_json::{Value, json};

use crate::account::Level;
use crate::catalogue::{CREATION, Facet};
use crate::living::{Known, Living};
use crate::register::Unknown;
use crate::stamp::Origin;

/// Of a bucket, with the level above it.
pub(crate) fn of_bucket(bucket: &Living<'_>, account: &Level<'_>, contested: &[&str]) -> Value {
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
    entries.into()
}

/// Of anything else.
pub(crate) fn of_facets(living: &Living<'_>, facets: &[Facet], contested: &[&str]) -> Value {
    of_each(living, facets, contested).into()
}

fn of_each(living: &Living<'_>, facets: &[Facet], contested: &[&str]) -> Vec<Value> {
    let of_facet = |facet: &Facet| {
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
    };
    facets.iter().map(of_facet).collect()
}

fn entry(facet: &str, source: &str, origin: Option<&Origin>, why: Option<Unknown>, contested: bool) -> Value {
    let mut entry = json!({
        "facet": facet,
        "source": source,
        "eventId": origin.map(|origin| &origin.event_id),
        "eventTime": origin.map(|origin| origin.stamp.second * 1_000),
        "actor": origin.and_then(|origin| origin.actor.as_deref()),
        "contested": contested,
    });
    if let Some(why) = why {
        entry["reason"] = json!(why);
    }
    entry
}
