//! `jobrequest explain`: where each value of a JobRequest comes from.
//!
//! Takes files as `render` does, or names of JobRequests in a cluster; shows every value with the layer that decided it
//! and what that overrode, then what policies changed, and whether the newest run used the current templates.

mod files;
mod limit_range;
mod live;
mod report;
mod table;

use clap::Args;

use super::cluster::Connection;
use super::error::CliError;
use super::input::{Options, passed_over};
use super::name::bare;
use super::outcome::Verdict;
use super::output::{print, print_json, say};
use super::table::Format;
use crate::manifest::Diagnostic;
use report::{Explanation, Report};

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "When to use it: before you push, to see what the templates add to a JobRequest and who set a value; \
    in the cluster, when a run differs from what you wrote, or when TemplateOutdated is True.\n\n\
    Examples:\n  \
    jobrequest explain pi.yaml --templates platform/\n  \
    kustomize build . | jobrequest explain -f -\n  \
    jobrequest explain -n team-a pi\n  \
    jobrequest explain -n team-a pi --templates platform/"
)]
pub(super) struct Arguments {
    /// Names of JobRequests in the cluster; or files and folders, which have a dot or a slash in their name; - is
    /// standard input
    #[arg(value_name = "NAME|FILE")]
    words: Vec<String>,
    #[command(flatten)]
    options: Options,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    connection: Connection,
}

/// What the arguments name.
enum Subject {
    Files(Vec<String>),
    Live(Vec<String>),
}

/// Explains everything that the arguments name.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    let report = match subject(arguments)? {
        Subject::Files(files) => files::explain(&files, &arguments.options)?,
        Subject::Live(names) => live::explain(&names, &arguments.options, &arguments.connection)?,
    };
    show(&report, arguments.output)?;
    Ok(if report.is_valid() { Verdict::Valid } else { Verdict::Invalid })
}

/// Files and names are distinguished by syntax alone, never by what exists on disk, so that a command means the same
/// everywhere.
fn subject(arguments: &Arguments) -> Result<Subject, CliError> {
    let Arguments { words, options, .. } = arguments;
    let names: Vec<_> = words.iter().filter_map(|word| bare(word)).collect();
    let usage = |message: String| Err(CliError::Usage(message));
    let names_files = names.len() < words.len() || !options.filenames.is_empty();
    match (names.first(), names_files) {
        (Some(name), true) => usage(format!(
            "{name} is the name of a JobRequest in the cluster, but the rest are files; write ./{name} if it is a file too"
        )),
        (Some(_), false) => Ok(Subject::Live(names)),
        (None, false) => usage(
            "nothing to explain: name JobRequests in the cluster, files or folders, or - for standard input"
                .to_owned(),
        ),
        (None, true) => Ok(Subject::Files(words.clone())),
    }
}

fn show(report: &Report, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json => print_json("the explanation", &report.rows()),
        Format::Text => {
            let tables: Vec<_> = report.requests.iter().map(table::text).collect();
            print(&tables.join("\n"))?;
            report.gaps.iter().for_each(|gap| say(&format!("{gap}\n")));
            say(&report.diagnostics.iter().map(Diagnostic::text).collect::<String>());
            say(&report.requests.iter().flat_map(Explanation::problem_lines).collect::<String>());
            say(&passed_over(report.passed_over, report.skipped));
            Ok(())
        }
    }
}
