//! `trailgraph republish`: has graphs show anew what is stored.

use std::fmt::Write as _;

use emitter::SinkName;

use crate::cli::RepublishArgs;
use crate::failure::Failure;
use crate::parts::worker_id;
use crate::stores::{open_state_alone, sink_name};
use crate::summary::print;
use crate::{clock, logs};

/// Marks every stored row pending for the graphs that are named, or for all; or forgets one. Emits nothing itself: a
/// worker that runs does, or the next one.
///
/// # Errors
/// [`Failure::Usage`] when a graph is not on the state store's list, [`Failure::Running`] when the store does not answer.
pub async fn run(args: RepublishArgs) -> Result<(), Failure> {
    logs::start(None, tracing::Level::WARN);
    let store = open_state_alone(&args.state, &worker_id()).await?;
    let listed = store.sinks().await?;
    let must_be_listed = |name: &SinkName, flag: &str| match listed.contains(name) {
        true => Ok(()),
        false => Err(Failure::flag(flag, name, not_listed(&listed, &args.state.state))),
    };
    if let Some(name) = &args.forget {
        let name = SinkName::from(name.as_str());
        must_be_listed(&name, "--forget")?;
        store.forget_sink(&name).await?;
        return print(&format!("{name} is forgotten: nothing waits for it any more, and its graph stays as it is\n"));
    }
    let named: Vec<SinkName> = args.graph.iter().map(|url| sink_name(url, &args.state)).collect();
    for name in &named {
        must_be_listed(name, "--graph")?;
    }
    if listed.is_empty() {
        return print("no graph is listed: nothing waits\n");
    }
    let mut text = String::new();
    let every = named.iter().map(Some).chain(named.is_empty().then_some(None));
    for sink in every {
        let rows = store.mark_all(sink, clock::now_ms()).await?;
        let graph = sink.map_or_else(|| format!("all of {} graphs", listed.len()), ToString::to_string);
        let _written = writeln!(text, "{rows} rows are pending for {graph}");
    }
    text.push_str("a running worker emits them when they have waited for --failover-after\n");
    print(&text)
}

fn not_listed(listed: &[SinkName], state: &crate::cli::StoreUrl) -> String {
    let names: Vec<&str> = listed.iter().map(SinkName::as_str).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("not on the list of {state}, which has: {names}; name one of these (a graph is listed by its first run)")
}
