//! `trailgraph check`: reaches everything that the service needs.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use emitter::GraphSink;
use futures::future::join_all;

use crate::cli::CheckArgs;
use crate::failure::Failure;
use crate::logs;
use crate::metrics::Metrics;
use crate::parts::worker_id;
use crate::permit;
use crate::stores::{Stores, sink_names};
use crate::summary::print;

/// A server that has not answered by then is down.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// One line.
struct Finding {
    what: String,
    answer: Result<String, String>,
}

/// Prints a line each.
///
/// # Errors
/// [`Failure::Running`] where any fails, [`Failure::Usage`] where the flags alone are wrong.
pub async fn run(args: CheckArgs) -> Result<(), Failure> {
    logs::start(None, tracing::Level::ERROR);
    let (permit, _) = permit::open(&args.permit, None).await?;
    let mut findings = vec![Finding { what: "permit".into(), answer: Ok(permit.to_string()) }];
    let metrics = Arc::new(Metrics::new(&sink_names(&args.stores)));
    match Stores::open(&args.stores, &permit, &worker_id(), &metrics).await {
        Ok(stores) => {
            findings.push(Finding { what: format!("state {}", args.stores.state.state), answer: state(&stores).await });
            let graphs = stores.sinks.iter().map(|sink| graph(sink.as_ref()));
            findings.extend(join_all(graphs).await);
            findings.push(Finding {
                what: format!("dead letters {}", args.stores.dead_letters),
                answer: Ok("can be written".into()),
            });
        }
        Err(failure) => findings.push(Finding { what: "stores".into(), answer: Err(failure.to_string()) }),
    }
    let failed = findings.iter().filter(|finding| finding.answer.is_err()).count();
    let mut text = String::new();
    for Finding { what, answer } in &findings {
        let _written = match answer {
            Ok(detail) => writeln!(text, "ok      {what}: {detail}"),
            Err(error) => writeln!(text, "FAILED  {what}: {error}"),
        };
    }
    print(&text)?;
    match failed {
        0 => Ok(()),
        _ => Err(Failure::Running(anyhow::anyhow!("{failed} of {} checks failed", findings.len()))),
    }
}

async fn state(stores: &Stores) -> Result<String, String> {
    let listed = stores.state.sinks().await.map_err(|error| error.to_string())?;
    let made = crate::clock::rfc3339(stores.state.generation());
    Ok(format!("made {made}, with {} graphs on its list", listed.len()))
}

async fn graph(sink: &dyn GraphSink) -> Finding {
    let answer = match tokio::time::timeout(ANSWERS_WITHIN, sink.check()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => {
            Err(format!("no answer within {} s: is the server up, and can it be reached?", ANSWERS_WITHIN.as_secs()))
        }
    };
    Finding { what: format!("graph {}", sink.name()), answer }
}
