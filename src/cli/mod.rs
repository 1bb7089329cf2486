//! The command line: parses arguments and runs the command.
//!
//! [`run`](run()) takes parsed [`Arguments`] and returns the exit code: 0 ok, 1 invalid, 2 could not do it; what follows a run
//! ends with the codes of [`crate::follow::How`]. Results go to stdout, everything else to stderr. `render`, `validate` and
//! `explain` need no cluster: [`files`] reads what [`input`] names, and [`crate::manifest`] judges it. [`cluster`] reads
//! the same from an API server, and writes to it for the commands that people use every day.

mod audit;
mod cancel;
mod cluster;
mod complete;
mod completion;
mod controller;
mod convert;
mod crds;
mod create;
mod delete;
mod describe;
mod diff;
mod duration;
mod edit;
mod error;
mod explain;
mod files;
mod follow;
mod history;
mod input;
mod invocation;
mod list;
mod logs;
mod man;
mod name;
mod names;
mod outcome;
mod output;
mod owner;
mod render;
mod rerun;
mod run;
mod schema;
mod self_test;
mod suspend;
mod table;
mod templates;
mod token;
mod validate;
mod verbs;
mod wait;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use outcome::Verdict;

/// Jobs that survive GitOps: a Kubernetes operator.
#[derive(Debug, Parser)]
#[command(name = "jobrequest", version, about, max_term_width = 100)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator against the cluster of the kubeconfig, or the one it runs in
    Controller(controller::Arguments),
    /// Create a JobRequest from flags, or step by step on a terminal
    Create(Box<create::Arguments>),
    /// Apply a JobRequest, or take one of the cluster; run it and follow the run to its end
    Run(run::Arguments),
    /// Wait until the run of the newest spec has ended; the exit code says how
    Wait(wait::Arguments),
    /// Print each state of the run of the newest spec until it has ended
    Watch(wait::Arguments),
    /// Print the logs of all pods of a run; -f follows them to its end
    Logs(logs::Arguments),
    /// Run the same spec again, and follow that run to its end
    Rerun(rerun::Arguments),
    /// End active runs on purpose: their pods are stopped, the records say who asked
    Cancel(cancel::Arguments),
    /// Suspend JobRequests: the active run stops its pods, no new one starts
    Suspend(suspend::Arguments),
    /// Resume suspended JobRequests
    Resume(suspend::Arguments),
    /// Delete JobRequests with their Jobs, pods and records
    Delete(delete::Arguments),
    /// List JobRequests
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// Show why a JobRequest is in its state, its runs, pods and events
    Describe(describe::Arguments),
    /// List the runs of a JobRequest with their results and causes
    History(history::Arguments),
    /// Print the script by which a shell completes commands, and names of the cluster
    Completion(completion::Arguments),
    /// Print the manual page, or write one for each command
    Man(man::Arguments),
    /// Print the CustomResourceDefinitions as YAML
    Crds,
    /// Print JSON Schemas of the kinds, for editors and kubeconform
    Schema(schema::Arguments),
    /// Print the Jobs that the controller would create, without a cluster
    Render(render::Arguments),
    /// Run one JobRequest on the cluster, show its states and delete it: a test of the whole installation
    SelfTest(self_test::Arguments),
    /// Report what the API server and the operator would refuse, without a cluster
    Validate(validate::Arguments),
    /// Show where each value of a JobRequest comes from, in files or in the cluster
    Explain(explain::Arguments),
    /// Print JobRequests made of Jobs and CronJobs, and say what is not carried over
    Convert(convert::Arguments),
    /// Report which JobRequests templates would break, before they are applied
    Audit(audit::Arguments),
    /// Show what an edit of a JobRequest would do: nothing, a change of the live Job, a run
    Diff(diff::Arguments),
}

/// Parses the arguments of this process and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = complete::answer_a_shell(Arguments::command) {
        return code;
    }
    if invocation::is_completion_of_kubectl() {
        complete::answer_kubectl(Arguments::command());
        return ExitCode::SUCCESS;
    }
    // Usage lines say what was typed.
    let matches = Arguments::command().bin_name(invocation::program()).try_get_matches();
    match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => run(&arguments),
        // The message quotes what was typed.
        Err(error) if error.use_stderr() => {
            let message = verbs::unknown(&error).unwrap_or_else(|| error.render().to_string());
            output::say(&message);
            ExitCode::from(2)
        }
        // Help and version.
        Err(error) => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
    }
}

/// Runs the command.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = match &arguments.command {
        Command::Controller(arguments) => controller::run(arguments).map(|()| Verdict::Valid),
        Command::Create(arguments) => create::run(arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Wait(arguments) => wait::wait(arguments),
        Command::Watch(arguments) => wait::watch(arguments),
        Command::Logs(arguments) => logs::run(arguments),
        Command::Rerun(arguments) => rerun::run(arguments),
        Command::Cancel(arguments) => cancel::run(arguments),
        Command::Suspend(arguments) => suspend::run(arguments, true),
        Command::Resume(arguments) => suspend::run(arguments, false),
        Command::Delete(arguments) => delete::run(arguments),
        Command::List(arguments) => list::run(arguments),
        Command::Describe(arguments) => describe::run(arguments),
        Command::History(arguments) => history::run(arguments),
        Command::Completion(arguments) => completion::run(arguments).map(|()| Verdict::Valid),
        Command::Man(arguments) => man::run(arguments, Arguments::command()).map(|()| Verdict::Valid),
        Command::Crds => crds::run().map(|()| Verdict::Valid),
        Command::Schema(arguments) => schema::run(arguments).map(|()| Verdict::Valid),
        Command::Render(arguments) => render::run(arguments),
        Command::SelfTest(arguments) => self_test::run(arguments),
        Command::Validate(arguments) => validate::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
        Command::Convert(arguments) => convert::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Diff(arguments) => diff::run(arguments),
    };
    match outcome {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        Err(error) => {
            output::say(&format!("error: {}\n", error::chain(&error)));
            ExitCode::from(error.exit_code())
        }
    }
}
