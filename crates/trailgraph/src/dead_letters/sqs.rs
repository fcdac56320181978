//! Dead letters in an SQS queue, one JSON object a message.

mod message;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use sha2::{Digest, Sha256};

use super::{DeadLetter, Unwritten};
use message::{BATCH_BYTES_MAX, Message, batches};

/// A queue.
#[derive(Debug)]
pub(super) struct LetterQueue {
    client: Client,
    url: String,
    /// Part of what a FIFO queue tells duplicates by: a letter that was received, deleted, and is written once more by a
    /// replay within five minutes is none.
    process: u128,
}

impl LetterQueue {
    /// Asks for an attribute of the queue, and writes nothing.
    pub(super) async fn open(url: &str) -> Result<Self, String> {
        let config = shard_consumer::sdk_config().await.map_err(|error| error.to_string())?;
        let queue = Self { client: Client::new(&config), url: url.into(), process: fastrand::u128(..) };
        let size = QueueAttributeName::MaximumMessageSize;
        let asked = queue.client.get_queue_attributes().queue_url(url).attribute_names(size.clone()).send().await;
        let attributes = asked.map_err(|error| queue.explain(error))?.attributes.unwrap_or_default();
        match attributes.get(&size).and_then(|bytes| bytes.parse::<usize>().ok()) {
            Some(bytes) if bytes < BATCH_BYTES_MAX => Err(format!(
                "the queue takes messages of {bytes} bytes, and dead letters may be larger: set its MaximumMessageSize \
                 to {BATCH_BYTES_MAX} or more"
            )),
            _ => Ok(queue),
        }
    }

    /// Sends letters in batches; gives back those of which the service did not say that it has them.
    pub(super) async fn write<'a>(&self, letters: Vec<&'a DeadLetter>) -> Result<(), Unwritten<'a>> {
        let named = |error: String| format!("{}: {error}", self.url);
        let mut batches = match batches(&letters) {
            Ok(batches) => batches.into_iter(),
            Err(error) => return Err(Unwritten { error: named(error.to_string()), letters }),
        };
        let mut failure = None;
        let mut unsent: Vec<&DeadLetter> = Vec::new();
        for batch in batches.by_ref() {
            let (sent, error) = self.send(&batch).await;
            let none_taken = sent.is_empty();
            let left = batch.iter().enumerate().filter(|(number, _)| !sent.contains(&number.to_string()));
            unsent.extend(left.map(|(_, message)| message.letter));
            failure = error.or(failure);
            if none_taken {
                // The next ones would fare likewise.
                break;
            }
        }
        unsent.extend(batches.flatten().map(|message| message.letter));
        match unsent.is_empty() {
            true => Ok(()),
            false => {
                let error = failure.unwrap_or_else(|| "the service does not say what became of a message".into());
                Err(Unwritten { error: named(error), letters: unsent })
            }
        }
    }

    /// The numbers of the messages that the queue has taken, and what was said of another one.
    async fn send(&self, batch: &[Message<'_>]) -> (HashSet<String>, Option<String>) {
        let entries = batch.iter().enumerate().map(|(number, message)| {
            let mut entry = SendMessageBatchRequestEntry::builder().id(number.to_string()).message_body(&message.body);
            if self.url.ends_with(".fifo") {
                let id = self.deduplication_id(message.letter);
                entry = entry.message_group_id(&message.letter.shard).message_deduplication_id(id);
            }
            entry.build()
        });
        let entries = match entries.collect::<Result<Vec<_>, _>>() {
            Ok(entries) => entries,
            Err(error) => return (HashSet::new(), Some(error.to_string())),
        };
        let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        match call.send().await {
            Ok(answer) => {
                let refused = answer.failed.first();
                let error = refused
                    .map(|entry| self.mend(&entry.code, entry.message.as_deref().unwrap_or("a message was refused")));
                (answer.successful.into_iter().map(|entry| entry.id).collect(), error)
            }
            Err(error) => (HashSet::new(), Some(self.explain(error))),
        }
    }

    /// Of the whole letter: two that were cut may have the same beginning.
    fn deduplication_id(&self, letter: &DeadLetter) -> String {
        let mut hash = Sha256::new_with_prefix(self.process.to_be_bytes());
        for part in [&letter.shard, &letter.sequence_number, &letter.message, &letter.data] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.update(letter.sub_sequence_number.to_be_bytes());
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn explain<E>(&self, error: SdkError<E>) -> String
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        if let SdkError::ServiceError(answer) = &error {
            let meta = answer.err().meta();
            return self.mend(meta.code().unwrap_or("error"), meta.message().unwrap_or("no message"));
        }
        let chain = format!("{:#}", anyhow::Error::new(error));
        match chain.split_once(". Attempted:") {
            // What follows lists every place that has no credentials.
            Some((no_credentials, _)) => format!("{no_credentials}: give this process credentials of AWS"),
            None => chain.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    }

    fn mend(&self, code: &str, message: &str) -> String {
        let region = self.client.config().region().map_or("no region", |region| region.as_ref());
        // Some servers name the service and the shape, too.
        match code.rsplit(['.', '#']).next().unwrap_or(code) {
            _ if code.starts_with("KMS.AccessDenied") || code.contains("KmsAccessDenied") => {
                format!("{code}: {message}: allow kms:GenerateDataKey and kms:Decrypt on the queue's key")
            }
            "NonExistentQueue" | "QueueDoesNotExist" | "InvalidAddress" => {
                format!("no such queue in {region}: check the URL and the region, or make the queue")
            }
            denied @ ("AccessDenied" | "AccessDeniedException") => {
                format!("{denied}: {message}: allow sqs:GetQueueAttributes and sqs:SendMessage on the queue")
            }
            code => format!("{code}: {message}"),
        }
    }
}
