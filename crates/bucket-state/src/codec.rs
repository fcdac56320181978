//! Stored states: a schema version, then deflated JSON.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::state::BucketState;

/// The version that this build writes, and the newest that it reads. Changes are additive.
pub const SCHEMA_VERSION: u8 = 1;

/// A stored state holds at most this much JSON.
const STATE_BYTES_MAX: u64 = 64 << 20;

/// Why a stored state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A newer build wrote it; it must not be overwritten.
    #[error("the state has schema version {0}, newer than this build's {SCHEMA_VERSION}: run the newer build")]
    Newer(u8),
    /// It is damaged.
    #[error("the state is damaged: {0}")]
    Damaged(String),
}

impl BucketState {
    /// The state as bytes for a store.
    ///
    /// # Panics
    /// Never: a state is always valid JSON, and memory does not fail to be written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("a state has string keys and valid bodies");
        let mut encoder = DeflateEncoder::new(vec![SCHEMA_VERSION], Compression::fast());
        encoder.write_all(&json).and_then(|()| encoder.finish()).expect("memory takes every write")
    }

    /// Reads what [`encode`](Self::encode) wrote, in this or an earlier version.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            None => Err(DecodeError::Damaged("it is empty".into())),
            Some((&version, _)) if version > SCHEMA_VERSION => Err(DecodeError::Newer(version)),
            Some((_, deflated)) => {
                let mut json = Vec::with_capacity(deflated.len() * 4);
                DeflateDecoder::new(deflated)
                    .take(STATE_BYTES_MAX)
                    .read_to_end(&mut json)
                    .map_err(|error| DecodeError::Damaged(error.to_string()))?;
                serde_json::from_slice(&json).map_err(|error| DecodeError::Damaged(error.to_string()))
            }
        }
    }
}
