//! Texts and times as the status holds them: bounded, in whole seconds, readable.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Longest message of a condition, in bytes.
const MESSAGE: usize = 4096;

/// `text`, cut to the length of a condition's message.
pub(super) fn bounded(text: &str) -> String {
    bounded_to(text, MESSAGE)
}

/// `text`, cut to at most `bytes` at a character, with a mark where something is missing.
pub(super) fn bounded_to(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mark = '…';
    let end = text.floor_char_boundary(bytes.saturating_sub(mark.len_utf8()));
    text.get(..end).unwrap_or_default().chars().chain([mark]).collect()
}

/// A duration as people write it: `45s`, `1m23s`, `2h5m`, `3d4h`.
pub(super) fn duration_text(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// The API keeps whole seconds; a finer time would never equal what was stored.
pub(super) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (seconds, text) in
            [(-3, "0s"), (0, "0s"), (59, "59s"), (83, "1m23s"), (7500, "2h5m"), (273_600, "3d4h")]
        {
            assert_eq!(duration_text(SignedDuration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(bounded_to("计算圆周率", 15), "计算圆周率");
        assert_eq!(bounded_to("计算圆周率", 14), "计算圆…");
        assert_eq!(bounded_to("abc", 0), "…");
    }
}
