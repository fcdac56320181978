//! Decimal numbers of up to 38 digits, as DynamoDB has them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

const DIGITS_MAX: usize = 38;

/// `mantissa * 10^exponent`, where the mantissa does not end in 0, or is all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    mantissa: i128,
    exponent: i32,
}

impl Number {
    fn new(mut mantissa: i128, mut exponent: i32) -> Self {
        if mantissa == 0 {
            return Self { mantissa, exponent: 0 };
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }

    /// None if the sum has more digits than a number may.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.shifted(exponent)?.checked_add(other.shifted(exponent)?)?;
        let sum = Self::new(sum, exponent);
        (sum.digits() <= DIGITS_MAX).then_some(sum)
    }

    pub(super) fn negated(self) -> Self {
        Self { mantissa: -self.mantissa, ..self }
    }

    fn shifted(self, exponent: i32) -> Option<i128> {
        let by = u32::try_from(self.exponent - exponent).ok()?;
        self.mantissa.checked_mul(10_i128.checked_pow(by)?)
    }

    fn digits(self) -> usize {
        self.mantissa.unsigned_abs().to_string().len()
    }
}

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (plain, power) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let power: i32 = power.parse().map_err(drop)?;
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(());
        }
        let kept = digits.trim_start_matches('0').trim_end_matches('0');
        let zeros_behind = digits.len() - digits.trim_end_matches('0').len();
        if kept.is_empty() {
            return Ok(Self::new(0, 0));
        }
        if kept.len() > DIGITS_MAX || power.abs() > 200 || digits.len() > 400 {
            return Err(());
        }
        let exponent = power - fraction.len() as i32 + zeros_behind as i32;
        Ok(Self::new(sign * kept.parse::<i128>().map_err(drop)?, exponent))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.mantissa.signum();
        sign.cmp(&other.mantissa.signum()).then_with(|| {
            // Of one magnitude, both have the same digits before the point, so that shifting cannot overflow.
            let magnitude = |number: &Self| number.digits() as i32 + number.exponent;
            let by_magnitude = magnitude(self).cmp(&magnitude(other));
            let exponent = self.exponent.min(other.exponent);
            match sign {
                0 => Ordering::Equal,
                1 => by_magnitude.then_with(|| self.shifted(exponent).cmp(&other.shifted(exponent))),
                _ => by_magnitude.reverse().then_with(|| self.shifted(exponent).cmp(&other.shifted(exponent))),
            }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        match usize::try_from(self.exponent) {
            Ok(zeros) => write!(f, "{sign}{digits}{}", "0".repeat(zeros)),
            Err(_) => {
                let places = self.exponent.unsigned_abs() as usize;
                let padded = format!("{digits:0>width$}", width = places + 1);
                let (whole, fraction) = padded.split_at(padded.len() - places);
                write!(f, "{sign}{whole}.{fraction}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap_or_else(|()| panic!("{text} is a number"))
    }

    #[test]
    fn numbers_are_told_in_one_way() {
        let told = [
            ("007", "7"),
            ("1.50", "1.5"),
            ("-0", "0"),
            ("1e3", "1000"),
            ("12E-4", "0.0012"),
            ("-2500", "-2500"),
            (".5", "0.5"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        ];
        for (text, expected) in told {
            assert_eq!(number(text).to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_number_of_38_digits_is_refused() {
        for text in ["", "-", ".", "x", "1x", "1e", "NaN", "123456789012345678901234567890123456789"] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
    }

    #[test]
    fn sums_are_exact() {
        for (one, other, sum) in
            [("0.1", "0.2", "0.3"), ("5", "-5", "0"), ("999", "1", "1000"), ("1e20", "1", "100000000000000000001")]
        {
            assert_eq!(number(one).plus(number(other)), Some(number(sum)));
        }
        assert_eq!(number("1e38").plus(number("1e-1")), None);
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let ordered = ["-1e30", "-10", "-9.5", "-0.1", "0", "0.001", "2", "10", "10.01", "1e38"];
        for (at, one) in ordered.iter().enumerate() {
            for (behind, other) in ordered.iter().enumerate() {
                assert_eq!(number(one).cmp(&number(other)), at.cmp(&behind), "{one} and {other}");
            }
        }
    }
}
