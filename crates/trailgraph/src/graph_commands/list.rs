//! `graph list`: one line per bucket.

use emitter::BucketSummary;
use serde_json::{Value, json};

use super::exposure;
use super::text::{table, visible};
use crate::clock;

/// Which buckets are listed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter {
    /// Only those that are certainly open to the public.
    pub(super) public: bool,
    /// Only those that have changed at or after this time, in epoch milliseconds.
    pub(super) since: Option<i64>,
}

impl Filter {
    pub(super) fn keeps(self, bucket: &BucketSummary) -> bool {
        let is_recent = |since| bucket.updated_on.is_some_and(|updated| updated >= since);
        (!self.public || bucket.public == Some(true)) && self.since.is_none_or(is_recent)
    }
}

pub(super) fn as_json(buckets: &[BucketSummary]) -> Value {
    let row = |bucket: &BucketSummary| {
        json!({
            "key": bucket.key,
            "name": bucket.name,
            "accountId": bucket.account_id,
            "region": bucket.region,
            "public": bucket.public,
            "publicReasons": bucket.public_reasons,
            "updatedOn": bucket.updated_on.map(clock::rfc3339),
            "updatedBy": bucket.updated_by,
        })
    };
    buckets.iter().map(row).collect()
}

pub(super) fn as_text(buckets: &[BucketSummary]) -> String {
    let header = ["bucket", "account", "region", "exposure", "last change", "actor", "reasons"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(buckets.iter().map(cells));
    table(&rows)
}

fn cells(bucket: &BucketSummary) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.as_deref().map_or_else(|| "-".into(), visible);
    // A name is unique within its partition only.
    let is_plain = bucket.key.starts_with("arn:aws:");
    vec![
        visible(if is_plain { &bucket.name } else { &bucket.key }),
        or_dash(&bucket.account_id),
        or_dash(&bucket.region),
        exposure::word(bucket.public).into(),
        bucket.updated_on.map_or_else(|| "-".into(), clock::rfc3339),
        or_dash(&bucket.updated_by),
        visible(&bucket.public_reasons.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(key: &str, public: Option<bool>, updated_on: Option<i64>) -> BucketSummary {
        let name = key.rsplit(':').next().unwrap_or_default().to_owned();
        let (account_id, region) = (Some("111122223333".to_owned()), Some("eu-west-1".to_owned()));
        let public_reasons = if public == Some(true) { vec!["acl:e1".to_owned()] } else { vec![] };
        let (key, updated_by) = (key.to_owned(), updated_on.map(|_| "ada".to_owned()));
        BucketSummary { key, name, account_id, region, public, public_reasons, updated_on, updated_by }
    }

    #[test]
    fn only_what_is_asked_for_is_listed() {
        let noon = 1_772_366_400_000;
        let filter = |public, since| Filter { public, since };
        for (filter, public, updated_on, expected) in [
            (filter(false, None), None, None, true),
            (filter(true, None), Some(true), None, true),
            (filter(true, None), Some(false), None, false),
            (filter(true, None), None, None, false),
            (filter(false, Some(noon)), None, Some(noon), true),
            (filter(false, Some(noon)), None, Some(noon - 1), false),
            (filter(false, Some(noon)), None, None, false),
            (filter(true, Some(noon)), Some(false), Some(noon), false),
        ] {
            let bucket = bucket("arn:aws:s3:::app", public, updated_on);
            assert_eq!(filter.keeps(&bucket), expected, "{filter:?} {public:?} {updated_on:?}");
        }
    }

    #[test]
    fn a_row_tells_exposure_last_change_and_actor() {
        let buckets = [
            bucket("arn:aws-cn:s3:::abroad", Some(false), Some(0)),
            bucket("arn:aws:s3:::app", Some(true), Some(1_772_366_400_000)),
            bucket("arn:aws:s3:::bare", None, None),
        ];
        let expected = "\
bucket                  account       region     exposure  last change           actor  reasons
arn:aws-cn:s3:::abroad  111122223333  eu-west-1  private   1970-01-01T00:00:00Z  ada
app                     111122223333  eu-west-1  public    2026-03-01T12:00:00Z  ada    acl:e1
bare                    111122223333  eu-west-1  unknown   -                     -
";
        assert_eq!(as_text(&buckets), expected);
        let rows = as_json(&buckets);
        assert_eq!((&rows[0]["public"], &rows[2]["public"]), (&json!(false), &Value::Null));
        assert_eq!(rows[1]["updatedOn"], "2026-03-01T12:00:00Z");
        assert_eq!(rows[1]["publicReasons"], json!(["acl:e1"]));
    }
}
