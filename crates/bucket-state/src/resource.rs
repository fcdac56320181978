//! What a state belongs to.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The key of a stored state and of the part of the graph that it owns: a bucket's ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(Arc<str>);

impl ResourceId {
    /// The bucket `name` in the partition of `region`: `aws`, `aws-cn` or `aws-us-gov`.
    #[must_use]
    pub fn bucket(region: &str, name: &str) -> Self {
        let partition = partition_of(region);
        Self(format!("arn:{partition}:s3:::{name}").into())
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

    /// The key as stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bucket's name: what follows the last colon.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or(&self.0)
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

fn is_partition(partition: &str) -> bool {
    let other = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    partition == "aws" || partition.strip_prefix("aws-").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(other))
}

fn partition_of(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
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
}
