//! What does memory hold: of each dirty bucket, and of each row that a store remembers? And what is allocated on the way?
//!
//! Bytes are those that were asked for and not given back; the allocator's own are in what is resident, beside them.
//! Rows are remembered of a DynamoDB table: `cargo xtask servers` fetches the server that has it.

use std::alloc::System;
use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use bucket_state::{
    AccountLevel, Delta, Deltas, Event, EventId, Origin, Parsed, Parser, ResourceId, belongs_to, project,
};
use corpus::measure::{per, resident_bytes};
use emitter::{
    DynamoStore, DynamoStoreParams, ListedSink, PendingMark, Save, SaveOutcome, Settlement, Settling, SinkName,
    StateStore,
};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Stats, StatsAlloc};
use trailgraph::generate::Generated;
use xtask::servers::MinistackServer;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const DIRTY: usize = 200_000;
/// The two counters of an `Arc`.
const ARC: usize = 2 * size_of::<usize>();
const UUID_LENGTH: usize = 36;
/// Buckets of each kind.
const ALIKE: usize = 20_000;
/// What a row costs does not depend on how many there are; these are quickly saved.
const ROWS: usize = 5_000;
const ROWS_AT_ONCE: usize = 100;
const NOW_MS: i64 = 1_772_400_000_000;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let rows = dirty_resources();
    alike_buckets();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(remembered_rows(&rows[..ROWS.min(rows.len())]))
}

/// Traffic as the generator makes it, until so many resources are dirty.
fn dirty_resources() -> Vec<(ResourceId, Delta)> {
    let (mut traffic, mut parser, deltas) = (corpus::endless(), Parser::default(), Deltas::default());
    let (mut passed, mut parsed, mut folded) = (Counts::default(), Counts::default(), Counts::default());
    let resident = resident_bytes();
    while deltas.len() < DIRTY {
        // The generator's own allocations are not counted.
        let Some(record) = traffic.next() else { break };
        let before = ALLOCATOR.stats();
        let Some(event) = parse(&mut parser, &record) else {
            passed.add(&before);
            continue;
        };
        parsed.add(&before);
        let before = ALLOCATOR.stats();
        deltas.fold(event, record.event_time_ms);
        folded.add(&before);
    }
    let resident = resident_bytes() - resident;
    let (resources, total) = (per(deltas.len()), passed.held + parsed.held + folded.held);
    println!("{resources} dirty resources, {:.1} events each", per(folded.records) / resources);
    println!("  {:.0} bytes each; resident {:.0}", total as f64 / resources, resident as f64 / resources);
    let rows = deltas.drain();
    let map = freed_by(|| drop(deltas));
    Anatomy::of(&rows).print(map, total, rows.len());
    passed.print("a record that is passed over");
    parsed.print("an event that is parsed");
    folded.print("an event that is folded");
    rows
}

fn parse(parser: &mut Parser, record: &Generated) -> Option<Event> {
    let mut found = None;
    parser.parse(&record.body, record.event_time_ms, &mut |parsed| {
        if let Parsed::Event(event) = parsed {
            found = Some(event);
        }
    });
    found
}

/// Allocations while records of one kind are parsed and folded.
#[derive(Default)]
struct Counts {
    records: usize,
    made: usize,
    freed: usize,
    grown: usize,
    held: i64,
}

impl Counts {
    fn add(&mut self, before: &Stats) {
        let now = ALLOCATOR.stats();
        self.records += 1;
        self.made += now.allocations - before.allocations;
        self.freed += now.deallocations - before.deallocations;
        self.grown += now.reallocations - before.reallocations;
        self.held += held(&now) - held(before);
    }

    fn print(&self, what: &str) {
        let each = |count: usize| count as f64 / per(self.records);
        println!(
            "  {what}: {:.2} allocations, {:.2} of them given back, {:.2} grown",
            each(self.made),
            each(self.freed),
            each(self.grown)
        );
    }
}

fn held(stats: &Stats) -> i64 {
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

fn freed_by(work: impl FnOnce()) -> i64 {
    let before = held(&ALLOCATOR.stats());
    work();
    before - held(&ALLOCATOR.stats())
}

/// Where the bytes of dirty resources are. States do not show their inside; their stored form does.
#[derive(Default)]
struct Anatomy {
    keys: usize,
    origins: usize,
    ties: usize,
    bodies: usize,
    parts: usize,
    /// The events that the state at hand has shown already: registers share them.
    seen: BTreeSet<String>,
}

impl Anatomy {
    fn of(rows: &[(ResourceId, Delta)]) -> Self {
        let mut anatomy = Self::default();
        for (id, delta) in rows {
            anatomy.keys += ARC + id.as_str().len();
            anatomy.seen.clear();
            anatomy.state(&serde_json::to_value(&delta.state).unwrap_or_default());
        }
        anatomy
    }

    fn state(&mut self, state: &Value) {
        for name in ["touched", "deleted", "born"] {
            self.register(&state[name]);
        }
        for name in ["owner", "region"] {
            self.register(&state[name]);
        }
        for origin in state["creations"].as_array().into_iter().flatten() {
            self.origin(origin);
        }
        for (_, register) in members(&state["facets"]) {
            self.register(register);
            self.setting(&register["v"]);
        }
        for (id, register) in members(&state["ids"]).flat_map(|(_, ids)| members(ids)) {
            self.register(register);
            self.parts += id.len();
            self.setting(&register["v"]);
        }
        for (key, register) in members(&state["tags"]) {
            self.register(register);
            self.parts += key.len() + text(&register["v"]);
        }
    }

    fn register(&mut self, register: &Value) {
        self.origin(&register["o"]);
        if let Some(tie) = register["t"].as_object() {
            // Four ids and a flag.
            self.ties += 4 * size_of::<EventId>() + size_of::<usize>() + tie.values().map(beside_uuid).sum::<usize>();
        }
    }

    fn origin(&mut self, origin: &Value) {
        if let Some(event_id) = origin["e"].as_str()
            && self.seen.insert(event_id.to_owned())
        {
            self.origins += ARC + size_of::<Origin>() + beside_uuid(&origin["e"]) + beside_uuid(&origin["i"]);
        }
    }

    fn setting(&mut self, setting: &Value) {
        self.bodies += setting.get("set").map_or(0, |body| body.to_string().len());
    }

    fn print(&self, map: i64, total: i64, resources: usize) {
        let each = |bytes: usize| bytes as f64 / per(resources);
        let slot = size_of::<(ResourceId, Delta)>();
        println!(
            "    {:>6.0} the map: {:.2} slots of {slot} bytes",
            map as f64 / per(resources),
            map as f64 / per(resources * slot)
        );
        let told = self.keys + self.origins + self.ties + self.bodies + self.parts;
        println!("    {:>6.0} keys", each(self.keys));
        println!("    {:>6.0} origins", each(self.origins));
        println!("    {:>6.0} ties", each(self.ties));
        println!("    {:>6.0} bodies of facets", each(self.bodies));
        println!("    {:>6.0} keys and values of single tags, ids of configurations", each(self.parts));
        println!(
            "    {:>6.0} registers in their vectors, and callers, accounts and Regions, which are shared",
            (total - map) as f64 / per(resources) - each(told)
        );
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// What the text of an id takes beside its place, if it is none of CloudTrail's UUIDs.
fn beside_uuid(id: &Value) -> usize {
    let length = text(id);
    if length == UUID_LENGTH { 0 } else { length }
}

fn text(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

/// Buckets that are alike, each with one thing more than the last.
fn alike_buckets() {
    let tag = |number: u32| json!({"Key": format!("key-{number}"), "Value": format!("value-{number}")});
    let tags: Vec<Value> = (0..5).map(tag).collect();
    let calls = [
        ("its creation alone", "CreateBucket", json!({"x-amz-acl": "private"})),
        ("five tags as a set", "PutBucketTagging", json!({"Tagging": {"TagSet": {"Tag": tags}}})),
        ("one tag by itself", "TagResource", json!({"TagResourceRequest": {"Tags": {"Tag": tag(6)}}})),
        ("versioning", "PutBucketVersioning", json!({"VersioningConfiguration": {"Status": "Enabled"}})),
        ("metrics by id", "PutBucketMetricsConfiguration", json!({"metrics": "", "id": "everything"})),
    ];
    println!("a bucket with …");
    let mut last = 0.0;
    for count in 1..=calls.len() {
        let (mut parser, deltas, mut counts) = (Parser::default(), Deltas::default(), Counts::default());
        for number in 0..ALIKE {
            for (second, (_, call, parameters)) in calls[..count].iter().enumerate() {
                let record = record(number, second, call, parameters);
                let before = ALLOCATOR.stats();
                if let Some(event) = parse(&mut parser, &record) {
                    deltas.fold(event, record.event_time_ms);
                }
                counts.add(&before);
            }
        }
        let each = counts.held as f64 / per(deltas.len());
        println!("  {:<24} {each:>6.0} bytes (+{:.0})", calls[count - 1].0, each - last);
        last = each;
    }
}

fn record(number: usize, second: usize, call: &str, parameters: &Value) -> Generated {
    let name = format!("a-bucket-of-common-length-{number:06}");
    let mut parameters = parameters.clone();
    parameters["bucketName"] = name.as_str().into();
    if call == "TagResource" {
        parameters["resource"] = format!("arn:aws:s3:::{name}").into();
    }
    let record = json!({
        "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": call, "awsRegion": "eu-west-1",
        "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/deploy/session-0123456789"},
        "eventTime": format!("2026-03-01T12:00:{second:02}Z"), "recipientAccountId": "111122223333",
        "eventID": format!("01234567-89ab-cdef-{second:04}-{number:012}"), "requestParameters": parameters,
    });
    Generated { partition_key: name, body: record.to_string().into_bytes(), event_time_ms: NOW_MS }
}

/// Rows that a store in DynamoDB has written and the graph has acknowledged: what it bases the next saves on.
async fn remembered_rows(rows: &[(ResourceId, Delta)]) -> Fallible<()> {
    let server = MinistackServer::start()?;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(server.endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("x", "x", None, None, "bench"));
    let store = DynamoStore::open(DynamoStoreParams {
        client: Client::from_conf(config.build()),
        table: "states".into(),
        worker: "bench".into(),
        now_ms: NOW_MS,
        cache_bytes: 1 << 30,
        sweep_every: Duration::ZERO,
    })
    .await?;
    let sink = SinkName::from("sqlite:graph.db");
    store.add_sinks(&[ListedSink { name: sink.clone(), instance: "bench".into() }], NOW_MS).await?;
    for rows in rows.chunks(ROWS_AT_ONCE) {
        store.sinks().await?;
        let outcomes = store.save(rows.iter().map(|(id, delta)| save(id, delta)).collect()).await?;
        let settle = |((id, delta), outcome): (&(ResourceId, Delta), SaveOutcome)| {
            let SaveOutcome::Saved(version) = outcome else { return None };
            let digest = project(id, &delta.state, AccountLevel::Silent).digest();
            Some(Settlement { resource: id.clone(), version, verdict: Settling::Acknowledged(digest) })
        };
        let settlements: Vec<Settlement> = rows.iter().zip(outcomes).filter_map(settle).collect();
        assert_eq!(store.settle(&sink, settlements).await?, rows.len(), "every row is new, and waits for the graph");
    }
    let encoded: usize = rows.iter().map(|(_, delta)| delta.state.encode().len()).sum();
    let each = |bytes: usize| bytes as f64 / per(rows.len());
    let remembered = usize::try_from(freed_by(|| drop(store)))?;
    println!("{} rows remembered for the next save, acknowledged by one graph", rows.len());
    println!("  {:.0} bytes each, of which the encoded state {:.0}", each(remembered), each(encoded));
    println!("  a million of them: {:.0} MB", each(remembered));
    Ok(())
}

fn save(id: &ResourceId, delta: &Delta) -> Save {
    let mark = PendingMark { since_ms: NOW_MS, arrived_ms: delta.arrived_ms, happened_ms: delta.happened_ms };
    let (state, account) = (delta.state.clone(), belongs_to(id, &delta.state));
    let (resource, mark) = (id.clone(), Some(mark));
    Save { resource, based_on: 0, state, account, former_account: None, mark, set_aside: false }
}
