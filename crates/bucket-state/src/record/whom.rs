//! Whom a record concerns: the bucket, the account or the access point, and who owns it.

use std::sync::Arc;

use serde::Deserialize;

use super::{REGION_BYTES_MAX, Record, Refused, bounded, shown};
use crate::body;
use crate::catalogue::{Call, Effect};
use crate::change::CREATION_ROOT;
use crate::event::Owner;
use crate::parameters::{self, Parameters};
use crate::parsed::{Ignored, Malformed};
use crate::resource::{Kind, ResourceId, is_account};
use crate::text::Text;
use crate::texts::Texts;

/// A record names a bucket, and perhaps some more.
const RESOURCES_BYTES_MAX: usize = 64 << 10;

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Text<'a>>,
    #[serde(borrow, rename = "ARN", alias = "arn", default)]
    arn: Option<Text<'a>>,
    #[serde(borrow, rename = "accountId", default)]
    account_id: Option<Text<'a>>,
}

impl Record<'_> {
    /// The resource, and the account that owns it where the record tells.
    pub(super) fn whom(
        &self,
        call: &Call,
        parameters: &Parameters<'_>,
        region: &str,
        texts: &mut Texts,
    ) -> Result<(ResourceId, Option<Owner>), Refused> {
        let resources = self.resources()?;
        let of_type = |kind: &str| resources.iter().find(|resource| resource.kind.as_deref() == Some(kind));
        let arn_of = |kind: &str| of_type(kind)?.arn.as_deref().filter(|arn| !arn.is_empty());
        let resource = match call.kind {
            Kind::Bucket => bucket(call, parameters, arn_of("AWS::S3::Bucket"), region)?,
            Kind::Account => self.account(call, region)?,
            Kind::AccessPoint => self.access_point(call, parameters, arn_of("AWS::S3::AccessPoint"), region)?,
        };
        let owner = match resource.account_id() {
            Some(account) => Some((true, account)),
            None => self.owner(call, of_type("AWS::S3::Bucket")),
        };
        let owner = owner.map(|(named, account)| Owner { named, account: texts.share(account) });
        Ok((resource, owner))
    }

    /// Where the bucket lives: where its creation asked for, else where the call was made.
    pub(super) fn region(
        &self,
        call: &Call,
        parameters: &Parameters<'_>,
        texts: &mut Texts,
    ) -> Result<Arc<str>, Refused> {
        let creates = call.effect == Effect::CreateBucket;
        let told = if creates { parameters.document(CREATION_ROOT) } else { Ok(Vec::new()) };
        let configuration = parameters::parsed(&told.unwrap_or_default())?;
        let constraint = body::filled(&configuration["LocationConstraint"]);
        let region = match constraint.as_deref() {
            Some("EU") => Ok("eu-west-1"),
            Some(constraint) => bounded("LocationConstraint", constraint, REGION_BYTES_MAX),
            None => bounded("awsRegion", &self.aws_region, REGION_BYTES_MAX),
        };
        region.map(|region| texts.share(region))
    }

    fn resources(&self) -> Result<Vec<Resource<'_>>, Refused> {
        let Some(raw) = self.resources else { return Ok(Vec::new()) };
        let json = bounded("resources", raw.get(), RESOURCES_BYTES_MAX)?;
        let resources: Result<Option<Vec<Resource<'_>>>, _> = serde_json::from_str(json);
        match resources {
            Ok(resources) => Ok(resources.unwrap_or_default()),
            Err(error) => Err(Refused::Malformed(Malformed::UnexpectedShape, format!("resources: {error}"))),
        }
    }

    /// The account that was told of its own change. Never by Host, which the caller writes.
    fn account(&self, call: &Call, region: &str) -> Result<ResourceId, Refused> {
        let recipient = self.recipient_account_id.as_deref().unwrap_or_default();
        ResourceId::of_account(region, recipient).ok_or_else(|| {
            let message = format!("{}: recipientAccountId {} is not an account", call.name, shown(recipient));
            Refused::Malformed(Malformed::NoResource, message)
        })
    }

    /// The access point, as the record's resources name it, else by its name in the account that made the call: nobody
    /// manages another account's. Only where the call had several recipients does that have to be looked up.
    fn access_point(
        &self,
        call: &Call,
        parameters: &Parameters<'_>,
        arn: Option<&str>,
        region: &str,
    ) -> Result<ResourceId, Refused> {
        if let Some(arn) = arn {
            return ResourceId::of_access_point_arn(arn).ok_or_else(|| no_resource("ARN of an access point", arn));
        }
        let additional = self.additional_event_data.as_ref().and_then(|data| data.access_point_name);
        let name = additional.and_then(|json| parameters::small(json.get()));
        let name = name.or_else(|| parameters.filled("name")).or_else(|| parameters.filled("accessPointName"));
        let Some(name) = name else {
            return Err(Refused::Malformed(Malformed::NoResource, format!("{} names no access point", call.name)));
        };
        let caller = self.user_identity.as_ref().and_then(|user| user.account_id.as_deref());
        let account = if self.shared().is_some() { caller } else { self.recipient_account_id.as_deref() };
        ResourceId::of_access_point_name(region, account.unwrap_or_default(), &name)
            .ok_or_else(|| no_resource("name of an access point of a known account and Region", &name))
    }

    /// The owning account, and whether it is named. A record without resources was delivered to the owner, unless it may be the caller's copy of
    /// a cross-account call; creating makes the caller the owner.
    fn owner<'a>(&'a self, call: &Call, bucket: Option<&'a Resource<'_>>) -> Option<(bool, &'a str)> {
        if let Some(bucket) = bucket {
            let account = bucket.account_id.as_deref().filter(|account| is_account(account))?;
            return Some((true, account));
        }
        if self.shared().is_some() && call.effect != Effect::CreateBucket {
            return None;
        }
        let account = self.recipient_account_id.as_deref().filter(|account| is_account(account))?;
        Some((false, account))
    }
}

/// The bucket, as the record's resources name it, else by the request's name or ARN. Never by Host, which may be
/// path-style.
fn bucket(call: &Call, parameters: &Parameters<'_>, arn: Option<&str>, region: &str) -> Result<ResourceId, Refused> {
    let by_arn = |arn: &str| ResourceId::of_bucket_arn(arn).ok_or_else(|| no_resource("ARN of a bucket", arn));
    let tags_single = matches!(call.effect, Effect::TagResource | Effect::UntagResource);
    let tagged = tags_single.then(|| parameters.filled("resource")).flatten();
    if tagged.as_ref().is_some_and(|arn| !arn.contains(":s3:::")) {
        return Err(Refused::Ignored(Ignored::OtherResource));
    }
    if let Some(arn) = arn {
        return by_arn(arn);
    }
    if let Some(name) = parameters.filled("bucketName") {
        return ResourceId::of_bucket_name(region, &name).ok_or_else(|| no_resource("name of a bucket", &name));
    }
    match tagged {
        Some(arn) => by_arn(&arn),
        None => Err(Refused::Malformed(Malformed::NoResource, format!("{} names no bucket", call.name))),
    }
}

fn no_resource(what: &str, text: &str) -> Refused {
    Refused::Malformed(Malformed::NoResource, format!("{} is not the {what}", shown(text)))
}
