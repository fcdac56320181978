//! What becomes of snapshots that a graph rejects for good: a dead letter each.

use std::sync::Arc;
use std::time::Duration;

use emitter::{Settled, Verdict};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock;
use crate::dead_letters::{DeadLetter, DeadLetters};
use crate::metrics::Metrics;

/// Letters that wait to be written. The store keeps for each row that it was rejected, whatever becomes of its letter.
const WAITING_MOST: usize = 1_000;
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(10);

/// Takes rejections from all outboxes.
#[derive(Clone)]
pub struct Rejections {
    stream: String,
    letters: mpsc::Sender<DeadLetter>,
}

impl Rejections {
    /// Begins to write; the task ends when every clone is gone and every letter is written.
    #[must_use]
    pub fn start(stream: &str, dead_letters: &Arc<DeadLetters>, metrics: &Arc<Metrics>) -> (Self, JoinHandle<()>) {
        let (letters, mut waiting) = mpsc::channel::<DeadLetter>(WAITING_MOST);
        let (dead_letters, metrics) = (Arc::clone(dead_letters), Arc::clone(metrics));
        let writing = tokio::spawn(async move {
            while let Some(letter) = waiting.recv().await {
                write(&dead_letters, &letter).await;
                metrics.rejection_dead_lettered();
            }
        });
        (Self { stream: stream.to_owned(), letters }, writing)
    }

    /// Takes what `sink` rejects of what it has spoken on.
    pub fn take(&self, sink: &str, settled: &[Settled]) {
        for settled in settled {
            let Verdict::Rejected(reason) = &settled.verdict else { continue };
            let resource = settled.resource.as_str();
            tracing::warn!(
                sink,
                resource,
                reason,
                "the sink rejects a snapshot for good; it is tried again at its next change"
            );
            let letter =
                DeadLetter::of_rejected(&self.stream, sink, resource, settled.version, reason, clock::now_ms());
            if self.letters.try_send(letter).is_err() {
                tracing::error!(sink, resource, "too many dead letters wait to be written; there is none of this one");
            }
        }
    }
}

async fn write(dead_letters: &DeadLetters, letter: &DeadLetter) {
    let mut pause_most = RETRY_FIRST;
    while let Err(unwritten) = dead_letters.write(vec![letter]).await {
        tracing::error!(
            error = unwritten.error,
            "the dead letter of a rejected snapshot cannot be written; trying again"
        );
        tokio::time::sleep(pause_most.mul_f64(fastrand::f64())).await;
        pause_most = (pause_most * 2).min(RETRY_MOST);
    }
}
