//! Settings of a bucket that are one word or a few.

use serde_json::{Value, json};

use super::event::{Event, text};
use super::export;
use super::exposure::Finding;
use super::facets::{Described, Known};

impl Described<'_> {
    pub(super) fn encryption(&mut self) {
        let aes = json!({"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}});
        let rule = match self.last("encryption", &["PutBucketEncryption", "DeleteBucketEncryption"]) {
            Known::Set(event) => event.body()["Rule"].clone(),
            // Since 2023 every bucket encrypts, whenever it was made.
            Known::Cleared(_) | Known::Default => aes,
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

    /// Where objects can be locked, versions are kept from the beginning.
    pub(super) fn versioning(&mut self, locked: bool) {
        let (enabled, mfa_delete) = match self.last("versioning", &["PutBucketVersioning"]) {
            Known::Set(event) => (event.body()["Status"] == "Enabled", event.body()["MfaDelete"] == "Enabled"),
            Known::Cleared(_) | Known::Default => (locked, false),
            Known::Unknown => return,
        };
        self.set("versioningEnabled", enabled);
        self.set("mfaDelete", mfa_delete);
    }

    pub(super) fn logging(&mut self) {
        let enabled = match self.last("logging", &["PutBucketLogging"]) {
            Known::Set(event) => &event.body()["LoggingEnabled"],
            Known::Cleared(_) | Known::Default => &Value::Null,
            Known::Unknown => return,
        };
        let target = text(&enabled["TargetBucket"]);
        self.set("loggingEnabled", target.is_some());
        if let Some(target) = target {
            let prefix = text(&enabled["TargetPrefix"]).unwrap_or_default();
            self.set("loggingTargetBucket", target.as_str());
            self.set("loggingTargetPrefix", prefix.as_str());
            let end = self.other_bucket(&target);
            self.connect("aws_s3_bucket_logs_to_bucket", "LOGS", &end, "", json!({"prefix": prefix}));
        }
    }

    /// Tells whether ACLs are disabled.
    pub(super) fn ownership(&mut self) -> Finding<bool> {
        let header = |event: &Event| text(&event.parameters["x-amz-object-ownership"]);
        let mut events = self.named(&["CreateBucket", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"]);
        events.retain(|event| event.name != "CreateBucket" || header(event).is_some());
        let known = self.last_of("ownership", &events);
        let ownership = match known {
            Known::Set(event) if event.name == "CreateBucket" => header(event),
            Known::Set(event) => text(&event.body()["Rule"]["ObjectOwnership"]),
            Known::Cleared(_) => Some("ObjectWriter".to_owned()),
            Known::Default => self
                .is_secure_by_default()
                .map(|secure| if secure { "BucketOwnerEnforced" } else { "ObjectWriter" }.to_owned()),
            Known::Unknown => None,
        };
        self.set_some("objectOwnership", ownership.as_deref());
        let enforced = ownership.map(|ownership| ownership == "BucketOwnerEnforced");
        Finding { value: enforced, reason: known.reason("ownership") }
    }

    pub(super) fn website(&mut self) {
        match self.last("website", &["PutBucketWebsite", "DeleteBucketWebsite"]) {
            Known::Set(event) => {
                self.set("websiteEnabled", true);
                self.set_some("websiteRedirect", text(&event.body()["RedirectAllRequestsTo"]["HostName"]));
            }
            Known::Cleared(_) | Known::Default => self.set("websiteEnabled", false),
            Known::Unknown => {}
        }
    }

    pub(super) fn request_payment(&mut self) {
        match self.last("requestPayment", &["PutBucketRequestPayment"]) {
            Known::Set(event) => self.set("requesterPays", event.body()["Payer"] == "Requester"),
            Known::Cleared(_) | Known::Default => self.set("requesterPays", false),
            Known::Unknown => {}
        }
    }

    /// CloudTrail never tells what acceleration was set to.
    pub(super) fn acceleration(&mut self) {
        match self.last("acceleration", &["PutAccelerateConfiguration"]) {
            Known::Set(_) => self.set("accelerationKnown", false),
            Known::Cleared(_) | Known::Default => self.set("accelerationKnown", true),
            Known::Unknown => {}
        }
    }

    pub(super) fn abac(&mut self) {
        match self.last("abac", &["PutBucketAbac"]) {
            Known::Set(event) => self.set("abacEnabled", event.body()["Status"] == "Enabled"),
            Known::Cleared(_) | Known::Default => self.set("abacEnabled", false),
            Known::Unknown => {}
        }
    }
}
