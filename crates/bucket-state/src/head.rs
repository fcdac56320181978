//! Noise, told by how a record begins: most of a trail is about other services, or reads.
//!
//! EventBridge writes the members of its envelope in one order, and CloudTrail those of a record. As long as they come in
//! that order, without space between them and without escapes in what is compared, the few that decide are reached from
//! the front, and the rest need not be looked at. Whatever is otherwise is left to the ways that take any JSON.
//!
//! Of valid JSON, this answers what those ways answer, or nothing: a key is only ever taken where it stands after the
//! whole of what must stand before it, so no text within a string and no object within another can pass for it, and those
//! ways refuse a key that stands again. Of what is no JSON after such a beginning, this may answer where they refuse:
//! noise that was cut is noise.

use crate::envelope::API_CALL;
use crate::parsed::{Ignored, Parsed, RECORD_BYTES_MAX};
use crate::record;

/// What the one record in the envelope `bytes` turned out to be, where its beginning shows that it has no effect.
pub(crate) fn envelope(bytes: &[u8]) -> Option<Parsed<'static>> {
    if bytes.len() > RECORD_BYTES_MAX {
        return None;
    }
    let mut head = Head(bytes);
    head.text_after(r#"{"version":""#)?;
    head.text_after(r#","id":""#)?;
    if head.text_after(r#","detail-type":""#)? != API_CALL.as_bytes() {
        return Some(Parsed::Ignored { reason: Ignored::NotCloudTrail, call: None });
    }
    // From whoever else it is, it is forged, and that must show.
    head.text_after(r#","source":"aws."#)?;
    head.text_after(r#","account":""#)?;
    head.text_after(r#","time":""#)?;
    head.text_after(r#","region":""#)?;
    head.skip(r#","resources":[],"detail":"#)?;
    head.record()
}

/// What the CloudTrail record in `bytes` turned out to be, where its beginning shows that it has no effect.
pub(crate) fn record(bytes: &[u8]) -> Option<Parsed<'static>> {
    Head(bytes).record()
}

/// What is left of a text from where its beginning was understood.
struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    fn record(&mut self) -> Option<Parsed<'static>> {
        self.text_after(r#"{"eventVersion":""#)?;
        self.skip(r#","userIdentity":{"#)?;
        self.identity()?;
        self.text_after(r#","eventTime":""#)?;
        let source = self.text_after(r#","eventSource":""#)?;
        let name = self.text_after(r#","eventName":""#)?;
        match record::known(source, name) {
            Err(reason) => Some(Parsed::Ignored { reason, call: None }),
            Ok(call) => self.failed().map(|()| Parsed::Ignored { reason: Ignored::FailedCall, call: Some(call.name) }),
        }
    }

    /// Whether an error stands where CloudTrail writes it.
    fn failed(&mut self) -> Option<()> {
        self.text_after(r#","awsRegion":""#)?;
        self.text_after(r#","sourceIPAddress":""#)?;
        self.skip(r#","userAgent":""#)?;
        self.string()?;
        let code = self.text_after(r#","errorCode":""#)?;
        (!code.is_empty()).then_some(())
    }

    /// Skips a caller's identity after its first brace. Most are assumed roles, and those are read by their known keys
    /// in half of the time.
    fn identity(&mut self) -> Option<()> {
        let start = self.0;
        if self.role().is_none() {
            self.0 = start;
            self.object()?;
        }
        Some(())
    }

    fn role(&mut self) -> Option<()> {
        self.text_after(r#""type":""#)?;
        self.text_after(r#","principalId":""#)?;
        self.text_after(r#","arn":""#)?;
        self.text_after(r#","accountId":""#)?;
        self.text_after(r#","accessKeyId":""#)?;
        self.text_after(r#","sessionContext":{"sessionIssuer":{"type":""#)?;
        self.text_after(r#","principalId":""#)?;
        self.text_after(r#","arn":""#)?;
        self.text_after(r#","accountId":""#)?;
        self.text_after(r#","userName":""#)?;
        self.text_after(r#"},"attributes":{"creationDate":""#)?;
        self.text_after(r#","mfaAuthenticated":""#)?;
        self.skip("}}}")
    }

    /// Skips `literal`.
    #[inline(always)]
    fn skip(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal.as_bytes())?;
        Some(())
    }

    /// The rest of the string that begins in `literal`, if it has no escapes.
    #[inline(always)]
    fn text_after(&mut self, literal: &str) -> Option<&'a [u8]> {
        self.skip(literal)?;
        let (text, rest) = self.0.split_at_checked(quote_or_backslash(self.0)?)?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Skips any string after its first quote.
    fn string(&mut self) -> Option<()> {
        loop {
            let (byte, rest) = self.0.get(quote_or_backslash(self.0)?..)?.split_first()?;
            self.0 = rest;
            if *byte == b'"' {
                return Some(());
            }
            self.0 = self.0.get(1..)?;
        }
    }

    /// Skips any object after its first brace.
    fn object(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            match byte {
                b'"' => self.string()?,
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
        }
        Some(())
    }
}

/// Where the first quote or backslash stands. Eight bytes at once: most strings are too short to be worth a call.
#[inline(always)]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest bit that is set belongs to the first byte that equals.
    let marks = |word: u64, byte: u8| {
        let zero = word ^ (ONES * u64::from(byte));
        zero.wrapping_sub(ONES) & !zero & HIGHS
    };
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = marks(word, b'"') | marks(word, b'\\');
        if found != 0 {
            return Some(8 * index + found.trailing_zeros() as usize / 8);
        }
    }
    let within = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(text.len() - rest.len() + within)
}
