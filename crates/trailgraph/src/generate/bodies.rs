//! Request bodies in the shapes that CloudTrail records: XML as JSON, where one element is an object, several are an
//! array, an empty one is `""`, and text that looks like a number or a boolean becomes one.

use fastrand::Rng;

use super::text::put;
use super::world::{Account, Bucket, PARTNERS, any, bucket_name, percent};

const XMLNS: &str = r#"{"xmlns":"http://s3.amazonaws.com/doc/2006-03-01/""#;
const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const PARTNER_CANONICAL_ID: &str = "f6e5b8c7d90aabb28d9eaf7b4c3e2d1f5241306f5e8d7cab9a9c8d7e6f5a413c";

/// The bucket that a call is about.
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) bucket: Bucket,
    /// Another bucket's number, for logs and replicas.
    pub(super) neighbour: u32,
}

impl Subject {
    pub(super) fn account(&self) -> &'static Account {
        self.bucket.account()
    }

    /// The bucket's own host mostly, the Region's for older clients, the control plane's for tags of resources.
    pub(super) fn put_host(&self, text: &mut Vec<u8>, path_style: bool, control: bool) {
        let region = self.bucket.region();
        match (control, path_style, region) {
            (true, _, _) => put!(text, self.account().id, ".s3-control.", region, ".amazonaws.com"),
            (false, true, _) => put!(text, "s3.", region, ".amazonaws.com"),
            (false, false, "us-east-1") => put!(text, self.name, ".s3.amazonaws.com"),
            (false, false, _) => put!(text, self.name, ".s3.", region, ".amazonaws.com"),
        }
    }
}

pub(super) fn nothing(_: &mut Vec<u8>, _: &Subject, _: &mut Rng) {}

pub(super) fn creation(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    match rng.u8(..20) {
        0..5 => put!(text, r#","x-amz-object-ownership":""#, any_ownership(rng), r#"""#),
        5..8 => put!(text, r#","x-amz-acl":"private""#),
        8 => put!(text, r#","x-amz-acl":"public-read","x-amz-object-ownership":"ObjectWriter""#),
        9 => put!(text, r#","x-amz-acl":"log-delivery-write","x-amz-object-ownership":"BucketOwnerPreferred""#),
        _ => {}
    }
    let region = subject.bucket.region();
    if region != "us-east-1" {
        // An old name of the Region, which S3 still takes.
        let constraint = if region == "eu-west-1" && percent(10, rng) { "EU" } else { region };
        put!(text, r#","CreateBucketConfiguration":"#, XMLNS, r#","LocationConstraint":""#, constraint, r#""}"#);
    }
}

fn any_ownership(rng: &mut Rng) -> &'static str {
    any(&["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"], rng)
}

pub(super) fn acl(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
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
        0..12 => put!(text, r#","x-amz-acl":""#, any(CANNED, rng), r#"""#),
        12 => {
            put!(text, r#","accessControlList":{"x-amz-grant-read":"uri=\""#, any(&[ALL_USERS, LOG_DELIVERY], rng));
            put!(text, r#"\"","x-amz-grant-full-control":"id=\""#, subject.account().canonical_id, r#"\""}"#);
        }
        _ => grants(text, subject, rng),
    }
}

fn grants(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let owner = subject.account().canonical_id;
    put!(text, r#","AccessControlPolicy":"#, XMLNS, r#","Owner":{"ID":""#, owner);
    put!(text, r#""},"AccessControlList":{"Grant":"#);
    let others = rng.usize(..3);
    put!(text, if others > 0 { "[" } else { "" });
    canonical(text, owner, "FULL_CONTROL");
    for _ in 0..others {
        put!(text, ",");
        match rng.u8(..10) {
            0..3 => group(text, ALL_USERS, "READ"),
            3..5 => group(text, AUTHENTICATED_USERS, any(&["READ", "READ_ACP"], rng)),
            5..7 => group(text, LOG_DELIVERY, any(&["WRITE", "READ_ACP"], rng)),
            7 => email(text, "data-exchange@example.com", "READ"),
            _ => canonical(text, PARTNER_CANONICAL_ID, any(&["READ", "WRITE", "FULL_CONTROL"], rng)),
        }
    }
    put!(text, if others > 0 { "]}}" } else { "}}" });
}

fn canonical(text: &mut Vec<u8>, id: &str, permission: &str) {
    grantee(text, "CanonicalUser", "ID", id, permission);
}

fn group(text: &mut Vec<u8>, uri: &str, permission: &str) {
    grantee(text, "Group", "URI", uri, permission);
}

fn email(text: &mut Vec<u8>, address: &str, permission: &str) {
    grantee(text, "AmazonCustomerByEmail", "EmailAddress", address, permission);
}

fn grantee(text: &mut Vec<u8>, kind: &str, key: &str, value: &str, permission: &str) {
    put!(text, r#"{"Grantee":{"xmlns:xsi":"http://www.w3.org/2001/XMLSchema-instance","xsi:type":""#, kind);
    put!(text, r#"",""#, key, r#"":""#, value, r#""},"Permission":""#, permission, r#""}"#);
}

pub(super) fn block(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    flags(text, [Some(true); 4]);
}

/// Flags that are off, and flags that are left out.
pub(super) fn partial_block(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    flags(text, std::array::from_fn(|_| any(&[Some(true), Some(true), Some(false), None], rng)));
}

fn flags(text: &mut Vec<u8>, flags: [Option<bool>; 4]) {
    put!(text, r#","PublicAccessBlockConfiguration":"#, XMLNS);
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    for (name, flag) in names.into_iter().zip(flags) {
        if let Some(flag) = flag {
            put!(text, r#",""#, name, r#"":"#, flag);
        }
    }
    put!(text, "}");
}

pub(super) fn encryption(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const KEY: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
    let (account, region) = (subject.account(), subject.bucket.region());
    put!(text, r#","ServerSideEncryptionConfiguration":"#, XMLNS);
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
    put!(text, "}}");
}

pub(super) fn versioning(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    put!(text, r#","VersioningConfiguration":"#, XMLNS, r#","Status":"Enabled""#);
    match rng.u8(..10) {
        0 => put!(text, r#","MfaDelete":"Enabled"}"#),
        1..3 => put!(text, r#","MfaDelete":"Disabled"}"#),
        _ => put!(text, "}"),
    }
}

pub(super) fn versioning_suspended(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    put!(text, r#","VersioningConfiguration":"#, XMLNS, r#","Status":"Suspended"}"#);
}

pub(super) fn logging(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    put!(text, r#","BucketLoggingStatus":"#, XMLNS, r#","LoggingEnabled":{"TargetBucket":""#);
    put!(text, bucket_name(subject.neighbour), r#"","TargetPrefix":""#);
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

pub(super) fn logging_off(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    put!(text, r#","BucketLoggingStatus":"#, XMLNS, "}");
}

/// Tags, values as CloudTrail shows them: bare where they look like a boolean or a number.
const TAGS: &[(&str, &[&str])] = &[
    (r#""env""#, &[r#""prod""#, r#""staging""#, r#""dev""#]),
    (r#""owner""#, &[r#""data-platform""#, r#""payments""#, r#""team-web""#]),
    (r#""email""#, &[r#""storage-owners@example.com""#]),
    (r#""classification""#, &[r#""confidential""#, r#""internal""#, r#""public""#]),
    (r#""cost-center""#, &["4711", "815", r#""0042""#]),
    (r#""backup""#, &["true", "false"]),
    (r#""retention-years""#, &["7", "1.5", r#""""#]),
    (r#""managed-by""#, &[r#""terraform""#, r#""cloudformation""#]),
    ("2026", &[r#""budget year""#]),
];

pub(super) fn tagging(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    put!(text, r#","Tagging":"#, XMLNS, r#","TagSet":"#);
    tags(text, rng, &[0, 1, 2, 3, 3, 4, 5, 6]);
    put!(text, "}");
}

pub(super) fn tag(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    resource(text, subject);
    put!(text, r#","TagResourceRequest":{"xmlns":"http://awss3control.amazonaws.com/doc/2018-08-20/","Tags":"#);
    tags(text, rng, &[1, 1, 2, 3]);
    put!(text, "}");
}

pub(super) fn untag(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    resource(text, subject);
    let (first, count) = (rng.usize(..TAGS.len()), any(&[1, 1, 2], rng));
    put!(text, r#","tagKeys":"#, if count > 1 { "[" } else { "" });
    for (at, (key, _)) in TAGS.iter().cycle().skip(first).take(count).enumerate() {
        // Keys of the query string are never coerced.
        put!(text, if at > 0 { "," } else { "" }, r#"""#, key.trim_matches('"'), r#"""#);
    }
    put!(text, if count > 1 { "]" } else { "" });
}

fn resource(text: &mut Vec<u8>, subject: &Subject) {
    put!(text, r#","resource":"arn:"#, subject.account().partition, ":s3:::", subject.name, r#"""#);
}

/// As many different tags as one of the counts, as the value of the element that holds them.
fn tags(text: &mut Vec<u8>, rng: &mut Rng, counts: &[usize]) {
    let count = any(counts, rng);
    if count == 0 {
        put!(text, r#""""#);
        return;
    }
    put!(text, r#"{"Tag":"#, if count > 1 { "[" } else { "" });
    let first = rng.usize(..TAGS.len());
    for (at, (key, values)) in TAGS.iter().cycle().skip(first).take(count).enumerate() {
        put!(text, if at > 0 { "," } else { "" }, r#"{"Key":"#, key, r#","Value":"#, any(values, rng), "}");
    }
    put!(text, if count > 1 { "]}" } else { "}" });
}

pub(super) fn ownership(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    put!(text, r#","OwnershipControls":"#, XMLNS, r#","Rule":{"ObjectOwnership":""#, any_ownership(rng), r#""}}"#);
}

pub(super) fn lifecycle(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    put!(text, r#","LifecycleConfiguration":"#, XMLNS, r#","Rule":"#);
    let days = any::<u64>(&[7, 30, 90, 365], rng);
    let expire = |text: &mut Vec<u8>| {
        put!(text, r#"{"ID":"expire","Status":"Enabled","Filter":"","Expiration":{"Days":"#, days, "}}");
    };
    if percent(50, rng) {
        expire(text);
    } else {
        put!(text, "[");
        expire(text);
        put!(text, r#",{"ID":"archive","Status":"Enabled","Filter":{"Prefix":"archive/"},"Transition":{"Days":30,"#);
        put!(text, r#""StorageClass":"GLACIER_IR"},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}]"#);
    }
    put!(text, r#"},"x-amz-transition-default-minimum-object-size":"all_storage_classes_128K""#);
}

pub(super) fn cors(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    const ORIGINS: &[&str] =
        &[r#""*""#, r#""https://app.example.com""#, r#"["https://a.example.com","https://b.example.com"]"#];
    put!(text, r#","CORSConfiguration":"#, XMLNS, r#","CORSRule":{"AllowedMethod":["GET","PUT"],"AllowedOrigin":"#);
    put!(text, any(ORIGINS, rng), r#","AllowedHeader":"*","MaxAgeSeconds":3000}}"#);
}

pub(super) fn notification(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    put!(text, r#","NotificationConfiguration":"#, XMLNS);
    let Account { id, partition, .. } = *subject.account();
    let target = |text: &mut Vec<u8>, service: &str, name: &str| {
        put!(text, r#""arn:"#, partition, ":", service, ":", subject.bucket.region(), ":", id, ":", name, r#"""#);
    };
    match rng.u8(..4) {
        0 => put!(text, r#","EventBridgeConfiguration":"""#),
        1 => {
            put!(text, r#","QueueConfiguration":{"Id":"ingest","Queue":"#);
            target(text, "sqs", "ingest");
            put!(text, r#","Event":["s3:ObjectCreated:*","s3:ObjectRemoved:*"]}"#);
        }
        2 => {
            put!(text, r#","CloudFunctionConfiguration":{"Id":"thumbnails","CloudFunction":"#);
            target(text, "lambda", "function:thumbnails");
            put!(text, r#","Event":"s3:ObjectCreated:*","Filter":{"S3Key":{"FilterRule":{"Name":"suffix","#);
            put!(text, r#""Value":".png"}}}}"#);
        }
        _ => {}
    }
    put!(text, "}");
}

pub(super) fn replication(text: &mut Vec<u8>, subject: &Subject, _: &mut Rng) {
    let Account { id, partition, .. } = *subject.account();
    put!(text, r#","ReplicationConfiguration":"#, XMLNS, r#","Role":"arn:"#, partition, ":iam::", id);
    put!(text, r#":role/replication","Rule":{"ID":"all","Priority":1,"Status":"Enabled","Filter":"","#);
    put!(text, r#""DeleteMarkerReplication":{"Status":"Disabled"},"Destination":{"Bucket":"arn:"#, partition, ":s3:::");
    put!(text, bucket_name(subject.neighbour), r#"","StorageClass":"STANDARD_IA"}}}"#);
}

pub(super) fn website(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    put!(text, r#","WebsiteConfiguration":"#, XMLNS, r#","IndexDocument":{"Suffix":"index.html"}}"#);
}

pub(super) fn request_payment(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    let payer = any(&["Requester", "BucketOwner"], rng);
    put!(text, r#","RequestPaymentConfiguration":"#, XMLNS, r#","Payer":""#, payer, r#""}"#);
}

pub(super) fn object_lock(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    put!(text, r#","ObjectLockConfiguration":"#, XMLNS, r#","ObjectLockEnabled":"Enabled","Rule":"#);
    put!(text, r#"{"DefaultRetention":{"Mode":"GOVERNANCE","Days":30}}}"#);
}

pub(super) fn metrics(text: &mut Vec<u8>, _: &Subject, _: &mut Rng) {
    put!(text, r#","id":"EntireBucket""#);
}
