//! `jobrequest completion`: the script by which a shell asks this program what may follow.

use clap::{Args, ValueEnum};
use clap_complete::env::Shells;

use super::complete::VARIABLE;
use super::error::CliError;
use super::output::print_as_it_is;

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(after_help = "Load it once for the shell that runs, or from its start-up file:\n  \
    bash        source <(jobrequest completion bash)\n  \
    zsh         source <(jobrequest completion zsh)\n  \
    fish        jobrequest completion fish | source\n  \
    powershell  jobrequest completion powershell | Out-String | Invoke-Expression\n  \
    elvish      eval (jobrequest completion elvish | slurp)\n\n\
    For kubectl jobrequest, give the program two more names on the PATH:\n  \
    ln -s \"$(command -v jobrequest)\" ~/bin/kubectl-jobrequest\n  \
    ln -s \"$(command -v jobrequest)\" ~/bin/kubectl_complete-jobrequest")]
pub(super) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

/// Prints the script.
pub(super) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let name = "jobrequest";
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(arguments.shell.as_str()) {
        let written = shell.write_registration(VARIABLE, name, name, name, &mut script);
        written.map_err(|error| CliError::Io("write the script", error))?;
    }
    print_as_it_is(&String::from_utf8_lossy(&script))
}
