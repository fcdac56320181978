//! How much less does it cost than a Lambda function that does the same job, as it is commonly written?
//!
//! All are given the same records in base64 (which we read as the service's Kinesis client does), and all end with what is
//! last known of each bucket, in memory. What is compared is processor time, after a pass to warm up. The handlers keep
//! less: no origin of a value, no order within a second, nothing of access points and accounts.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_smithy_types::base64;
use bucket_state::{Deltas, Kind, Parsed, Parser};
use corpus::handlers::{Folder, buckets};
use corpus::measure::{median, per, took};
use trailgraph::generate::Generated;

const ROUNDS: usize = 5;
/// Our own pass is repeated until the kernel's clock can tell it.
const PASSES: usize = 10;
/// Which reads describe a bucket: its ACL, policy, public access block, encryption, versioning, logging, lifecycle,
/// replication, ownership, tags and notifications.
const READS_PER_BUCKET: usize = 11;
/// Records that a Lambda function is given at once, by default.
const LAMBDA_BATCH: usize = 10;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// A way to do the job.
struct Arm {
    name: &'static str,
    /// Its program, script and arguments; none for ours.
    handler: Option<(PathBuf, &'static str, &'static [&'static str])>,
    cpu: Vec<f64>,
}

fn main() -> Fallible<()> {
    let records: Vec<&Generated> = corpus::all();
    let folder = Folder::write(records.iter().copied())?;
    let encoded: Vec<(String, i64)> =
        records.iter().map(|record| (base64::encode(&record.body), record.event_time_ms)).collect();
    let arm = |name, handler| Arm { name, handler, cpu: Vec::new() };
    let mut arms = vec![
        arm("trailgraph", None),
        arm("Node.js", Some(("node".into(), "handler.mjs", &[][..]))),
        arm("Python, json", Some(("python3".into(), "handler.py", &["json"][..]))),
    ];
    match python_with_orjson() {
        Ok(python) => arms.push(arm("Python, orjson", Some((python, "handler.py", &["orjson"][..])))),
        Err(error) => println!("Python with orjson is left out: {error}"),
    }
    let expected = buckets(corpus::events().iter().map(|(event, _)| event));
    for _ in 0..ROUNDS {
        for arm in &mut arms {
            let (found, cpu) = match &arm.handler {
                None => ours(&encoded)?,
                Some((program, script, more)) => {
                    let answer = folder.run(program, script, more)?;
                    (answer.buckets, answer.cpu_seconds)
                }
            };
            assert_eq!(found, expected, "{} did another job", arm.name);
            arm.cpu.push(cpu);
        }
    }
    println!("{} events, {} buckets changed; medians of {ROUNDS} rounds in turns", records.len(), expected.len());
    println!("{:<16} {:>12} {:>16} {:>8}", "", "CPU µs/event", "events/s, core", "ratio");
    let medians: Vec<f64> = arms.iter().map(|arm| median(arm.cpu.clone())).collect();
    for (arm, cpu) in arms.iter().zip(&medians) {
        let (each, rate) = (cpu * 1e6 / per(records.len()), per(records.len()) / cpu);
        println!("{:<16} {each:>12.2} {rate:>16.0} {:>8.1}", arm.name, cpu / medians[0]);
    }
    println!(
        "reads of S3's API: trailgraph 0; a design that describes each bucket again which a batch of {LAMBDA_BATCH} \
         records touched, {} ({READS_PER_BUCKET} a bucket)",
        reads_to_describe_again(&records)
    );
    Ok(())
}

/// The buckets that were changed, and the processor time of a pass.
fn ours(encoded: &[(String, i64)]) -> Fallible<(BTreeSet<String>, f64)> {
    let mut last = pass(encoded)?;
    let (done, took) = took(|| -> Fallible<()> {
        for _ in 0..PASSES {
            last = pass(encoded)?;
        }
        Ok(())
    });
    done?;
    let dirty = last.drain().into_iter().map(|(id, _)| id).filter(|id| id.kind() == Kind::Bucket);
    Ok((dirty.map(|id| id.name().to_owned()).collect(), took.cpu / per(PASSES)))
}

fn pass(encoded: &[(String, i64)]) -> Fallible<Deltas> {
    let (mut parser, deltas) = (Parser::default(), Deltas::default());
    for (data, arrived_ms) in encoded {
        parser.parse(&base64::decode(data)?, *arrived_ms, &mut |parsed| {
            if let Parsed::Event(event) = parsed {
                deltas.fold(event, *arrived_ms);
            }
        });
    }
    Ok(deltas)
}

fn reads_to_describe_again(records: &[&Generated]) -> usize {
    let touched = |batch: &[&Generated]| {
        let events: Vec<_> = batch.iter().filter_map(|record| corpus::parse(record)).collect();
        buckets(&events).len()
    };
    records.chunks(LAMBDA_BATCH).map(touched).sum::<usize>() * READS_PER_BUCKET
}

/// The Python that has orjson: the installed one, or one in an environment of its own below the target folder.
fn python_with_orjson() -> Fallible<PathBuf> {
    let has_it = |python: &Path| {
        Command::new(python).args(["-c", "import orjson"]).output().is_ok_and(|done| done.status.success())
    };
    if has_it("python3".as_ref()) {
        return Ok("python3".into());
    }
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("orjson");
    let python = environment.join("bin/python3");
    if !has_it(&python) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "orjson"]))?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Fallible<()> {
    let done = command.output()?;
    let text = String::from_utf8_lossy(&done.stderr);
    let last = text.lines().last().unwrap_or("it failed").to_owned();
    if done.status.success() { Ok(()) } else { Err(last.into()) }
}
