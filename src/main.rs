//! The `jobrequest` command: parse, run, map the outcome to an exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    jobrequest::cli::run(&jobrequest::cli::Arguments::parse())
}
