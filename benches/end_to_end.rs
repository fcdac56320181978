//! How many events a second does one worker bring from the bodies of `GetRecords` into a graph, and where does the time go?
//!
//! What is between them is the service's own, on disk as in the service: parser, window, state store, outbox, graph. Only
//! here one window is saved and emitted before the next is folded, so that no scheduling is measured. Each round runs
//! twice: by the service's own calls, for the rate; and with the save of a window taken apart, for the table of stages.
//! That the two take the same time is what vouches for the table.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bucket_state::{Delta, Deltas, Digest, Event, Kind, Parsed, Parser, ResourceId, ResourceState, belongs_to};
use corpus::bodies::{self, Bodies, Record};
use corpus::measure::{Begun, Took, median, per, took};
use emitter::{
    GraphSink, Limits, ListedSink, Outbox, OutboxSettings, PendingMark, Save, SinkName, SqliteFile, SqliteGraph,
    SqliteStore, StateStore, Stored, Version, Window, snapshots,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const WORKER: &str = "bench";
/// Dirty resources at which a window is flushed.
const WINDOWS: [usize; 2] = [500, 5_000];
const ROUNDS: usize = 3;
/// Rows loaded and saved together, and snapshots that an outbox hands over together, as in the service.
const BATCH: usize = 500;
const NOW_MS: i64 = 1_772_400_000_000;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    // One thread works at a time; the second one is where a file is waited for.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bodies = Bodies::of(corpus::wide());
    let (events, records) = (bodies.records, bodies.bytes as f64 / 1e6);
    println!(
        "{events} events ({records:.0} MB) in {} bodies of GetRecords; medians of {ROUNDS} rounds",
        bodies.texts.len()
    );
    for flush_at in WINDOWS {
        let (mut whole, mut parts, mut rounds) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let worker = Worker::new(&runtime, flush_at)?;
            let (done, took_whole) = took(|| runtime.block_on(worker.work(&bodies)));
            done?;
            whole.push(took_whole);
            let worker = Worker::new(&runtime, flush_at)?;
            let (stages, took_apart) = took(|| runtime.block_on(worker.work_apart(&bodies)));
            parts.push(took_apart);
            rounds.push(stages?);
        }
        report(flush_at, events, &whole, &parts, &rounds);
    }
    Ok(())
}

fn report(flush_at: usize, events: usize, whole: &[Took], parts: &[Took], rounds: &[Stages]) {
    let middle = |of: fn(&Took) -> f64, took: &[Took]| median(took.iter().map(of).collect());
    let (wall, cpu) = (middle(|took| took.wall, whole), middle(|took| took.cpu, whole));
    let resources = rounds.first().map_or(0, |stages| stages.resources);
    println!(
        "\nwindows of {flush_at} dirty resources; {resources} of them saved, so {:.1} events each",
        per(events) / per(resources)
    );
    println!(
        "  {:.0} events/s, {:.0} events/s and core ({wall:.2} s, {cpu:.2} s of CPU)",
        per(events) / wall,
        per(events) / cpu
    );
    println!("  {:<28} µs/event  of CPU", format!("stage by stage ({:.2} s)", middle(|took| took.wall, parts)));
    for stage in Stage::ALL {
        let took: Vec<Took> = rounds.iter().map(|stages| stages.took[&stage]).collect();
        let each = |of: fn(&Took) -> f64| middle(of, &took) * 1e6 / per(events);
        println!("    {:<26} {:>8.2} {:>7.2}", stage.name(), each(|took| took.wall), each(|took| took.cpu));
    }
}

/// A worker that has done nothing yet, with files of its own.
struct Worker {
    flush_at: usize,
    window: Window<usize>,
    store: Arc<SqliteStore>,
    graph: SinkName,
    outbox: Outbox,
    _folder: TempDir,
}

impl Worker {
    fn new(runtime: &Runtime, flush_at: usize) -> Fallible<Self> {
        let folder = TempDir::new()?;
        let file = SqliteFile::open(&folder.path().join("trailgraph.db"))?;
        let store = Arc::new(SqliteStore::open(file.clone(), WORKER, NOW_MS)?);
        let graph = Arc::new(SqliteGraph::open(file, SinkName::from("sqlite:trailgraph.db"))?);
        let sink = ListedSink { name: graph.name().clone(), instance: graph.instance().to_owned() };
        runtime.block_on(store.add_sinks(&[sink], NOW_MS))?;
        let settings = OutboxSettings { worker: WORKER.into(), adopt_after: Duration::ZERO, batch: BATCH };
        let name = graph.name().clone();
        let outbox = Outbox::new(Arc::clone(&store) as Arc<dyn StateStore>, graph, settings);
        let limits = Limits { flush_after: Duration::from_secs(5), flush_at, dirty_max: usize::MAX };
        Ok(Self { flush_at, window: Window::new(limits, 0), store, graph: name, outbox, _folder: folder })
    }

    /// By the service's own calls.
    async fn work(&self, bodies: &Bodies) -> Fallible<()> {
        let mut parser = Parser::default();
        for body in &bodies.texts {
            let records = bodies::decode(body)?;
            for record in &records {
                parser.parse(&record.data, record.arrived_ms, &mut |parsed| {
                    if let Parsed::Event(event) = parsed {
                        self.window.fold(event, record.arrived_ms);
                    }
                });
                if self.window.dirty() >= self.flush_at {
                    self.flush().await?;
                }
            }
            self.window.advance(false, |cut| *cut += records.len());
        }
        self.flush().await
    }

    /// Save, checkpoint, and emit until nothing is pending.
    async fn flush(&self) -> Fallible<()> {
        let saved = self.window.seal().save(self.store.as_ref(), || NOW_MS).await?;
        saved.checkpoint(async |_cut| Ok::<(), std::io::Error>(())).await?;
        self.emit().await
    }

    async fn emit(&self) -> Fallible<()> {
        while self.outbox.round(NOW_MS, &CancellationToken::new()).await?.is_some() {}
        Ok(())
    }

    /// The same, one stage after the other.
    async fn work_apart(&self, bodies: &Bodies) -> Fallible<Stages> {
        let (mut stages, mut parser, deltas) = (Stages::default(), Parser::default(), Deltas::default());
        for body in &bodies.texts {
            let records = stages.time(Stage::Decode, || bodies::decode(body))?;
            let events = stages.time(Stage::Parse, || parse(&mut parser, &records));
            let mut left = events.into_iter();
            while left.len() > 0 {
                stages.time(Stage::Fold, || fold_until(&deltas, self.flush_at, &mut left));
                if deltas.len() >= self.flush_at {
                    self.flush_apart(&deltas, &mut stages).await?;
                }
            }
        }
        self.flush_apart(&deltas, &mut stages).await?;
        Ok(stages)
    }

    /// What `Sealed::save` does where no other worker comes between.
    async fn flush_apart(&self, deltas: &Deltas, stages: &mut Stages) -> Fallible<()> {
        let window = stages.time(Stage::Seal, || deltas.drain());
        stages.resources += window.len();
        for batch in window.chunks(BATCH) {
            let ids: Vec<ResourceId> = batch.iter().map(|(id, _)| id.clone()).collect();
            let begun = Begun::now();
            self.store.sinks().await?;
            let stored = self.store.load_bases(&ids).await?;
            stages.add(Stage::Load, begun);
            let merged: Vec<Merged<'_>> = stages.time(Stage::Merge, || {
                let pairs = batch.iter().zip(stored);
                pairs.filter_map(|((id, delta), stored)| Merged::of(id, delta, stored, &self.graph)).collect()
            });
            let begun = Begun::now();
            // What was never shown need not be projected to know that it is news.
            let known: Vec<(&ResourceId, &ResourceState)> =
                merged.iter().filter(|row| row.shown.is_some()).map(|row| (row.id, &row.state)).collect();
            let projected = snapshots(self.store.as_ref(), &known).await?;
            let digests: HashMap<ResourceId, Digest> =
                projected.into_iter().map(|snapshot| (snapshot.resource.clone(), snapshot.digest())).collect();
            stages.add(Stage::Project, begun);
            let begun = Begun::now();
            let saves = merged.into_iter().map(|row| {
                let digest = digests.get(row.id).copied();
                row.save(digest)
            });
            let saves: Vec<Save> = saves.collect();
            self.store.save(saves).await?;
            stages.add(Stage::Save, begun);
        }
        let begun = Begun::now();
        self.emit().await?;
        stages.add(Stage::Emit, begun);
        Ok(())
    }
}

/// A delta merged into what is stored, where that changes anything.
struct Merged<'a> {
    id: &'a ResourceId,
    delta: &'a Delta,
    based_on: Version,
    state: ResourceState,
    former_account: Option<ResourceId>,
    /// What the graph shows.
    shown: Option<Digest>,
}

impl<'a> Merged<'a> {
    fn of(id: &'a ResourceId, delta: &'a Delta, stored: Stored, graph: &SinkName) -> Option<Self> {
        let based_on = stored.version();
        let row = stored.row();
        let shown = row.as_ref().and_then(|row| row.marks.get(graph)?.digest);
        let former_account = row.as_ref().and_then(|row| belongs_to(id, &row.state));
        let mut state = row.map(|row| row.state).unwrap_or_default();
        let changed = state.merge(delta.state.clone());
        changed.then_some(Self { id, delta, based_on, state, former_account, shown })
    }

    fn save(self, digest: Option<Digest>) -> Save {
        let Self { id, delta: Delta { arrived_ms, happened_ms, .. }, based_on, state, former_account, shown } = self;
        let account = belongs_to(id, &state);
        let is_shown = id.kind() != Kind::Account && shown.is_some() && shown == digest;
        let mark = PendingMark { since_ms: NOW_MS, arrived_ms: *arrived_ms, happened_ms: *happened_ms };
        Save {
            resource: id.clone(),
            based_on,
            former_account: former_account.filter(|former| Some(former) != account.as_ref()),
            account,
            state,
            mark: (!is_shown).then_some(mark),
            set_aside: false,
        }
    }
}

fn parse(parser: &mut Parser, records: &[Record]) -> Vec<(Event, i64)> {
    let mut events = Vec::with_capacity(records.len());
    for record in records {
        parser.parse(&record.data, record.arrived_ms, &mut |parsed| {
            if let Parsed::Event(event) = parsed {
                events.push((event, record.arrived_ms));
            }
        });
    }
    events
}

/// Folds until so many resources are dirty, or nothing is left.
fn fold_until(deltas: &Deltas, flush_at: usize, events: &mut impl Iterator<Item = (Event, i64)>) {
    for (event, arrived_ms) in events {
        deltas.fold(event, arrived_ms);
        if deltas.len() >= flush_at {
            return;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Decode,
    Parse,
    Fold,
    Seal,
    Load,
    Merge,
    Project,
    Save,
    Emit,
}

impl Stage {
    const ALL: [Self; 9] = [
        Self::Decode,
        Self::Parse,
        Self::Fold,
        Self::Seal,
        Self::Load,
        Self::Merge,
        Self::Project,
        Self::Save,
        Self::Emit,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode JSON and base64",
            Self::Parse => "parse",
            Self::Fold => "fold",
            Self::Seal => "seal",
            Self::Load => "load",
            Self::Merge => "merge",
            Self::Project => "project and digest",
            Self::Save => "save",
            Self::Emit => "emit",
        }
    }
}

/// How long each stage took.
#[derive(Default)]
struct Stages {
    took: BTreeMap<Stage, Took>,
    resources: usize,
}

impl Stages {
    fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let begun = Begun::now();
        let done = work();
        self.add(stage, begun);
        done
    }

    fn add(&mut self, stage: Stage, begun: Begun) {
        let (sum, took) = (self.took.entry(stage).or_default(), begun.took());
        sum.wall += took.wall;
        sum.cpu += took.cpu;
    }
}
