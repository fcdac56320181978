//! Settings of which a bucket has one each.

use fastrand::Rng;

use super::access::any_ownership;
use super::open;
use super::tags::tags;
use crate::generate::subject::Subject;
use crate::generate::text::put;
use crate::generate::world::{PARTNERS, any, bucket_name, percent};

pub(in crate::generate) fn creation(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let (acl, ownership) = match rng.u8(..20) {
        0..5 => (None, Some(any_ownership(rng))),
        5..8 => (Some("private"), None),
        8 => (Some("public-read"), Some("ObjectWriter")),
        9 => (Some("log-delivery-write"), Some("BucketOwnerPreferred")),
        _ => (None, None),
    };
    if let Some(acl) = acl {
        subject.put_header(text, "x-amz-acl", acl);
    }
    if let Some(ownership) = ownership.filter(|_| !subject.older) {
        subject.put_header(text, "x-amz-object-ownership", ownership);
    }
    let region = subject.bucket.region();
    let (elsewhere, tagged) = (region != "us-east-1", !subject.older && percent(8, rng));
    if !elsewhere && !tagged {
        return;
    }
    open(text, "CreateBucketConfiguration");
    if elsewhere {
        // An old name of the Region, which S3 still takes.
        let constraint = if region == "eu-west-1" && percent(10, rng) { "EU" } else { region };
        put!(text, r#","LocationConstraint":""#, constraint, r#"""#);
    }
    if tagged {
        put!(text, r#","Tags":"#);
        tags(text, rng, &[1, 2, 3]);
    }
    put!(text, "}");
}

pub(in crate::generate) fn encryption(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let (account, region) = (subject.account(), subject.bucket.region());
    open(text, "ServerSideEncryptionConfiguration");
    put!(text, r#","Rule":{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":""#);
    let drawn = rng.u8(..10);
    if drawn < 4 {
        put!(text, r#"AES256"}"#);
    } else {
        put!(text, if drawn == 9 { "aws:kms:dsse" } else { "aws:kms" }, r#"""#);
        let owner = if drawn == 8 { PARTNERS[0] } else { account.id };
        match drawn {
            4 => {}
            5 => put!(text, r#","KMSMasterKeyID":""#, KEY, r#"""#),
            6 => put!(text, r#","KMSMasterKeyID":"alias/data-lake""#),
            _ => {
                put!(text, r#","KMSMasterKeyID":"arn:"#, account.partition, ":kms:", region, ":", owner);
                put!(text, ":key/", KEY, r#"""#);
            }
        }
        put!(text, r#"},"BucketKeyEnabled":"#, percent(70, rng));
    }
    if percent(10, rng) {
        put!(text, r#","BlockedEncryptionTypes":{"EncryptionType":"SSE-C"}"#);
    }
    put!(text, "}}");
}

pub(in crate::generate) fn versioning(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open(text, "VersioningConfiguration");
    put!(text, r#","Status":"Enabled""#);
    match rng.u8(..10) {
        0 => put!(text, r#","MfaDelete":"Enabled"}"#),
        1..3 => put!(text, r#","MfaDelete":"Disabled"}"#),
        _ => put!(text, "}"),
    }
}

pub(in crate::generate) fn versioning_suspended(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    open(text, "VersioningConfiguration");
    put!(text, r#","Status":"Suspended"}"#);
}

pub(in crate::generate) fn logging(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    open(text, "BucketLoggingStatus");
    put!(text, r#","LoggingEnabled":{"TargetBucket":""#, bucket_name(subject.neighbour), r#"","TargetPrefix":""#);
    match rng.u8(..4) {
        0 => {}
        1 => put!(text, "access-logs/"),
        _ => put!(text, subject.name, "/"),
    }
    put!(text, r#"""#);
    if percent(15, rng) {
        put!(text, r#","TargetObjectKeyFormat":{"PartitionedPrefix":{"PartitionDateSource":"EventTime"}}"#);
    }
    put!(text, "}}");
}

pub(in crate::generate) fn logging_off(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    open(text, "BucketLoggingStatus");
    put!(text, "}");
}

pub(in crate::generate) fn website(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open(text, "WebsiteConfiguration");
    match rng.u8(..10) {
        0..4 => put!(text, r#","RedirectAllRequestsTo":{"HostName":"www.example.com","Protocol":"https"}}"#),
        4..7 => put!(text, r#","IndexDocument":{"Suffix":"index.html"},"ErrorDocument":{"Key":404}}"#),
        7 => {
            put!(text, r#","IndexDocument":{"Suffix":"index.html"},"RoutingRules":{"RoutingRule":{"Condition":"#);
            put!(text, r#"{"KeyPrefixEquals":"docs/"},"Redirect":{"ReplaceKeyPrefixWith":"documents/"}}}}"#);
        }
        _ => put!(text, r#","IndexDocument":{"Suffix":"index.html"}}"#),
    }
}

/// S3 takes a root of any name, and CloudTrail keeps the name.
pub(in crate::generate) fn request_payment(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    let payer = any(&["Requester", "BucketOwner"], rng);
    if percent(8, rng) {
        put!(text, r#","Other":{"Payer":""#, payer, r#""}"#);
    } else {
        open(text, "RequestPaymentConfiguration");
        put!(text, r#","Payer":""#, payer, r#""}"#);
    }
}

pub(in crate::generate) fn object_lock(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    open(text, "ObjectLockConfiguration");
    put!(text, r#","ObjectLockEnabled":"Enabled""#);
    if percent(80, rng) {
        let mode = any(&["GOVERNANCE", "COMPLIANCE"], rng);
        let period = any(&[r#""Days":30"#, r#""Days":90"#, r#""Years":1"#, r#""Years":7"#], rng);
        put!(text, r#","Rule":{"DefaultRetention":{"Mode":""#, mode, r#"","#, period, "}}");
    }
    put!(text, "}");
}

pub(in crate::generate) fn abac(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    open(text, "AbacStatus");
    put!(text, r#","Status":"Enabled"}"#);
}

pub(in crate::generate) fn abac_off(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    open(text, "AbacStatus");
    put!(text, r#","Status":"Disabled"}"#);
}
