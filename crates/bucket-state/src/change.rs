//! What a call changed, as far as its record tells.

use serde_json::Value;

use crate::body::{self, Body};
use crate::catalogue::{ACL_KEYS, Call, Effect, Facet};
use crate::event::{Change, TagChange};
use crate::parameters::Parameters;
use crate::register::{Setting, Unknown};
use crate::tags::TAGS_MAX;

/// A body larger than this makes its facet unknown. CloudTrail itself cuts request parameters at 100 KB.
const BODY_BYTES_MAX: usize = 128 << 10;
/// Deeper bodies are refused: no real one comes near, and reading one must not exhaust the stack.
const BODY_DEPTH_MAX: usize = 64;
/// S3's own limits on a tag, in characters.
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;

/// A body nested more deeply than any real one.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is nested more than {BODY_DEPTH_MAX} levels deep")]
pub(crate) struct TooDeep(&'static [&'static str]);

/// The change that `call` made to a bucket in `region`.
pub(crate) fn read(call: &Call, parameters: &Parameters<'_>, region: &str) -> Result<Change, TooDeep> {
    Ok(match call.effect {
        Effect::DeleteBucket => Change::Delete,
        Effect::CreateBucket => {
            let acl = match recorded(parameters, ACL_KEYS)? {
                // Whoever names no ACL gets a private one.
                Setting::Unknown(Unknown::NotRecorded) => {
                    Setting::Set(Body::from_parts([("x-amz-acl", "\"private\"")]))
                }
                told => told,
            };
            Change::Create { acl, proves_new: region != "us-east-1" }
        }
        Effect::Put(facet, keys) => Change::Write(facet, recorded(parameters, keys)?),
        Effect::Delete(facet) => Change::Write(facet, Setting::Cleared),
        Effect::TagResource => single_tags(
            parameters,
            "TagResourceRequest",
            |request| &request["Tags"]["Tag"],
            |tag| {
                let value = body::text(&tag["Value"]).unwrap_or_else(|| "null".into());
                Some(TagChange { key: body::text(&tag["Key"])?.into(), value: Some(value.into()) })
            },
        ),
        Effect::UntagResource => single_tags(
            parameters,
            "tagKeys",
            |keys| keys,
            |key| Some(TagChange { key: body::text(key)?.into(), value: None }),
        ),
    })
}

/// The body under the first level of `keys`: unknown where CloudTrail left it out.
fn recorded(parameters: &Parameters<'_>, keys: &'static [&'static str]) -> Result<Setting, TooDeep> {
    let parts = match parameters.told(keys) {
        Ok(parts) => parts,
        Err(why) => return Ok(Setting::Unknown(why)),
    };
    let body = Body::from_parts(parts.iter().copied());
    if body.len() > BODY_BYTES_MAX {
        return Ok(Setting::Unknown(Unknown::TooLarge));
    }
    if parts.iter().any(|(_, json)| depth(json) > BODY_DEPTH_MAX) {
        return Err(TooDeep(keys));
    }
    Ok(Setting::Set(body))
}

/// Single tags; where the record does not tell which, or S3 cannot have taken them, the whole set is unknown.
fn single_tags(
    parameters: &Parameters<'_>,
    key: &'static str,
    list: impl Fn(&Value) -> &Value,
    read: impl Fn(&Value) -> Option<TagChange>,
) -> Change {
    let unknown = |why| Change::Write(Facet::Tags, Setting::Unknown(why));
    if let Err(why) = parameters.told(&[key]) {
        return unknown(why);
    }
    let value = parameters.value(key);
    let nodes = body::items(list(&value));
    if nodes.len() > TAGS_MAX {
        return unknown(Unknown::TooLarge);
    }
    match nodes.iter().map(read).collect::<Option<Vec<_>>>() {
        Some(tags) if tags.iter().any(is_too_large) => unknown(Unknown::TooLarge),
        Some(tags) if !tags.is_empty() => Change::Tags(tags),
        _ => unknown(Unknown::NotRecorded),
    }
}

fn is_too_large(tag: &TagChange) -> bool {
    let value = tag.value.as_deref().unwrap_or_default();
    tag.key.chars().count() > TAG_KEY_CHARS_MAX || value.chars().count() > TAG_VALUE_CHARS_MAX
}

/// How deeply valid JSON is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
