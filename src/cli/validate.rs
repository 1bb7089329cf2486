//! `jobrequest validate`: what the API server and the operator would refuse.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::error::CliError;
use super::input::{Input, passed_over};
use super::outcome::Verdict;
use super::output::{count, print, print_json, say};
use crate::manifest::{Diagnostic, Inspected, Inspection, Row, report};
use crate::printable::excerpt;

/// Arguments of `validate`.
#[derive(Debug, Args)]
#[command(
    after_help = "In a pipeline: -o github annotates the lines of a pull request, -o sarif is for code scanning, -o junit \
    for GitLab, Jenkins and others. docs/pipelines.md has a set-up for each.\n\n\
    Examples:\n  \
    jobrequest validate pi.yaml\n  \
    jobrequest validate -R . --templates platform/\n  \
    helm template ./chart | jobrequest validate -\n  \
    git diff --name-only --diff-filter=d main | xargs jobrequest validate --allow-empty"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    input: Input,
    /// Take any files, also those that are named: what has nothing of jobrequest.dev is passed over, and it is no error
    /// if nothing is left; for hooks and lists of changed files
    #[arg(long)]
    allow_empty: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Lines for people
    Text,
    /// One JSON object
    Json,
    /// Workflow commands of GitHub Actions
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// A JUnit report
    Junit,
}

/// The result as `-o json` shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    documents: Vec<Judged<'a>>,
    problems: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Row<'a>>,
    passed_over: usize,
    passed_over_files: usize,
}

#[derive(Debug, Serialize)]
struct Judged<'a> {
    file: &'a str,
    line: usize,
    object: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    valid: bool,
}

/// Judges every document and prints the result.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let inspected = if arguments.allow_empty {
        arguments.input.inspect_anything(1)?
    } else {
        arguments.input.inspect(1)?
    };
    // A report goes into a file; people read the log of the pipeline.
    if !matches!(arguments.output, Format::Json | Format::Github) {
        say(&problems(&inspected));
    }
    match arguments.output {
        Format::Json => print_json("the result", &json(&inspected))?,
        Format::Github => print(&report::github(&inspected))?,
        Format::Sarif => print_json("the result", &report::sarif(&inspected))?,
        Format::Junit => print(&report::junit(&inspected))?,
        Format::Text => print(&verdicts(&inspected))?,
    }
    if !matches!(arguments.output, Format::Json) {
        say(&passed_over(inspected.passed_over, inspected.skipped));
    }
    Ok(if inspected.diagnostics.is_empty() { Verdict::Valid } else { Verdict::Invalid })
}

fn problems(inspected: &Inspected) -> String {
    inspected.diagnostics.iter().chain(&inspected.warnings).map(Diagnostic::text).collect()
}

/// A line for each document.
fn verdicts(inspected: &Inspected) -> String {
    let line = |inspection: &Inspection| {
        let verdict = match inspection.problems {
            0 => "valid".to_owned(),
            problems => format!("invalid: {}", count(problems, "problem")),
        };
        format!("{} {verdict}\n", excerpt(&inspection.object_in_namespace()))
    };
    inspected.documents.iter().map(line).collect()
}

fn json(inspected: &Inspected) -> Report<'_> {
    Report {
        documents: (inspected.documents.iter())
            .map(|inspection| Judged {
                file: &inspection.document.source.name,
                line: inspection.document.node.at.line,
                object: inspection.document.object(),
                namespace: inspection.namespace.as_deref(),
                valid: inspection.problems == 0,
            })
            .collect(),
        problems: inspected.diagnostics.iter().map(Diagnostic::row).collect(),
        warnings: inspected.warnings.iter().map(Diagnostic::row).collect(),
        passed_over: inspected.passed_over,
        passed_over_files: inspected.skipped.all(),
    }
}
