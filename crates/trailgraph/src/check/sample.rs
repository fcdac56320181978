//! Whether records are dealt out to shards by their buckets.

use std::time::Duration;

use serde_json::Value;

use super::Answer;

/// What some records of the stream look like.
#[derive(Debug, Default)]
pub(super) struct Sample {
    records: usize,
    /// Events as EventBridge sends them.
    events: usize,
    /// Those whose records have another key than is expected; and the first of them.
    misplaced: usize,
    first: Option<(String, String)>,
}

impl Sample {
    pub(super) fn take(&mut self, key: &str, data: &[u8]) {
        self.records += 1;
        let envelope: Value = serde_json::from_slice(data).unwrap_or_default();
        let detail = &envelope["detail"];
        let bucket = detail["requestParameters"]["bucketName"].as_str();
        let Some(expected) = bucket.or(detail["recipientAccountId"].as_str()) else { return };
        self.events += 1;
        if key != expected {
            self.misplaced += 1;
            self.first.get_or_insert_with(|| (key.to_owned(), expected.to_owned()));
        }
    }

    pub(super) fn judge(self, look_back: Duration) -> Answer {
        let Self { records, events, misplaced, first } = self;
        let minutes = look_back.as_secs() / 60;
        if records == 0 {
            return Answer::Note(format!("nothing has come within {minutes} minutes, so they cannot be judged"));
        }
        if events == 0 {
            return Answer::Note(format!(
                "none of {records} records of the last {minutes} minutes is an event of CloudTrail as EventBridge sends it, \
                 so they cannot be judged: check the rule with `trailgraph events --check`, unless the records come \
                 another way"
            ));
        }
        match first {
            None => Answer::Ok(format!(
                "each of {events} events of the last {minutes} minutes has its bucket's name, or its account where it names \
                 no bucket"
            )),
            Some((key, expected)) => Answer::Failed(format!(
                "{misplaced} of {events} events of the last {minutes} minutes have another key than their bucket, such as \
                 {key:?} for {expected:?}: the graph is right all the same, but a burst on one bucket is folded and saved by \
                 several workers; set PartitionKeyPath of the rules' targets as deploy/receiver.yaml does"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Traffic;

    fn judged(key_of: impl Fn(&str) -> String) -> String {
        let traffic = Traffic { seed: 1, events: 200, buckets: 10, start_ms: 1_772_323_200_000, spacing_ms: 10 };
        let mut sample = Sample::default();
        traffic.generate().for_each(|event| sample.take(&key_of(&event.partition_key), &event.body));
        match sample.judge(Duration::from_secs(3_600)) {
            Answer::Ok(detail) => format!("ok {detail}"),
            Answer::Note(detail) => format!("note {detail}"),
            Answer::Failed(detail) => format!("failed {detail}"),
        }
    }

    #[test]
    fn keys_are_judged_by_the_buckets_of_their_events() {
        assert!(judged(str::to_owned).starts_with("ok each of 200 events"), "{}", judged(str::to_owned));
        let failed = judged(|_| "one-for-all".to_owned());
        assert!(
            failed.starts_with("failed 200 of 200 events") && failed.contains("such as \"one-for-all\" for \""),
            "{failed}"
        );
    }

    #[test]
    fn what_cannot_be_told_is_said_and_fails_nothing() {
        let said = |sample: Sample| matches!(sample.judge(Duration::from_secs(60)), Answer::Note(_));
        assert!(said(Sample::default()));
        let mut noise = Sample::default();
        noise.take("key", br#"{"eventSource": "kms.amazonaws.com", "eventName": "Decrypt"}"#);
        noise.take("key", b"garbage");
        assert!(said(noise));
    }
}
