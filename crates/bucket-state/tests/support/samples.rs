//! One request of each call, as CloudTrail records its parameters.

use serde_json::{Value, json};

use super::LEDGER;

pub(crate) const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const XMLNS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// What a successful call of this name asked for; none for a call that asks for nothing but its bucket.
pub(crate) fn sample(call: &str) -> Value {
    match call {
        "CreateBucket" => json!({
            "x-amz-acl": "private", "x-amz-object-ownership": "ObjectWriter",
            "CreateBucketConfiguration": {
                "xmlns": XMLNS, "LocationConstraint": "eu-west-1", "Tags": {"Tag": {"Key": "made-by", "Value": "terraform"}},
            },
        }),
        "PutBucketAcl" => {
            let everyone = json!({"xsi:type": "Group", "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "URI": ALL_USERS});
            let grants = json!({"Grant": {"Permission": "READ", "Grantee": everyone}});
            json!({"acl": "", "AccessControlPolicy": {"xmlns": XMLNS, "Owner": {"ID": "c0ffee"}, "AccessControlList": grants}})
        }
        "PutBucketPolicy" => {
            let statement = json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("{LEDGER}/*")});
            json!({"policy": "", "bucketPolicy": {"Version": "2012-10-17", "Statement": statement}})
        }
        "PutBucketPublicAccessBlock" | "PutAccountPublicAccessBlock" => {
            let all = json!({"xmlns": XMLNS, "BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true});
            json!({"publicAccessBlock": "", "PublicAccessBlockConfiguration": all})
        }
        "PutBucketEncryption" => {
            let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd";
            let default = json!({"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key});
            let rule = json!({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": true});
            json!({"encryption": "", "ServerSideEncryptionConfiguration": {"xmlns": XMLNS, "Rule": rule}})
        }
        "PutBucketVersioning" => {
            json!({"versioning": "", "VersioningConfiguration": {"xmlns": XMLNS, "Status": "Enabled", "MfaDelete": "Disabled"}})
        }
        "PutBucketLogging" => {
            let enabled = json!({"TargetBucket": "logs", "TargetPrefix": ""});
            json!({"logging": "", "BucketLoggingStatus": {"xmlns": XMLNS, "LoggingEnabled": enabled}})
        }
        "PutBucketLifecycle" => {
            let rule = json!({"ID": "old", "Status": "Enabled", "Filter": "", "Expiration": {"Days": 90}});
            json!({"lifecycle": "", "LifecycleConfiguration": {"xmlns": XMLNS, "Rule": rule}})
        }
        "PutBucketReplication" => {
            let destination = json!({"Bucket": "arn:aws:s3:::replica", "Account": 444_455_556_666_u64});
            let rule =
                json!({"ID": "all", "Priority": 1, "Status": "Enabled", "Filter": "", "Destination": destination});
            let role = "arn:aws:iam::111122223333:role/replication";
            json!({"replication": "", "ReplicationConfiguration": {"xmlns": XMLNS, "Role": role, "Rule": rule}})
        }
        "PutBucketObjectLockConfiguration" => {
            let rule = json!({"DefaultRetention": {"Mode": "GOVERNANCE", "Years": 2}});
            let lock = json!({"xmlns": XMLNS, "ObjectLockEnabled": "Enabled", "Rule": rule});
            json!({"object-lock": "", "ObjectLockConfiguration": lock})
        }
        "PutBucketOwnershipControls" => {
            let rule = json!({"ObjectOwnership": "BucketOwnerPreferred"});
            json!({"ownershipControls": "", "OwnershipControls": {"xmlns": XMLNS, "Rule": rule}})
        }
        "PutBucketTagging" => {
            let tags = json!([{"Key": "team", "Value": "billing"}, {"Key": "critical", "Value": true}]);
            json!({"tagging": "", "Tagging": {"xmlns": XMLNS, "TagSet": {"Tag": tags}}})
        }
        "TagResource" => {
            let tags = json!({"Tag": {"Key": "stage", "Value": "production"}});
            json!({"resource": LEDGER, "TagResourceRequest": {"xmlns": XMLNS, "Tags": tags}})
        }
        "UntagResource" => json!({"resource": LEDGER, "tagKeys": "stage"}),
        "PutBucketNotification" => {
            let function = json!({
                "Id": "thumbnails", "CloudFunction": "arn:aws:lambda:eu-west-1:111122223333:function:thumbnails",
                "Event": "s3:ObjectCreated:*", "Filter": {"S3Key": {"FilterRule": {"Name": "Suffix", "Value": ".png"}}},
            });
            let queue = json!({
                "Queue": "arn:aws:sqs:eu-west-1:111122223333:arrivals",
                "Event": ["s3:ObjectRemoved:*", "s3:ObjectCreated:*"],
            });
            let topic =
                json!({"Topic": "arn:aws:sns:eu-west-1:111122223333:news", "Event": "s3:ReducedRedundancyLostObject"});
            json!({"notification": "", "NotificationConfiguration": {
                "xmlns": XMLNS, "CloudFunctionConfiguration": function, "QueueConfiguration": queue,
                "TopicConfiguration": topic, "EventBridgeConfiguration": "",
            }})
        }
        "PutBucketInventoryConfiguration" => {
            let destination = json!({"Bucket": "arn:aws:s3:::reports", "Format": "CSV", "Prefix": "inventory", "AccountId": 111_122_223_333_u64});
            json!({"inventory": "", "id": "weekly", "InventoryConfiguration": {
                "xmlns": XMLNS, "Id": "weekly", "IsEnabled": true, "IncludedObjectVersions": "All",
                "Schedule": {"Frequency": "Weekly"}, "Destination": {"S3BucketDestination": destination},
            }})
        }
        "DeleteBucketInventoryConfiguration" => json!({"inventory": "", "id": "weekly"}),
        "PutBucketAnalyticsConfiguration" | "DeleteBucketAnalyticsConfiguration" => {
            json!({"analytics": "", "id": "usage"})
        }
        "PutBucketMetricsConfiguration" | "DeleteBucketMetricsConfiguration" => {
            json!({"metrics": "", "id": "requests"})
        }
        "PutBucketIntelligentTieringConfiguration" | "DeleteBucketIntelligentTieringConfiguration" => {
            json!({"intelligent-tiering": "", "id": "archive"})
        }
        "PutBucketWebsite" => {
            let redirect = json!({"HostName": "www.example.com", "Protocol": "https"});
            json!({"website": "", "WebsiteConfiguration": {"xmlns": XMLNS, "RedirectAllRequestsTo": redirect}})
        }
        "PutBucketCors" => {
            let rule = json!({"AllowedMethod": ["GET", "PUT"], "AllowedOrigin": "https://app.example.com", "MaxAgeSeconds": 300});
            json!({"cors": "", "CORSConfiguration": {"xmlns": XMLNS, "CORSRule": rule}})
        }
        "PutBucketRequestPayment" => {
            json!({"requestPayment": "", "RequestPaymentConfiguration": {"xmlns": XMLNS, "Payer": "Requester"}})
        }
        "PutAccelerateConfiguration" => json!({"accelerate": ""}),
        "PutBucketAbac" => json!({"abac": "", "AbacStatus": {"xmlns": XMLNS, "Status": "Enabled"}}),
        "CreateAccessPoint" => {
            let vpc = json!({"VpcId": "vpc-0a1b2c3d"});
            json!({"name": "readers", "CreateAccessPointRequest": {"xmlns": XMLNS, "Bucket": "ledger", "VpcConfiguration": vpc}})
        }
        "DeleteAccessPoint" | "DeleteAccessPointPolicy" => json!({"name": "readers"}),
        "PutAccessPointPolicy" => {
            let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}}"#;
            json!({"name": "readers", "PutAccessPointPolicyRequest": {"xmlns": XMLNS, "Policy": policy}})
        }
        _ => json!({}),
    }
}
