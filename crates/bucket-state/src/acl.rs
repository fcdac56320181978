//! The grants of an access control list, in any of the three ways in which a request can carry them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::body::{filled, items, text};

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// One grantee with one permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Grant {
    pub(crate) grantee: Grantee,
    pub(crate) permission: String,
}

/// Whom a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grantee {
    Group(String),
    CanonicalUser(String),
    Email(String),
}

impl Grantee {
    /// Whether anybody, or anybody with an AWS account, is one.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::Group(uri) if uri == ALL_USERS || uri == AUTHENTICATED_USERS)
    }

    /// S3's name for the kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Group(_) => "Group",
            Self::CanonicalUser(_) => "CanonicalUser",
            Self::Email(_) => "AmazonCustomerByEmail",
        }
    }

    /// The key of the entity that stands for it.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Group(uri) if uri == ALL_USERS => "global:everyone".into(),
            Self::Group(uri) if uri == AUTHENTICATED_USERS => "global:aws-authenticated-users".into(),
            Self::Group(uri) if uri == LOG_DELIVERY => "aws:service:logging.s3.amazonaws.com".into(),
            Self::Group(uri) => format!("aws:service:{uri}"),
            Self::CanonicalUser(id) => format!("aws:canonical-user:{id}"),
            Self::Email(address) => format!("aws:email:{address}"),
        }
    }
}

/// All grants of a recorded body.
pub(crate) fn grants(body: &Value) -> BTreeSet<Grant> {
    let mut grants = canned(&text(&body["x-amz-acl"]).unwrap_or_default());
    let listed = items(&body["AccessControlPolicy"]["AccessControlList"]["Grant"]);
    grants.extend(listed.iter().filter_map(listed_grant));
    for (header, grantees) in body["accessControlList"].as_object().into_iter().flatten() {
        if let Some(permission) = header.strip_prefix("x-amz-grant-") {
            let permission = permission.to_ascii_uppercase().replace('-', "_");
            let grantees = text(grantees).unwrap_or_default();
            let grantees = grantees.split(',').filter_map(header_grantee);
            grants.extend(grantees.map(|grantee| Grant { grantee, permission: permission.clone() }));
        }
    }
    grants
}

/// A canned ACL, without the owner's own full control, which every ACL starts with.
fn canned(name: &str) -> BTreeSet<Grant> {
    let grants: &[(&str, &str)] = match name {
        "public-read" => &[(ALL_USERS, "READ")],
        "public-read-write" => &[(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
        "authenticated-read" => &[(AUTHENTICATED_USERS, "READ")],
        "log-delivery-write" => &[(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")],
        _ => &[],
    };
    let grant = |(uri, permission): &(&str, &str)| Grant {
        grantee: Grantee::Group((*uri).to_owned()),
        permission: (*permission).to_owned(),
    };
    grants.iter().map(grant).collect()
}

fn listed_grant(grant: &Value) -> Option<Grant> {
    let grantee = &grant["Grantee"];
    let known = filled(&grantee["URI"]).map(Grantee::Group);
    let known = known.or_else(|| filled(&grantee["ID"]).map(Grantee::CanonicalUser));
    let known = known.or_else(|| filled(&grantee["EmailAddress"]).map(Grantee::Email));
    Some(Grant { grantee: known?, permission: filled(&grant["Permission"])? })
}

/// `uri="…"`, `id="…"` or `emailAddress="…"`.
fn header_grantee(text: &str) -> Option<Grantee> {
    let (kind, value) = text.split_once('=')?;
    let value = value.trim().trim_matches('"').to_owned();
    match kind.trim() {
        "uri" => Some(Grantee::Group(value)),
        "id" => Some(Grantee::CanonicalUser(value)),
        "emailAddress" => Some(Grantee::Email(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_three_ways_to_grant_everyone_read_access_are_one() {
        let expected = canned("public-read");
        let policy = json!({"AccessControlList": {"Grant": {"Permission": "READ", "Grantee": {"URI": ALL_USERS}}}});
        let headers = json!({"x-amz-grant-read": format!("uri=\"{ALL_USERS}\"")});
        assert_eq!(grants(&json!({"x-amz-acl": "public-read"})), expected);
        assert_eq!(grants(&json!({"x-amz-acl": ["public-read"]})), expected);
        assert_eq!(grants(&json!({"AccessControlPolicy": policy})), expected);
        assert_eq!(grants(&json!({"accessControlList": headers})), expected);
        assert!(expected.iter().all(|grant| grant.grantee.is_public()));
    }

    #[test]
    fn a_private_bucket_has_no_grants_but_the_owners() {
        assert!(grants(&json!({"x-amz-acl": "private"})).is_empty());
    }
}
