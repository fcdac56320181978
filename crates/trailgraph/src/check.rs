//! `trailgraph check`: reaches everything that the service needs.

mod leases;
mod sample;
mod server_clock;
mod stores;
mod stream;

use std::fmt::Write as _;
use std::sync::Arc;

use crate::cli::CheckArgs;
use crate::failure::Failure;
use crate::logs;
use crate::metrics::Metrics;
use crate::parts::worker_id;
use crate::permit;
use crate::stores::sink_names;
use crate::summary::print;

/// One line.
struct Finding {
    what: String,
    answer: Answer,
}

/// How it stands: what is so, what to know, or what is wrong and would mend it.
enum Answer {
    Ok(String),
    /// Nothing that keeps the service from working.
    Note(String),
    Failed(String),
}

impl Finding {
    fn new(what: impl Into<String>, answer: impl Into<Answer>) -> Self {
        Self { what: what.into(), answer: answer.into() }
    }
}

impl From<Result<String, String>> for Answer {
    fn from(answer: Result<String, String>) -> Self {
        answer.map_or_else(Self::Failed, Self::Ok)
    }
}

/// Prints a line each. Makes and writes nothing.
///
/// # Errors
/// [`Failure::Running`] where any fails, [`Failure::Usage`] where the flags alone are wrong.
pub async fn run(args: CheckArgs) -> Result<(), Failure> {
    logs::start(None, tracing::Level::ERROR);
    let (permit, _) = permit::open(&args.permit, None).await?;
    let metrics = Arc::new(Metrics::new(&sink_names(&args.stores)));
    let mut findings = vec![Finding::new("permit", Ok(permit.to_string()))];
    findings.extend(stream::check(&args.leases.stream).await);
    findings.push(leases::check(&args.leases).await);
    findings.extend(stores::check(&args.stores, &permit, &worker_id(), &metrics).await);

    let mut text = String::new();
    for Finding { what, answer } in &findings {
        let (verdict, detail) = match answer {
            Answer::Ok(detail) => ("ok", detail),
            Answer::Note(detail) => ("note", detail),
            Answer::Failed(detail) => ("FAILED", detail),
        };
        let _written = writeln!(text, "{verdict:<7} {what}: {detail}");
    }
    print(&text)?;
    match findings.iter().filter(|finding| matches!(finding.answer, Answer::Failed(_))).count() {
        0 => Ok(()),
        failed => Err(Failure::Running(anyhow::anyhow!("{failed} of {} checks failed", findings.len()))),
    }
}
