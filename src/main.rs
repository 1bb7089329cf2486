//! The `jobrequest` command: parse, run, map the outcome to an exit code: all in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    jobrequest::cli::main()
}
