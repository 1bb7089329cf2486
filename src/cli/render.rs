//! `jobrequest render`: the Jobs that the controller would create.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::error::CliError;
use super::input::{Input, passed_over};
use super::outcome::Verdict;
use super::output::{count, print_json, print_yaml, say};
use crate::manifest::Diagnostic;

/// Arguments of `render`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    input: Input,
    /// Number of the run whose Job is shown
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i32).range(1..))]
    run: i32,
    /// Output format: one document per Job, or one object (a List if there are several Jobs)
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

/// Prints all Jobs to stdout; if there is any problem, no Job, and every problem to stderr.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let inspected = arguments.input.inspect(arguments.run)?;
    say(&inspected.warnings.iter().map(Diagnostic::text).collect::<String>());
    if !inspected.diagnostics.is_empty() {
        say(&inspected.diagnostics.iter().map(Diagnostic::text).collect::<String>());
        say(&format!("{}; nothing is shown\n", count(inspected.diagnostics.len(), "problem")));
        return Ok(Verdict::Invalid);
    }
    let requests = inspected.documents.iter().filter_map(|inspection| inspection.request.as_ref());
    let jobs: Vec<_> =
        requests.filter_map(|request| request.compiled.as_ref()).map(|compiled| &compiled.job).collect();
    match (arguments.output, jobs.as_slice()) {
        (Format::Yaml, jobs) => print_yaml("a Job", jobs)?,
        (Format::Json, [job]) => print_json("a Job", job)?,
        (Format::Json, jobs) => {
            print_json("Jobs", &json!({"apiVersion": "v1", "kind": "List", "items": jobs}))?;
        }
    }
    say(&passed_over(inspected.passed_over, inspected.skipped));
    Ok(Verdict::Valid)
}
