//! What a call is about: a bucket, one of its access points, or the account that owns it.

use super::text::put;
use super::world::{Account, Bucket, bucket_name};

/// What a call acts on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Bucket,
    /// Records name the bucket in the creation only, and the access point beside the request.
    AccessPoint,
    /// The account of the bucket: its records name no bucket.
    Account,
}

/// The bucket that a call is about, and where the call comes in.
pub(super) struct Subject {
    pub(super) target: Target,
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) bucket: Bucket,
    /// Which of the bucket's access points.
    pub(super) point: u8,
    /// Another bucket's number, for logs and replicas.
    pub(super) neighbour: u32,
    /// Whether the record has the older form, with lists for the host, the query and the headers.
    pub(super) older: bool,
}

impl Subject {
    pub(super) fn account(&self) -> &'static Account {
        self.bucket.account()
    }

    /// The name of the access point.
    pub(super) fn point_name(&self) -> String {
        const PURPOSES: &[&str] = &["analytics", "ingest", "partner"];
        let purpose = PURPOSES[(self.number as usize + usize::from(self.point)) % PURPOSES.len()];
        [purpose, "-", &self.number.to_string()].concat()
    }

    /// The ARN that a policy names: the bucket's or the access point's.
    pub(super) fn arn(&self) -> String {
        let Account { id, partition, .. } = *self.account();
        match self.target {
            Target::AccessPoint => {
                let region = self.bucket.region();
                ["arn:", partition, ":s3:", region, ":", id, ":accesspoint/", &self.point_name()].concat()
            }
            _ => ["arn:", partition, ":s3:::", &self.name].concat(),
        }
    }

    /// The ARN pattern of all objects.
    pub(super) fn objects(&self) -> String {
        self.arn() + if self.target == Target::AccessPoint { "/object/*" } else { "/*" }
    }

    /// The ARN of the bucket that a rule with this position writes to: few buckets take what many send.
    pub(super) fn destination(&self, position: usize) -> String {
        ["arn:", self.account().partition, ":s3:::", &bucket_name(self.neighbour >> position)].concat()
    }

    /// The bucket's own host mostly, the Region's for older clients, the control plane's for what is not a bucket.
    pub(super) fn put_host(&self, text: &mut Vec<u8>, path_style: bool, control: bool) {
        let region = self.bucket.region();
        match (control, path_style, region) {
            (true, _, _) => put!(text, self.account().id, ".s3-control.", region, ".amazonaws.com"),
            (false, true, _) => put!(text, "s3.", region, ".amazonaws.com"),
            (false, false, "us-east-1") => put!(text, self.name, ".s3.amazonaws.com"),
            (false, false, _) => put!(text, self.name, ".s3.", region, ".amazonaws.com"),
        }
    }

    /// A header or a key of the query string, which are never coerced.
    pub(super) fn put_header(&self, text: &mut Vec<u8>, name: &str, value: &str) {
        let (open, close) = if self.older { (r#"":[""#, r#""]"#) } else { (r#"":""#, r#"""#) };
        put!(text, r#",""#, name, open, value, close);
    }
}
