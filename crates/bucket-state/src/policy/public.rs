//! The meaning of "public", as the S3 User Guide defines it under that heading.
//!
//! AWS takes a policy for public until it is shown that each grant is to *fixed* values alone: to principals, or under
//! a condition on one of certain keys, without a wildcard or a variable. What the definition leaves open is therefore
//! public here.

use std::net::IpAddr;

use serde_json::Value;

use super::{Condition, conditions, principals};
use crate::body::text;
use crate::resource::is_account;

/// The kinds of principals that a fixed name pins. A federated one is public by the guide's own example.
const PINNING_KINDS: &[&str] = &["AWS", "CanonicalUser", "Service"];

/// The keys that pin a request, in lower case.
const PINNING_KEYS: &[&str] = &[
    // They name the principal; the guide gives the first as an example. A user's name or a tag names nobody, since any
    // account may have the same.
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalservicename",
    "aws:principalservicenameslist",
    // The guide lists these.
    "aws:sourceip",
    "aws:sourcearn",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceowner",
    "aws:sourceaccount",
    "aws:userid",
    "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:dataaccesspointarn",
    "s3:dataaccesspointaccount",
];

/// The operators that admit only the listed values, in lower case. The `IfExists` and `ForAllValues` forms also admit
/// requests without the key.
const PINNING_OPERATORS: &[&str] =
    &["stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "ipaddress"];

/// Whether a statement that allows lets in the public. `resource` is the ARN of what the policy belongs to.
pub(super) fn is_granted_to_the_public(statement: &Value, resource: &str) -> bool {
    let fixed = |kind: &str, name: &str| PINNING_KINDS.contains(&kind) && is_fixed(name);
    let principals = principals(&statement["Principal"]);
    let to_anybody = principals.is_empty() || principals.iter().any(|(kind, name)| !fixed(kind, name));
    to_anybody && !conditions(statement).any(|condition| pins(&condition, resource))
}

fn pins(Condition { operator, key, values }: &Condition<'_>, resource: &str) -> bool {
    let operator = operator.strip_prefix("foranyvalue:").unwrap_or(operator);
    let is_pinned = |value: &Value| {
        text(value).is_some_and(|value| match key.as_str() {
            "aws:sourceip" => is_narrow_range(&value),
            "aws:userid" => is_fixed(&value) && !is_role_session(&value),
            // Whoever comes through an access point has one.
            "s3:dataaccesspointarn" => !is_access_point(resource) && names_access_points_of_an_account(&value),
            _ => is_fixed(&value),
        })
    };
    PINNING_OPERATORS.contains(&operator)
        && PINNING_KEYS.contains(&key.as_str())
        && !values.is_empty()
        && values.iter().all(is_pinned)
}

/// Neither a wildcard nor a variable, nor what the keys of principals hold where nobody has signed.
fn is_fixed(value: &str) -> bool {
    !value.contains(['*', '?']) && !value.contains("${") && !value.eq_ignore_ascii_case("anonymous")
}

/// An address, or a range no broader than /8 (IPv4) or /32 (IPv6). The guide excepts the private ranges of RFC 1918,
/// but none of them is broader.
fn is_narrow_range(value: &str) -> bool {
    let Some((address, bits)) = value.split_once('/') else { return value.parse::<IpAddr>().is_ok() };
    match (address.parse::<IpAddr>(), bits.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(bits)) => (8..=32).contains(&bits),
        (Ok(IpAddr::V6(address)), Ok(bits)) if address.to_ipv4_mapped().is_some() => (96 + 8..=128).contains(&bits),
        (Ok(IpAddr::V6(_)), Ok(bits)) => (32..=128).contains(&bits),
        _ => false,
    }
}

/// The pattern `AROLEID:*`, outside of which a user id must be.
fn is_role_session(user_id: &str) -> bool {
    user_id.starts_with("AROA") && user_id.contains(':')
}

/// The name may be a wildcard as long as the rest is fixed, the account included.
fn names_access_points_of_an_account(arn: &str) -> bool {
    let any_name = arn.split_once(":accesspoint/").is_some_and(|(scope, name)| {
        is_fixed(scope) && scope.rsplit(':').next().is_some_and(is_account) && !name.contains("${")
    });
    is_fixed(arn) || any_name
}

fn is_access_point(resource: &str) -> bool {
    resource.contains(":accesspoint/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_of_an_access_point_is_not_pinned_by_the_arns_of_access_points() {
        const POINT: &str = "arn:aws:s3:eu-west-1:111122223333:accesspoint/reports";
        let any = "arn:aws:s3:eu-west-1:111122223333:accesspoint/*";
        // Of one access point, the guide says nothing apart from a set of them.
        let cases = [
            ("s3:DataAccessPointArn", any, true),
            ("s3:DataAccessPointArn", POINT, true),
            ("s3:DataAccessPointAccount", "111122223333", false),
            ("aws:SourceVpc", "vpc-0a1b2c3d", false),
            ("aws:Referer", "https://www.example.com/", true),
        ];
        for (key, value, expected) in cases {
            let statement = json!({"Effect": "Allow", "Principal": "*", "Condition": {"StringLike": {key: value}}});
            assert_eq!(is_granted_to_the_public(&statement, POINT), expected, "{key} {value}");
        }
    }
}
