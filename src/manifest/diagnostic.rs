//! What is wrong, where it was written, and how it is shown.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use unicode_width::UnicodeWidthChar;

use super::source::Source;
use super::yaml::{Position, ReadError};
use crate::printable::{excerpt, is_invisible, shortened};

/// Maximum number of characters of a line that are quoted.
const MAX_QUOTED_CHARACTERS: usize = 100;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The API server or the operator refuses the document.
    Error,
    /// It is accepted, and hardly what its author means.
    Warning,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem of one document.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How much it weighs.
    pub severity: Severity,
    /// Where the document was read.
    pub source: Arc<Source>,
    /// The place of it.
    pub at: Position,
    /// Such as `jobrequest/pi`; empty when there is none.
    pub object: String,
    /// Path of the field; empty when there is none.
    pub field: String,
    /// What is wrong, and how to fix it.
    pub message: String,
}

/// A diagnostic as `-o json` shows it.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    severity: Severity,
    object: &'a str,
    field: &'a str,
    message: String,
}

impl Diagnostic {
    /// Of a text that holds no object where it should.
    pub(super) fn of_text(source: Arc<Source>, error: ReadError) -> Self {
        let ReadError { at, message } = error;
        Self { severity: Severity::Error, source, at, object: String::new(), field: String::new(), message }
    }

    /// For machines.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        Row {
            file: &self.source.name,
            line: self.at.line,
            column: self.at.column,
            severity: self.severity,
            object: &self.object,
            field: &self.field,
            message: shortened(&self.message).into_owned(),
        }
    }

    /// For people: the position, the message, the line and a caret below it.
    #[must_use]
    pub fn text(&self) -> String {
        let Position { line, column } = self.at;
        let field = if self.field.is_empty() { String::new() } else { format!("{}: ", excerpt(&self.field)) };
        let message = excerpt(&self.message);
        let severity = self.severity.as_str();
        let mut text =
            format!("{}:{line}:{column}: {severity}: {field}{message}\n", excerpt(&self.source.name));
        if let Some(quoted) = self.source.line(line) {
            let skipped = if column > MAX_QUOTED_CHARACTERS { column - MAX_QUOTED_CHARACTERS / 2 } else { 0 };
            let shown = quoted.chars().skip(skipped).take(MAX_QUOTED_CHARACTERS).map(visible);
            let shown: String = shown.collect();
            let before = shown.chars().take(column.saturating_sub(skipped + 1));
            let margin: String = before.map(blank).collect();
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            let _ = write!(text, "  {number} | {}\n  {gutter} | {margin}^\n", shown.trim_end());
        }
        text
    }
}

/// One character for one, so that the caret stays where it belongs.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        character if is_invisible(character) => char::REPLACEMENT_CHARACTER,
        character => character,
    }
}

/// Spaces as wide as the character is on a terminal.
fn blank(character: char) -> &'static str {
    if character.width() == Some(2) { "  " } else { " " }
}
