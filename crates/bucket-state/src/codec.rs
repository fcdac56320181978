//! Stored states: a schema version, a checksum of it and the JSON, and the JSON deflated from a dictionary of what states
//! commonly hold, which halves them. Version 1 had neither checksum nor dictionary.

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compress, Compression, Crc, Decompress};

use crate::state::ResourceState;

/// The version that this build writes, and the newest that it reads. Changes are additive, so all earlier ones are
/// read as they are; one more facet is a new version, since an earlier build could not keep it, and passed over the
/// events on it (`Facet::since_schema`).
///
/// 1: the facets of access, encryption, versioning, logging and tags. 2: all facets, configurations by id, accounts and
/// access points.
pub(crate) const SCHEMA_VERSION: u8 = 2;

/// A stored state holds at most this much JSON: a damaged one must not swell without end.
///
/// No state that this build writes comes near. JSON makes six bytes of a control character, so an origin
/// (identity and event ID of 128 bytes, actor of 2,048) takes less than 14 KiB, a tie of four identities
/// 4 KiB, and a register 18 KiB without its value. 19 facets of 128 KiB, 16 creations, five single registers and
/// 1,000 tags with 384 characters of key and value (2 KiB and some) make 23 MiB; 2,000 configurations of 8 KiB and
/// 6,000 without a body, 158 MiB.
const STATE_BYTES_MAX: usize = 256 << 20;

/// Beyond this, time grows faster than size shrinks.
const LEVEL: Compression = Compression::new(2);

/// What version 2 starts from. Not a byte of it may ever change: what was stored could not be read any more.
const DICTIONARY_2: &[u8] = include_bytes!("codec/dictionary-2.txt");
/// Raw deflate: the schema version is all the header that is needed.
const ZLIB_HEADER: bool = false;

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
        let mut deflater = Compress::new(LEVEL, ZLIB_HEADER);
        deflater.set_dictionary(DICTIONARY_2).expect("a new deflater takes a dictionary");
        let mut bytes = vec![SCHEMA_VERSION];
        bytes.extend(checksum(SCHEMA_VERSION, &json));
        let mut encoder = ZlibEncoder::new_with_compress(bytes, deflater);
        encoder.write_all(&json).and_then(|()| encoder.finish()).expect("memory takes every write")
    }

    /// Reads what [`encode`](Self::encode) wrote, in this or an earlier version.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let damaged = |fault: String| DecodeError::Damaged(fault);
        let (&version, rest) = bytes.split_first().ok_or_else(|| damaged("it is empty".into()))?;
        if version > SCHEMA_VERSION {
            return Err(DecodeError::Newer(version));
        }
        if version == 0 {
            return Err(damaged("there is no schema version 0".into()));
        }
        let mut inflater = Decompress::new(ZLIB_HEADER);
        let (sum, deflated) = match rest.split_first_chunk() {
            _ if version == 1 => (None, rest),
            Some((sum, deflated)) => (Some(*sum), deflated),
            None => return Err(damaged("it is cut".into())),
        };
        if sum.is_some() {
            inflater.set_dictionary(DICTIONARY_2).expect("a new inflater takes a dictionary");
        }
        let mut json = Vec::with_capacity((deflated.len() * 6).min(STATE_BYTES_MAX));
        ZlibDecoder::new_with_decompress(deflated, inflater)
            .take(STATE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut json)
            .map_err(|error| damaged(error.to_string()))?;
        if json.len() > STATE_BYTES_MAX {
            return Err(damaged(format!("it is larger than {} MiB", STATE_BYTES_MAX >> 20)));
        }
        if sum.is_some_and(|sum| sum != checksum(version, &json)) {
            return Err(damaged("its checksum differs".into()));
        }
        let mut state: Self = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        if version < SCHEMA_VERSION {
            state.was_written_by(version);
        }
        Ok(state)
    }
}

fn checksum(version: u8, json: &[u8]) -> [u8; 4] {
    let mut crc = Crc::new();
    crc.update(&[version]);
    crc.update(json);
    crc.sum().to_be_bytes()
}
