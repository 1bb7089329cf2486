//! The input of `render`, `validate` and `explain`: their flags in, every document with its verdict out.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::error::CliError;
use super::files;
use crate::manifest::{self, Inspected};

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
}

impl Options {
    /// The same for `files` and those that the flags name.
    ///
    /// # Errors
    /// Something cannot be read at all, or holds nothing to judge.
    pub(super) fn inspect(&self, files: &[String], run: i32) -> Result<Inspected, CliError> {
        let mut names: Vec<_> = files.iter().chain(&self.filenames).cloned().collect();
        if !names.is_empty() {
            names.extend(self.templates.iter().cloned());
        }
        let sources = files::read(&names, self.recursive)?;
        let documents = manifest::read(&sources);
        if documents.documents.is_empty() && documents.unreadable.is_empty() {
            return Err(CliError::NoDocuments(names.join(", ")));
        }
        Ok(manifest::inspect(documents, self.namespace.as_deref(), run)?)
    }
}
