//! Durations as flags take them: `10s`, `1m30s`, `2h`.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

/// The text is no duration that a flag takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DurationError {
    /// A plain number.
    #[error("a unit is missing; write {0}s for {0} seconds")]
    NoUnit(String),
    /// Anything else, or a negative one.
    #[error("not a duration; write for example 10s, 1m30s or 2h")]
    Invalid,
    /// Finer than the API keeps.
    #[error("not a whole number of seconds")]
    Fraction,
}

/// A duration of whole seconds.
///
/// # Errors
/// The text is none, or lacks its unit.
pub(super) fn duration(text: &str) -> Result<Duration, DurationError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    let signed: SignedDuration = text.parse().map_err(|_| DurationError::Invalid)?;
    let duration = Duration::try_from(signed).map_err(|_| DurationError::Invalid)?;
    if duration.subsec_nanos() == 0 { Ok(duration) } else { Err(DurationError::Fraction) }
}

/// How long a call may take, as kubectl takes it: also a plain number of seconds; 0 is no limit.
///
/// # Errors
/// The text is no duration.
pub(super) fn call_deadline(text: &str) -> Result<Option<Duration>, DurationError> {
    let limit = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => duration(text)?,
    };
    Ok((!limit.is_zero()).then_some(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_kubectl() {
        for (text, seconds) in [("10s", 10), ("1m30s", 90), ("2h", 7200), ("0s", 0), ("1000ms", 1)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn a_deadline_of_a_call_may_be_a_number() {
        let minute = Some(Duration::from_secs(60));
        for (text, deadline) in [("60", minute), ("1m", minute), ("0", None), ("0s", None)] {
            assert_eq!(call_deadline(text), Ok(deadline), "{text}");
        }
        assert_eq!(call_deadline("-1"), Err(DurationError::Invalid));
    }

    #[test]
    fn a_plain_number_gets_a_hint() {
        assert_eq!(duration("15"), Err(DurationError::NoUnit("15".to_owned())));
        assert_eq!(
            DurationError::NoUnit("15".to_owned()).to_string(),
            "a unit is missing; write 15s for 15 seconds"
        );
    }

    #[test]
    fn nothing_else_is_a_duration() {
        for text in ["", "s", "-10s", "10s ago", "ten seconds", "1.5"] {
            assert_eq!(duration(text), Err(DurationError::Invalid), "{text}");
        }
        for text in ["500ms", "1.5s"] {
            assert_eq!(duration(text), Err(DurationError::Fraction), "{text}");
        }
    }
}
