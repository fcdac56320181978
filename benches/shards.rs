//! Do shards hinder each other where they fold into one window?
//!
//! The same records are parsed and folded by one reader, and by eight at once on as many threads. As in Kinesis, a
//! bucket's records are all in one shard; and, as nowhere, each shard has records of every bucket. The control folds
//! into a window for each shard, where nobody can wait for anybody.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::thread;
use std::time::Duration;

use bucket_state::{Parsed, Parser};
use corpus::measure::{Took, median, took};
use emitter::{Limits, Window};
use trailgraph::generate::Generated;

const SHARDS: usize = 8;
const EVENTS: usize = 120_000;
const ROUNDS: usize = 9;
/// Records after which a reader moves its position, as in the service.
const READ_BATCH: usize = 100;

/// How the records are dealt to shards, and what they are folded into.
struct Arm<'a> {
    name: &'static str,
    shards: Vec<Vec<&'a Generated>>,
    windows: usize,
}

fn main() {
    let records: Vec<Generated> = corpus::wide().take(EVENTS).collect();
    let arms = [
        Arm { name: "1 shard", shards: vec![records.iter().collect()], windows: 1 },
        Arm { name: "8 shards, one window", shards: by_bucket(&records), windows: 1 },
        Arm { name: "8 shards, a window each", shards: by_bucket(&records), windows: SHARDS },
        Arm { name: "8 shards with the same buckets, one window", shards: in_turn(&records), windows: 1 },
    ];
    let mut rounds: Vec<Vec<Took>> = arms.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (arm, rounds) in arms.iter().zip(&mut rounds) {
            rounds.push(arm.run());
        }
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("{EVENTS} events, {cores} cores, medians of {ROUNDS} rounds in turns");
    println!("{:<44} {:>8} {:>9} {:>8} {:>11}", "", "wall ms", "speed-up", "CPU ms", "busy cores");
    let middle = |of: fn(&Took) -> f64, rounds: &[Took]| median(rounds.iter().map(of).collect());
    let alone = middle(|took| took.wall, &rounds[0]);
    for (arm, rounds) in arms.iter().zip(&rounds) {
        let (wall, cpu) = (middle(|took| took.wall, rounds), middle(|took| took.cpu, rounds));
        let (speed_up, busy) = (alone / wall, cpu / wall);
        println!("{:<44} {:>8.0} {speed_up:>9.2} {:>8.0} {busy:>11.2}", arm.name, wall * 1e3, cpu * 1e3);
    }
}

impl Arm<'_> {
    fn run(&self) -> Took {
        let limits = Limits { flush_after: Duration::MAX, flush_at: usize::MAX, dirty_max: usize::MAX };
        let windows: Vec<Window<usize>> = (0..self.windows).map(|_| Window::new(limits, 0)).collect();
        let ((), took) = took(|| {
            thread::scope(|scope| {
                for (number, records) in self.shards.iter().enumerate() {
                    let window = &windows[number % windows.len()];
                    scope.spawn(move || read(records, window));
                }
            });
        });
        took
    }
}

fn read(records: &[&Generated], window: &Window<usize>) {
    let mut parser = Parser::default();
    for batch in records.chunks(READ_BATCH) {
        for record in batch {
            parser.parse(&record.body, record.event_time_ms, &mut |parsed| {
                if let Parsed::Event(event) = parsed {
                    window.fold(event, record.event_time_ms);
                }
            });
        }
        window.advance(false, |cut| *cut += batch.len());
    }
}

fn by_bucket(records: &[Generated]) -> Vec<Vec<&Generated>> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut shards = vec![Vec::new(); SHARDS];
    for record in records {
        shards[hasher.hash_one(&record.partition_key) as usize % SHARDS].push(record);
    }
    shards
}

fn in_turn(records: &[Generated]) -> Vec<Vec<&Generated>> {
    (0..SHARDS).map(|shard| records.iter().skip(shard).step_by(SHARDS).collect()).collect()
}
