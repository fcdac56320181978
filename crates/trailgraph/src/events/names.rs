//! What is known of the names that CloudTrail gives to S3's calls.

use bucket_state::supported;
use strsim::levenshtein;

/// More changed letters than this make another name, not a slip.
const SLIP_LETTERS_MAX: usize = 2;

/// Calls of S3 that change something and are not folded, as AWS documents them: right in a rule for other uses. Whatever
/// is missing here is at worst noted as unknown.
const OTHERS: &[&str] = &[
    "AbortMultipartUpload",
    "AssociateAccessGrantsIdentityCenter",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateAccessGrant",
    "CreateAccessGrantsInstance",
    "CreateAccessGrantsLocation",
    "CreateAccessPointForObjectLambda",
    "CreateBucketMetadataConfiguration",
    "CreateBucketMetadataTableConfiguration",
    "CreateJob",
    "CreateMultiRegionAccessPoint",
    "CreateMultipartUpload",
    "CreateStorageLensGroup",
    "DeleteAccessGrant",
    "DeleteAccessGrantsInstance",
    "DeleteAccessGrantsInstanceResourcePolicy",
    "DeleteAccessGrantsLocation",
    "DeleteAccessPointForObjectLambda",
    "DeleteAccessPointPolicyForObjectLambda",
    "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
    "DeleteJobTagging",
    "DeleteMultiRegionAccessPoint",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "DeleteStorageLensConfiguration",
    "DeleteStorageLensConfigurationTagging",
    "DeleteStorageLensGroup",
    "DissociateAccessGrantsIdentityCenter",
    "PostObject",
    "PutAccessGrantsInstanceResourcePolicy",
    "PutAccessPointConfigurationForObjectLambda",
    "PutAccessPointPolicyForObjectLambda",
    "PutJobTagging",
    "PutMultiRegionAccessPointPolicy",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutStorageLensConfiguration",
    "PutStorageLensConfigurationTagging",
    "RestoreObject",
    "SelectObjectContent",
    "SubmitMultiRegionAccessPointRoutes",
    "UpdateAccessGrantsLocation",
    "UpdateBucketMetadataInventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration",
    "UpdateJobPriority",
    "UpdateJobStatus",
    "UpdateStorageLensGroup",
    "UploadPart",
    "UploadPartCopy",
];

/// Reads of objects: where a trail logs them, they come as data events, and rules get them.
const DATA_READS: &[&str] = &[
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectTorrent",
    "HeadObject",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
];

/// Management reads of S3 whose names are not those of a supported write.
const READS: &[&str] = &[
    "GetBucketLocation",
    "GetBucketPolicyStatus",
    "HeadBucket",
    "ListAccessPoints",
    "ListBuckets",
    "ListDirectoryBuckets",
];

/// What a name in a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// CloudTrail writes it, or another service may.
    Fine,
    /// It reads; plain rules do not get it.
    Read,
    /// CloudTrail is not known to write it for S3, but `right`.
    Wrong { right: &'static str },
    /// Wrong if S3 is meant, but another service in the rule could have an event of this name.
    Doubtful { right: &'static str },
    /// Not a name of S3's, as far as is known here.
    Unknown,
}

/// Judges a name in a rule that takes events of S3 alone, or of other services too: little is known of theirs.
pub(crate) fn judge(name: &str, s3_alone: bool) -> Verdict {
    if is_supported(name) || OTHERS.contains(&name) || DATA_READS.contains(&name) {
        return Verdict::Fine;
    }
    if READS.contains(&name) || name.strip_prefix("Get").is_some_and(|rest| is_supported(&format!("Put{rest}"))) {
        return Verdict::Read;
    }
    if let Some(right) = of_alias(name) {
        return Verdict::Wrong { right };
    }
    match (same_call(name), slip(name)) {
        // Of all services, hardly any but S3 says "Bucket".
        (Some(right), _) if s3_alone || name.contains("Bucket") => Verdict::Wrong { right },
        (None, Some(right)) if s3_alone || name.contains("Bucket") => Verdict::Wrong { right },
        (Some(right), _) if name.ends_with("Configuration") => Verdict::Doubtful { right },
        _ if !s3_alone => Verdict::Fine,
        _ if ["Get", "List", "Describe", "Head"].iter().any(|verb| name.starts_with(verb)) => Verdict::Read,
        _ => Verdict::Unknown,
    }
}

/// The supported names that come nearest to `name`: the one that it means, if that is clear, else three.
pub(crate) fn nearest(name: &str) -> Vec<&'static str> {
    if let Some(meant) = of_alias(name).or_else(|| same_call(name)) {
        return vec![meant];
    }
    let mut names: Vec<_> = supported().iter().map(|call| (distance(call.name, name), call.name)).collect();
    names.sort_unstable();
    names.into_iter().take(3).map(|(_, name)| name).collect()
}

fn is_supported(name: &str) -> bool {
    supported().iter().any(|call| call.name == name)
}

fn of_alias(name: &str) -> Option<&'static str> {
    supported().iter().find(|call| call.aliases.contains(&name)).map(|call| call.name)
}

/// The API's and IAM's names differ from CloudTrail's in two words, and in capitals: `PutEncryptionConfiguration`,
/// `PutBucketCORS`.
fn same_call(name: &str) -> Option<&'static str> {
    let core = |name: &str| name.replace("Bucket", "").replace("Configuration", "").to_lowercase();
    let wanted = core(name);
    supported().iter().map(|call| call.name).find(|name| core(name) == wanted)
}

/// The one name that is meant if a few letters are wrong.
fn slip(name: &str) -> Option<&'static str> {
    let all = supported().iter().map(|call| &call.name).chain(OTHERS).chain(DATA_READS).chain(READS);
    let near = all.map(|known| (distance(known, name), *known)).filter(|(letters, _)| *letters <= SLIP_LETTERS_MAX);
    near.min().map(|(_, known)| known)
}

fn distance(left: &str, right: &str) -> usize {
    levenshtein(&left.to_lowercase(), &right.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(right: &'static str) -> Verdict {
        Verdict::Wrong { right }
    }

    #[test]
    fn a_name_is_judged_by_what_is_known_of_s3() {
        for (name, verdict) in [
            ("CreateBucket", Verdict::Fine),
            ("PutObjectAcl", Verdict::Fine),
            ("GetObject", Verdict::Fine),
            ("CreateAccessGrant", Verdict::Fine),
            // Names of the API and of its forerunners.
            ("PutPublicAccessBlock", wrong("PutBucketPublicAccessBlock")),
            ("PutObjectLockConfiguration", wrong("PutBucketObjectLockConfiguration")),
            ("PutBucketLifecycleConfiguration", wrong("PutBucketLifecycle")),
            ("DeleteBucketLifecycleConfiguration", wrong("DeleteBucketLifecycle")),
            ("PutBucketAccelerateConfiguration", wrong("PutAccelerateConfiguration")),
            // Names of IAM's actions.
            ("PutEncryptionConfiguration", wrong("PutBucketEncryption")),
            ("PutLifecycleConfiguration", wrong("PutBucketLifecycle")),
            ("PutReplicationConfiguration", wrong("PutBucketReplication")),
            ("PutInventoryConfiguration", wrong("PutBucketInventoryConfiguration")),
            ("PutMetricsConfiguration", wrong("PutBucketMetricsConfiguration")),
            ("PutAnalyticsConfiguration", wrong("PutBucketAnalyticsConfiguration")),
            ("PutBucketCORS", wrong("PutBucketCors")),
            // Slips.
            ("PutBucketPolicey", wrong("PutBucketPolicy")),
            ("createbucket", wrong("CreateBucket")),
            ("PutBucketWebsites", wrong("PutBucketWebsite")),
            ("ListBucket", wrong("ListBuckets")),
            ("GetBucketAcl", Verdict::Read),
            ("GetAccountPublicAccessBlock", Verdict::Read),
            ("ListStorageLensConfigurations", Verdict::Read),
            ("HeadBucket", Verdict::Read),
            ("PutBucketWeather", Verdict::Unknown),
            ("RunInstances", Verdict::Unknown),
        ] {
            assert_eq!(judge(name, true), verdict, "{name}");
        }
    }

    #[test]
    fn in_a_rule_of_many_services_only_what_is_surely_s3s_is_judged() {
        for (name, verdict) in [
            ("PutPublicAccessBlock", wrong("PutBucketPublicAccessBlock")),
            ("PutBucketLifecycleConfiguration", wrong("PutBucketLifecycle")),
            ("PutBucketPolicey", wrong("PutBucketPolicy")),
            ("GetBucketAcl", Verdict::Read),
            // EFS has one of its own.
            ("PutLifecycleConfiguration", Verdict::Doubtful { right: "PutBucketLifecycle" }),
            // IAM, resource tagging, FSx, EC2.
            ("DeletePolicy", Verdict::Fine),
            ("TagResources", Verdict::Fine),
            ("CreateBackup", Verdict::Fine),
            ("DescribeInstances", Verdict::Fine),
        ] {
            assert_eq!(judge(name, false), verdict, "{name}");
        }
    }

    #[test]
    fn no_name_is_listed_twice_and_no_alias_as_a_name() {
        for name in OTHERS.iter().chain(DATA_READS).chain(READS) {
            assert!(!is_supported(name) && of_alias(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_nearest_names_are_those_of_the_same_call() {
        assert_eq!(nearest("PutLifecycleConfiguration"), ["PutBucketLifecycle"]);
        assert_eq!(nearest("PutBucketPolicey")[0], "PutBucketPolicy");
        assert_eq!(nearest("").len(), 3);
    }
}
