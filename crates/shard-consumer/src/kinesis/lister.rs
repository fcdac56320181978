//! Listings of the stream: one that must succeed at the start, then one every half minute.

use std::env;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::fault::{Complaint, Fault};
use super::pace::back_off;
use super::stream::{Shard, Stream, Summary};
use crate::source::SourceError;

/// A run whose stream does not answer within this time at the start fails: whoever keeps the service running starts it
/// again.
const START_WITHIN: Duration = Duration::from_secs(10);

/// The summary changes seldom: it is asked for with every so-manieth listing.
const SUMMARY_EVERY: u32 = 10;

const EVERY: Duration = Duration::from_secs(30);
const JITTER_SECONDS: f64 = 5.0;

/// What is known of a stream at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) shards: Vec<Shard>,
    /// Absent where it may not be asked for, or could not be.
    pub(super) summary: Option<Summary>,
}

/// The first listing of a run.
pub(super) async fn first_listing(stream: &Stream) -> Result<Listing, SourceError> {
    let mut last = Fault::Passing(format!("no answer within {} s", START_WITHIN.as_secs()));
    let trying = async {
        let mut failures = 0;
        loop {
            match stream.shards().await {
                Ok(shards) => return Ok(shards),
                Err(fault @ Fault::Passing(_)) => last = fault,
                Err(fault) => return Err(fault),
            }
            failures += 1;
            sleep(back_off(failures, fastrand::f64())).await;
        }
    };
    let listed = timeout(START_WITHIN, trying).await.unwrap_or(Err(last));
    let shards = listed.map_err(|fault| unreadable(stream, fault))?;
    let summary = summary(stream).await;
    if let Err(fault) = &summary {
        tracing::warn!(
            stream = stream.name, %fault,
            "cannot describe the stream (kinesis:DescribeStreamSummary): until it can be, a lag is not compared with its \
             retention, and no record is taken for misplaced"
        );
    }
    Ok(Listing { shards, summary: summary.ok() })
}

/// Reading goes on without the summary.
async fn summary(stream: &Stream) -> Result<Summary, Fault> {
    let asked = timeout(START_WITHIN, stream.summary()).await;
    asked.unwrap_or_else(|_| Err(Fault::Passing("no answer".into())))
}

/// Why the stream cannot be read, with the mend. One that does not answer may do so later: that is not counted as a
/// wrong configuration.
fn unreadable(stream: &Stream, fault: Fault) -> SourceError {
    let endpoint = ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"].into_iter().find_map(|name| env::var(name).ok());
    let region = stream.region();
    let place = endpoint.map_or_else(|| format!("region {region}"), |url| format!("region {region} at {url}"));
    let name = &stream.name;
    SourceError::Configuration(match fault {
        Fault::NotFound(_) => {
            format!("no stream {name:?} in {place}: check the stream's name, the region and the account")
        }
        Fault::Denied(why) => {
            format!("stream {name:?} in {place} may not be read: check the credentials and kinesis:ListShards ({why})")
        }
        Fault::Invalid(why) | Fault::Expired(why) => {
            format!("stream {name:?} in {place} cannot be listed: check the stream's name or ARN ({why})")
        }
        Fault::Passing(why) => {
            let mend = "check the network, the region and the endpoint";
            let what = format!("stream {name:?} in {place} does not answer: {mend}");
            return SourceError::Failed { what, source: why.into() };
        }
    })
}

/// Lists again and again: every half minute, and when asked. Ends when nobody listens any more.
pub(super) async fn keep_listing(
    stream: Stream,
    mut asked: mpsc::Receiver<()>,
    listings: mpsc::Sender<Listing>,
    mut known: Option<Summary>,
) {
    let mut complaint = Complaint::default();
    let mut failures = 0_u32;
    let mut listed = 0_u32;
    loop {
        let wait = match failures {
            0 => EVERY + Duration::from_secs_f64(fastrand::f64() * JITTER_SECONDS),
            _ => back_off(failures, fastrand::f64()).max(Duration::from_secs(1)),
        };
        tokio::select! {
            biased;
            asked = asked.recv() => if asked.is_none() { return },
            () = sleep(wait) => {}
        }
        match stream.shards().await {
            Ok(shards) => {
                failures = 0;
                listed = listed.wrapping_add(1);
                if known.is_none() || listed.is_multiple_of(SUMMARY_EVERY) {
                    known = summary(&stream).await.ok().or(known);
                }
                if listings.send(Listing { shards, summary: known }).await.is_err() {
                    return;
                }
            }
            Err(fault) => {
                failures = failures.saturating_add(1);
                if complaint.due() {
                    tracing::warn!(stream = stream.name, %fault, "cannot list the shards; trying again");
                }
            }
        }
    }
}
