//! Mutations that keep a record a record, so that most of them reach what lies behind the parser.
//!
//! Every fourth is left to libFuzzer's own mutator of bytes, and so is whatever is not understood here.

use std::io::{Read, Write};

use fastrand::Rng;
use flate2::Compression;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use flate2::write::{DeflateEncoder, GzEncoder};
use serde_json::{Value, json};

use crate::pieces;
use crate::support::{dead_letter, envelope, log_message};

/// libFuzzer's mutator of bytes: it takes them, their number and the greatest number, and returns the new one.
pub type Bytewise = fn(&mut [u8], usize, usize) -> usize;

/// A packed input is read no further than this.
const UNPACKED_BYTES_MAX: u64 = 1 << 20;

/// Mutates records, one a line; returns the new number of bytes in `data`.
pub fn lines(data: &mut [u8], size: usize, size_max: usize, seed: u32, bytewise: Bytewise) -> usize {
    apply(data, size, size_max, seed, bytewise, |lines, mutator| mutator.lines(lines))
}

/// Mutates a record in any form in which it may come; returns the new number of bytes in `data`.
pub fn form(data: &mut [u8], size: usize, size_max: usize, seed: u32, bytewise: Bytewise) -> usize {
    apply(data, size, size_max, seed, bytewise, |bytes, mutator| {
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return mutator.form(bytes);
        }
        let form = mutator.form(&unpacked(MultiGzDecoder::new(bytes))?)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&form).and_then(|()| encoder.finish()).ok()
    })
}

/// Mutates what is packed into a stored state; returns the new number of bytes in `data`.
pub fn stored(data: &mut [u8], size: usize, size_max: usize, seed: u32, bytewise: Bytewise) -> usize {
    apply(data, size, size_max, seed, bytewise, |bytes, mutator| {
        let (version, packed) = bytes.split_first()?;
        let state = mutator.json(&unpacked(DeflateDecoder::new(packed))?)?;
        let mut encoder = DeflateEncoder::new(vec![*version], Compression::fast());
        encoder.write_all(&state).and_then(|()| encoder.finish()).ok()
    })
}

fn unpacked(packed: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    packed.take(UNPACKED_BYTES_MAX).read_to_end(&mut bytes).ok().map(|_| bytes)
}

fn apply(
    data: &mut [u8],
    size: usize,
    size_max: usize,
    seed: u32,
    bytewise: Bytewise,
    change: impl FnOnce(&[u8], &mut Mutator) -> Option<Vec<u8>>,
) -> usize {
    let mut mutator = Mutator { rng: Rng::with_seed(seed.into()), bytewise };
    let changed = if mutator.one_in(4) { None } else { change(&data[..size], &mut mutator) };
    match changed.filter(|changed| changed.len() <= size_max) {
        Some(changed) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        None => bytewise(data, size, size_max),
    }
}

struct Mutator {
    rng: Rng,
    bytewise: Bytewise,
}

impl Mutator {
    fn one_in(&mut self, odds: usize) -> bool {
        self.rng.usize(..odds) == 0
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        self.rng.choice(items)
    }

    fn lines(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let at = self.rng.usize(..lines.len());
        match self.rng.u8(..8) {
            0 => lines.insert(at, self.sample()?.to_string().into_bytes()),
            1 if lines.len() > 1 => drop(lines.remove(at)),
            // Most laws are about what two records do to each other.
            2 => lines.push(self.record(&lines[at])?),
            3 => {
                let other = self.rng.usize(..lines.len());
                lines.swap(at, other);
            }
            _ => lines[at] = self.record(&lines[at])?,
        }
        Some(lines.join(&b'\n'))
    }

    fn form(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut value: Value = serde_json::from_slice(text).ok()?;
        let changed = match self.rng.u8(..12) {
            0 => envelope(&value),
            1 => json!({"Records": [value, self.sample()?]}),
            2 => log_message("DATA_MESSAGE", &[&value.to_string(), &self.sample()?.to_string()]),
            3 => dead_letter(text, "2026-03-01T00:01:00Z"),
            4 => self.sample()?,
            5 | 6 => {
                let key = self.one_of(pieces::MARKS)?;
                value.as_object_mut()?.insert((*key).to_owned(), self.piece());
                value
            }
            _ => return self.json(text),
        };
        Some(written(changed))
    }

    /// A record that differs in what decides who wins, in its call, or anywhere.
    fn record(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut record: Value = serde_json::from_slice(text).ok()?;
        let members = match self.rng.u8(..6) {
            0 => pieces::moment(&mut self.rng),
            1 => pieces::place(&mut self.rng),
            2 => {
                let other = self.sample()?;
                json!({"eventName": other["eventName"], "requestParameters": other["requestParameters"]})
            }
            _ => {
                self.edit(&mut record);
                json!({})
            }
        };
        if let (Value::Object(record), Value::Object(members)) = (&mut record, members) {
            record.extend(members);
        }
        Some(written(record))
    }

    fn json(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut value: Value = serde_json::from_slice(text).ok()?;
        self.edit(&mut value);
        Some(written(value))
    }

    /// A sample of some call, at some time.
    fn sample(&mut self) -> Option<Value> {
        let mut record = self.one_of(&pieces::SAMPLES)?.clone();
        record.as_object_mut()?.extend(pieces::moment(&mut self.rng).as_object()?.clone());
        Some(record)
    }

    /// Changes one node of `value`, or a few.
    fn edit(&mut self, value: &mut Value) {
        for _ in 0..=self.rng.usize(..3) {
            // The outermost members tell the forms apart.
            let place = if self.one_in(6) { 0 } else { self.rng.usize(..nodes(value)) };
            if let Ok(node) = nth(value, place) {
                self.edit_node(node);
            }
        }
    }

    fn edit_node(&mut self, node: &mut Value) {
        match (self.rng.u8(..6), node) {
            (0 | 1, node) => *node = self.piece(),
            (2, node) => *node = json!([node.take()]),
            (_, Value::Object(members)) => {
                let keys: Vec<String> = members.keys().cloned().collect();
                let old = self.one_of(&keys).and_then(|key| members.remove(key));
                if self.one_in(2) {
                    let key = self.one_of(&pieces::KEYS).cloned().unwrap_or_default();
                    let value = old.filter(|_| self.rng.bool()).unwrap_or_else(|| self.piece());
                    members.insert(key, value);
                }
            }
            (choice, Value::Array(items)) => {
                let at = self.rng.usize(..=items.len());
                match items.get(at).cloned() {
                    Some(item) if choice == 3 => items.push(item),
                    Some(_) if choice == 4 => drop(items.remove(at)),
                    _ => items.insert(at, self.piece()),
                }
            }
            (_, Value::String(text)) => *text = self.text(text),
            (_, node) => *node = self.piece(),
        }
    }

    /// A value to stand anywhere: a constant one, or a part of a sample.
    fn piece(&mut self) -> Value {
        if self.one_in(2) {
            return self.one_of(&pieces::VALUES).cloned().unwrap_or_default();
        }
        let Some(mut sample) = self.one_of(&pieces::SAMPLES).cloned() else { return Value::Null };
        let parameters = &mut sample["requestParameters"];
        let place = self.rng.usize(..nodes(parameters));
        nth(parameters, place).map_or(Value::Null, |node| node.take())
    }

    fn text(&mut self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let (size, size_max) = (bytes.len(), 2 * bytes.len() + 16);
        bytes.resize(size_max, 0);
        let size = (self.bytewise)(&mut bytes, size, size_max);
        String::from_utf8_lossy(&bytes[..size]).into_owned()
    }
}

/// The text of `value`. An envelope's mark comes first, as EventBridge writes it; the rest is sorted.
pub(crate) fn written(mut value: Value) -> Vec<u8> {
    let mark = value.as_object_mut().and_then(|members| members.remove("detail-type"));
    let text = value.to_string();
    match mark {
        Some(mark) if text == "{}" => json!({"detail-type": mark}).to_string(),
        Some(mark) => text.replacen('{', &format!("{{\"detail-type\":{mark},"), 1),
        None => text,
    }
    .into_bytes()
}

/// How many nodes a value has, itself among them.
fn nodes(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(nodes).sum::<usize>(),
        Value::Array(items) => 1 + items.iter().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

/// The node with this number, parents before children; else how many are still to go.
fn nth(value: &mut Value, place: usize) -> Result<&mut Value, usize> {
    if place == 0 {
        return Ok(value);
    }
    let children: Box<dyn Iterator<Item = &mut Value>> = match value {
        Value::Object(members) => Box::new(members.values_mut()),
        Value::Array(items) => Box::new(items.iter_mut()),
        _ => Box::new(std::iter::empty()),
    };
    let mut place = place - 1;
    for child in children {
        match nth(child, place) {
            Ok(node) => return Ok(node),
            Err(rest) => place = rest,
        }
    }
    Err(place)
}
