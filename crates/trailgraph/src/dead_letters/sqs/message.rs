//! Dead letters as messages, within the service's limits.

use super::DeadLetter;

/// Bytes of all messages of a batch. The service takes 1 MiB since 2025, other servers and older queues this much.
/// Source: `SendMessageBatch` in the service's API reference.
pub(super) const BATCH_BYTES_MAX: usize = 256 << 10;
const BATCH_MESSAGES_MAX: usize = 10;

/// Of a letter's data; base64 can be cut after any four characters.
const DATA_BYTES_MAX: usize = 200 << 10;
/// Of its other texts: producers choose keys and records, so messages about them, too. Six times as long once escaped,
/// they still leave room for the data.
const MESSAGE_BYTES_MAX: usize = 4 << 10;
const NAME_BYTES_MAX: usize = 1 << 10;

/// A letter and what is sent of it.
pub(super) struct Message<'a> {
    pub(super) letter: &'a DeadLetter,
    pub(super) body: String,
}

/// The letters as messages, in order, in as many batches as they need.
pub(super) fn batches<'a>(letters: &[&'a DeadLetter]) -> serde_json::Result<Vec<Vec<Message<'a>>>> {
    let mut batches: Vec<Vec<Message<'a>>> = Vec::new();
    let mut bytes = 0;
    for letter in letters {
        let body = body(letter)?;
        bytes += body.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_MESSAGES_MAX && bytes <= BATCH_BYTES_MAX => {
                batch.push(Message { letter, body });
            }
            _ => {
                bytes = body.len();
                batches.push(vec![Message { letter, body }]);
            }
        }
    }
    Ok(batches)
}

fn body(letter: &DeadLetter) -> serde_json::Result<String> {
    let DeadLetter { reason, message, stream, shard, sequence_number, sub_sequence_number, .. } = letter;
    let is_cut = letter.data.len() > DATA_BYTES_MAX;
    let sent = DeadLetter {
        reason,
        message: beginning(message, MESSAGE_BYTES_MAX),
        stream: beginning(stream, NAME_BYTES_MAX),
        shard: shard.clone(),
        sequence_number: sequence_number.clone(),
        sub_sequence_number: *sub_sequence_number,
        arrived_at: letter.arrived_at.clone(),
        partition_key: letter.partition_key.as_deref().map(|key| beginning(key, NAME_BYTES_MAX)),
        data: letter.data.get(..DATA_BYTES_MAX).unwrap_or(&letter.data).to_owned(),
        data_truncated: letter.data_truncated || is_cut,
    };
    // JSON allows two characters that the service refuses, and would refuse for ever.
    Ok(serde_json::to_string(&sent)?.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
}

fn beginning(text: &str, bytes_max: usize) -> String {
    match text.len() <= bytes_max {
        true => text.to_owned(),
        false => format!("{}…", &text[..text.floor_char_boundary(bytes_max)]),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;

    use super::*;

    fn letter(data: &[u8]) -> DeadLetter {
        let (data, arrived_at) = DeadLetter::encode(data, 0);
        DeadLetter {
            reason: "not_json",
            message: "expected value".into(),
            stream: "trail".into(),
            shard: "shardId-000000000000".into(),
            sequence_number: "7".repeat(56),
            sub_sequence_number: 0,
            arrived_at,
            partition_key: Some("ledger".into()),
            data,
            data_truncated: false,
        }
    }

    fn sizes(letters: &[DeadLetter]) -> Vec<(usize, bool)> {
        let letters: Vec<&DeadLetter> = letters.iter().collect();
        let batches = batches(&letters).unwrap();
        let fits = |batch: &Vec<Message<'_>>| batch.iter().map(|message| message.body.len()).sum::<usize>() <= 262_144;
        batches.iter().map(|batch| (batch.len(), fits(batch))).collect()
    }

    #[test]
    fn a_batch_holds_ten_messages_and_256_kib_at_the_most() {
        assert_eq!(sizes(&[]), []);
        assert_eq!(sizes(&vec![letter(b"x"); 21]), [(10, true), (10, true), (1, true)]);
        assert_eq!(sizes(&vec![letter(&[0; 90 << 10]); 5]), [(2, true), (2, true), (1, true)]);
        let mixed = [vec![letter(b"x"); 3], vec![letter(&vec![0; 10 << 20]); 2], vec![letter(b"x"); 3]].concat();
        assert_eq!(sizes(&mixed), [(4, true), (4, true)]);
    }

    #[test]
    fn data_of_200_kib_is_sent_whole_and_more_is_cut_where_it_can_still_be_read() {
        let sent = |bytes: &[u8]| serde_json::from_str::<Value>(&body(&letter(bytes)).unwrap()).unwrap();
        let most = DATA_BYTES_MAX / 4 * 3;
        let bytes: Vec<u8> = (0..=250).cycle().take(most + 1).collect();
        for (length, truncated) in [(most, None), (most + 1, Some(true))] {
            let sent = sent(&bytes[..length]);
            assert_eq!(sent["dataTruncated"].as_bool(), truncated, "{length} bytes");
            assert!(STANDARD.decode(sent["data"].as_str().unwrap()).unwrap() == bytes[..most]);
        }
    }

    #[test]
    fn the_largest_letter_that_a_producer_can_provoke_fits_into_a_message() {
        let worst = "\u{1}".repeat(1 << 20);
        let letter = DeadLetter {
            message: worst.clone(),
            stream: worst.clone(),
            partition_key: Some(worst),
            ..letter(&vec![0; 10 << 20])
        };
        let body = body(&letter).unwrap();
        assert!(body.len() < BATCH_BYTES_MAX, "{} bytes", body.len());
    }

    #[test]
    fn every_character_of_a_key_can_be_sent() {
        let key = "\0\n\u{1f}\"\\\u{7f}\u{d7ff}\u{e000}\u{fffd}\u{fffe}\u{ffff}\u{10ffff}";
        let body = body(&DeadLetter { partition_key: Some(key.into()), ..letter(b"x") }).unwrap();
        assert!(body.chars().all(|sent| sent >= ' ' && sent != '\u{fffe}' && sent != '\u{ffff}'), "{body}");
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["partitionKey"], key);
    }
}
