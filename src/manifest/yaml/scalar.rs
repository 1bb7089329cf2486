//! Plain scalars as kubectl reads them: YAML 1.1, the way go-yaml v2 resolves it.
//!
//! Takes the text of a scalar and its tag; returns what it means. `0644` is octal, `yes` a boolean, `1_000` a number,
//! a date a string, and a whole floating-point number becomes an integer, because kubectl converts to JSON.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(Number),
    /// Larger than an i64. The API server stores it as a floating-point number.
    Large(u64),
    Float(f64),
    Text(String),
}

/// A scalar has no form in JSON, which kubectl converts to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ScalarError {
    #[error("infinity and NaN are not valid in JSON, which Kubernetes stores")]
    NotFinite,
    #[error("{0} cannot be a key; put it in quotes")]
    LargeKey(u64),
    #[error("null cannot be a key; put it in quotes")]
    NullKey,
    #[error("the tag !!binary is not supported; write the text itself")]
    Binary,
    #[error("'{text}' is not a !!{tag}")]
    TagMismatch { text: String, tag: String },
}

impl Scalar {
    /// As a JSON value.
    ///
    /// # Errors
    /// Infinity and NaN have none.
    pub(super) fn into_value(self) -> Result<Value, ScalarError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(value) => Value::Number(value),
            Self::Text(value) => Value::String(value),
            #[allow(clippy::cast_precision_loss)] // as the API server does
            Self::Large(value) => Value::from(value as f64),
            Self::Float(value) => {
                let whole = Some(value)
                    .filter(|value| value.fract() == 0.0 && value.abs() < 1e21)
                    .and_then(|value| format!("{value:.0}").parse::<i64>().ok());
                let number = whole.map(Number::from).or_else(|| Number::from_f64(value));
                Value::Number(number.ok_or(ScalarError::NotFinite)?)
            }
        })
    }

    /// As the key of a map, which is always a string.
    ///
    /// # Errors
    /// Null cannot be one.
    pub(super) fn into_key(self) -> Result<String, ScalarError> {
        Ok(match self {
            Self::Text(text) => text,
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => float_key(value),
            Self::Large(value) => return Err(ScalarError::LargeKey(value)),
            Self::Null => return Err(ScalarError::NullKey),
        })
    }
}

/// Resolves a scalar without quotes, or one with a tag. `tag` is the name of a core tag, such as `str`.
///
/// # Errors
/// The text cannot be what the tag says.
pub(super) fn resolve(text: &str, tag: Option<&str>) -> Result<Scalar, ScalarError> {
    let tag = match tag {
        Some("str" | "timestamp") => return Ok(Scalar::Text(text.to_owned())),
        Some("binary") => return Err(ScalarError::Binary),
        tag => tag,
    };
    let found = plain(text);
    let fits = match (tag, &found) {
        (Some("int"), found) => matches!(found, Scalar::Integer(_) | Scalar::Large(_)),
        (Some("float"), found) => matches!(found, Scalar::Integer(_) | Scalar::Float(_)),
        (Some("bool"), found) => matches!(found, Scalar::Bool(_)),
        (Some("null"), found) => matches!(found, Scalar::Null),
        (None, _) => true,
        // Any other tag, such as !vault, makes a string.
        (Some(_), _) => return Ok(Scalar::Text(text.to_owned())),
    };
    if fits {
        return Ok(found);
    }
    Err(ScalarError::TagMismatch { text: text.to_owned(), tag: tag.unwrap_or_default().to_owned() })
}

/// Resolves a scalar without quotes and tag.
fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => float(text),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits: Cow<'_, str> =
                if text.contains('_') { text.replace('_', "").into() } else { text.into() };
            integer(&digits).or_else(|| float(&digits))
        }
        _ => None,
    };
    number.unwrap_or_else(|| Scalar::Text(text.to_owned()))
}

/// Go's `ParseInt` with base 0, then `ParseUint`, then binary digits with a sign behind the prefix.
fn integer(text: &str) -> Option<Scalar> {
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..)?),
        Some(b'+') => ("", text.get(1..)?),
        _ => ("", text),
    };
    let prefix = |lower: &str, upper: &str| unsigned.strip_prefix(lower).or(unsigned.strip_prefix(upper));
    let (digits, radix) = if let Some(digits) = prefix("0x", "0X") {
        (digits, 16)
    } else if let Some(digits) = prefix("0b", "0B") {
        (digits, 2)
    } else if let Some(digits) = prefix("0o", "0O") {
        (digits, 8)
    } else if unsigned.len() > 1 && unsigned.starts_with('0') {
        (unsigned.get(1..)?, 8)
    } else {
        (unsigned, 10)
    };
    if digits.starts_with(|c: char| c.is_digit(radix)) {
        if let Ok(value) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
            return Some(Scalar::Integer(value.into()));
        }
        if !text.starts_with(['-', '+']) {
            return u64::from_str_radix(digits, radix).ok().map(Scalar::Large);
        }
        return None;
    }
    if let Some(digits) = text.strip_prefix("0b") {
        return i64::from_str_radix(digits, 2).ok().map(|value| Scalar::Integer(value.into()));
    }
    None
}

/// A decimal floating-point number; one that is out of range stays text.
fn float(text: &str) -> Option<Scalar> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = all_digits(whole)
        && fraction.is_none_or(all_digits)
        && (!whole.is_empty() || fraction.is_some_and(|fraction| !fraction.is_empty()))
        && exponent.is_none_or(|exponent| {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !digits.is_empty() && all_digits(digits)
        });
    if !well_formed {
        return None;
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Float)
}

/// Go's shortest form of a float of 32 bits, which is what the key of a map becomes.
fn float_key(value: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // on purpose, as Go does
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}
