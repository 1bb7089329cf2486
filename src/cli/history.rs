//! `jobrequest history`: the records of a JobRequest's runs, newest first, with their causes.

use clap::Args;

use super::cluster::{Cluster, InNamespace, runtime};
use super::complete::requests;
use super::error::CliError;
use super::name::name;
use super::outcome::Verdict;
use super::output::{print, print_json, say};
use super::table::aligned;
use super::wait::Format;
use crate::api::status::Run;
use crate::reconcile::StoredRequest;

/// Arguments of `history`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of a JobRequest
    #[arg(value_parser = name, add = requests())]
    name: String,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    cluster: InNamespace,
}

/// Prints the records.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let request: StoredRequest = cluster.request(&arguments.name).await?;
        let runs = request.known_status().runs;
        match arguments.output {
            Format::Json => print_json("the records", &runs)?,
            Format::Text if runs.is_empty() => {
                say(&format!("jobrequest/{} has not run yet\n", arguments.name));
            }
            Format::Text => print(&table(&runs, true))?,
        }
        Ok(Verdict::Valid)
    })
}

/// The records as a table, with their messages or without.
pub(super) fn table(runs: &[Run], has_messages: bool) -> String {
    let mut heading = vec!["RUN", "RESULT", "TRIGGER", "CAUSE", "PODS", "STARTED", "DURATION"];
    if has_messages {
        heading.push("MESSAGE");
    }
    let mut lines = vec![heading.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()];
    lines.extend(runs.iter().map(|run| {
        let mut line = vec![
            run.number.to_string(),
            run.result.map_or_else(|| "(open)".to_owned(), |result| result.to_string()),
            run.trigger.to_string(),
            cause(run),
            pods(run),
            run.start_time.as_ref().map(|time| time.0.to_string()).unwrap_or_default(),
            run.duration.clone().unwrap_or_default(),
        ];
        if has_messages {
            line.push(run.message.clone().unwrap_or_default());
        }
        line
    }));
    aligned(&lines)
}

/// The category of the failure, else the Job's own reason.
fn cause(run: &Run) -> String {
    match (&run.failure, &run.reason) {
        (Some(failure), _) => failure.category.to_string(),
        (None, Some(reason)) => reason.clone(),
        (None, None) => String::new(),
    }
}

/// Succeeded of the desired pods.
fn pods(run: &Run) -> String {
    let succeeded = run.succeeded.map(|number| number.to_string());
    match (succeeded, run.desired) {
        (Some(succeeded), Some(desired)) => format!("{succeeded}/{desired}"),
        (Some(succeeded), None) => succeeded,
        (None, _) => String::new(),
    }
}
