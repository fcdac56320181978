//! Writing JSON text piece by piece: building values for it would cost more than all the rest.

use fastrand::Rng;

/// Appends each piece to the text.
macro_rules! put {
    ($text:expr, $($piece:expr),+ $(,)?) => {{
        $( $crate::generate::text::Piece::put(&$piece, $text); )+
    }};
}
pub(super) use put;

/// Something that can be written.
pub(super) trait Piece {
    fn put(&self, text: &mut Vec<u8>);
}

impl Piece for str {
    fn put(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.as_bytes());
    }
}

impl Piece for String {
    fn put(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self.as_bytes());
    }
}

impl Piece for [u8] {
    fn put(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(self);
    }
}

impl Piece for bool {
    fn put(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Piece for u64 {
    fn put(&self, text: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let (mut rest, mut at) = (*self, digits.len());
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        text.extend_from_slice(&digits[at..]);
    }
}

impl<T: Piece + ?Sized> Piece for &T {
    fn put(&self, text: &mut Vec<u8>) {
        (**self).put(text);
    }
}

/// A second, as CloudTrail writes it: `2026-03-01T00:00:00Z`.
#[derive(Clone, Copy)]
pub(super) struct Second(pub(super) i64);

impl Piece for Second {
    fn put(&self, text: &mut Vec<u8>) {
        let (year, month, day) = civil(self.0.div_euclid(86_400));
        let of_day = self.0.rem_euclid(86_400);
        let two = |n: i64| [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let ([y0, y1], [y2, y3]) = (two(year / 100), two(year % 100));
        let ([m0, m1], [d0, d1]) = (two(month), two(day));
        let ([h0, h1], [i0, i1], [s0, s1]) = (two(of_day / 3_600), two(of_day / 60 % 60), two(of_day % 60));
        text.extend_from_slice(&[
            y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1, b'Z',
        ]);
    }
}

/// Year, month and day of a day since 1970, in the proleptic Gregorian calendar: counted in eras of 400 years that
/// begin in March, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_0000_03_01 = days + 719_468;
    let (era, day_of_era) = (since_0000_03_01.div_euclid(146_097), since_0000_03_01.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// An event id: a version 4 UUID.
#[derive(Clone, Copy)]
pub(super) struct Uuid(u128);

impl Uuid {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self(rng.u128(..))
    }
}

impl Piece for Uuid {
    fn put(&self, text: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [b'-'; 36];
        let mut rest = self.0;
        for (at, digit) in digits.iter_mut().enumerate() {
            if ![8, 13, 18, 23].contains(&at) {
                *digit = HEX[(rest & 15) as usize];
                rest >>= 4;
            }
        }
        digits[14] = b'4';
        digits[19] = b"89ab"[(self.0 >> 126) as usize];
        text.extend_from_slice(&digits);
    }
}

/// A request id: 16 capitals and digits.
#[derive(Clone, Copy)]
pub(super) struct RequestId(u128);

impl RequestId {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self(rng.u128(..))
    }
}

impl Piece for RequestId {
    fn put(&self, text: &mut Vec<u8>) {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut rest = self.0;
        for _ in 0..16 {
            text.push(ALPHABET[(rest & 31) as usize]);
            rest >>= 5;
        }
    }
}

/// An `x-amz-id-2`: 56 bytes in base64.
pub(super) struct HostId(pub(super) [u64; 8]);

impl HostId {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self(std::array::from_fn(|_| rng.u64(..)))
    }
}

impl Piece for HostId {
    fn put(&self, text: &mut Vec<u8>) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut digits = [b'='; 76];
        for (group, word) in digits[..75].chunks_mut(10).zip(self.0) {
            for (at, digit) in group.iter_mut().enumerate() {
                *digit = ALPHABET[(word >> (6 * at)) as usize & 63];
            }
        }
        text.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;

    use super::*;

    #[test]
    fn seconds_are_written_as_the_calendar_has_them() {
        for second in [0, 951_782_399, 951_782_400, 1_772_323_199, 1_772_323_200, 4_107_542_399] {
            let mut text = Vec::new();
            Second(second).put(&mut text);
            let expected = OffsetDateTime::from_unix_timestamp(second).unwrap().format(&Rfc3339).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
