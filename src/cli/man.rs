//! `jobrequest man`: the manual pages, made of the same texts as `--help`.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;
use super::output::{print_as_it_is, say};

/// Arguments of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    jobrequest man | man -l -\n  \
    jobrequest man --out ~/.local/share/man/man1 && man jobrequest-run")]
pub(super) struct Arguments {
    /// Write a page for each command into this folder, instead of the main page to standard output
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

/// Writes the pages.
pub(super) fn run(arguments: &Arguments, command: clap::Command) -> Result<(), CliError> {
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(command).render(&mut page);
        written.map_err(|error| CliError::Io("write the page", error))?;
        return print_as_it_is(&String::from_utf8_lossy(&page));
    };
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| CliError::Io("write the pages", error))?;
    say(&format!("the pages are in {}\n", folder.display()));
    Ok(())
}
