//! Stored states: a schema version, a checksum of it and the JSON, and the JSON packed by Zstandard with a dictionary of what
//! states commonly hold, which leaves a fifth of it. Version 2 was deflated from the same dictionary, and version 1 had
//! neither dictionary nor checksum.

use std::cell::RefCell;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::ZlibDecoder;
use flate2::{Crc, Decompress};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::get_frame_content_size;

use crate::state::ResourceState;

/// The version that this build writes, and the newest that it reads. Changes are additive, so all earlier ones are
/// read as they are; one more facet is a new version, since an earlier build could not keep it, and passed over the
/// events on it (`Facet::since_schema`).
///
/// 1: the facets of access, encryption, versioning, logging and tags. 2: all facets, configurations by id, accounts and
/// access points. 3: the same, packed otherwise.
pub(crate) const SCHEMA_VERSION: u8 = 3;
/// The newest version that knew fewer facets than this build.
const NARROWER_VERSION: u8 = 1;

/// A stored state holds at most this much JSON: a damaged one must not swell without end.
///
/// No state that this build writes comes near. JSON makes six bytes of a control character, so an origin
/// (identity and event ID of 128 bytes, actor of 2,048) takes less than 14 KiB, a tie of four identities
/// 4 KiB, and a register 18 KiB without its value. 19 facets of 128 KiB, 16 creations, five single registers and
/// 1,000 tags with 384 characters of key and value (2 KiB and some) make 23 MiB; 2,000 configurations of 8 KiB and
/// 6,000 without a body, 158 MiB.
const STATE_BYTES_MAX: usize = 256 << 20;

/// A dictionary leaves little for the higher levels to find.
const LEVEL: i32 = 1;

/// What versions 2 and 3 start from. Not a byte of it may ever change: what was stored could not be read any more.
const DICTIONARY_2: &[u8] = include_bytes!("codec/dictionary-2.txt");
/// Raw deflate: the schema version is all the header that is needed.
const ZLIB_HEADER: bool = false;

static TO_PACK: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_2, LEVEL));
static TO_UNPACK: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_2));

thread_local! {
    // Making one takes longer than packing a state.
    static PACKER: RefCell<Compressor<'static>> = RefCell::new(
        Compressor::with_prepared_dictionary(&TO_PACK).expect("memory for a packer")
    );
    static UNPACKER: RefCell<Decompressor<'static>> = RefCell::new(
        Decompressor::with_prepared_dictionary(&TO_UNPACK).expect("memory for an unpacker")
    );
}

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
        let packed = PACKER.with_borrow_mut(|packer| packer.compress(&json)).expect("memory takes every write");
        let mut bytes = Vec::with_capacity(1 + size_of::<Sum>() + packed.len());
        bytes.push(SCHEMA_VERSION);
        bytes.extend(checksum(SCHEMA_VERSION, &json));
        bytes.extend(packed);
        bytes
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
        let (sum, packed): (Option<Sum>, _) = match rest.split_first_chunk() {
            _ if version == 1 => (None, rest),
            Some((sum, packed)) => (Some(*sum), packed),
            None => return Err(damaged("it is cut".into())),
        };
        let json = if version >= 3 { unpacked(packed) } else { inflated(packed, sum.is_some()) }.map_err(damaged)?;
        if sum.is_some_and(|sum| sum != checksum(version, &json)) {
            return Err(damaged("its checksum differs".into()));
        }
        let mut state: Self = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
        if version <= NARROWER_VERSION {
            state.was_written_by(version);
        }
        Ok(state)
    }
}

/// The JSON of version 3. What it says of its size is believed no further than the bound.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    let size = get_frame_content_size(packed).ok().flatten().ok_or("it does not tell its size")?;
    let size = usize::try_from(size).ok().filter(|size| *size <= STATE_BYTES_MAX).ok_or_else(too_large)?;
    UNPACKER.with_borrow_mut(|unpacker| unpacker.decompress(packed, size)).map_err(|error| error.to_string())
}

/// The JSON of versions 1 and 2.
fn inflated(deflated: &[u8], by_dictionary: bool) -> Result<Vec<u8>, String> {
    let mut inflater = Decompress::new(ZLIB_HEADER);
    if by_dictionary {
        inflater.set_dictionary(DICTIONARY_2).expect("a new inflater takes a dictionary");
    }
    let mut json = Vec::with_capacity((deflated.len() * 6).min(STATE_BYTES_MAX));
    ZlibDecoder::new_with_decompress(deflated, inflater)
        .take(STATE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut json)
        .map_err(|error| error.to_string())?;
    if json.len() > STATE_BYTES_MAX { Err(too_large()) } else { Ok(json) }
}

fn too_large() -> String {
    format!("it is larger than {} MiB", STATE_BYTES_MAX >> 20)
}

type Sum = [u8; 4];

fn checksum(version: u8, json: &[u8]) -> Sum {
    let mut crc = Crc::new();
    crc.update(&[version]);
    crc.update(json);
    crc.sum().to_be_bytes()
}
