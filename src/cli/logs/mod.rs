//! `jobrequest logs`: the logs of all pods of a run, also from before the first one exists, across retries and restarts.
//!
//! [`crate::logs`] decides which logs are open and which lines are new. [`snapshot`] prints them as they are now,
//! [`following`] until the run has ended, with the pods of a [`session`]; [`reader`] reads one log, [`writer`] writes to stdout.

mod following;
mod options;
mod reader;
mod record;
mod session;
mod snapshot;
mod writer;

use std::time::Duration;

use clap::Args;

use super::cluster::{Cluster, InNamespace, runtime};
use super::complete::requests;
use super::duration::duration;
use super::error::CliError;
use super::name::{RunName, run_name};
use super::outcome::Verdict;
use super::output::say;
use super::wait::EXIT_CODES;
use crate::api::condition::ConditionType;
use crate::api::labels;
use crate::follow::Target;
use crate::logs::Unknown;
use crate::reconcile::StoredRequest;

use following::Following;
use options::{Flags, Options};

/// Arguments of `logs`.
#[derive(Debug, Args)]
#[command(after_help = exit_codes())]
pub(super) struct Arguments {
    /// Name of a JobRequest, or NAME@N for its run N [default: the newest run]
    #[arg(value_parser = run_name, add = requests())]
    name: RunName,
    /// Wait for pods, print lines as they are written, and end with the run
    #[arg(short, long)]
    follow: bool,
    /// How long to follow [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "follow")]
    timeout: Option<Duration>,
    /// Leave out the states and the end of the run that -f prints to stderr
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    cluster: InNamespace,
}

fn exit_codes() -> String {
    format!("Without -f the exit code is 0, or 2 if no log could be read. With it:\n\n{EXIT_CODES}")
}

/// Prints the logs.
pub(super) fn run(arguments: &Arguments) -> Result<Verdict, CliError> {
    runtime()?.block_on(async {
        let cluster = Cluster::find_in(&arguments.cluster).await?;
        let RunName { name, run } = &arguments.name;
        let request: StoredRequest = cluster.request(name).await?;
        let options = arguments.flags.options();
        if arguments.follow {
            let target = match run {
                Some(run) => Target::numbered(&request, *run),
                None => Target::newest(&request),
            };
            let following = Following {
                cluster: &cluster,
                name,
                options: &options,
                limit: arguments.timeout,
                is_quiet: arguments.quiet,
                is_of_logs: true,
            };
            return following.to_the_end(target).await;
        }
        let status = request.known_status();
        let newest = status.run.or(status.runs.first().map(|run| run.number));
        if let Some(number) = run.or(newest) {
            snapshot::print(&cluster, name, number, &status, &options).await?;
        } else {
            let ready = status.condition(ConditionType::Ready).map(|ready| ready.message.as_str());
            let why = ready.unwrap_or("the operator has not written a status yet");
            say(&format!("jobrequest/{name} has not run yet: {why}; -f waits for its run\n"));
        }
        Ok(Verdict::Valid)
    })
}

/// Follows a run with the logs of its pods on stdout, for the commands that ask for a run.
///
/// # Errors
/// The run could not be followed, or something could not be written.
pub(super) async fn beside(
    cluster: &Cluster,
    name: &str,
    target: Target,
    limit: Option<Duration>,
    is_quiet: bool,
) -> Result<Verdict, CliError> {
    let options = Options::standard();
    let following = Following { cluster, name, options: &options, limit, is_quiet, is_of_logs: false };
    following.to_the_end(target).await
}

/// Pods of a run, by their labels.
fn selector(name: &str, number: i32) -> String {
    format!("{}={name},{}={number}", labels::REQUEST, labels::RUN)
}

fn unknown(what: &Unknown, number: i32) -> CliError {
    CliError::Usage(match what {
        Unknown::Container { name, known } => {
            format!("no container of run {number} is called {name}; --container takes: {}", known.join(", "))
        }
        Unknown::Pod { name, known } => {
            format!("no pod of run {number} is called {name}; --pod takes: {}", known.join(", "))
        }
        Unknown::Index(index) => format!("no pod of run {number} has the index {index}"),
    })
}
