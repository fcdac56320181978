//! Who may reach a bucket: grants and policies.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::document;
use super::event::{Event, elements, text};
use super::export;
use super::exposure::Finding;
use super::facets::{Described, Known};

impl Described<'_> {
    /// Tells whether everybody has a grant.
    pub(super) fn acl(&mut self) -> Finding<bool> {
        let known = self.last("acl", &["PutBucketAcl", "CreateBucket"]);
        let grants = match known {
            Known::Set(event) => grants(event),
            Known::Cleared(_) | Known::Default => BTreeSet::new(),
            Known::Unknown => return Finding::unknown(),
        };
        let mut public = false;
        for Grant { kind, who, permission } in grants {
            let end = match kind.as_str() {
                "Group" if who == ALL_USERS => export::everyone(),
                "Group" if who == AUTHENTICATED_USERS => export::authenticated_users(),
                "Group" if who == LOG_DELIVERY => export::service("logging.s3.amazonaws.com"),
                "CanonicalUser" => export::canonical_user(&who),
                "AmazonCustomerByEmail" => export::email(&who),
                _ => continue,
            };
            public |= who == ALL_USERS || who == AUTHENTICATED_USERS;
            let mut more = json!({"permission": permission, "granteeType": kind});
            if kind == "Group" {
                more["granteeURI"] = who.into();
            }
            self.connect("aws_s3_bucket_grant", "ALLOWS", &end, &permission, more);
        }
        self.set("aclPublic", public);
        Finding { value: Some(public), reason: known.reason("acl") }
    }

    /// Tells whether the policy lets everybody in.
    pub(super) fn policy(&mut self) -> Finding<bool> {
        let known = self.last("policy", &["PutBucketPolicy", "DeleteBucketPolicy"]);
        let reason = known.reason("policy");
        let document = match known {
            Known::Set(event) => event.body(),
            Known::Cleared(_) | Known::Default => {
                self.set("policyPublic", false);
                self.set("secureTransport", false);
                return Finding { value: Some(false), reason };
            }
            Known::Unknown => return Finding::unknown(),
        };
        let reading = document::read(document, self.partition, self.key);
        let value = Some(reading.public);
        self.set("policyPublic", reading.public);
        self.set("secureTransport", reading.secure_transport);
        let key = format!("{}/policy", self.key);
        let mut more = Map::new();
        more.insert("public".to_owned(), reading.public.into());
        more.insert("statementCount".to_owned(), reading.statements.into());
        more.insert("principals".to_owned(), json!(reading.principals));
        more.insert("_rawData".to_owned(), document.to_string().into());
        more.insert("region".to_owned(), self.region.as_str().into());
        if let Some(account) = &self.account {
            more.insert("accountId".to_owned(), account.as_str().into());
        }
        self.graph.entity(&key, "aws_s3_bucket_policy", &["AccessPolicy"], self.name, more);
        self.graph.connect("aws_s3_bucket_has_policy", "HAS", [self.key, &key], "", Value::Null);
        for (end, actions, conditional) in reading.allowed.into_values() {
            self.graph.hold(&end);
            let actions = actions.into_iter().collect::<Vec<_>>().join(",");
            let more = json!({"actions": actions, "conditional": conditional});
            self.graph.connect("aws_s3_bucket_policy_allows_principal", "ALLOWS", [&key, &end.key], "", more);
        }
        Finding { value, reason }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    kind: String,
    who: String,
    permission: String,
}

impl Grant {
    fn new(kind: &str, who: &str, permission: &str) -> Self {
        Self { kind: kind.to_owned(), who: who.to_owned(), permission: permission.to_owned() }
    }
}

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// The grants that a call sets; none but the owner's if it does not speak of access. What a canned list grants to the
/// owner is left out, since nothing tells the owner's canonical id.
fn grants(event: &Event) -> BTreeSet<Grant> {
    let parameters = &event.parameters;
    let group = |uri: &str, permission| Grant::new("Group", uri, permission);
    match text(&parameters["x-amz-acl"]).unwrap_or_default().as_str() {
        "public-read" => return [group(ALL_USERS, "READ")].into(),
        "public-read-write" => return [group(ALL_USERS, "READ"), group(ALL_USERS, "WRITE")].into(),
        "authenticated-read" => return [group(AUTHENTICATED_USERS, "READ")].into(),
        "log-delivery-write" => return [group(LOG_DELIVERY, "WRITE"), group(LOG_DELIVERY, "READ_ACP")].into(),
        _ => {}
    }
    let mut grants = BTreeSet::new();
    for (header, grantees) in parameters["accessControlList"].as_object().into_iter().flatten() {
        let permission = header.trim_start_matches("x-amz-grant-").to_uppercase().replace('-', "_");
        for grantee in text(grantees).unwrap_or_default().split(',') {
            let Some((key, who)) = grantee.trim().split_once('=') else { continue };
            let kind = match key {
                "id" => "CanonicalUser",
                "uri" => "Group",
                _ => "AmazonCustomerByEmail",
            };
            grants.insert(Grant::new(kind, who.trim_matches('"'), &permission));
        }
    }
    let listed = |grant: &Value| {
        let grantee = &grant["Grantee"];
        let who = ["ID", "URI", "EmailAddress"].iter().find_map(|key| text(&grantee[*key]))?;
        Some(Grant::new(grantee["xsi:type"].as_str()?, &who, grant["Permission"].as_str()?))
    };
    let list = &event.body()["AccessControlList"]["Grant"];
    grants.extend(elements(list).into_iter().filter_map(listed));
    grants
}
