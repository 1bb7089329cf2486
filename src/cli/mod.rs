//! The command line: what was typed, and what it means.
//!
//! [`run`] takes parsed [`Arguments`] and returns the exit code: 0 ok, 1 invalid, 2 could not do it. Results go to
//! stdout, everything else to stderr.

mod controller;
mod crds;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
}

/// Does what was typed.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let outcome = match &arguments.command {
        Command::Controller(arguments) => controller::run(arguments),
        Command::Crds => crds::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
