//! Who may reach a bucket: access control lists, ownership, and the block of public access.

use fastrand::Rng;

use super::{elements, open};
use crate::generate::subject::Subject;
use crate::generate::text::put;
use crate::generate::world::any;

const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const PARTNER_CANONICAL_ID: &str = "f6e5b8c7d90aabb28d9eaf7b4c3e2d1f5241306f5e8d7cab9a9c8d7e6f5a413c";

pub(in crate::generate) fn acl(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const CANNED: &[&str] = &[
        "private",
        "private",
        "private",
        "public-read",
        "public-read-write",
        "authenticated-read",
        "log-delivery-write",
    ];
    match rng.u8(..20) {
        0..12 => subject.put_header(text, "x-amz-acl", any(CANNED, rng)),
        12 => {
            put!(text, r#","accessControlList":{"x-amz-grant-read":"uri=\""#, any(&[ALL_USERS, LOG_DELIVERY], rng));
            put!(text, r#"\"","x-amz-grant-full-control":"id=\""#, subject.account().canonical_id, r#"\""}"#);
        }
        _ => grants(text, subject, rng),
    }
}

fn grants(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let owner = subject.account().canonical_id;
    open(text, "AccessControlPolicy");
    put!(text, r#","Owner":{"ID":""#, owner, r#""},"AccessControlList":{"Grant":"#);
    elements(text, rng.usize(1..4), |text, position| match rng.u8(..10) {
        _ if position == 0 => canonical(text, owner, "FULL_CONTROL"),
        0..3 => group(text, ALL_USERS, "READ"),
        3..5 => group(text, AUTHENTICATED_USERS, any(&["READ", "READ_ACP"], rng)),
        5..7 => group(text, LOG_DELIVERY, any(&["WRITE", "READ_ACP"], rng)),
        7 => grantee(text, "AmazonCustomerByEmail", "EmailAddress", "data-exchange@example.com", "READ"),
        _ => canonical(text, PARTNER_CANONICAL_ID, any(&["READ", "WRITE", "FULL_CONTROL"], rng)),
    });
    put!(text, "}}");
}

fn canonical(text: &mut Vec<u8>, id: &str, permission: &str) {
    grantee(text, "CanonicalUser", "ID", id, permission);
}

fn group(text: &mut Vec<u8>, uri: &str, permission: &str) {
    grantee(text, "Group", "URI", uri, permission);
}

fn grantee(text: &mut Vec<u8>, kind: &str, key: &str, value: &str, permission: &str) {
    put!(text, r#"{"Grantee":{"xmlns:xsi":"http://www.w3.org/2001/XMLSchema-instance","xsi:type":""#, kind);
    put!(text, r#"",""#, key, r#"":""#, value, r#""},"Permission":""#, permission, r#""}"#);
}

pub(in crate::generate) fn ownership(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open(text, "OwnershipControls");
    put!(text, r#","Rule":{"ObjectOwnership":""#, any_ownership(rng), r#""}}"#);
}

pub(super) fn any_ownership(rng: &mut Rng) -> &'static str {
    any(&["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"], rng)
}

pub(in crate::generate) fn block(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    open(text, BLOCK);
    flags(text, [Some(true); 4]);
}

pub(in crate::generate) fn partial_block(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open(text, BLOCK);
    flags(text, some_flags(rng));
}

pub(super) const BLOCK: &str = "PublicAccessBlockConfiguration";

/// Flags that are off, and flags that are left out.
pub(super) fn some_flags(rng: &mut Rng) -> [Option<bool>; 4] {
    std::array::from_fn(|_| any(&[Some(true), Some(true), Some(false), None], rng))
}

/// The rest of an element that is open: the flags that are told, each after a comma.
pub(super) fn flags(text: &mut Vec<u8>, flags: [Option<bool>; 4]) {
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    for (name, flag) in names.into_iter().zip(flags) {
        if let Some(flag) = flag {
            put!(text, r#",""#, name, r#"":"#, flag);
        }
    }
    put!(text, "}");
}
