//! A named text, which knows its lines.

use super::yaml::Position;

/// A text under the name that people know it by, such as that of a file.
#[derive(Debug)]
pub struct Source {
    /// The name, as messages show it.
    pub name: String,
    /// Its place among the sources that are read together: diagnostics come in this order.
    pub number: usize,
    /// The text, up to the first byte that is not UTF-8.
    pub text: String,
    /// Where the first byte stands that is not UTF-8; none in a sound text.
    pub not_utf8_at: Option<Position>,
    /// It may hold anything, such as a file that was found in a folder: then it is passed over if it has nothing of the
    /// project. Otherwise it must hold objects.
    pub may_hold_anything: bool,
    /// What follows the first byte that is not UTF-8, as far as it can be guessed.
    pub(super) undecoded: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl Source {
    /// The text that `bytes` are; a byte order mark in front is dropped.
    #[must_use]
    pub fn new(name: impl Into<String>, number: usize, bytes: Vec<u8>) -> Self {
        let mut not_utf8_at = None;
        let mut undecoded = String::new();
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            let valid = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            // Without the zeros of UTF-16.
            let rest: Vec<u8> = bytes.drain(valid..).filter(|byte| *byte != 0).collect();
            undecoded = String::from_utf8_lossy(&rest).into_owned();
            let text = String::from_utf8(bytes).unwrap_or_default();
            let last = text.rsplit('\n').next().unwrap_or_default();
            let line = text.matches('\n').count() + 1;
            not_utf8_at = Some(Position { line, column: last.chars().count() + 1 });
            text
        });
        let text = text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text);
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { name: name.into(), number, text, not_utf8_at, may_hold_anything: false, undecoded, lines }
    }

    /// The same as one that may hold anything.
    #[must_use]
    pub fn of_anything(self) -> Self {
        Self { may_hold_anything: true, ..self }
    }

    /// A line, counted from 1.
    #[must_use]
    pub fn line(&self, number: usize) -> Option<&str> {
        let start = *self.lines.get(number.checked_sub(1)?)?;
        let end = self.lines.get(number).map_or(self.text.len(), |next| next.saturating_sub(1));
        Some(self.text.get(start..end)?.trim_end_matches('\r'))
    }
}
