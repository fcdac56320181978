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

/// The grants of an ACL.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    pub(crate) known: BTreeSet<Grant>,
    /// Something in the ACL was not understood: there may be more.
    pub(crate) maybe_more: bool,
}

impl Grants {
    /// All grants of a recorded body.
    pub(crate) fn read(body: &Value) -> Self {
        let mut grants = Self::default();
        for (key, value) in body.as_object().into_iter().flatten() {
            match key.as_str() {
                "x-amz-acl" => grants.canned(value),
                "AccessControlPolicy" => grants.listed(&value["AccessControlList"]),
                "accessControlList" => match value.as_object() {
                    Some(headers) => headers.iter().for_each(|(name, grantees)| grants.header(name, grantees)),
                    None => grants.maybe_more = true,
                },
                header => grants.header(header, value),
            }
        }
        grants
    }

    /// Whether anybody, or anybody with an AWS account, is granted anything; nothing where that cannot be told.
    pub(crate) fn are_public(&self) -> Option<bool> {
        let public = self.known.iter().any(|grant| grant.grantee.is_public());
        (public || !self.maybe_more).then_some(public)
    }

    fn add(&mut self, grantee: Option<Grantee>, permission: Option<String>) {
        match grantee.zip(permission) {
            Some((grantee, permission)) => drop(self.known.insert(Grant { grantee, permission })),
            None => self.maybe_more = true,
        }
    }

    /// A canned ACL, without the owner's own full control, which every ACL starts with.
    fn canned(&mut self, name: &Value) {
        let grants: &[(&str, &str)] = match text(name).unwrap_or_default().as_str() {
            "public-read" => &[(ALL_USERS, "READ")],
            "public-read-write" => &[(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
            "authenticated-read" => &[(AUTHENTICATED_USERS, "READ")],
            "log-delivery-write" => &[(LOG_DELIVERY, "WRITE"), (LOG_DELIVERY, "READ_ACP")],
            "private" | "aws-exec-read" | "bucket-owner-read" | "bucket-owner-full-control" => &[],
            _ => return self.maybe_more = true,
        };
        for (uri, permission) in grants {
            self.add(Some(Grantee::Group((*uri).to_owned())), Some((*permission).to_owned()));
        }
    }

    /// The list of a document; an empty one is an empty text, and one that is not there no list.
    fn listed(&mut self, list: &Value) {
        if !list.is_object() && list.as_str() != Some("") {
            self.maybe_more = true;
        }
        for grant in items(&list["Grant"]) {
            let grantee = &grant["Grantee"];
            let known = filled(&grantee["URI"]).map(Grantee::Group);
            let known = known.or_else(|| filled(&grantee["ID"]).map(Grantee::CanonicalUser));
            let known = known.or_else(|| filled(&grantee["EmailAddress"]).map(Grantee::Email));
            self.add(known, filled(&grant["Permission"]));
        }
    }

    /// `x-amz-grant-PERMISSION: uri="…", id="…", emailAddress="…"`
    fn header(&mut self, name: &str, grantees: &Value) {
        let name = name.to_ascii_lowercase();
        let permission = name.strip_prefix("x-amz-grant-").map(|name| name.to_ascii_uppercase().replace('-', "_"));
        if items(grantees).is_empty() {
            self.maybe_more = true;
        }
        for grantees in items(grantees) {
            for grantee in text(grantees).unwrap_or_default().split(',') {
                self.add(header_grantee(grantee), permission.clone());
            }
        }
    }
}

fn header_grantee(text: &str) -> Option<Grantee> {
    let (kind, value) = text.split_once('=')?;
    let value = value.trim().trim_matches('"').to_owned();
    match kind.trim().to_ascii_lowercase().as_str() {
        "uri" => Some(Grantee::Group(value)),
        "id" => Some(Grantee::CanonicalUser(value)),
        "emailaddress" => Some(Grantee::Email(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn everyone_reads() -> Grants {
        let grant = Grant { grantee: Grantee::Group(ALL_USERS.into()), permission: "READ".into() };
        Grants { known: [grant].into(), maybe_more: false }
    }

    #[test]
    fn the_ways_to_grant_everyone_read_access_are_one() {
        let policy = json!({"AccessControlList": {"Grant": {"Permission": "READ", "Grantee": {"URI": ALL_USERS}}}});
        let header = format!("uri=\"{ALL_USERS}\"");
        for body in [
            json!({"x-amz-acl": "public-read"}),
            json!({"x-amz-acl": ["public-read"]}),
            json!({"AccessControlPolicy": policy}),
            json!({"accessControlList": {"x-amz-grant-read": header}}),
            json!({"accessControlList": {"X-Amz-Grant-Read": [header]}}),
            json!({"x-amz-grant-read": header.replace("uri", "URI")}),
        ] {
            assert_eq!(Grants::read(&body), everyone_reads(), "{body}");
        }
        assert_eq!(everyone_reads().are_public(), Some(true));
    }

    #[test]
    fn a_private_bucket_has_no_grants_but_the_owners() {
        for body in [json!({"x-amz-acl": "private"}), json!({"AccessControlPolicy": {"AccessControlList": ""}})] {
            assert_eq!(Grants::read(&body).are_public(), Some(false), "{body}");
        }
    }

    #[test]
    fn what_is_not_understood_is_no_proof_that_nobody_is_granted_anything() {
        for body in [
            json!({"x-amz-acl": "public-everything"}),
            json!({"x-amz-acl": ["public-read", "private"]}),
            json!({"x-amz-acl": ""}),
            json!({"AccessControlPolicy": 7}),
            json!({"AccessControlPolicy": {"Owner": {"ID": "c0ffee"}}}),
            json!({"AccessControlPolicy": {"AccessControlList": {"Grant": {"Permission": "READ"}}}}),
            json!({"accessControlList": "1"}),
            json!({"accessControlList": {"x-amz-grant-read": "everybody"}}),
            json!({"x-amz-grant-read": ""}),
        ] {
            assert_eq!(Grants::read(&body).are_public(), None, "{body}");
        }
        let public = json!({"x-amz-acl": "public-read", "accessControlList": "1"});
        assert_eq!(Grants::read(&public).are_public(), Some(true));
    }
}
