//! The command line: parses arguments and runs the command.
//!
//! [`run`] takes parsed [`Arguments`] and returns the exit code: 0 ok, 1 invalid, 2 could not do it. Results go
//! to stdout, everything else to stderr. `render`, `validate` and `explain` need no cluster: [`files`] reads what
//! [`input`] names, and [`crate::manifest`] judges it. [`cluster`] reads the same from an API server.

mod cluster;
mod controller;
mod crds;
mod duration;
mod error;
mod explain;
mod files;
mod input;
mod outcome;
mod output;
mod render;
mod self_test;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Print the CustomResourceDefinitions as YAML
    Crds,
    /// Print the Jobs that the controller would create, without a cluster
    Render(render::Arguments),
    /// Run one JobRequest on the cluster, show its states and delete it: a test of the whole installation
    SelfTest(self_test::Arguments),
    /// Report what the API server and the operator would refuse, without a cluster
    Validate(validate::Arguments),
    /// Show where each value of a JobRequest comes from, in files or in the cluster
    Explain(explain::Arguments),
}

/// Parses the arguments of this process and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => run(&arguments),
        // The message quotes what was typed.
        Err(error) if error.use_stderr() => {
            output::say(&error.render().to_string());
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
        Command::Crds => crds::run().map(|()| Verdict::Valid),
        Command::Render(arguments) => render::run(arguments),
        Command::SelfTest(arguments) => self_test::run(arguments),
        Command::Validate(arguments) => validate::run(arguments),
        Command::Explain(arguments) => explain::run(arguments),
    };
    match outcome {
        Ok(Verdict::Valid) => ExitCode::SUCCESS,
        Ok(Verdict::Invalid) => ExitCode::from(1),
        Err(error) => {
            output::say(&format!("error: {}\n", error::chain(&error)));
            ExitCode::from(2)
        }
    }
}
