//! Amounts such as `500m` or `64Mi`, compared exactly as Kubernetes compares them.

use std::cmp::Ordering;

/// Smallest power of ten of an amount; anything finer is rounded up.
const NANO: i64 = -9;

/// An amount: 0.d1d2d3... times ten to the power of `exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quantity {
    is_negative: bool,
    /// Without zeros at either end; none for zero.
    digits: Vec<u8>,
    exponent: i64,
}

impl Quantity {
    /// Parses an amount.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (is_negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let (binary, decimal) = scale(suffix)?;

        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let mut exponent = i64::try_from(whole.len()).ok()?.checked_add(decimal)?;
        for _ in 0..binary {
            exponent += multiply(&mut digits, 1024);
        }
        Some(Self { is_negative, digits, exponent }.rounded())
    }

    /// Without zeros at either end, rounded away from zero to nano.
    fn rounded(mut self) -> Self {
        let leading = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..leading);
        self.exponent -= i64::try_from(leading).unwrap_or(i64::MAX);
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            return Self { is_negative: false, digits: Vec::new(), exponent: 0 };
        }
        let kept = usize::try_from((self.exponent - NANO).max(0)).unwrap_or(usize::MAX);
        if self.digits.len() <= kept {
            return self;
        }
        self.digits.truncate(kept);
        if self.digits.is_empty() {
            return Self { digits: vec![1], exponent: NANO + 1, ..self };
        }
        let mut carries = true;
        for digit in self.digits.iter_mut().rev() {
            if carries {
                carries = *digit == 9;
                *digit = if carries { 0 } else { *digit + 1 };
            }
        }
        if carries {
            self.digits.insert(0, 1);
            self.exponent += 1;
        }
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        self
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |amount: &Self| match (amount.digits.is_empty(), amount.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let magnitude = self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then(match sign(self) {
            0 => Ordering::Equal,
            1 => magnitude,
            _ => magnitude.reverse(),
        })
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How many times 1024, and which power of ten, a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i64)> {
    Some(match suffix {
        "" => (0, 0),
        "Ki" => (1, 0),
        "Mi" => (2, 0),
        "Gi" => (3, 0),
        "Ti" => (4, 0),
        "Pi" => (5, 0),
        "Ei" => (6, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            (0, i64::from(exponent.parse::<i32>().ok()?))
        }
    })
}

/// Multiplies in place; returns how many leading digits were added.
fn multiply(digits: &mut Vec<u8>, factor: u32) -> i64 {
    let mut carry = 0;
    for digit in digits.iter_mut().rev() {
        let product = u32::from(*digit) * factor + carry;
        *digit = u8::try_from(product % 10).unwrap_or_default();
        carry = product / 10;
    }
    let mut grown = 0;
    while carry > 0 {
        digits.insert(0, u8::try_from(carry % 10).unwrap_or_default());
        carry /= 10;
        grown += 1;
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_compared_exactly() {
        let ascending = [
            "-1Gi", "-1", "0", "1n", "1u", "1m", "0.5", "999m", "1", "1.5", "1k", "1Ki", "1e6", "1Mi", "1G",
            "1Gi", "1E", "1Ei", "1e30",
        ];
        for pair in ascending.windows(2) {
            assert!(Quantity::parse(pair[0]) < Quantity::parse(pair[1]), "{pair:?}");
        }
        for (a, b) in [
            ("1Gi", "1024Mi"),
            ("0.1n", "1n"),
            ("1000m", "1"),
            ("0", "0Gi"),
            ("+1", "1.0"),
            (".5", "500m"),
            ("1.0000000001", "1.000000001"),
            ("0.9999999999", "1"),
        ] {
            assert_eq!(Quantity::parse(a), Quantity::parse(b), "{a} {b}");
        }
        for text in ["", "1..5", "1K", "m", "1 ", "1e", "--1", ".", "1mi"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
    }
}
