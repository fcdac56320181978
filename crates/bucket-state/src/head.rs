//! Records, as far as the order of their members is known.
//!
//! EventBridge writes the members of its envelope in one order, and CloudTrail those of a record. As long as they come in
//! that order, without space between them, and their texts are of plain ASCII, the few that decide are reached from the
//! front. Most of a trail is about other services, or reads: the rest of such a record need not be looked at, and that
//! of a call that counts is all that has to be deserialized. Whatever is otherwise is left to the ways that take any JSON.
//!
//! Of valid JSON, this answers what those ways answer, or nothing: a key is only ever taken where it stands after the
//! whole of what must stand before it, so no text within a string and no object within another can pass for it, and a
//! key that stands again is refused. Of what is no JSON after such a beginning, noise may be told where they refuse:
//! noise that was cut is noise.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::envelope::API_CALL;
use crate::parsed::{Ignored, Parsed, RECORD_BYTES_MAX};
use crate::record;

/// What the beginning of a record tells.
pub(crate) enum Head<'a> {
    /// It has no effect.
    Noise(Parsed<'static>),
    /// It is about a call that counts.
    Call(Beginning<'a>),
}

/// The beginning of a record of a call that counts. All that is in it is valid JSON, in ASCII.
pub(crate) struct Beginning<'a> {
    pub(crate) sender: Sender<'a>,
    pub(crate) version: &'a [u8],
    pub(crate) identity: Identity<'a>,
    pub(crate) time: &'a [u8],
    pub(crate) source: &'a [u8],
    pub(crate) name: &'a [u8],
    pub(crate) region: &'a [u8],
    /// The record's other members, its end, and that of its envelope.
    pub(crate) rest: &'a [u8],
}

/// What an envelope says of its sender.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sender<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) account: &'a [u8],
    pub(crate) region: &'a [u8],
}

/// Who made a call.
pub(crate) enum Identity<'a> {
    /// An assumed role, which most are.
    Role { principal_id: &'a [u8], arn: &'a [u8], account_id: &'a [u8] },
    /// The text of any other, which may not be valid.
    Other(&'a [u8]),
}

/// What the beginning of the envelope `bytes` tells.
pub(crate) fn envelope(bytes: &[u8]) -> Option<Head<'_>> {
    if bytes.len() > RECORD_BYTES_MAX {
        return None;
    }
    let mut text = Text(bytes);
    text.after(r#"{"version":""#)?;
    text.after(r#","id":""#)?;
    if text.after(r#","detail-type":""#)? != API_CALL.as_bytes() {
        return text.noise(Ignored::NotCloudTrail, None);
    }
    // From whoever else it is, it is forged, and that must show.
    let source = text.after(r#","source":""#).filter(|source| source.starts_with(b"aws."))?;
    let account = text.after(r#","account":""#)?;
    text.after(r#","time":""#)?;
    let region = text.after(r#","region":""#)?;
    text.skip(r#","resources":[],"detail":"#)?;
    text.record(Sender { source, account, region })
}

/// What the record `bytes` of any origin turned out to be, where its beginning shows that it has no effect.
pub(crate) fn noise(bytes: &[u8]) -> Option<Parsed<'static>> {
    match Text(bytes).record(Sender::default())? {
        Head::Noise(noise) => Some(noise),
        Head::Call(_) => None,
    }
}

/// What is left of a text from where its beginning was understood.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn record(&mut self, sender: Sender<'a>) -> Option<Head<'a>> {
        let version = self.after(r#"{"eventVersion":""#)?;
        self.skip(r#","userIdentity":"#)?;
        let identity = self.identity()?;
        let time = self.after(r#","eventTime":""#)?;
        let source = self.after(r#","eventSource":""#)?;
        let name = self.after(r#","eventName":""#)?;
        let call = match record::known(source, name) {
            Ok(call) => call,
            Err(reason) => return self.noise(reason, None),
        };
        let region = self.after(r#","awsRegion":""#)?;
        self.after(r#","sourceIPAddress":""#)?;
        self.after(r#","userAgent":""#)?;
        self.skip(",")?;
        let rest = self.0;
        if self.after(r#""errorCode":""#).is_some_and(|code| !code.is_empty()) {
            return self.noise(Ignored::FailedCall, Some(call.name));
        }
        Some(Head::Call(Beginning { sender, version, identity, time, source, name, region, rest }))
    }

    /// Noise, unless another record may follow in the same text: that is malformed, and must not pass for one record.
    fn noise(&self, reason: Ignored, call: Option<&'static str>) -> Option<Head<'a>> {
        static NEXT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""eventVersion":""#));
        NEXT.find(self.0).is_none().then_some(Head::Noise(Parsed::Ignored { reason, call }))
    }

    /// Most callers are assumed roles, and those are read by their known keys in half of the time.
    fn identity(&mut self) -> Option<Identity<'a>> {
        let start = self.0;
        if let Some(role) = self.role() {
            return Some(role);
        }
        self.0 = start;
        self.object()?;
        Some(Identity::Other(&start[..start.len() - self.0.len()]))
    }

    fn role(&mut self) -> Option<Identity<'a>> {
        self.after(r#"{"type":""#)?;
        let principal_id = self.after(r#","principalId":""#)?;
        let arn = self.after(r#","arn":""#)?;
        let account_id = self.after(r#","accountId":""#)?;
        self.after(r#","accessKeyId":""#)?;
        self.after(r#","sessionContext":{"sessionIssuer":{"type":""#)?;
        self.after(r#","principalId":""#)?;
        self.after(r#","arn":""#)?;
        self.after(r#","accountId":""#)?;
        self.after(r#","userName":""#)?;
        self.after(r#"},"attributes":{"creationDate":""#)?;
        self.after(r#","mfaAuthenticated":""#)?;
        self.skip("}}}")?;
        Some(Identity::Role { principal_id, arn, account_id })
    }

    /// Skips `literal`.
    #[inline(always)]
    fn skip(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal.as_bytes())?;
        Some(())
    }

    /// The rest of the string that begins in `literal`, if it is of plain ASCII.
    #[inline(always)]
    fn after(&mut self, literal: &str) -> Option<&'a [u8]> {
        self.skip(literal)?;
        let (text, rest) = self.0.split_at_checked(end_of_plain(self.0)?)?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Skips any object.
    fn object(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => self.string()?,
                b'{' => depth += 1,
                b'}' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Skips any string after its first quote.
    fn string(&mut self) -> Option<()> {
        loop {
            let (byte, rest) = self.0.get(end_of_plain(self.0)?..)?.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.0 = rest.get(1..)?,
                _ => {}
            }
        }
    }
}

/// Where the first byte stands that is a quote or no plain ASCII: a backslash, a control, or a part of another character.
/// Eight bytes at once: most strings are too short to be worth a call.
#[inline(always)]
fn end_of_plain(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES * 0x80;
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that is set belongs to the first byte that is less.
        let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word;
        let quote = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
        let found = (quote | backslash | less(word, 0x20) | word) & HIGHS;
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..);
    Some(text.len() - rest.len() + rest.iter().position(ends)?)
}
