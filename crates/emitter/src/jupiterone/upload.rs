//! Parts on their way into a job: collected into chunks, and taken apart where the server takes a chunk as a whole not.

use bucket_state::ResourceId;
use serde_json::Value;

use super::client::{Client, Trouble, chunk};
use super::shape;
use crate::row::Version;
use tokio_util::sync::CancellationToken;

/// The server takes 6 MiB a request; the reference client sends 5,000,000 bytes of JSON.
const CHUNK_BYTES: usize = 4_900_000;

/// An entity or a relationship.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) resource: ResourceId,
    pub(crate) version: Version,
    pub(crate) value: Value,
}

/// A part that the server will not take, and why.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) resource: ResourceId,
    pub(crate) version: Version,
    pub(crate) key: String,
    pub(crate) why: String,
}

/// Parts of one kind.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    parts: Vec<Part>,
    bytes: usize,
}

impl Upload {
    /// Adds a part; gives the chunk that was full before it, if it was.
    pub(crate) fn push(&mut self, part: Part) -> Option<Vec<Part>> {
        let bytes = part.value.to_string().len() + 1;
        let full = (self.bytes + bytes > CHUNK_BYTES && !self.parts.is_empty()).then(|| self.take());
        self.bytes += bytes;
        self.parts.push(part);
        full
    }

    /// Takes what has been collected.
    pub(crate) fn take(&mut self) -> Vec<Part> {
        self.bytes = 0;
        std::mem::take(&mut self.parts)
    }
}

/// Uploads a chunk. Where the server does not take it, halves it until what is wrong is found; an entity that is wrong is
/// sent bare, since an upload replaces all of its scope, and a relationship is left out. What is found stays in `rejected`
/// also where the rest fails: the next try need not find it again.
pub(crate) async fn send(
    client: &Client,
    job: &str,
    what: &'static str,
    parts: Vec<Part>,
    stop: &CancellationToken,
    rejected: &mut Vec<Rejected>,
) -> Result<(), Trouble> {
    let mut left = vec![parts];
    while let Some(mut parts) = left.pop() {
        if parts.is_empty() {
            continue;
        }
        let values: Vec<Value> = parts.iter().map(|part| part.value.clone()).collect();
        match client.upload(job, what, &chunk(what, &values), stop).await {
            Ok(()) => {}
            Err(Trouble::TooLarge) if shed(&mut parts) => left.push(parts),
            Err(Trouble::TooLarge | Trouble::Refused(_)) if parts.len() > 1 => {
                let second = parts.split_off(parts.len() / 2);
                left.extend([second, parts]);
            }
            Err(trouble @ (Trouble::TooLarge | Trouble::Refused(_))) => {
                let why = match trouble {
                    Trouble::Refused(why) => why,
                    _ => "it is larger than a request may be".to_owned(),
                };
                let Some(Part { resource, version, value }) = parts.pop() else { continue };
                let key = value["_key"].as_str().unwrap_or_default().to_owned();
                let bare = shape::bare(&value);
                if what == ENTITIES && bare == value {
                    return Err(Trouble::Down(format!("not even the bare {key} is taken: {why}")));
                }
                rejected.push(Rejected { resource: resource.clone(), version, key, why });
                if what == ENTITIES {
                    left.push(vec![Part { resource, version, value: bare }]);
                }
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}

pub(crate) const ENTITIES: &str = "entities";
pub(crate) const RELATIONSHIPS: &str = "relationships";

/// Leaves out what is stored for people only; tells whether there was any.
fn shed(parts: &mut [Part]) -> bool {
    let raw = parts.iter_mut().filter_map(|part| part.value.as_object_mut()?.remove("_rawData"));
    raw.count() > 0
}
