//! Amounts of resources, read and compared as the API server does: `1000m` is `1`, `1Gi` is more than `1G`.
//!
//! Takes the text of a quantity; returns an [`Amount`], a whole number of billionths. Nothing is a float. The known
//! crates read the mantissa as a float and know no exponents.

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANO_DIGITS: i64 = 9;
/// A whole, in billionths.
const ONE: i128 = 1_000_000_000;
/// A thousandth, in billionths.
const MILLI: i128 = 1_000_000;
/// Digits that surely fit into an `i128`.
const MAX_DIGITS: usize = 38;
/// The API server caps amounts with a binary suffix here.
const BINARY_CAP: i128 = i64::MAX as i128 * 1_000_000_000;

/// An exact amount, in billionths; anything larger counts as the largest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    /// The largest amount.
    pub const MAX: Self = Self(i128::MAX);

    /// Reads a quantity such as `2`, `500m`, `.5`, `1e3` or `64Mi`. Fractions below a billionth are rounded up, away
    /// from zero. `None` for what the API server cannot read either.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let (is_negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        let unit = Unit::parse(suffix)?;

        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
        let mut shift = NANO_DIGITS - i64::try_from(fraction.len()).ok()?;
        match unit {
            Unit::Decimal(exponent) => shift += i64::from(exponent),
            Unit::Binary(exponent) => (0..exponent).for_each(|_| double(&mut digits)),
        }
        let mut nanos = shifted(&digits, shift);
        if matches!(unit, Unit::Binary(_)) {
            nanos = nanos.min(BINARY_CAP);
        }
        Some(Self(if is_negative { -nanos } else { nanos }))
    }

    /// True for zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// True for whole numbers.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0 % 1_000_000_000 == 0
    }

    /// As the API server stores an amount of a container or pod: rounded up to a thousandth, so that `1n` is `1m`.
    #[must_use]
    pub fn as_stored(self) -> Self {
        let rounded = |amount: i128| {
            let rest = amount.checked_rem(MILLI).unwrap_or_default();
            if rest == 0 { amount } else { amount.saturating_add(MILLI - rest) }
        };
        Self(if self.0 < 0 { -rounded(self.0.saturating_neg()) } else { rounded(self.0) })
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// This amount times a number.
    #[must_use]
    pub fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }

    /// True for a multiple of `part`, both rounded up to whole numbers as the API server does. What is too large for
    /// its whole numbers counts as one.
    #[must_use]
    pub fn is_multiple_of(self, part: Self) -> bool {
        let whole = |amount: i128| i64::try_from(amount.saturating_add(ONE - 1).div_euclid(ONE)).ok();
        match (whole(self.0), whole(part.0)) {
            (Some(all), Some(part)) => all.checked_rem(part) == Some(0),
            _ => true,
        }
    }

    /// How many times `part` fits into it; `None` for a `part` of zero.
    #[must_use]
    pub fn over(self, part: Self) -> Option<i128> {
        self.0.checked_div(part.0)
    }

    /// For people, as bytes: with the largest binary suffix that loses nothing.
    #[must_use]
    pub fn as_bytes(self) -> String {
        let (mut number, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest != 0 || number == 0 {
            return self.to_string();
        }
        let mut suffix = "";
        for next in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
            if number % 1024 != 0 {
                break;
            }
            number /= 1024;
            suffix = next;
        }
        format!("{number}{suffix}")
    }
}

impl fmt::Display for Amount {
    /// In units, thousandths or billionths, whichever is whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1_000_000_000 == 0 {
            write!(f, "{}", self.0 / 1_000_000_000)
        } else if self.0 % 1_000_000 == 0 {
            write!(f, "{}m", self.0 / 1_000_000)
        } else {
            write!(f, "{}n", self.0)
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("no quantity"))
    }
}

#[derive(Clone, Copy)]
enum Unit {
    /// A power of ten.
    Decimal(i32),
    /// A power of two.
    Binary(u32),
}

impl Unit {
    fn parse(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "n" => Self::Decimal(-9),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "" => Self::Decimal(0),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(18),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            _ => Self::Decimal(exponent(suffix.strip_prefix(['e', 'E'])?)?),
        })
    }
}

/// The API server reads 64 bits and keeps 32 of them: 1e4294967299 is 1000 there. So it has to be here, or an
/// amount could be written that is small for a policy and large for a node.
#[allow(clippy::cast_possible_truncation)]
fn exponent(text: &str) -> Option<i32> {
    text.parse::<i64>().ok().map(|exponent| exponent as i32)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Twice the number with these decimal digits, in place.
fn double(digits: &mut Vec<u8>) {
    let mut carry = 0;
    for digit in digits.iter_mut().rev() {
        let twice = *digit * 2 + carry;
        *digit = twice % 10;
        carry = twice / 10;
    }
    if carry > 0 {
        digits.insert(0, carry);
    }
}

/// The number with these decimal digits times ten to the power of `shift`, rounded up.
fn shifted(digits: &[u8], shift: i64) -> i128 {
    let first = digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len());
    let significant = digits.get(first..).unwrap_or_default();
    if significant.is_empty() {
        return 0;
    }
    let Ok(length) = i64::try_from(significant.len()) else { return i128::MAX };
    let kept = length.saturating_add(shift);
    if kept > i64::try_from(MAX_DIGITS).unwrap_or(i64::MAX) {
        return i128::MAX;
    }
    let kept = usize::try_from(kept).unwrap_or(0);
    let all = significant.iter().copied().chain(std::iter::repeat(0));
    let number =
        all.take(kept).fold(0_i128, |number, digit| number.saturating_mul(10).saturating_add(digit.into()));
    let is_cut = significant.iter().skip(kept).any(|digit| *digit != 0);
    number.saturating_add(i128::from(is_cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap_or_else(|| panic!("{text} is a quantity"))
    }

    #[test]
    fn equal_amounts_in_every_spelling() {
        for same in [
            ["1", "1000m"],
            ["1", "1e0"],
            ["1k", "1e3"],
            ["1E3", "1000"],
            ["1E", "1e18"],
            ["0.5", ".5"],
            ["500m", "+.5"],
            ["1.", "1"],
            ["1Ki", "1024"],
            ["0.5Ki", "512"],
            ["1.5Gi", "1536Mi"],
            ["1e-3", "1m"],
            ["1u", "1000n"],
            ["0.1n", "1n"],
            ["1.0000000001", "1.000000001"],
            ["0.0000000001Ki", "103n"],
            ["8Ei", "9223372036854775807"],
            ["9223372036854775807Ki", "9223372036854775807"],
            ["1e4294967299", "1000"],
            ["-1", "-1000m"],
            [" 1 ", "1"],
            ["0", "0e99"],
            ["000000000000000000000000000000000000000000000000000000000000001", "1"],
        ] {
            assert_eq!(amount(same[0]), amount(same[1]), "{same:?}");
        }
    }

    #[test]
    fn order() {
        let ascending = [
            "-1",
            "0",
            "1n",
            "1m",
            "999m",
            "1",
            "1.000000001",
            "1k",
            "1Ki",
            "1G",
            "1Gi",
            "9223372036854775806",
            "9223372036854775807",
            "9223372036854775807.5",
            "10E",
            "1e28",
            "1e99",
        ];
        for pair in ascending.windows(2) {
            assert!(amount(pair[0]) < amount(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn no_quantities() {
        for text in [
            "",
            " ",
            "x",
            "1x",
            "1e",
            "1Zi",
            "1e1.5",
            "1..5",
            "1 Gi",
            "--1",
            "0x1",
            "1ki",
            "1Gib",
            "1e99999999999999999999",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let huge = amount("1e99");
        assert_eq!(huge.plus(huge), huge);
        assert_eq!(huge.times(i64::MAX), huge);
        assert_eq!(amount("0.1").plus(amount("0.2")), amount("0.3"));
        assert_eq!(amount("1.5Gi").times(4), amount("6Gi"));
        assert_eq!(amount("64").over(amount("4")), Some(16));
        assert_eq!(amount("64").over(amount("0")), None);
    }

    #[test]
    fn stored_amounts_are_rounded_up_to_thousandths() {
        for (written, stored) in [
            ("0", "0"),
            ("1n", "1m"),
            ("1u", "1m"),
            ("1m", "1m"),
            ("1.0001", "1.001"),
            ("999999n", "1m"),
            ("1000001n", "2m"),
            ("0.0001Ki", "0.103"),
            ("-1n", "-1m"),
            ("8Ei", "8Ei"),
        ] {
            assert_eq!(amount(written).as_stored(), amount(stored), "{written}");
        }
        assert_eq!(Amount::MAX.as_stored(), Amount::MAX);
        assert_eq!(Amount(i128::MIN).as_stored(), Amount(-i128::MAX));
    }

    #[test]
    fn multiples() {
        for (all, part) in [("4Mi", "2Mi"), ("0", "2Mi"), ("1Gi", "1Gi"), ("1.5", "1"), ("1e30", "2Mi")] {
            assert!(amount(all).is_multiple_of(amount(part)), "{all} {part}");
        }
        for (all, part) in [("3Mi", "2Mi"), ("1", "2Mi"), ("2M", "2Mi"), ("8Ei", "2Mi"), ("1", "0")] {
            assert!(!amount(all).is_multiple_of(amount(part)), "{all} {part}");
        }
    }

    #[test]
    fn words() {
        assert_eq!(amount("1.5").to_string(), "1500m");
        assert_eq!(amount("2k").to_string(), "2000");
        assert_eq!(amount("1n").to_string(), "1n");
        assert_eq!(amount("1.5Gi").as_bytes(), "1536Mi");
        assert_eq!(amount("1000").as_bytes(), "1000");
        assert_eq!(amount("0").as_bytes(), "0");
    }
}
