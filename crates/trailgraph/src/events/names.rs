//! What is known of the names that CloudTrail gives to S3's calls.

use bucket_state::supported;
use strsim::levenshtein;

/// More changed letters than this make another name, not a slip.
const SLIP_LETTERS_MAX: usize = 2;

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
    /// CloudTrail writes it, or another service may, or nothing is known of it.
    Fine,
    /// It reads; plain rules do not get it.
    Read,
    /// CloudTrail is not known to write it for S3, but `right`; if `surely` is false, another service may have it.
    Wrong { right: &'static str, surely: bool },
}

/// Judges a name in a rule that takes events of S3 alone, or of other services too: little is known of theirs.
pub(crate) fn judge(name: &str, s3_alone: bool) -> Verdict {
    let writes = |name: &str| is_supported(name) || of_alias(name).is_some();
    if is_supported(name) {
        return Verdict::Fine;
    }
    if READS.contains(&name) || name.strip_prefix("Get").is_some_and(|rest| writes(&format!("Put{rest}"))) {
        return Verdict::Read;
    }
    // Of all services, hardly any but S3 says "Bucket".
    let surely = s3_alone || name.contains("Bucket") || of_alias(name).is_some();
    match meant(name) {
        Some(right) if surely || name.ends_with("Configuration") => Verdict::Wrong { right, surely },
        _ => Verdict::Fine,
    }
}

/// The supported name that is meant by another spelling, if that is clear.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    of_alias(name).or_else(|| same_call(name)).or_else(|| slip(name))
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

/// The name that is meant if a few letters are wrong.
fn slip(name: &str) -> Option<&'static str> {
    // A difference in length is a distance, and far cheaper to tell.
    let near = supported().iter().filter(|call| call.name.len().abs_diff(name.len()) <= SLIP_LETTERS_MAX);
    let near = near.map(|call| (levenshtein(&call.name.to_lowercase(), &name.to_lowercase()), call.name));
    near.filter(|(letters, _)| *letters <= SLIP_LETTERS_MAX).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_by_what_is_known_of_s3() {
        let wrong = |right| Verdict::Wrong { right, surely: true };
        for (name, verdict) in [
            ("CreateBucket", Verdict::Fine),
            ("PutObjectAcl", Verdict::Fine),
            ("GetObject", Verdict::Fine),
            ("RunInstances", Verdict::Fine),
            // Names of the API and of its forerunners.
            ("PutPublicAccessBlock", wrong("PutBucketPublicAccessBlock")),
            ("PutObjectLockConfiguration", wrong("PutBucketObjectLockConfiguration")),
            ("PutBucketLifecycleConfiguration", wrong("PutBucketLifecycle")),
            ("DeleteBucketLifecycleConfiguration", wrong("DeleteBucketLifecycle")),
            // Names of IAM's actions.
            ("PutEncryptionConfiguration", wrong("PutBucketEncryption")),
            ("PutLifecycleConfiguration", wrong("PutBucketLifecycle")),
            ("PutMetricsConfiguration", wrong("PutBucketMetricsConfiguration")),
            ("PutBucketCORS", wrong("PutBucketCors")),
            // Slips.
            ("PutBucketPolicey", wrong("PutBucketPolicy")),
            ("createbucket", wrong("CreateBucket")),
            ("PutBucketWebsites", wrong("PutBucketWebsite")),
            ("GetBucketAcl", Verdict::Read),
            ("GetBucketLifecycleConfiguration", Verdict::Read),
            ("GetAccountPublicAccessBlock", Verdict::Read),
            ("HeadBucket", Verdict::Read),
        ] {
            assert_eq!(judge(name, true), verdict, "{name}");
        }
    }

    #[test]
    fn in_a_rule_of_many_services_only_what_is_surely_s3s_is_wrong() {
        let wrong = |right, surely| Verdict::Wrong { right, surely };
        for (name, verdict) in [
            ("PutPublicAccessBlock", wrong("PutBucketPublicAccessBlock", true)),
            ("PutBucketPolicey", wrong("PutBucketPolicy", true)),
            ("GetBucketAcl", Verdict::Read),
            // EFS has one of its own.
            ("PutLifecycleConfiguration", wrong("PutBucketLifecycle", false)),
            // IAM, resource tagging.
            ("DeletePolicy", Verdict::Fine),
            ("TagResources", Verdict::Fine),
        ] {
            assert_eq!(judge(name, false), verdict, "{name}");
        }
    }
}
