//! Where states, snapshots and dead letters go.

use std::sync::Arc;
use std::time::Duration;

use emitter::{GraphSink, StateStore};
use futures::future::join_all;

use super::{Answer, Finding};
use crate::cli::{GraphUrl, StoreArgs, StoreUrl};
use crate::clock;
use crate::dead_letters::DeadLetters;
use crate::metrics::Metrics;
use crate::permit::Permit;
use crate::stores::{Files, open_graph, open_state_alone, open_state_to_read, sink_name};

/// A server that has not answered by then is down.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn check(args: &StoreArgs, permit: &Permit, worker: &str, metrics: &Arc<Metrics>) -> Vec<Finding> {
    let mut findings = vec![Finding::new(format!("state {}", args.state.state), state(args, worker).await)];
    for url in &args.graph {
        findings.extend(graph(url, args, permit, worker, metrics).await);
    }
    let letters = DeadLetters::open(&args.dead_letters).await.map(|_| "can be written".to_owned());
    findings.push(Finding::new(format!("dead letters {}", args.dead_letters), letters));
    findings
}

async fn state(args: &StoreArgs, worker: &str) -> Answer {
    let url = &args.state.state;
    match open_state_to_read(url, worker).await {
        Ok(Some(store)) => described(args, store.as_ref(), worker).await.into(),
        Ok(None) => Answer::Note(made_by_the_first_run(url)),
        Err(failure) => Answer::Failed(failure.to_string()),
    }
}

async fn described(args: &StoreArgs, store: &dyn StateStore, worker: &str) -> Result<String, String> {
    let listed = store.sinks().await.map_err(|error| error.to_string())?;
    if listed.is_empty() {
        return Ok("empty: the first run begins it".into());
    }
    if matches!(args.state.state, StoreUrl::DynamoDb(_)) {
        // As a run does it: writes, on a condition that does not hold any more, when the store was made.
        open_state_alone(&args.state, worker).await.map_err(|failure| failure.to_string())?;
    }
    Ok(format!("made {}, with {} graphs on its list", clock::rfc3339(store.generation()), listed.len()))
}

/// What is missing, and who makes it.
pub(super) fn made_by_the_first_run(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(_) => "the file is not there yet: the first run makes it".into(),
        StoreUrl::DynamoDb(_) => {
            "the table is not there yet: the first run makes it, if it may (dynamodb:CreateTable), or \
                                  deploy/receiver.yaml does"
                .into()
        }
    }
}

/// A line for each lane of the graph.
async fn graph(
    url: &GraphUrl,
    args: &StoreArgs,
    permit: &Permit,
    worker: &str,
    metrics: &Arc<Metrics>,
) -> Vec<Finding> {
    let what = format!("graph {}", sink_name(url, &args.state));
    if matches!(url, GraphUrl::Sqlite(path) if !path.0.exists()) {
        let note = Answer::Note("the file is not there yet: the first run makes it".into());
        return vec![Finding::new(what, note)];
    }
    match open_graph(url, &args.state, permit, worker, metrics, &mut Files::default()).await {
        Ok(opened) => join_all(opened.sinks().iter().map(|sink| answers(sink.as_ref()))).await,
        Err(failure) => vec![Finding::new(what, Answer::Failed(failure.to_string()))],
    }
}

async fn answers(sink: &dyn GraphSink) -> Finding {
    let answer = match tokio::time::timeout(ANSWERS_WITHIN, sink.check()).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => {
            Err(format!("no answer within {} s: is the server up, and can it be reached?", ANSWERS_WITHIN.as_secs()))
        }
    };
    Finding::new(format!("graph {}", sink.name()), answer)
}
