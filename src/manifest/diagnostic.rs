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
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// What a diagnostic breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A document is an object that can be read.
    Readable,
    /// An object conforms to its CustomResourceDefinition.
    Schema,
    /// A spec becomes a Job, with the templates that apply to it.
    Spec,
    /// An object is written once.
    WrittenOnce,
    /// A JobRequest is no Helm hook.
    HelmHook,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 5] = [Self::Readable, Self::Schema, Self::Spec, Self::WrittenOnce, Self::HelmHook];

    /// The name by which reports know it. It does not change between releases.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Readable => "readable",
            Self::Schema => "schema",
            Self::Spec => "spec",
            Self::WrittenOnce => "written-once",
            Self::HelmHook => "helm-hook",
        }
    }

    /// What it asks for, in a sentence.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Readable => "A document must be an object that kubectl can read.",
            Self::Schema => {
                "The API server must accept the object: its fields, their types and the rules of the CRD."
            }
            Self::Spec => "The operator must accept the spec, with the templates that apply to it.",
            Self::WrittenOnce => "A kind, namespace and name must be written only once.",
            Self::HelmHook => "A JobRequest must not be a Helm hook, because Helm does not wait for it.",
        }
    }

    /// How much it weighs.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Readable | Self::Schema | Self::Spec | Self::WrittenOnce => Severity::Error,
            Self::HelmHook => Severity::Warning,
        }
    }
}

/// One problem of one document.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// What it breaks.
    pub rule: Rule,
    /// Where the document was read.
    pub source: Arc<Source>,
    /// The place of it.
    pub at: Position,
    /// Such as `jobrequest/pi`; empty when there is none.
    pub object: String,
    /// Its own namespace, or the requested one.
    pub namespace: Option<String>,
    /// Which of the documents it is about.
    pub document: Option<usize>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    field: &'a str,
    message: String,
}

impl Diagnostic {
    /// Of a text that holds no object where it should.
    pub(super) fn of_text(source: Arc<Source>, error: ReadError) -> Self {
        let ReadError { at, message } = error;
        Self {
            rule: Rule::Readable,
            source,
            at,
            object: String::new(),
            namespace: None,
            document: None,
            field: String::new(),
            message,
        }
    }

    /// For machines.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        Row {
            file: &self.source.name,
            line: self.at.line,
            column: self.at.column,
            severity: self.rule.severity(),
            object: &self.object,
            namespace: self.namespace.as_deref(),
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
        let severity = self.rule.severity().as_str();
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
