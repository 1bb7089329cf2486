//! `jobrequest validate`: what the API server and the operator would refuse.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::error::CliError;
use super::input::Input;
use super::outcome::Verdict;
use super::output::{count, print, print_json, say};
use crate::manifest::{Diagnostic, Inspected, Row};
use crate::printable::excerpt;

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    input: Input,
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
}

#[derive(Debug, Serialize)]
struct Judged<'a> {
    file: &'a str,
    line: usize,
    object: String,
    valid: bool,
}

/// Judges every document and prints the result.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let inspected = arguments.input.inspect(1)?;
    match arguments.output {
        Format::Json => print_json("the result", &report(&inspected))?,
        Format::Text => {
            let all = inspected.diagnostics.iter().chain(&inspected.warnings);
            say(&all.map(Diagnostic::text).collect::<String>());
            let verdicts: Vec<_> = (inspected.documents.iter())
                .map(|inspection| {
                    let verdict = match inspection.problems {
                        0 => "valid".to_owned(),
                        problems => format!("invalid: {}", count(problems, "problem")),
                    };
                    format!("{} {verdict}\n", excerpt(&inspection.document.object()))
                })
                .collect();
            print(&verdicts.concat())?;
            if inspected.passed_over > 0 {
                say(&format!("{} of other kinds passed over\n", count(inspected.passed_over, "object")));
            }
        }
    }
    Ok(if inspected.diagnostics.is_empty() { Verdict::Valid } else { Verdict::Invalid })
}

fn report(inspected: &Inspected) -> Report<'_> {
    Report {
        documents: (inspected.documents.iter())
            .map(|inspection| Judged {
                file: &inspection.document.source.name,
                line: inspection.document.node.at.line,
                object: inspection.document.object(),
                valid: inspection.problems == 0,
            })
            .collect(),
        problems: inspected.diagnostics.iter().map(Diagnostic::row).collect(),
        warnings: inspected.warnings.iter().map(Diagnostic::row).collect(),
        passed_over: inspected.passed_over,
    }
}
