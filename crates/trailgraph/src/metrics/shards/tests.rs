use shard_consumer::{Position, ShardId};

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn batch(shard: &str, behind: Duration) -> Batch {
    Batch {
        shard: ShardId::from(shard),
        epoch: 1,
        records: Vec::new(),
        after: Position::TrimHorizon,
        misplaced: 2,
        behind_latest_ms: i64::try_from(behind.as_millis()).unwrap(),
    }
}

fn value(metrics: &Metrics, name: &str) -> String {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("trailgraph_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

#[test]
fn a_shard_is_late_from_half_of_the_retention_on_and_is_told_of_once_a_minute() {
    let begun = Instant::now();
    let held = |hours| HeldShard { behind: (3_600.0 * hours, begun), ..HeldShard::new(1, begun) };
    let mut known = Known::default();
    known.held.insert("shard-0".into(), held(12.5));
    known.held.insert("shard-1".into(), held(11.5));
    assert_eq!(known.warnings(begun), [], "the retention is not known yet");
    known.retention = Some(24 * HOUR);
    let late = LateShard { shard: "shard-0".into(), lag: HOUR * 25 / 2, retention: 24 * HOUR };
    assert_eq!(known.warnings(begun), std::slice::from_ref(&late));
    assert_eq!(known.warnings(begun + Duration::from_secs(59)), []);
    let warned = known.warnings(begun + Duration::from_secs(60));
    assert_eq!(warned, [LateShard { lag: late.lag + Duration::from_secs(60), ..late }]);
}

#[test]
fn a_shard_that_cannot_be_read_becomes_late_without_a_batch() {
    let begun = Instant::now();
    let mut known = Known { retention: Some(24 * HOUR), ..Known::default() };
    known.held.insert("shard-0".into(), HeldShard::new(1, begun));
    assert_eq!(known.warnings(begun + 12 * HOUR), []);
    assert_eq!(known.warnings(begun + 13 * HOUR)[0].lag, 13 * HOUR);
}

#[test]
fn shards_past_half_of_the_retention_are_counted_while_they_are_held() {
    let metrics = Metrics::new(&[]);
    metrics.lease_taken("shard-0", 1, TakenFrom::Nobody);
    metrics.batch_read(&batch("shard-0", 13 * HOUR));
    metrics.batch_folded(&batch("shard-0", 13 * HOUR), 0);
    assert_eq!(
        (value(&metrics, "stream_retention_seconds"), value(&metrics, "shards_past_half_retention")),
        ("0".into(), "0".into())
    );
    metrics.shards_listed(1, 0, Some(24 * HOUR));
    metrics.shards_listed(1, 0, None);
    assert_eq!(value(&metrics, "stream_retention_seconds"), "86400");
    assert_eq!(value(&metrics, "shards_past_half_retention"), "1");
    assert_eq!(value(&metrics, "hash_range_misses_total"), "2");
    metrics.batch_read(&batch("shard-0", 11 * HOUR));
    assert_eq!(value(&metrics, "shards_past_half_retention"), "0");
    metrics.batch_read(&batch("shard-0", 13 * HOUR));
    metrics.lease_lost("shard-0", 1);
    assert_eq!(value(&metrics, "shards_past_half_retention"), "0");
}

#[test]
fn what_happens_to_leases_is_counted_by_kind() {
    let metrics = Metrics::new(&[]);
    for (shard, from) in
        [("a", TakenFrom::Nobody), ("b", TakenFrom::Expired), ("c", TakenFrom::HandOver), ("d", TakenFrom::Nobody)]
    {
        metrics.lease_taken(shard, 1, from);
    }
    metrics.lease_lost("a", 1);
    metrics.lease_handed_over("b", 1);
    assert_eq!(value(&metrics, "leases_held"), "2");
    metrics.leases_released();
    let kinds = [("taken", "4"), ("expired", "1"), ("lost", "1"), ("handed_over", "1"), ("released", "2")];
    for (kind, count) in kinds {
        assert_eq!(value(&metrics, &format!("lease_events_total{{kind=\"{kind}\"}}")), count, "{kind}");
    }
    assert_eq!(value(&metrics, "leases_held"), "0");
}

#[test]
fn the_late_end_of_a_former_tenure_says_nothing_of_the_one_that_followed() {
    let metrics = Metrics::new(&[]);
    metrics.lease_taken("shard-0", 1, TakenFrom::Nobody);
    metrics.lease_lost("shard-0", 1);
    metrics.lease_taken("shard-0", 2, TakenFrom::Nobody);
    metrics.shard_ended("shard-0", 1);
    assert_eq!(value(&metrics, "leases_held"), "1");
    metrics.shard_ended("shard-0", 2);
    assert_eq!(value(&metrics, "leases_held"), "0");
}
