//! Under which name the program was called: `jobrequest`, or `kubectl jobrequest` when kubectl runs it as its plugin.

use std::path::Path;

/// What a user types to run the program.
pub(super) fn program() -> &'static str {
    let name = std::env::args_os().next().unwrap_or_default();
    called(&Path::new(&name).file_stem().unwrap_or_default().to_string_lossy())
}

fn called(name: &str) -> &'static str {
    if name == "kubectl-jobrequest" { "kubectl jobrequest" } else { "jobrequest" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_calls_it_by_the_name_of_its_plugin() {
        assert_eq!(called("kubectl-jobrequest"), "kubectl jobrequest");
        assert_eq!(called("jobrequest"), "jobrequest");
    }
}
