//! Bodies that are lists of rules: lifecycle, replication, cross-origin requests and notifications.

use fastrand::Rng;

use super::{elements, open};
use crate::generate::subject::Subject;
use crate::generate::text::put;
use crate::generate::world::{Account, PARTNERS, any, percent};

pub(in crate::generate) fn lifecycle(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    /// Each up to what it does to objects.
    const RULES: &[&str] = &[
        r#"{"ID":"expire","Status":"Enabled","Filter":"""#,
        r#"{"ID":"archive","Status":"Enabled","Filter":{"Prefix":"archive/"}"#,
        r#"{"ID":2026,"Status":"Enabled","Filter":{"And":{"Prefix":"raw/","Tag":{"Key":"backup","Value":false}}}"#,
        r#"{"ID":"temporary","Status":"Disabled","Filter":{"Tag":{"Key":"env","Value":"dev"}}"#,
        r#"{"ID":"","Status":"Enabled","Filter":{"Prefix":""}"#,
    ];
    const TRANSITIONS: &[&str] =
        &[r#"{"Days":30,"StorageClass":"GLACIER_IR"}"#, r#"{"Days":180,"StorageClass":"DEEP_ARCHIVE"}"#];
    let first = rng.usize(..RULES.len());
    open(text, "LifecycleConfiguration");
    put!(text, r#","Rule":"#);
    elements(text, any(&[1, 1, 1, 2, 2, 3], rng), |text, position| {
        put!(text, RULES[(first + position) % RULES.len()]);
        match rng.u8(..10) {
            0..6 => put!(text, r#","Expiration":{"Days":"#, any::<u64>(&[7, 30, 90, 365], rng), "}}"),
            6 => put!(text, r#","Expiration":{"ExpiredObjectDeleteMarker":true}}"#),
            7 => put!(text, r#","NoncurrentVersionExpiration":{"NoncurrentDays":30}}"#),
            _ => {
                put!(text, r#","Transition":"#);
                elements(text, rng.usize(1..=2), |text, at| put!(text, TRANSITIONS[at]));
                put!(text, r#","AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}"#);
            }
        }
    });
    put!(text, "}");
    if !subject.older {
        subject.put_header(text, "x-amz-transition-default-minimum-object-size", "all_storage_classes_128K");
    }
}

pub(in crate::generate) fn replication(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const IDS: &[&str] = &["disaster-recovery", "analytics", "7"];
    let Account { id, partition, .. } = *subject.account();
    open(text, "ReplicationConfiguration");
    put!(text, r#","Role":"arn:"#, partition, ":iam::", id, r#":role/replication","Rule":"#);
    let count = any(&[1, 1, 1, 2, 2, 3], rng);
    // One form of rule goes with others of its form only.
    let is_older = count == 1 && percent(30, rng);
    elements(text, count, |text, position| {
        // The last id looks like a number, and so becomes one.
        let quote = if position == 2 { "" } else { r#"""# };
        let status = any(&["Enabled", "Enabled", "Enabled", "Disabled"], rng);
        put!(text, r#"{"ID":"#, quote, IDS[position], quote, r#","Status":""#, status, r#"""#);
        if is_older {
            put!(text, r#","Prefix":"""#);
        } else {
            let filter = any(&[r#""""#, r#"{"Prefix":"exports/"}"#], rng);
            put!(text, r#","Priority":"#, position as u64, r#","Filter":"#, filter, ",", MARKERS_STAY);
        }
        put!(text, r#","Destination":{"Bucket":""#, subject.destination(position), r#"""#);
        match rng.u8(..6) {
            drawn @ 0..2 => {
                // Bare: no account's id begins with zero.
                put!(text, r#","Account":"#, any(PARTNERS, rng));
                put!(text, if drawn == 0 { r#","AccessControlTranslation":{"Owner":"Destination"}"# } else { "" });
            }
            2..4 => put!(text, r#","StorageClass":"STANDARD_IA""#),
            4 => put!(text, r#","ReplicationTime":{"Status":"Enabled","Time":{"Minutes":15}},"#, METRICS),
            _ => {}
        }
        put!(text, "}}");
    });
    put!(text, "}");
}

const MARKERS_STAY: &str = r#""DeleteMarkerReplication":{"Status":"Disabled"}"#;
const METRICS: &str = r#""Metrics":{"Status":"Enabled","EventThreshold":{"Minutes":15}}"#;

pub(in crate::generate) fn cors(text: &mut Vec<u8>, _: &Subject, rng: &mut Rng) {
    const METHODS: &[&str] = &[r#"["GET","PUT"]"#, r#""GET""#, r#"["GET","HEAD","POST"]"#];
    /// The text "null" is an origin, too; its element is dropped.
    const ORIGINS: &[&str] = &[
        r#","AllowedOrigin":"*""#,
        r#","AllowedOrigin":"https://app.example.com""#,
        r#","AllowedOrigin":"https://www.example.com""#,
        r#","AllowedOrigin":["https://a.example.com","https://b.example.com"]"#,
        "",
    ];
    const HEADERS: &[&str] =
        &["", r#","AllowedHeader":"*""#, r#","AllowedHeader":["Authorization","Content-Type"],"ExposeHeader":"ETag""#];
    let first = rng.usize(..ORIGINS.len());
    open(text, "CORSConfiguration");
    put!(text, r#","CORSRule":"#);
    elements(text, any(&[1, 1, 1, 2, 3], rng), |text, position| {
        put!(text, r#"{"AllowedMethod":"#, any(METHODS, rng), ORIGINS[(first + position) % ORIGINS.len()]);
        put!(text, any(HEADERS, rng), r#","MaxAgeSeconds":3000}"#);
    });
    put!(text, "}");
}

/// Configurations of several kinds, of one, or none: that is how notifications end.
pub(in crate::generate) fn notification(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const KINDS: &[(&str, &str, &str, &[&str])] = &[
        ("QueueConfiguration", "Queue", "sqs", &["ingest", "audit"]),
        ("CloudFunctionConfiguration", "CloudFunction", "lambda", &["function:thumbnails", "function:index"]),
        ("TopicConfiguration", "Topic", "sns", &["uploads", "audit"]),
    ];
    let drawn = rng.u8(..20);
    if drawn == 0 {
        put!(text, r#","NotificationConfiguration":"""#);
        return;
    }
    open(text, "NotificationConfiguration");
    if drawn < 7 {
        put!(text, r#","EventBridgeConfiguration":"""#);
    }
    let kinds = match drawn {
        1..5 => 0,
        5..18 => 1,
        _ => 2,
    };
    let first = rng.usize(..KINDS.len());
    for (root, element, service, names) in KINDS.iter().cycle().skip(first).take(kinds) {
        put!(text, r#",""#, root, r#"":"#);
        elements(text, any(&[1, 1, 1, 2], rng), |text, position| {
            target(text, subject, (element, service, names[position]), rng);
        });
    }
    put!(text, "}");
}

/// One configuration: what it is called, where it sends, and which events.
fn target(text: &mut Vec<u8>, subject: &Subject, (element, service, name): (&str, &str, &str), rng: &mut Rng) {
    const EVENTS: &[&str] =
        &[r#""s3:ObjectCreated:*""#, r#"["s3:ObjectCreated:*","s3:ObjectRemoved:*"]"#, r#""s3:ObjectRestore:Post""#];
    const FILTERS: &[&str] = &[
        "",
        "",
        r#","Filter":"""#,
        r#","Filter":{"S3Key":{"FilterRule":{"Name":"suffix","Value":".png"}}}"#,
        r#","Filter":{"S3Key":{"FilterRule":[{"Name":"Prefix","Value":"raw/"},{"Name":"Suffix","Value":""}]}}"#,
    ];
    let Account { id, partition, .. } = *subject.account();
    put!(text, "{");
    if percent(80, rng) {
        put!(text, r#""Id":"to-"#, name, r#"","#);
    }
    put!(
        text,
        r#"""#,
        element,
        r#"":"arn:"#,
        partition,
        ":",
        service,
        ":",
        subject.bucket.region(),
        ":",
        id,
        ":",
        name
    );
    put!(text, r#"","Event":"#, any(EVENTS, rng), any(FILTERS, rng), "}");
}
