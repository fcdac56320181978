//! The pattern that trailgraph offers: made of the catalogue, so that it never falls behind it.
//!
//! Plain names leave room enough below EventBridge's limit. Prefixes would be shorter, and would take every call that S3
//! gets in future under such a prefix.

use bucket_state::{Call, supported};
use serde_json::Value;

use super::names;

/// EventBridge refuses a longer pattern; in characters, white space included.
pub(crate) const PATTERN_CHARS_MAX: usize = 2_048;
/// What CloudTrail's records of calls are called in EventBridge.
pub(crate) const DETAIL_TYPE: &str = "AWS API Call via CloudTrail";
/// S3 as EventBridge calls it.
pub(crate) const SOURCE: &str = "aws.s3";
/// S3 as CloudTrail calls it.
pub(crate) const EVENT_SOURCE: &str = "s3.amazonaws.com";

/// The pattern that takes these calls where they succeed, in the order in which people read one and on one line: white
/// space counts.
pub(crate) fn pattern(calls: &[&Call]) -> String {
    let names = calls.iter().map(|call| call.name).collect::<Value>();
    format!(
        r#"{{"source":["{SOURCE}"],"detail-type":["{DETAIL_TYPE}"],"detail":{{"eventSource":["{EVENT_SOURCE}"],"eventName":{names},"errorCode":[{{"exists":false}}]}}}}"#
    )
}

/// The calls of these names or aliases, in the catalogue's order; all, where no name is given.
///
/// # Errors
/// One line that names what is unknown, and what comes near to it.
pub(crate) fn chosen(only: &[String]) -> Result<Vec<&'static Call>, String> {
    let is = |call: &Call, name: &str| call.name == name || call.aliases.contains(&name);
    for name in only {
        if !supported().iter().any(|call| is(call, name)) {
            let mend = names::meant(name).map_or("see `trailgraph events`".into(), |right| format!("it is {right}"));
            return Err(format!("--only {name}: no event that is folded; {mend}"));
        }
    }
    let wanted = |call: &&Call| only.is_empty() || only.iter().any(|name| is(call, name));
    Ok(supported().iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(only: &[&str]) -> Result<Vec<&'static str>, String> {
        let only: Vec<String> = only.iter().map(ToString::to_string).collect();
        Ok(chosen(&only)?.iter().map(|call| call.name).collect())
    }

    #[test]
    fn the_whole_pattern_is_short_enough_for_eventbridge() {
        let length = pattern(&chosen(&[]).expect("all")).chars().count();
        assert!(length < PATTERN_CHARS_MAX, "{length}");
    }

    #[test]
    fn a_pattern_takes_successful_calls_by_cloudtrails_names() {
        let text = pattern(&chosen(&["PutPublicAccessBlock".into()]).expect("an alias"));
        assert_eq!(
            text,
            r#"{"source":["aws.s3"],"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventSource":["s3.amazonaws.com"],"eventName":["PutBucketPublicAccessBlock"],"errorCode":[{"exists":false}]}}"#
        );
    }

    #[test]
    fn events_are_chosen_by_name_or_alias_once_and_in_order() {
        assert_eq!(names_of(&[]).map(|names| names.len()), Ok(supported().len()));
        assert_eq!(
            names_of(&["PutBucketLifecycleConfiguration", "CreateBucket", "PutBucketLifecycle"]),
            Ok(vec!["CreateBucket", "PutBucketLifecycle"])
        );
        let error = names_of(&["PutBucketPolicey"]).unwrap_err();
        assert!(error.starts_with("--only PutBucketPolicey: ") && error.contains("PutBucketPolicy"), "{error}");
        assert!(names_of(&[""]).is_err());
    }
}
