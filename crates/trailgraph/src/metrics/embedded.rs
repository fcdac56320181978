//! The few figures that AWS itself acts on: how many workers there should be, and whom to wake.
//!
//! A log line of this form becomes metrics of CloudWatch by itself
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).

use std::time::{Duration, Instant};

use serde_json::json;

use super::Metrics;

/// How often the line is written: CloudWatch's own resolution.
pub const EMBED_EVERY: Duration = Duration::from_secs(60);

const NAMESPACE: &str = "trailgraph";

/// Writes the lines of one worker.
pub struct Embedded {
    app_name: String,
    stream: String,
    sinks: Vec<String>,
    dead_letters: u64,
}

impl Embedded {
    /// Of the worker that reads `stream`, a stream's name, as `app_name`, into `sinks`.
    #[must_use]
    pub fn new(app_name: &str, stream: &str, sinks: Vec<String>) -> Self {
        Self { app_name: app_name.to_owned(), stream: stream.to_owned(), sinks, dead_letters: 0 }
    }

    /// The next line; none before the shards are known.
    pub fn line(&mut self, metrics: &Metrics, now_ms: i64) -> Option<String> {
        let open = metrics.shards.open.get();
        if open == 0 {
            return None;
        }
        let before = self.dead_letters;
        self.dead_letters = metrics.dead_letters_total();
        let of_sinks = self.sinks.iter().map(|sink| {
            let stopped = metrics.sink_stopped.with_label_values(&[sink]).get();
            (metrics.oldest_pending.with_label_values(&[sink]).get(), stopped)
        });
        let (oldest, stopped) = of_sinks
            .fold((0.0_f64, 0), |(oldest, stopped), (waits, is_stopped)| (oldest.max(waits), stopped + is_stopped));
        let figures = [
            ("OpenShards", "Count", json!(open)),
            ("OpenShardsUnread", "Count", json!(metrics.shards.open_unread.get())),
            ("BehindLatestSeconds", "Seconds", json!(metrics.shards.most_behind(Instant::now()).as_secs_f64())),
            ("OldestPendingSeconds", "Seconds", json!(oldest)),
            ("DeadLetters", "Count", json!(self.dead_letters - before)),
            ("SinksStopped", "Count", json!(stopped)),
        ];
        let units: Vec<_> = figures.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now_ms,
                "CloudWatchMetrics": [
                    {"Namespace": NAMESPACE, "Dimensions": [["AppName", "Stream"]], "Metrics": units},
                ],
            },
            "AppName": self.app_name,
            "Stream": self.stream,
        });
        figures.into_iter().for_each(|(name, _, value)| line[name] = value);
        Some(line.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_line_is_a_log_event_that_cloudwatch_takes_for_metrics() {
        let metrics = Metrics::new(&["one".to_owned(), "two".to_owned()]);
        let mut embedded = Embedded::new("trailgraph", "cloudtrail", vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(embedded.line(&metrics, 1_772_323_260_000), None, "no shard is known yet");

        metrics.shards_listed(4, 1, None);
        metrics.lane_stopped("two", true);
        metrics.rejection_dead_lettered();
        let line: Value = serde_json::from_str(&embedded.line(&metrics, 1_772_323_260_000).unwrap()).unwrap();
        let expected = json!({
            "_aws": {"Timestamp": 1_772_323_260_000_i64, "CloudWatchMetrics": [{
                "Namespace": "trailgraph", "Dimensions": [["AppName", "Stream"]], "Metrics": [
                    {"Name": "OpenShards", "Unit": "Count"}, {"Name": "OpenShardsUnread", "Unit": "Count"},
                    {"Name": "BehindLatestSeconds", "Unit": "Seconds"},
                    {"Name": "OldestPendingSeconds", "Unit": "Seconds"}, {"Name": "DeadLetters", "Unit": "Count"},
                    {"Name": "SinksStopped", "Unit": "Count"},
                ],
            }]},
            "AppName": "trailgraph", "Stream": "cloudtrail", "OpenShards": 4, "OpenShardsUnread": 1,
            "BehindLatestSeconds": 0.0, "OldestPendingSeconds": 0.0, "DeadLetters": 1, "SinksStopped": 1,
        });
        assert_eq!(line, expected);
        let line: Value = serde_json::from_str(&embedded.line(&metrics, 1_772_323_320_000).unwrap()).unwrap();
        assert_eq!(line["DeadLetters"], 0, "each letter is told once");
    }
}
