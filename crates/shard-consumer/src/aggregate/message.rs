//! The bytes of an aggregate: a magic number, a protobuf message, and the message's MD5.
//!
//! Source: the file `aggregation-format.md` of the Kinesis Producer Library.

use std::fmt;

use md5::{Digest, Md5};
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

pub(super) const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_BYTES: usize = 16;

/// Keys and user records of one aggregate, at the most. The smallest user record is 6 bytes long and takes about 200 in
/// memory: without a limit, 10 MiB would become 350. An aggregate of 1 MiB reaches it with records of 4 bytes of data.
pub(super) const FIELDS_MAX: usize = 100_000;

/// Bytes of the partition keys of all user records, at the most: each has a copy, where the aggregate has one for all.
pub(super) const KEY_BYTES_MAX: usize = 16 << 20;

/// An aggregate that keeps every rule: each index is one of its table.
#[derive(Debug)]
pub(super) struct Aggregate {
    pub(super) partition_keys: Vec<String>,
    pub(super) explicit_hash_keys: Vec<String>,
    /// At least one.
    pub(super) users: Vec<UserRecord>,
}

#[derive(Debug)]
pub(super) struct UserRecord {
    pub(super) partition_key: usize,
    pub(super) explicit_hash_key: Option<usize>,
    pub(super) data: Vec<u8>,
}

/// Why bytes with the magic number are no aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAggregate {
    TooShort,
    WrongDigest,
    Unreadable,
    BadIndex,
    Empty,
    TooMany,
}

impl fmt::Display for NoAggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => f.write_str("it is too short"),
            Self::WrongDigest => f.write_str("its MD5 is that of other bytes"),
            Self::Unreadable => f.write_str("its message cannot be read"),
            Self::BadIndex => f.write_str("it names a key that it does not hold"),
            Self::Empty => f.write_str("it holds no user record"),
            Self::TooMany => write!(
                f,
                "it holds more than {FIELDS_MAX} keys and records, or {KEY_BYTES_MAX} bytes of keys: have the producer \
                 aggregate fewer"
            ),
        }
    }
}

/// Asked of every record of every stream.
pub(super) fn has_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

impl Aggregate {
    /// Reads bytes that begin with the magic number.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NoAggregate> {
        let body = bytes.get(MAGIC.len()..).unwrap_or_default();
        let (body, digest) = match body.split_last_chunk::<DIGEST_BYTES>() {
            Some((body, digest)) if !body.is_empty() => (body, digest),
            _ => return Err(NoAggregate::TooShort),
        };
        if <[u8; DIGEST_BYTES]>::from(Md5::digest(body)) != *digest {
            return Err(NoAggregate::WrongDigest);
        }
        // Counted before anything of it is kept.
        if FieldCount::decode(body).map_err(|_| NoAggregate::Unreadable)?.0 > FIELDS_MAX {
            return Err(NoAggregate::TooMany);
        }
        AggregatedRecord::decode(body).map_err(|_| NoAggregate::Unreadable)?.check()
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    pub(super) partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(super) records: Vec<AggregatedUserRecord>,
}

/// The format calls the first and the last of these required; what is optional here can be found missing. The tags of a
/// user record are passed over: nothing in a stream has a place for them.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AggregatedUserRecord {
    #[prost(uint64, optional, tag = "1")]
    pub(super) partition_key_index: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(super) data: Option<Vec<u8>>,
}

impl AggregatedRecord {
    fn check(self) -> Result<Aggregate, NoAggregate> {
        let Self { partition_key_table: partition_keys, explicit_hash_key_table: explicit_hash_keys, records } = self;
        let mut key_bytes = 0;
        let mut check = |user: AggregatedUserRecord| {
            let (Some(key), Some(data)) = (user.partition_key_index, user.data) else {
                return Err(NoAggregate::Unreadable);
            };
            let partition_key = index(key, &partition_keys)?;
            let explicit_hash_key = user.explicit_hash_key_index.map(|key| index(key, &explicit_hash_keys));
            key_bytes += partition_keys[partition_key].len();
            match key_bytes > KEY_BYTES_MAX {
                true => Err(NoAggregate::TooMany),
                false => Ok(UserRecord { partition_key, explicit_hash_key: explicit_hash_key.transpose()?, data }),
            }
        };
        let users = records.into_iter().map(&mut check).collect::<Result<Vec<_>, _>>()?;
        match users.is_empty() {
            true => Err(NoAggregate::Empty),
            false => Ok(Aggregate { partition_keys, explicit_hash_keys, users }),
        }
    }
}

fn index(key: u64, table: &[String]) -> Result<usize, NoAggregate> {
    usize::try_from(key).ok().filter(|key| *key < table.len()).ok_or(NoAggregate::BadIndex)
}

/// A message of which nothing is kept but the number of its fields.
#[derive(Debug, Default)]
struct FieldCount(usize);

impl Message for FieldCount {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.0 += 1;
        skip_field(wire_type, tag, buf, ctx)
    }

    fn encode_raw(&self, _: &mut impl BufMut) {}

    fn encoded_len(&self) -> usize {
        0
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
