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
}
