use std::collections::{HashMap, HashSet};

use serde_json::Value;

use self::subject::Target;
use super::*;

mod shapes;

fn traffic(seed: u64) -> Traffic {
    Traffic { seed, events: 20_000, buckets: 300, ..Traffic::default() }
}

fn records(traffic: Traffic) -> Vec<Value> {
    let parsed = |event: Generated| {
        serde_json::from_slice::<Value>(&event.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&event.body)))
    };
    traffic.generate().map(|event| parsed(event)["detail"].take()).collect()
}

/// How many of 1,000.
fn per_mille(part: usize, of: usize) -> usize {
    part * 1_000 / of
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let events = |seed| traffic(seed).generate().take(2_000).collect::<Vec<_>>();
    assert!(events(7) == events(7));
    assert!(events(7) != events(8));
}

#[test]
fn the_traffic_differs_in_its_times_only_wherever_the_clock_stands() {
    let timeless = |start_ms| {
        let mut records = records(Traffic { start_ms, events: 5_000, ..traffic(9) });
        for record in &mut records {
            record["eventTime"].take();
            record["userIdentity"]["sessionContext"]["attributes"]["creationDate"].take();
            for time in ["startTime", "endTime", "turnAroundTime"] {
                record["additionalEventData"][time].take();
            }
        }
        records
    };
    let start_ms = Traffic::default().start_ms;
    let whole = timeless(start_ms);
    for later_ms in [1, 500, 999, 86_400_123] {
        assert!(timeless(start_ms + later_ms) == whole, "{later_ms} ms later");
    }
}

#[test]
fn as_many_events_come_as_were_asked_for() {
    assert_eq!(traffic(1).generate().count(), 20_000);
    assert_eq!(Traffic { events: 0, ..traffic(1) }.generate().count(), 0);
    assert_eq!(Traffic { buckets: 1, ..traffic(1) }.generate().count(), 20_000);
}

#[test]
fn noise_failures_duplicates_and_copies_have_their_shares() {
    let records = records(traffic(3));
    let is_noise = |record: &&Value| {
        record["eventSource"] != "s3.amazonaws.com" || record["eventCategory"] == "Data" || record["readOnly"] == true
    };
    let noise = records.iter().filter(is_noise).count();
    assert!((180..=220).contains(&per_mille(noise, records.len())), "{noise}");
    let failed = records.iter().filter(|record| !record["errorCode"].is_null()).count();
    assert!((65..=100).contains(&per_mille(failed, records.len())), "{failed}");
    let distinct: HashSet<&str> = records.iter().filter_map(|record| record["eventID"].as_str()).collect();
    let repeated = records.len() - distinct.len();
    assert!((40..=60).contains(&per_mille(repeated, records.len())), "{repeated}");
    let copies = records.iter().filter(|record| !record["sharedEventID"].is_null()).count();
    assert!((40..=120).contains(&per_mille(copies, records.len())), "{copies}");
}

#[test]
fn more_than_a_tenth_of_the_events_arrive_after_younger_ones() {
    let times: Vec<i64> = traffic(4).generate().map(|event| event.event_time_ms).collect();
    let mut latest = i64::MIN;
    let late = times.iter().filter(|&&time| {
        latest = latest.max(time);
        time < latest
    });
    let share = per_mille(late.count(), times.len());
    assert!((100..=350).contains(&share), "{share}");
}

#[test]
fn both_copies_of_a_call_between_accounts_tell_the_same_change() {
    let mut calls: HashMap<String, Vec<Value>> = HashMap::new();
    for record in records(traffic(5)) {
        if let Some(shared) = record["sharedEventID"].as_str() {
            calls.entry(shared.to_owned()).or_default().push(record);
        }
    }
    let mut pairs = 0;
    for copies in calls.values() {
        let Some(caller) =
            copies.iter().find(|copy| copy["resources"][0]["accountId"] == "HIDDEN_DUE_TO_SECURITY_REASONS")
        else {
            continue;
        };
        let Some(owner) = copies.iter().find(|copy| copy["userIdentity"]["type"] == "AWSAccount") else { continue };
        pairs += 1;
        assert_ne!(owner["eventID"], caller["eventID"]);
        assert_ne!(owner["recipientAccountId"], caller["recipientAccountId"]);
        for same in ["requestID", "eventTime", "eventName", "requestParameters", "errorCode"] {
            assert_eq!(owner[same], caller[same], "{same}");
        }
    }
    assert!(pairs > 100, "{pairs}");
}

#[test]
fn a_history_is_sound_before_its_delivery_spoils_it() {
    let mut exists: HashMap<String, bool> = HashMap::new();
    let mut history = History::new(50);
    let mut rng = Rng::with_seed(6);
    let mut points: HashSet<(String, u8)> = HashSet::new();
    let (mut deleted, mut moved) = (0, 0);
    for now_ms in (0..2_000_000).step_by(100) {
        let Happening::Call(done) = history.next(now_ms, &mut rng) else { continue };
        if done.error.is_some() || done.subject.target == Target::Account {
            continue;
        }
        let point = (done.subject.name.clone(), done.subject.point);
        if done.subject.target == Target::AccessPoint {
            assert_eq!(points.contains(&point), done.call.name != "CreateAccessPoint");
            match done.call.name {
                "CreateAccessPoint" => points.insert(point),
                "DeleteAccessPoint" => points.remove(&point),
                _ => continue,
            };
            moved += 1;
            continue;
        }
        let exists = exists.entry(done.subject.name).or_default();
        assert!(*exists || done.call.name == "CreateBucket");
        *exists = done.call.name != "DeleteBucket";
        deleted += usize::from(!*exists);
        assert!(*exists || points.iter().all(|(bucket, _)| *bucket != point.0));
    }
    assert!(deleted > 20 && moved > 20, "{deleted} {moved}");
}

#[test]
fn every_account_that_receives_events_can_be_permitted_by_name() {
    let accounts = Traffic::accounts();
    for event in traffic(8).generate() {
        let envelope: Value = serde_json::from_slice(&event.body).unwrap();
        assert!(accounts.contains(&envelope["account"].as_str().unwrap()));
        assert_eq!(envelope["account"], envelope["detail"]["recipientAccountId"]);
        let bucket = envelope["detail"]["requestParameters"]["bucketName"].as_str();
        assert_eq!(event.partition_key, bucket.unwrap_or(envelope["account"].as_str().unwrap()));
    }
}

#[test]
fn the_fixture_of_the_tests_is_what_its_readme_says() {
    let made = Traffic { seed: 7, events: 5_000, buckets: 150, ..Traffic::default() }.generate();
    let made = made.map(|event| String::from_utf8(event.body).unwrap());
    assert!(fixture().lines().eq(made), "make it again: see tests/fixtures/README.md");
}

fn fixture() -> String {
    let packed = include_bytes!("../../tests/fixtures/events-5000.jsonl.gz");
    let mut fixture = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut fixture).unwrap();
    fixture
}
