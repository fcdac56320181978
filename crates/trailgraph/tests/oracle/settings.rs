//! Settings of a bucket: blocks, encryption, versioning, logging.

use serde_json::{Value, json};

use super::event::text;
use super::export;
use super::facets::{Described, Known};

/// Since 2023-01-05 objects are encrypted by default, and since April of that year public access is blocked.
const ENCRYPTED_BY_DEFAULT: i64 = 1_672_876_800;
const BLOCKED_BY_DEFAULT: i64 = 1_680_307_200;
const BLOCKS: [&str; 4] = ["blockPublicAcls", "ignorePublicAcls", "blockPublicPolicy", "restrictPublicBuckets"];

impl Described<'_> {
    pub(super) fn public_access_block(&mut self) {
        let names = ["PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"];
        let flags: [bool; 4] = match self.last("publicAccessBlock", &names) {
            Known::Event(event) if event.name == names[0] => {
                let body = &event.parameters["PublicAccessBlockConfiguration"];
                let flag = |name: &str| body[name[..1].to_uppercase() + &name[1..]] == true;
                BLOCKS.map(flag)
            }
            Known::Event(_) => [false; 4],
            Known::Default => [self.born >= Some(BLOCKED_BY_DEFAULT); 4],
            Known::Unknown => return,
        };
        for (name, flag) in BLOCKS.into_iter().zip(flags) {
            self.set(name, flag);
        }
    }

    pub(super) fn encryption(&mut self) {
        let aes = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}});
        let rule = match self.last("encryption", &["PutBucketEncryption", "DeleteBucketEncryption"]) {
            Known::Event(event) if event.name == "PutBucketEncryption" => {
                event.parameters["ServerSideEncryptionConfiguration"]["Rule"].clone()
            }
            Known::Event(_) => aes,
            Known::Default if self.born >= Some(ENCRYPTED_BY_DEFAULT) => aes,
            Known::Default => {
                self.set("encrypted", false);
                self.set("defaultEncryptionEnabled", false);
                return;
            }
            Known::Unknown => return,
        };
        let by_default = &rule["ApplyServerSideEncryptionByDefault"];
        let Some(algorithm) = text(&by_default["SSEAlgorithm"]) else { return };
        self.set("encrypted", true);
        self.set("defaultEncryptionEnabled", true);
        self.set("encryptionAlgorithm", algorithm);
        self.set("bucketKeyEnabled", rule["BucketKeyEnabled"] == true);
        let Some(key) = text(&by_default["KMSMasterKeyID"]) else { return };
        let arn = match (&self.account, key.starts_with("arn:")) {
            (_, true) => key,
            (None, false) => return self.set("encryptionKeyRef", key),
            (Some(account), false) => {
                let resource = if key.starts_with("alias/") { key } else { format!("key/{key}") };
                format!("arn:{}:kms:{}:{account}:{resource}", self.partition, self.region)
            }
        };
        self.set("encryptionKeyRef", arn.as_str());
        self.connect("aws_s3_bucket_uses_kms_key", "USES", &export::kms_key(&arn), "", Value::Null);
    }

    pub(super) fn versioning(&mut self) {
        let body = match self.last("versioning", &["PutBucketVersioning"]) {
            Known::Event(event) => event.parameters["VersioningConfiguration"].clone(),
            Known::Default => json!({}),
            Known::Unknown => return,
        };
        self.set("versioningEnabled", body["Status"] == "Enabled");
        self.set("mfaDelete", body["MfaDelete"] == "Enabled");
    }

    pub(super) fn logging(&mut self) {
        let body = match self.last("logging", &["PutBucketLogging"]) {
            Known::Event(event) => event.parameters["BucketLoggingStatus"].clone(),
            Known::Default => json!({}),
            Known::Unknown => return,
        };
        let enabled = &body["LoggingEnabled"];
        let target = text(&enabled["TargetBucket"]);
        self.set("loggingEnabled", target.is_some());
        if let Some(target) = target {
            let prefix = text(&enabled["TargetPrefix"]).unwrap_or_default();
            self.set("loggingTargetBucket", target.as_str());
            self.set("loggingTargetPrefix", prefix.as_str());
            let end = export::bucket(&format!("arn:{}:s3:::{target}", self.partition));
            self.connect("aws_s3_bucket_logs_to_bucket", "LOGS", &end, "", json!({"prefix": prefix}));
        }
    }
}
