//! What `render`, `validate` and `explain` read: their flags in, every judged document out.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::error::CliError;
use super::files;
use crate::manifest::{self, Inspected};

/// What is read, and how.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// Files or folders of YAML or JSON; - is standard input
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// How input is named and read by flags.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Files or folders of YAML or JSON, as kubectl takes them; - is standard input; may be repeated
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(super) filenames: Vec<String>,
    /// Read the folders in folders, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Files or folders with templates, which may also stand among the others; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) templates: Vec<String>,
    /// Namespace of objects that name none
    #[arg(short, long, value_parser = NonEmptyStringValueParser::new())]
    pub(super) namespace: Option<String>,
}

impl Input {
    /// Reads and judges everything that was named; Jobs are of run `run`.
    ///
    /// # Errors
    /// Something cannot be read at all, or holds nothing to judge.
    pub(super) fn inspect(&self, run: i32) -> Result<Inspected, CliError> {
        self.options.inspect(&self.files, run)
    }
}

impl Options {
    /// The same, of `files` and those which the flags name.
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
