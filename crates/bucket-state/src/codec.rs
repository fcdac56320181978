//! Stored states: a schema version, then deflated JSON.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::state::ResourceState;

/// The version that this build writes, and the newest that it reads. Changes are additive.
pub(crate) const SCHEMA_VERSION: u8 = 1;

/// A stored state holds at most this much JSON: a damaged one must not swell without end.
///
/// No state that this build writes comes near. JSON makes six bytes of a control character, so an origin
/// (identity and event ID of 128 bytes, actor of 2,048) takes less than 14 KiB, a tie of four identities
/// 4 KiB, and a register 18 KiB without its value. 19 facets of 128 KiB, 16 creations, five single registers and
/// 1,000 tags with 384 characters of key and value (2 KiB and some) make 23 MiB; 2,000 configurations of 8 KiB and
/// 6,000 without a body, 158 MiB.
const STATE_BYTES_MAX: usize = 256 << 20;

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

impl ResourceState {
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
                let mut json = Vec::with_capacity((deflated.len() * 4).min(STATE_BYTES_MAX));
                DeflateDecoder::new(deflated)
                    .take(STATE_BYTES_MAX as u64 + 1)
                    .read_to_end(&mut json)
                    .map_err(|error| DecodeError::Damaged(error.to_string()))?;
                if json.len() > STATE_BYTES_MAX {
                    return Err(DecodeError::Damaged(format!("it is larger than {} MiB", STATE_BYTES_MAX >> 20)));
                }
                serde_json::from_slice(&json).map_err(|error| DecodeError::Damaged(error.to_string()))
            }
        }
    }
}
