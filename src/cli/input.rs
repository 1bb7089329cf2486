//! The input of `render`, `validate` and `explain`: their flags in, every document with its verdict out.

use std::fmt::Write as _;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::error::CliError;
use super::files::{self, Found, Reading};
use super::invocation::program;
use super::output::count;
use crate::manifest::{self, Documents, Inspected, Skipped};
use crate::printable::excerpt;

/// The input.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// Files or folders of YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// Flags that select the input.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Files or folders of YAML or JSON, as kubectl takes them; - is standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(super) filenames: Vec<String>,
    /// Read folders recursively
    #[arg(short = 'R', long)]
    pub(super) recursive: bool,
    /// Refuse files in folders that are no Kubernetes objects; without it they are passed over
    #[arg(long)]
    strict: bool,
    /// Files or folders with templates, which may also be among the other files; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) templates: Vec<String>,
    /// Namespace of objects that set none
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) namespace: Option<String>,
}

impl Input {
    /// Reads and judges everything that the arguments name; Jobs are of run `run`.
    ///
    /// # Errors
    /// Something cannot be read at all, or holds nothing to judge.
    pub(super) fn inspect(&self, run: i32) -> Result<Inspected, CliError> {
        self.options.inspect(&self.files, run)
    }

    /// The same of files that may hold anything: those that hold nothing to judge are passed over, and there may be no
    /// other.
    ///
    /// # Errors
    /// Something cannot be read at all.
    pub(super) fn inspect_anything(&self, run: i32) -> Result<Inspected, CliError> {
        let (_, documents) = self.options.read(&self.files, true)?;
        self.options.judge(documents, run)
    }
}

impl Options {
    /// The same for `files` and those that the flags name.
    ///
    /// # Errors
    /// Something cannot be read at all, or holds nothing to judge.
    pub(super) fn inspect(&self, files: &[String], run: i32) -> Result<Inspected, CliError> {
        let (names, documents) = self.read(files, false)?;
        if documents.documents.is_empty() && documents.unreadable.is_empty() {
            return Err(nothing_found(&names.join(", "), &documents));
        }
        self.judge(documents, run)
    }

    /// Everything that was named, and its documents.
    fn read(&self, files: &[String], takes_anything: bool) -> Result<(Vec<String>, Documents), CliError> {
        let mut names: Vec<_> = files.iter().chain(&self.filenames).cloned().collect();
        if !names.is_empty() {
            names.extend(self.templates.iter().cloned());
        }
        let reading = Reading { is_recursive: self.recursive, is_strict: self.strict, takes_anything };
        let Found { sources, helm_templates } = files::find(&names, reading)?;
        let mut documents = manifest::read(&sources);
        documents.skipped.helm_templates = helm_templates;
        Ok((names, documents))
    }

    fn judge(&self, documents: Documents, run: i32) -> Result<Inspected, CliError> {
        Ok(manifest::inspect(documents, self.namespace.as_deref(), run)?)
    }
}

/// The error that `documents`, which were read from what is called `names`, have nothing of the project.
pub(super) fn nothing_found(names: &str, documents: &Documents) -> CliError {
    let mut message = names.to_owned();
    if let Some(native) = &documents.native {
        let (object, file) = (excerpt(&native.object), excerpt(&native.file));
        let file = if file == "stdin" { "-" } else { &file };
        let _ = write!(
            message,
            "; {object} is a {}: `{} convert {file}` turns it into a JobRequest",
            native.kind,
            program()
        );
    }
    if documents.skipped.helm_templates > 0 {
        let _ = write!(message, "; {}", helm_templates(documents.skipped.helm_templates));
    }
    CliError::NoDocuments(message)
}

/// A line for each kind of thing that was passed over.
pub(super) fn passed_over(objects: usize, skipped: Skipped) -> String {
    let mut lines = String::new();
    if objects > 0 {
        let _ = writeln!(lines, "{} of other kinds passed over", count(objects, "object"));
    }
    if skipped.files > 0 {
        let _ = writeln!(lines, "{} without Kubernetes objects passed over", count(skipped.files, "file"));
    }
    if skipped.helm_templates > 0 {
        let _ = writeln!(lines, "{}", helm_templates(skipped.helm_templates));
    }
    lines
}

fn helm_templates(number: usize) -> String {
    format!(
        "{} of Helm charts passed over; to check what a chart renders: helm template CHART | {} validate -",
        count(number, "template"),
        program()
    )
}
