//! How a line of a log is shown: takes a line and where it comes from, returns bytes for stdout.

use std::io::Write as _;

use regex::bytes::Regex;

use super::line::Line;
use crate::printable::printable;

/// Colours of prefixes, as SGR parameters: those that are readable on dark and on light.
const COLORS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// How lines are shown.
#[derive(Clone, Debug, Default)]
pub struct Style {
    /// With the time in front.
    pub has_times: bool,
    /// Without control characters: the reader is a terminal.
    pub is_escaped: bool,
    /// Prefixes have colours.
    pub has_colors: bool,
    /// Only lines with a match.
    pub grep: Option<Regex>,
}

/// Where a line comes from, in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    text: String,
    color: u8,
}

impl Prefix {
    /// `[pod/container] `; `number` chooses the colour.
    #[must_use]
    pub fn new(pod: &str, container: &str, number: usize) -> Self {
        let color = COLORS.get(number % COLORS.len()).copied().unwrap_or_default();
        Self { text: format!("[{pod}/{container}]"), color }
    }
}

impl Style {
    /// Whether the line is one that is asked for.
    #[must_use]
    pub fn matches(&self, line: &Line) -> bool {
        self.grep.as_ref().is_none_or(|grep| grep.is_match(&line.text))
    }

    /// Appends the line to `out`, if it is asked for.
    pub fn write(&self, line: &Line, prefix: Option<&Prefix>, out: &mut Vec<u8>) {
        if !self.matches(line) {
            return;
        }
        // Nothing fails that is written into memory.
        if let Some(Prefix { text, color }) = prefix {
            let _ = if self.has_colors {
                write!(out, "\u{1b}[{color}m{text}\u{1b}[0m ")
            } else {
                write!(out, "{text} ")
            };
        }
        if self.has_times
            && let Some(time) = line.time
        {
            // Every time has the same width.
            let _ = write!(out, "{time:.9} ");
        }
        if self.is_escaped {
            out.extend_from_slice(escaped(&line.text).as_bytes());
        } else {
            out.extend_from_slice(&line.text);
        }
        if line.more > 0 {
            let _ = write!(out, "... {} bytes more", grouped(line.more));
        }
        out.push(b'\n');
    }
}

/// The line for a terminal, in one line: a carriage return would write over its prefix.
fn escaped(text: &[u8]) -> String {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    printable(&String::from_utf8_lossy(text)).replace('\n', " ")
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printable::is_invisible;

    fn line(text: &[u8], more: u64) -> Line {
        Line { time: Some("2026-11-28T10:00:00.5Z".parse().unwrap()), text: text.to_vec(), more }
    }

    fn shown(style: &Style, line: &Line, prefix: Option<&Prefix>) -> Vec<u8> {
        let mut out = Vec::new();
        style.write(line, prefix, &mut out);
        out
    }

    const HOSTILE: &[u8] = b"a\x1b[2J\x1b]0;t\x07b\rc\xc2\x9b31m\xe2\x80\xae\xff\td\r";

    #[test]
    fn bytes_stay_as_they_are_where_no_terminal_reads_them() {
        let out = shown(&Style::default(), &line(HOSTILE, 0), None);
        assert_eq!(out, [HOSTILE, b"\n"].concat());
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_for_one() {
        let style = Style { is_escaped: true, ..Style::default() };
        let out = String::from_utf8(shown(&style, &line(HOSTILE, 0), None)).unwrap();
        assert_eq!(out, "a\u{fffd}]0;t\u{fffd}b c\u{fffd}31m\u{fffd}\u{fffd}\td\n");
        for byte in 0..=u8::MAX {
            let out = String::from_utf8(shown(&style, &line(&[b'a', byte, b'b'], 0), None)).unwrap();
            let text = out.strip_suffix('\n').unwrap();
            assert!(!text.contains(|it| is_invisible(it) && it != '\t'), "{byte}: {out:?}");
        }
        // One line stays one.
        let forged = line(b"ok\r[other-pod/main] forged", 0);
        let prefix = Prefix::new("pod", "main", 0);
        let out = String::from_utf8(shown(&style, &forged, Some(&prefix))).unwrap();
        assert_eq!(out, "[pod/main] ok [other-pod/main] forged\n");
    }

    #[test]
    fn a_line_has_what_was_asked_for_in_front_and_behind() {
        let prefix = Prefix::new("pi-1-a", "main", 1);
        for (has_times, has_colors, more, wanted) in [
            (false, false, 0, "[pi-1-a/main] text\n"),
            (true, false, 0, "[pi-1-a/main] 2026-11-28T10:00:00.500000000Z text\n"),
            (false, true, 48_211, "\u{1b}[33m[pi-1-a/main]\u{1b}[0m text... 48,211 bytes more\n"),
        ] {
            let style = Style { has_times, has_colors, ..Style::default() };
            let out = shown(&style, &line(b"text", more), Some(&prefix));
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn only_matches_are_shown() {
        let style = Style { grep: Some(Regex::new("(?i)error").unwrap()), ..Style::default() };
        assert_eq!(shown(&style, &line(b"\xff an Error", 0), None), b"\xff an Error\n");
        assert!(shown(&style, &line(b"fine", 0), None).is_empty());
    }
}
