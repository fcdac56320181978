//! Policies of buckets and access points: JSON documents, which keep the form that their author gave them.

use fastrand::Rng;

use super::subject::Subject;
use super::text::put;
use super::world::{ACCOUNTS, PARTNERS, any, percent};

type Statement = fn(&mut Vec<u8>, &Subject, &mut Rng);

/// The policy of a bucket that lets in nobody unknown.
pub(super) fn bucket_closed(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    put!(text, r#","bucketPolicy":"#);
    closed(text, subject, rng);
}

/// The policy of a bucket that opens it, or seems to.
pub(super) fn bucket_open(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    put!(text, r#","bucketPolicy":"#);
    open(text, subject, rng);
}

/// A policy that lets in nobody unknown.
pub(super) fn closed(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const STATEMENTS: &[Statement] = &[service, account, role, pinned_everyone, other_account, user];
    document(text, rng, |text, rng| {
        let mut count = 0;
        if percent(60, rng) {
            deny_insecure_transport(text, subject, rng);
            count += 1;
        }
        let first = rng.usize(..STATEMENTS.len());
        for at in 0..rng.usize(usize::from(count == 0)..4) {
            put!(text, if count > 0 { "," } else { "" });
            STATEMENTS[(first + at) % STATEMENTS.len()](text, subject, rng);
            count += 1;
        }
        count
    });
}

/// A policy that lets in everybody, or seems to.
pub(super) fn open(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    document(text, rng, |text, rng| {
        everyone(text, subject, rng);
        if !percent(40, rng) {
            return 1;
        }
        put!(text, ",");
        deny_insecure_transport(text, subject, rng);
        2
    });
}

/// Statements are an array, or an object where there is one and the author wrote it so.
fn document(text: &mut Vec<u8>, rng: &mut Rng, put_statements: impl Fn(&mut Vec<u8>, &mut Rng) -> usize) {
    put!(text, r#"{"Version":"2012-10-17""#);
    if percent(20, rng) {
        put!(text, r#","Id":"bucket-policy""#);
    }
    put!(text, r#","Statement":["#);
    let opening = text.len() - 1;
    let count = put_statements(text, rng);
    if count == 1 && percent(40, rng) {
        text.remove(opening);
        put!(text, "}");
    } else {
        put!(text, "]}");
    }
}

/// Begins a statement on the objects; the rest of it follows.
fn statement(text: &mut Vec<u8>, subject: &Subject, sid: &str, principal: &str, action: &str) {
    put!(text, r#"{"Sid":""#, sid, r#"","Effect":"Allow","Principal":"#, principal, r#","Action":"#, action);
    put!(text, r#","Resource":""#, subject.objects(), r#"""#);
}

fn deny_insecure_transport(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let principal = any(&[r#""*""#, r#"{"AWS":"*"}"#], rng);
    put!(text, r#"{"Sid":"DenyInsecureTransport","Effect":"Deny","Principal":"#, principal, r#","Action":"s3:*","#);
    put!(
        text,
        r#""Resource":[""#,
        subject.arn(),
        r#"",""#,
        subject.objects(),
        r#""],"Condition":{"Bool":{"aws:SecureTransport":"#
    );
    put!(text, any(&[r#""false""#, r#""false""#, "false"], rng), "}}}");
}

fn service(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let name = any(&["cloudtrail", "logging.s3", "delivery.logs", "config"], rng);
    let principal = [r#"{"Service":""#, name, r#".amazonaws.com"}"#].concat();
    statement(text, subject, "AllowDelivery", &principal, r#""s3:PutObject""#);
    put!(text, r#","Condition":{"StringEquals":{"aws:SourceAccount":""#, subject.account().id, r#""}}}"#);
}

fn account(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let id = ACCOUNTS[rng.usize(..ACCOUNTS.len())].id;
    let principal = match rng.u8(..3) {
        0 => [r#"{"AWS":""#, id, r#""}"#].concat(),
        _ => [r#"{"AWS":"arn:"#, subject.account().partition, ":iam::", id, r#":root"}"#].concat(),
    };
    statement(text, subject, "AllowAccount", &principal, r#"["s3:GetObject","s3:GetObjectVersion"]"#);
    put!(text, "}");
}

fn other_account(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let partner = any(PARTNERS, rng);
    let principal = [r#"{"AWS":"arn:"#, subject.account().partition, ":iam::", partner, r#":root"}"#].concat();
    statement(text, subject, "AllowPartner", &principal, r#""s3:GetObject""#);
    put!(text, r#","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}}"#);
}

fn role(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let arn = ["arn:", subject.account().partition, ":iam::", subject.account().id, ":role/"].concat();
    let one = ["\"", &arn, "ingest\""].concat();
    let principal = if percent(50, rng) {
        [r#"{"AWS":"#, &one, "}"].concat()
    } else {
        [r#"{"AWS":["#, &one, ",\"", &arn, r#"service/export"]}"#].concat()
    };
    statement(text, subject, "AllowRoles", &principal, r#"["s3:GetObject","s3:PutObject","s3:DeleteObject"]"#);
    put!(text, "}");
}

fn user(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    let (partition, id) = (subject.account().partition, subject.account().id);
    let service = any(&["", r#","Service":"cloudfront.amazonaws.com""#], rng);
    let principal = [r#"{"AWS":"arn:"#, partition, ":iam::", id, r#":user/backup""#, service, "}"].concat();
    statement(text, subject, "AllowBackup", &principal, r#""s3:*""#);
    put!(text, "}");
}

/// A wildcard that a condition pins to fixed values: not public.
fn pinned_everyone(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const CONDITIONS: &[&str] = &[
        r#"{"StringEquals":{"aws:SourceVpce":"vpce-1a2b3c4d"}}"#,
        r#"{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","198.51.100.7/32"]}}"#,
        r#"{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#,
        r#"{"ArnLike":{"aws:SourceArn":"arn:aws:cloudfront::111122223333:distribution/EDFDVBD6EXAMPLE"}}"#,
    ];
    let principal = any(&[r#""*""#, r#"{"AWS":"*"}"#], rng);
    statement(text, subject, "AllowNetwork", principal, r#""s3:GetObject""#);
    put!(text, r#","Condition":"#, any(CONDITIONS, rng), "}");
}

/// A wildcard that nothing pins: either no condition, or one that holds for anybody.
fn everyone(text: &mut Vec<u8>, subject: &Subject, rng: &mut Rng) {
    const CONDITIONS: &[&str] = &[
        "",
        "",
        "",
        r#","Condition":{"StringLike":{"aws:Referer":"https://www.example.com/*"}}"#,
        r#","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}"#,
        r#","Condition":{"StringLike":{"aws:PrincipalOrgID":"*"}}"#,
    ];
    let principal = any(&[r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["*"]}"#], rng);
    statement(text, subject, "PublicRead", principal, any(&[r#""s3:GetObject""#, r#"["s3:GetObject"]"#], rng));
    put!(text, any(CONDITIONS, rng), "}");
}
