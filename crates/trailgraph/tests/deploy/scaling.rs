//! How the fleet grows and shrinks by the policies of the template.
//!
//! Application Auto Scaling asks for `ceil(capacity x value / target)` where a policy's value is above its target, and
//! where it is below nine tenths of it. Any policy may scale out, all must agree to scaling in, and the largest number
//! counts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trailgraph::metrics::{Embedded, Metrics};

use crate::REQUIRED;
use crate::metric_math::evaluate;
use crate::template::Template;

/// Below this part of the target there is scaling in.
const IN_BELOW: f64 = 0.9;
/// The fleet comes to rest within so many decisions.
const DECISIONS_MAX: usize = 12;

/// What the policies look at.
#[derive(Clone, Copy)]
struct Seen {
    shards: u32,
    tasks: u32,
    lag_seconds: u32,
}

/// The size in the template.
struct Fleet {
    policies: Vec<Value>,
    fewest: u32,
    most: u32,
}

impl Fleet {
    fn new(parameters: &[(&str, &str)]) -> Self {
        let given: Vec<_> = REQUIRED.iter().chain(parameters).copied().collect();
        let resources = Template::receiver().resources(&given);
        let of_type = |kind: &str| {
            let kind = format!("AWS::ApplicationAutoScaling::{kind}");
            resources.values().filter(move |made| made["Type"] == kind).map(|made| made["Properties"].clone())
        };
        let target = of_type("ScalableTarget").next().unwrap();
        assert_eq!(target["ResourceId"], "service/trailgraph/trailgraph");
        let policies: Vec<Value> =
            of_type("ScalingPolicy").map(|policy| policy["TargetTrackingScalingPolicyConfiguration"].clone()).collect();
        assert_eq!(policies.len(), 2);
        Self { policies, fewest: number(&target["MinCapacity"]), most: number(&target["MaxCapacity"]) }
    }

    /// The capacity after the policies have been asked once.
    fn next(&self, seen: Seen) -> u32 {
        let mut asked = Vec::new();
        for policy in &self.policies {
            let target = f64::from(number(&policy["TargetValue"]));
            let value = value_of(&policy["CustomizedMetricSpecification"]["Metrics"], seen);
            // A third of three is no more than one.
            let wanted = (f64::from(seen.tasks) * value / target - 1e-9).ceil() as u32;
            asked.push((wanted, value > target, value < IN_BELOW * target));
        }
        let out = asked.iter().filter(|(_, out, _)| *out).map(|(wanted, ..)| *wanted).max();
        let agreed = asked.iter().all(|(_, _, inward)| *inward);
        let inward = agreed.then(|| asked.iter().map(|(wanted, ..)| *wanted).max()).flatten();
        out.or(inward).unwrap_or(seen.tasks).clamp(self.fewest, self.most)
    }

    /// The sizes through which the fleet goes until it stays as it is.
    fn course(&self, mut seen: Seen) -> Vec<u32> {
        let mut course = vec![seen.tasks];
        loop {
            let next = self.next(seen);
            if next == seen.tasks {
                return course;
            }
            course.push(next);
            assert!(course.len() <= DECISIONS_MAX, "{} shards: {course:?}", seen.shards);
            seen.tasks = next;
        }
    }
}

fn number(value: &Value) -> u32 {
    value.as_str().map_or_else(|| value.as_u64().unwrap() as u32, |text| text.parse().unwrap())
}

/// The one series that a policy returns.
fn value_of(queries: &Value, seen: Seen) -> f64 {
    let mut values = BTreeMap::new();
    let mut returned = Vec::new();
    for query in queries.as_array().unwrap() {
        let metric = &query["MetricStat"];
        let value = match query["Expression"].as_str() {
            Some(expression) => evaluate(expression, &values),
            None => f64::from(read(metric, seen)),
        };
        values.insert(query["Id"].as_str().unwrap().to_owned(), value);
        returned.extend((query["ReturnData"] == true).then_some(value));
    }
    assert_eq!(returned.len(), 1, "Application Auto Scaling wants one series");
    returned[0]
}

/// What a metric says, if it is one that there is.
fn read(metric: &Value, seen: Seen) -> u32 {
    let named = &metric["Metric"];
    let dimensions: Vec<_> = named["Dimensions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["Name"].as_str().unwrap(), &one["Value"]))
        .collect();
    let own = [("AppName", &Value::from("trailgraph")), ("Stream", &Value::from("trailgraph"))];
    let service = [("ClusterName", &Value::from("trailgraph")), ("ServiceName", &Value::from("trailgraph"))];
    let text = |name: &str| named[name].as_str().unwrap();
    match (text("Namespace"), text("MetricName"), metric["Stat"].as_str().unwrap()) {
        ("trailgraph", "OpenShards", "Maximum") if dimensions == own => seen.shards,
        ("trailgraph", "BehindLatestSeconds", "Maximum") if dimensions == own => seen.lag_seconds,
        ("AWS/ECS", "CPUUtilization", "SampleCount") if dimensions == service => seen.tasks,
        other => panic!("nobody tells {other:?} with {dimensions:?}"),
    }
}

#[test]
fn the_ordinary_size_is_one_worker_for_each_so_many_shards() {
    for each in [1, 2, 4, 7] {
        let fleet = Fleet::new(&[("ShardsPerTask", &each.to_string()), ("MinWorkers", "1"), ("MaxWorkers", "100")]);
        for shards in 1..=40_u32 {
            let enough = shards.div_ceil(each);
            for tasks in 1..=50 {
                let course = fleet.course(Seen { shards, tasks, lag_seconds: 0 });
                let rest = *course.last().unwrap();
                if tasks <= enough {
                    assert_eq!(rest, enough, "{shards} shards, {each} each: {course:?}");
                } else {
                    // AWS leaves a surplus of a tenth alone.
                    let within = f64::from(shards) / f64::from(rest) >= IN_BELOW * f64::from(each);
                    assert!(rest == enough || (rest > enough && within), "{shards} shards, {each} each: {course:?}");
                }
                let (up, down) = (course.is_sorted(), course.iter().rev().is_sorted());
                assert!(up || down, "to and fro: {course:?}");
            }
        }
    }
}

#[test]
fn lag_grows_the_fleet_up_to_one_worker_for_each_open_shard() {
    let fleet = Fleet::new(&[("LagSeconds", "60"), ("MinWorkers", "1"), ("MaxWorkers", "100")]);
    for shards in 1..=40 {
        for tasks in 1..=50 {
            let course = fleet.course(Seen { shards, tasks, lag_seconds: 61 });
            assert!(course.is_sorted(), "nothing is taken away while it lags: {course:?}");
            assert_eq!(*course.last().unwrap(), shards.max(tasks), "{shards} shards: {course:?}");
            let steps = course.windows(2);
            for step in steps.filter(|step| step[0] >= shards.div_ceil(4)) {
                assert!(f64::from(step[1]) <= (1.5 * f64::from(step[0])).ceil(), "by half at the most: {course:?}");
            }
        }
    }
    assert_eq!(fleet.course(Seen { shards: 40, tasks: 10, lag_seconds: 61 }), [10, 15, 23, 35, 40]);
}

#[test]
fn the_surplus_goes_when_reading_has_caught_up() {
    let fleet = Fleet::new(&[("LagSeconds", "60"), ("MinWorkers", "2"), ("MaxWorkers", "100")]);
    assert_eq!(fleet.course(Seen { shards: 40, tasks: 40, lag_seconds: 60 }), [40, 20, 10]);
    // What lag has added does not come and go by itself: it is held until lag is gone.
    assert_eq!(fleet.course(Seen { shards: 40, tasks: 40, lag_seconds: 61 }), [40]);
}

#[test]
fn the_size_stays_between_its_bounds() {
    let fleet = Fleet::new(&[]);
    assert_eq!((fleet.fewest, fleet.most), (2, 10));
    assert_eq!(fleet.course(Seen { shards: 1, tasks: 2, lag_seconds: 0 }), [2]);
    assert_eq!(fleet.course(Seen { shards: 400, tasks: 2, lag_seconds: 900 }), [2, 10]);
    assert_eq!(fleet.course(Seen { shards: 4, tasks: 10, lag_seconds: 0 }), [10, 5, 3, 2]);
}

#[test]
fn policies_and_alarms_look_at_what_a_worker_tells() {
    let metrics = Metrics::new(&["jupiterone:acme".to_owned()]);
    metrics.shards_listed(4, 0, None);
    let line = Embedded::new("trailgraph", "trailgraph", vec!["jupiterone:acme".to_owned()]).line(&metrics, 0).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let told = &line["_aws"]["CloudWatchMetrics"][0];
    let mut looked_at = BTreeSet::new();
    let resources = Template::receiver().resources(REQUIRED);
    for metric in resources.values().flat_map(metrics_of).filter(|metric| metric["Namespace"] == "trailgraph") {
        assert_eq!(metric["Namespace"], told["Namespace"]);
        let dimensions = metric["Dimensions"].as_array().unwrap();
        let names: Value = dimensions.iter().map(|one| one["Name"].clone()).collect();
        assert_eq!(told["Dimensions"], json!([names]), "CloudWatch finds no metric with fewer or more dimensions");
        assert!(dimensions.iter().all(|one| line[one["Name"].as_str().unwrap()] == one["Value"]), "{metric}");
        looked_at.insert(metric["MetricName"].as_str().unwrap().to_owned());
    }
    let told: BTreeSet<_> =
        told["Metrics"].as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(looked_at, told, "each is told, and each is looked at");
}

/// Every metric that stands anywhere in it.
fn metrics_of(value: &Value) -> Vec<Value> {
    let within: Vec<Value> = match value {
        Value::Object(object) => object.values().flat_map(metrics_of).collect(),
        Value::Array(list) => list.iter().flat_map(metrics_of).collect(),
        _ => Vec::new(),
    };
    let own = value["MetricName"].is_string().then(|| value.clone());
    own.into_iter().chain(within).collect()
}
