//! What a state belongs to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `arn:PARTITION:s3:::NAME`
    Bucket,
    /// `arn:PARTITION:iam::ACCOUNT:root`, for what is set for all buckets of an account.
    Account,
    /// `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME`
    AccessPoint,
}

/// The key of a stored state and of the part of the graph that it owns: the resource's ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(Arc<str>);

impl ResourceId {
    /// The bucket `name` in the partition of `region`.
    #[must_use]
    pub fn bucket(region: &str, name: &str) -> Self {
        let partition = partition_of(region);
        Self(format!("arn:{partition}:s3:::{name}").into())
    }

    /// The buckets of this name, of which each partition can have one.
    #[must_use]
    pub fn buckets_named(name: &str) -> Vec<Self> {
        let partitions = std::iter::once("aws").chain(PARTITIONS.map(|(_, partition)| partition));
        partitions.map(|partition| Self(format!("arn:{partition}:s3:::{name}").into())).collect()
    }

    /// The bucket `name`, if a bucket can have it.
    pub(crate) fn of_bucket_name(region: &str, name: &str) -> Option<Self> {
        is_bucket_name(name).then(|| Self::bucket(region, name))
    }

    /// The bucket of `arn:PARTITION:s3:::NAME`, and of nothing else: what follows a bucket's ARN is the key of
    /// something that belongs to it.
    pub(crate) fn of_bucket_arn(arn: &str) -> Option<Self> {
        let (partition, name) = arn.strip_prefix("arn:")?.split_once(":s3:::")?;
        (is_partition(partition) && is_bucket_name(name)).then(|| arn.into())
    }

    /// The account `id` (12 digits), in the partition of `region`.
    pub(crate) fn of_account(region: &str, id: &str) -> Option<Self> {
        is_account(id).then(|| Self::account(partition_of(region), id))
    }

    fn account(partition: &str, id: &str) -> Self {
        Self(format!("arn:{partition}:iam::{id}:root").into())
    }

    /// The access point `name` of `account` in `region`, if there can be one.
    pub(crate) fn of_access_point_name(region: &str, account: &str, name: &str) -> Option<Self> {
        let arn = format!("arn:{}:s3:{region}:{account}:accesspoint/{name}", partition_of(region));
        Self::of_access_point_arn(&arn)
    }

    /// The access point of `arn:PARTITION:s3:REGION:ACCOUNT:accesspoint/NAME`, and of nothing else.
    pub(crate) fn of_access_point_arn(arn: &str) -> Option<Self> {
        let (place, name) = arn.strip_prefix("arn:")?.split_once(":accesspoint/")?;
        let mut parts = place.split(':');
        let (partition, service, region, account) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_one = is_partition(partition) && service == "s3" && is_region(region) && is_account(account);
        (is_one && parts.next().is_none() && is_access_point_name(name)).then(|| arn.into())
    }

    /// The account of `id`, whose settings hold for this resource, too.
    pub(crate) fn account_beside(&self, id: &str) -> Self {
        Self::account(self.partition(), id)
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.0.split(':').nth(2) {
            Some("iam") => Kind::Account,
            _ if self.0.contains(":accesspoint/") => Kind::AccessPoint,
            _ => Kind::Bucket,
        }
    }

    /// The key as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the bucket or the access point, the id of the account.
    #[must_use]
    pub fn name(&self) -> &str {
        let last = self.0.rsplit(':').next().unwrap_or(&self.0);
        match self.kind() {
            Kind::Bucket => last,
            Kind::Account => self.account_id().unwrap_or(last),
            Kind::AccessPoint => last.rsplit('/').next().unwrap_or(last),
        }
    }

    /// The account that the ARN names: a bucket's names none.
    #[must_use]
    pub fn account_id(&self) -> Option<&str> {
        self.0.split(':').nth(4).filter(|account| !account.is_empty())
    }

    /// The partition that the ARN names.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or("aws")
    }
}

impl From<&str> for ResourceId {
    fn from(key: &str) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Buckets made in us-east-1 before 2018 may have upper case, underscores and up to 255 characters.
fn is_bucket_name(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_access_point_name(name: &str) -> bool {
    (3..=63).contains(&name.len()) && name.bytes().all(|byte| is_lower(byte) || byte == b'-')
}

/// Twelve digits.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_region(region: &str) -> bool {
    !region.is_empty() && region.bytes().all(|byte| is_lower(byte) || byte == b'-')
}

fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_partition(partition: &str) -> bool {
    let other = |byte: u8| is_lower(byte) || byte == b'-';
    partition == "aws" || partition.strip_prefix("aws-").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(other))
}

/// The partitions besides `aws`, by what the names of their Regions begin with (botocore's `endpoints.json`).
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
];

fn partition_of(region: &str) -> &'static str {
    let of = PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix));
    of.map_or("aws", |(_, partition)| partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_keyed_by_the_arn_of_its_partition() {
        assert_eq!(ResourceId::bucket("eu-north-1", "logs").as_str(), "arn:aws:s3:::logs");
        assert_eq!(ResourceId::bucket("cn-north-1", "logs").as_str(), "arn:aws-cn:s3:::logs");
        let gov = ResourceId::bucket("us-gov-west-1", "logs");
        assert_eq!((gov.partition(), gov.name()), ("aws-us-gov", "logs"));
    }

    #[test]
    fn every_partition_that_is_made_can_be_read() {
        for (prefix, partition) in PARTITIONS {
            let bucket = ResourceId::bucket(&format!("{prefix}east-1"), "logs");
            assert_eq!(
                (bucket.partition(), ResourceId::of_bucket_arn(bucket.as_str())),
                (partition, Some(bucket.clone()))
            );
        }
    }

    #[test]
    fn only_what_s3_can_have_named_is_a_bucket() {
        let (longest, longer) = ("x".repeat(255), "x".repeat(256));
        let names = [
            ("logs", true),
            ("Old_Logs.2009-01", true),
            (&longest, true),
            (&longer, false),
            ("", false),
            ("ab", false),
            ("logs/policy", false),
            ("logs|HAS|x", false),
            ("logs ", false),
            ("lögs", false),
            ("a:b:c", false),
        ];
        for (name, expected) in names {
            assert_eq!(ResourceId::of_bucket_name("eu-west-1", name).is_some(), expected, "{name}");
            let arn = format!("arn:aws:s3:::{name}");
            assert_eq!(ResourceId::of_bucket_arn(&arn).is_some(), expected, "{arn}");
        }
        let arns = [
            ("arn:aws-cn:s3:::logs", true),
            ("arn:aws-iso-b2:s3:::logs", true),
            ("arn:aws-:s3:::logs", false),
            ("arn:AWS:s3:::logs", false),
            ("arn:gcp:s3:::logs", false),
            ("arn:aws:x:s3:::logs", false),
            ("arn:aws:s3:::logs:s3:::more", false),
            ("arn:aws:s3:eu-west-1:111122223333:accesspoint/logs", false),
            ("aws:s3:::logs", false),
        ];
        for (arn, expected) in arns {
            assert_eq!(ResourceId::of_bucket_arn(arn).is_some(), expected, "{arn}");
        }
    }

    #[test]
    fn an_access_point_is_keyed_by_region_account_and_name() {
        let point = ResourceId::of_access_point_name("cn-north-1", "111122223333", "ledger-readers").expect("one");
        assert_eq!(point.as_str(), "arn:aws-cn:s3:cn-north-1:111122223333:accesspoint/ledger-readers");
        assert_eq!(
            (point.kind(), point.name(), point.account_id()),
            (Kind::AccessPoint, "ledger-readers", Some("111122223333"))
        );
        for (region, account, name) in [
            ("eu-west-1", "111122223333", "Ledger"),
            ("eu-west-1", "111122223333", "a/b"),
            ("eu-west-1", "1111", "ledger"),
            ("eu:west", "111122223333", "ledger"),
            ("", "111122223333", "ledger"),
        ] {
            assert_eq!(ResourceId::of_access_point_name(region, account, name), None, "{region} {account} {name}");
        }
    }

    #[test]
    fn an_account_is_keyed_by_the_arn_of_its_root() {
        let account = ResourceId::of_account("us-gov-west-1", "111122223333").expect("an account");
        assert_eq!(account.as_str(), "arn:aws-us-gov:iam::111122223333:root");
        assert_eq!((account.kind(), account.name()), (Kind::Account, "111122223333"));
        assert_eq!(ResourceId::bucket("us-gov-west-1", "logs").account_beside("111122223333"), account);
        assert_eq!(ResourceId::of_account("us-east-1", "anonymous"), None);
    }
}
