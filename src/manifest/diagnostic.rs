//! What is wrong, where it was written, and how that looks.

use std::fmt::Write as _;
use std::rc::Rc;

use serde::Serialize;
use unicode_width::UnicodeWidthChar;

use super::manifest::{Position, Source};

/// Most characters of a line that are quoted.
const QUOTED: usize = 100;
/// Most characters of a message that are shown.
const SHOWN: usize = 2000;

/// One problem of one document.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) source: Rc<Source>,
    pub(super) at: Position,
    /// Such as `jobrequest/pi`; empty when there is none.
    pub(super) object: String,
    /// Path of the field; empty when there is none.
    pub(super) field: String,
    pub(super) message: String,
}

/// A finding as `-o json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    severity: &'static str,
    object: &'a str,
    field: &'a str,
    message: String,
}

impl Finding {
    /// For machines.
    pub(super) fn row(&self) -> Row<'_> {
        Row {
            file: &self.source.name,
            line: self.at.line,
            column: self.at.column,
            severity: "error",
            object: &self.object,
            field: &self.field,
            message: printable(&self.message),
        }
    }

    /// For people: place, words, the line and a caret below.
    pub(super) fn text(&self) -> String {
        let Position { line, column } = self.at;
        let field = if self.field.is_empty() { String::new() } else { format!("{}: ", self.field) };
        let message = printable(&self.message);
        let mut text = format!("{}:{line}:{column}: error: {field}{message}\n", printable(&self.source.name));
        if let Some(quoted) = self.source.line(line) {
            let skipped = if column > QUOTED { column - QUOTED / 2 } else { 0 };
            let shown: String = quoted.chars().skip(skipped).take(QUOTED).collect::<String>();
            let before = shown.chars().take(column.saturating_sub(skipped + 1));
            let margin: String = before.map(blank).collect();
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            let _ = write!(
                text,
                "  {number} | {}\n  {gutter} | {margin}^\n",
                printable(&shown.replace('\t', " ")).trim_end()
            );
        }
        text
    }
}

/// As wide as the character is on a terminal.
fn blank(character: char) -> &'static str {
    if character.width() == Some(2) { "  " } else { " " }
}

/// Without control characters, which could do things to a terminal, and not endless.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
