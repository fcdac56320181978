//! What a call changed, as far as its record tells.

use serde_json::Value;

use crate::body::{self, Body};
use crate::catalogue::{ACL_HEADERS, ACL_KEYS, Call, Effect, Facet, Recorded};
use crate::event::{Change, TagChange};
use crate::keyed::TAGS_MAX;
use crate::parameters::{self, BODY_BYTES_MAX, Parameters, Told, TooDeep, must_not_be_deep};
use crate::register::{Setting, Unknown};

/// S3's own limits on a tag, in characters.
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;

/// S3's limit on a policy is 20 KB. What follows from one grows with its principals times its actions.
const POLICY_BYTES_MAX: usize = 32 << 10;
/// A configuration of many is smaller: S3 has limits on each of its parts.
const BODY_BY_ID_BYTES_MAX: usize = 8 << 10;
/// The root of the document that a creation may carry.
pub(crate) const CREATION_ROOT: &str = "CreateBucketConfiguration";
/// S3's limit on the id of a configuration, in characters.
const ID_CHARS_MAX: usize = 64;

/// The change that `call` made to a resource in `region`.
pub(crate) fn read(call: &Call, parameters: &Parameters<'_>, region: &str) -> Result<Change, TooDeep> {
    Ok(match call.effect {
        Effect::CreateBucket => create_bucket(parameters, region)?,
        Effect::CreateAccessPoint => {
            let request = setting(parameters.document("CreateAccessPointRequest"), BODY_BYTES_MAX)?;
            Change::Create { writes: vec![(Facet::AccessPoint, request)], proves_new: true }
        }
        Effect::DeleteBucket | Effect::DeleteAccessPoint => Change::Delete,
        Effect::Put(Facet::Policy, recorded) => {
            Change::Write(Facet::Policy, setting(told(parameters, recorded), POLICY_BYTES_MAX)?)
        }
        Effect::Put(facet, recorded) => Change::Write(facet, setting(told(parameters, recorded), BODY_BYTES_MAX)?),
        Effect::Delete(facet) => Change::Write(facet, Setting::Cleared),
        Effect::PutById(facet, Recorded::Never) => by_id(parameters, facet, Setting::Set(Body::from_parts(&[]))),
        Effect::PutById(facet, recorded) => {
            by_id(parameters, facet, setting(told(parameters, recorded), BODY_BY_ID_BYTES_MAX)?)
        }
        Effect::DeleteById(facet) => by_id(parameters, facet, Setting::Cleared),
        Effect::TagResource => single_tags(
            parameters.document("TagResourceRequest"),
            |request| &request["Tags"]["Tag"],
            |tag| {
                let value = body::text_or_null(&tag["Value"])?;
                Some(TagChange { key: body::text(&tag["Key"])?.into(), value: Some(value.into()) })
            },
        )?,
        Effect::UntagResource => single_tags(
            parameters.told(&["tagKeys"]),
            |keys| keys,
            |key| Some(TagChange { key: body::text(key)?.into(), value: None }),
        )?,
    })
}

/// What a creation writes besides: the ACL always, since whoever names none gets a private one; ownership and tags
/// only where they are named.
fn create_bucket(parameters: &Parameters<'_>, region: &str) -> Result<Change, TooDeep> {
    let acl = match setting(parameters.told(ACL_HEADERS), BODY_BYTES_MAX)? {
        Setting::Unknown(Unknown::NotRecorded) => Setting::Set(Body::from_parts(&[("x-amz-acl", "\"private\"")])),
        told => told,
    };
    let mut writes = vec![(Facet::Acl, acl)];
    match setting(parameters.told(&["x-amz-object-ownership"]), BODY_BYTES_MAX)? {
        Setting::Unknown(Unknown::NotRecorded) => {}
        told => writes.push((Facet::Ownership, told)),
    }
    match parameters.document(CREATION_ROOT) {
        Err(Unknown::NotRecorded) if parameters.has_no_document(CREATION_ROOT) => {}
        Err(why) => writes.push((Facet::Tags, Setting::Unknown(why))),
        Ok(parts) if parts.iter().any(|(_, json)| json.len() > BODY_BYTES_MAX) => {
            writes.push((Facet::Tags, Setting::Unknown(Unknown::TooLarge)));
        }
        Ok(parts) if !parameters::parsed(&parts)?["Tags"].is_null() => {
            writes.push((Facet::Tags, setting(Ok(parts), BODY_BYTES_MAX)?));
        }
        Ok(_) => {}
    }
    Ok(Change::Create { writes, proves_new: region != "us-east-1" })
}

fn told<'a>(parameters: &Parameters<'a>, recorded: Recorded) -> Told<'a> {
    match recorded {
        Recorded::Xml(root) => parameters.document(root),
        Recorded::Acl => match (parameters.told(ACL_KEYS), parameters.has_document_besides(ACL_KEYS)) {
            (Err(Unknown::NotRecorded), true) => parameters.document("AccessControlPolicy"),
            // A header and a document of another root: nobody knows which of them counted.
            (Ok(_), true) => Err(Unknown::NotRecorded),
            (told, _) => told,
        },
        Recorded::Keys(keys) => parameters.told(keys),
        Recorded::Never => Err(Unknown::NotRecorded),
    }
}

/// What was told as a facet's value.
fn setting(told: Told<'_>, bytes_max: usize) -> Result<Setting, TooDeep> {
    let parts = match told {
        Ok(parts) => parts,
        Err(why) => return Ok(Setting::Unknown(why)),
    };
    let body = Body::from_parts(&parts);
    if body.len() > bytes_max {
        return Ok(Setting::Unknown(Unknown::TooLarge));
    }
    must_not_be_deep(&parts)?;
    Ok(Setting::Set(body))
}

/// One configuration of a facet; where the record does not tell which, or S3 cannot have taken its id, all of them
/// are unknown.
fn by_id(parameters: &Parameters<'_>, facet: Facet, setting: Setting) -> Change {
    let id = parameters.filled("id");
    match id {
        Some(id) if id.chars().count() <= ID_CHARS_MAX => Change::WriteById(facet, id.into(), setting),
        Some(_) => Change::Write(facet, Setting::Unknown(Unknown::TooLarge)),
        None => {
            let why = parameters.told(&["id"]).err().unwrap_or(Unknown::NotRecorded);
            Change::Write(facet, Setting::Unknown(why))
        }
    }
}

/// Single tags; where the record does not tell which, or S3 cannot have taken them, the whole set is unknown.
fn single_tags(
    told: Told<'_>,
    list: impl Fn(&Value) -> &Value,
    read: impl Fn(&Value) -> Option<TagChange>,
) -> Result<Change, TooDeep> {
    let unknown = |why| Ok(Change::Write(Facet::Tags, Setting::Unknown(why)));
    let value = match told {
        Ok(parts) => parameters::parsed(&parts)?,
        Err(why) => return unknown(why),
    };
    let nodes = body::items(list(&value));
    if nodes.len() > TAGS_MAX {
        return unknown(Unknown::TooLarge);
    }
    match nodes.iter().map(read).collect::<Option<Vec<_>>>() {
        Some(tags) if tags.iter().any(is_too_large) => unknown(Unknown::TooLarge),
        Some(tags) if !tags.is_empty() => Ok(Change::Tags(tags)),
        _ => unknown(Unknown::NotRecorded),
    }
}

fn is_too_large(tag: &TagChange) -> bool {
    let value = tag.value.as_deref().unwrap_or_default();
    tag.key.chars().count() > TAG_KEY_CHARS_MAX || value.chars().count() > TAG_VALUE_CHARS_MAX
}
