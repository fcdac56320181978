//! The control plane: the account's own block of public access, and access points.

use fastrand::Rng;

use super::access::{BLOCK, flags, some_flags};
use super::{CONTROL_XMLNS, open_in};
use crate::generate::policy;
use crate::generate::subject::Subject;
use crate::generate::text::put;
use crate::generate::world::{any, percent};

pub(in crate::generate) fn account_block(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    open_in(text, BLOCK, CONTROL_XMLNS);
    flags(text, [Some(true); 4]);
}

pub(in crate::generate) fn partial_account_block(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open_in(text, BLOCK, CONTROL_XMLNS);
    flags(text, some_flags(rng));
}

pub(in crate::generate) fn access_point(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    open_in(text, "CreateAccessPointRequest", CONTROL_XMLNS);
    put!(text, r#","Bucket":""#, subject.name, r#"""#);
    if percent(30, rng) {
        // Bare, as every account id without a leading zero.
        put!(text, r#","BucketAccountId":"#, subject.account().id);
    }
    if percent(35, rng) {
        let vpc = any(&["vpc-1a2b3c4d", "vpc-5e6f7a8b"], rng);
        put!(text, r#","VpcConfiguration":{"VpcId":""#, vpc, r#""}"#);
    }
    if percent(40, rng) {
        // The first flag is told always, so that the element is not empty.
        put!(text, r#",""#, BLOCK, r#"":{"BlockPublicAcls":"#, percent(70, rng));
        let [_, ignore_acls, block_policy, restrict] = some_flags(rng);
        flags(text, [None, ignore_acls, block_policy, restrict]);
    }
    put!(text, "}");
}

pub(in crate::generate) fn point_policy(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    policy_text(text, policy::closed, subject, rng);
}

pub(in crate::generate) fn open_point_policy(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    policy_text(text, policy::open, subject, rng);
}

/// Unlike a bucket's, the policy of an access point is text inside XML: it stays a string.
fn policy_text(text: &mut Vec<u8>, policy: fn(&mut Vec<u8>, &Subject, &mut Rng), subject: &Subject, rng: &mut Rng) {
    let mut document = Vec::with_capacity(512);
    policy(&mut document, subject, rng);
    open_in(text, "PutAccessPointPolicyRequest", CONTROL_XMLNS);
    put!(text, r#","Policy":""#);
    for byte in document {
        if byte == b'"' {
            text.push(b'\\');
        }
        text.push(byte);
    }
    put!(text, r#""}"#);
}
