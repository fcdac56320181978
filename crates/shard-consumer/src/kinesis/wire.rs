//! How answers of GetRecords are read off the wire.
//!
//! The SDK's own decoder goes through a body byte by byte, which costs several times what is done with the records
//! afterwards. So the SDK is given a protocol that is its own in everything but this: a body of GetRecords is read by
//! `serde_json` as a whole, and handed to the SDK in the shapes that it asks for. Signing, retries, errors and endpoints
//! are the SDK's. Whatever is not plainly the usual answer (a shard's end among them) is left to its decoder, so that
//! answers and faults are the same either way.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::mem;

use aws_sdk_kinesis::operation::get_records::GetRecords;
use aws_smithy_json::protocol::aws_json_rpc::AwsJsonRpcProtocol;
use aws_smithy_runtime_api::http::{Request, Response};
use aws_smithy_schema::codec::DynCodec;
use aws_smithy_schema::protocol::ClientProtocolInner;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeDeserializer};
use aws_smithy_schema::{Schema, ShapeId};
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::error::metadata::Builder as ErrorMetadata;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document, base64};
use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The protocol of Kinesis, with another decoder for its largest answers: for `Config::builder().protocol(…)` of any client.
#[derive(Debug)]
pub struct Wire(AwsJsonRpcProtocol);

impl Default for Wire {
    fn default() -> Self {
        Self(AwsJsonRpcProtocol::aws_json_1_1().with_default_namespace("com.amazonaws.kinesis"))
    }
}

impl ClientProtocolInner for Wire {
    type Request = Request;
    type Response = Response;

    fn deserialize_response<'a>(
        &self,
        response: &'a Response,
        output_schema: &Schema<'_>,
        cfg: &'a ConfigBag,
    ) -> Result<Box<dyn ShapeDeserializer + 'a>, SerdeError> {
        let body = response.body().bytes().filter(|_| output_schema.shape_id() == GetRecords::OUTPUT_SCHEMA.shape_id());
        match body.map(serde_json::from_slice::<Answer>) {
            Some(Ok(answer)) if answer.child_shards.is_none() => Ok(Box::new(Asked::Answer(answer))),
            _ => self.0.deserialize_response(response, output_schema, cfg),
        }
    }

    fn protocol_id(&self) -> &ShapeId<'static> {
        self.0.protocol_id()
    }

    fn serialize_request(
        &self,
        input: &dyn SerializableStruct,
        input_schema: &Schema<'_>,
        endpoint: &str,
        cfg: &ConfigBag,
    ) -> Result<Request, SerdeError> {
        self.0.serialize_request(input, input_schema, endpoint, cfg)
    }

    fn parse_error_metadata(&self, response: &Response, cfg: &ConfigBag) -> Result<ErrorMetadata, SerdeError> {
        self.0.parse_error_metadata(response, cfg)
    }

    fn deserialize_error_response<'a>(
        &self,
        response: &'a Response,
        cfg: &'a ConfigBag,
    ) -> Result<Box<dyn ShapeDeserializer + 'a>, SerdeError> {
        self.0.deserialize_error_response(response, cfg)
    }

    fn update_endpoint(&self, request: &mut Request, endpoint: &Endpoint, cfg: &ConfigBag) -> Result<(), SerdeError> {
        self.0.update_endpoint(request, endpoint, cfg)
    }

    fn payload_codec(&self) -> Option<&dyn DynCodec> {
        self.0.payload_codec()
    }

    fn event_stream_media_type(&self) -> Option<&str> {
        self.0.event_stream_media_type()
    }

    fn parse_event_stream_error_metadata(&self, payload: &[u8]) -> Result<ErrorMetadata, SerdeError> {
        self.0.parse_event_stream_error_metadata(payload)
    }
}

/// The usual answer. What the SDK would give another meaning than `serde_json` is an error here, and left to the SDK.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    records: Vec<Record>,
    #[serde(default)]
    next_shard_iterator: Option<String>,
    #[serde(default)]
    millis_behind_latest: Option<i64>,
    #[serde(default)]
    child_shards: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    sequence_number: String,
    #[serde(default, deserialize_with = "epoch_seconds")]
    approximate_arrival_timestamp: Option<DateTime>,
    #[serde(deserialize_with = "from_base64")]
    data: Vec<u8>,
    #[serde(default)]
    partition_key: Option<String>,
    #[serde(default)]
    encryption_type: Option<String>,
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let text = Text::deserialize(deserializer)?;
    base64::decode(&*text.0).map_err(D::Error::custom)
}

/// As the SDK reads a number: from its text, since `serde_json` rounds otherwise in the last place.
fn epoch_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime>, D::Error> {
    let Some(text) = Option::<&RawValue>::deserialize(deserializer)?.map(RawValue::get) else { return Ok(None) };
    let time = if text.contains(['.', 'e', 'E']) {
        let seconds = text.parse::<f64>().map_err(D::Error::custom)?;
        // Far within what both can hold.
        if !(0.0..1e15).contains(&seconds) {
            return Err(D::Error::custom("no time that a record can have"));
        }
        DateTime::from_secs_f64(seconds)
    } else {
        DateTime::from_secs(text.parse().map_err(D::Error::custom)?)
    };
    Ok(Some(time))
}

/// What the SDK asks for: a part of an answer, until it is taken.
enum Asked {
    Answer(Answer),
    Records(Vec<Record>),
    Record(Record),
    Text(String),
    Number(i64),
    Time(DateTime),
    Bytes(Vec<u8>),
    Taken,
}

impl Asked {
    fn take(&mut self) -> Self {
        mem::replace(self, Self::Taken)
    }
}

type Members<'a> = dyn FnMut(&Schema<'_>, &mut dyn ShapeDeserializer) -> Result<(), SerdeError> + 'a;

/// Gives the members that there are.
fn give<const N: usize>(
    schema: &Schema<'_>,
    members: [(&str, Option<Asked>); N],
    state: &mut Members<'_>,
) -> Result<(), SerdeError> {
    for (name, value) in members {
        if let Some(mut value) = value {
            state(schema.member_schema(name).ok_or_else(|| SerdeError::unknown_member(name))?, &mut value)?;
        }
    }
    Ok(())
}

fn mismatch<T>() -> Result<T, SerdeError> {
    Err(SerdeError::type_mismatch("GetRecords has another shape than this client knows"))
}

/// What no part of an answer is.
macro_rules! unasked {
    ($($read:ident: $kind:ty),*) => {
        $(fn $read(&mut self, _: &Schema<'_>) -> Result<$kind, SerdeError> {
            mismatch()
        })*
    };
}

impl ShapeDeserializer for Asked {
    fn read_struct(&mut self, schema: &Schema<'_>, state: &mut Members<'_>) -> Result<(), SerdeError> {
        match self.take() {
            Self::Answer(answer) => give(
                schema,
                [
                    ("Records", Some(Self::Records(answer.records))),
                    ("NextShardIterator", answer.next_shard_iterator.map(Self::Text)),
                    ("MillisBehindLatest", answer.millis_behind_latest.map(Self::Number)),
                ],
                state,
            ),
            Self::Record(record) => give(
                schema,
                [
                    ("SequenceNumber", Some(Self::Text(record.sequence_number))),
                    ("ApproximateArrivalTimestamp", record.approximate_arrival_timestamp.map(Self::Time)),
                    ("Data", Some(Self::Bytes(record.data))),
                    ("PartitionKey", record.partition_key.map(Self::Text)),
                    ("EncryptionType", record.encryption_type.map(Self::Text)),
                ],
                state,
            ),
            _ => mismatch(),
        }
    }

    fn read_list(
        &mut self,
        _: &Schema<'_>,
        state: &mut dyn FnMut(&mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        let Self::Records(records) = self.take() else { return mismatch() };
        records.into_iter().try_for_each(|record| state(&mut Self::Record(record)))
    }

    fn read_string(&mut self, _: &Schema<'_>) -> Result<String, SerdeError> {
        if let Self::Text(text) = self.take() { Ok(text) } else { mismatch() }
    }

    fn read_blob(&mut self, _: &Schema<'_>) -> Result<Blob, SerdeError> {
        if let Self::Bytes(bytes) = self.take() { Ok(Blob::new(bytes)) } else { mismatch() }
    }

    fn read_timestamp(&mut self, _: &Schema<'_>) -> Result<DateTime, SerdeError> {
        if let Self::Time(time) = self.take() { Ok(time) } else { mismatch() }
    }

    fn read_long(&mut self, _: &Schema<'_>) -> Result<i64, SerdeError> {
        if let Self::Number(number) = self.take() { Ok(number) } else { mismatch() }
    }

    /// Members that are null are not given.
    fn is_null(&self) -> bool {
        false
    }

    fn container_size(&self) -> Option<usize> {
        if let Self::Records(records) = self { Some(records.len()) } else { None }
    }

    fn read_map(
        &mut self,
        _: &Schema<'_>,
        _: &mut dyn FnMut(String, &mut dyn ShapeDeserializer) -> Result<(), SerdeError>,
    ) -> Result<(), SerdeError> {
        mismatch()
    }

    unasked!(
        read_boolean: bool, read_byte: i8, read_short: i16, read_integer: i32, read_float: f32, read_double: f64,
        read_big_integer: BigInteger, read_big_decimal: BigDecimal, read_document: Document
    );
}
