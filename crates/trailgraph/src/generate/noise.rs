//! Events of no interest: reads, data events, other services.

use fastrand::Rng;

use super::Generated;
use super::actor::Actor;
use super::record::{CIPHER, open_envelope};
use super::text::{HostId, RequestId, Second, Uuid, put};
use super::world::{Account, Bucket, any, bucket_name};

struct Noise {
    source: &'static str,
    name: &'static str,
    read_only: bool,
    about: About,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Account,
    Bucket,
    Object,
}

const fn noise(source: &'static str, name: &'static str, read_only: bool, about: About) -> Noise {
    Noise { source, name, read_only, about }
}

const NOISE: &[Noise] = &[
    noise("s3", "GetBucketAcl", true, About::Bucket),
    noise("s3", "GetBucketPolicy", true, About::Bucket),
    noise("s3", "GetBucketLocation", true, About::Bucket),
    noise("s3", "ListBuckets", true, About::Account),
    noise("s3", "HeadBucket", true, About::Bucket),
    noise("s3", "GetObject", true, About::Object),
    noise("s3", "GetObject", true, About::Object),
    noise("s3", "PutObject", false, About::Object),
    noise("s3", "DeleteObject", false, About::Object),
    noise("ec2", "DescribeInstances", true, About::Account),
    noise("kms", "Decrypt", true, About::Account),
    noise("sts", "GetCallerIdentity", true, About::Account),
    noise("iam", "ListRoles", true, About::Account),
    noise("lambda", "GetFunction20150331v2", true, About::Account),
];

/// An event about a bucket, an object in it, or its account.
pub(super) fn draw(bucket: Bucket, number: u32, now_ms: i64, rng: &mut Rng) -> Generated {
    let (account, region, actor) = (bucket.account(), bucket.region(), Actor::draw(rng));
    let Account { id, partition, .. } = *account;
    let name = bucket_name(number);
    let drawn = &NOISE[rng.usize(..NOISE.len())];
    let second = Second(now_ms.div_euclid(1_000));
    let mut body = Vec::with_capacity(2_048);
    let text = &mut body;
    open_envelope(text, &["aws.", drawn.source].concat(), id, second, region, rng);
    put!(text, r#"{"eventVersion":""#, any(&["1.08", "1.11"], rng), r#"","userIdentity":"#);
    actor.put_identity(text, account, second.0);
    put!(text, r#","eventTime":""#, second, r#"","eventSource":""#, drawn.source, r#".amazonaws.com","eventName":""#);
    put!(text, drawn.name, r#"","awsRegion":""#, region, r#"","sourceIPAddress":""#);
    actor.put_source_address(text, rng);
    put!(text, r#"","userAgent":""#, actor.user_agent(), r#"","requestParameters":"#);
    match drawn.about {
        About::Account => put!(text, "null"),
        About::Bucket => put!(text, r#"{"bucketName":""#, name, r#"","Host":""#, name, r#".s3.amazonaws.com"}"#),
        About::Object => {
            put!(text, r#"{"bucketName":""#, name, r#"","Host":""#, name, r#".s3.amazonaws.com","key":"part-"#);
            put!(text, rng.u64(..100_000), r#".parquet"}"#);
        }
    }
    put!(text, r#","responseElements":null,"additionalEventData":{"SignatureVersion":"SigV4","CipherSuite":""#, CIPHER);
    put!(text, r#"","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","x-amz-id-2":""#, HostId::draw(rng));
    put!(text, r#"","bytesTransferredOut":"#, rng.u64(..4_096), r#"},"requestID":""#, RequestId::draw(rng));
    put!(text, r#"","eventID":""#, Uuid::draw(rng), r#"","readOnly":"#, drawn.read_only);
    if drawn.about != About::Account {
        put!(text, r#","resources":[{"accountId":""#, id, r#"","type":"AWS::S3::Bucket","ARN":"arn:"#, partition);
        put!(text, ":s3:::", name, r#""}]"#);
    }
    let is_data = drawn.about == About::Object || drawn.name == "HeadBucket";
    put!(text, r#","eventType":"AwsApiCall","managementEvent":"#, !is_data, r#","recipientAccountId":""#, id);
    put!(text, r#"","eventCategory":""#, if is_data { "Data" } else { "Management" }, r#""}}"#);
    let partition_key = if drawn.about == About::Account { id.to_owned() } else { name };
    Generated { partition_key, body, event_time_ms: second.0 * 1_000 }
}
