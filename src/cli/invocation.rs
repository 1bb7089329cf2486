//! Under which name the program was called: `jobrequest`, or `kubectl jobrequest` when kubectl runs it as its plugin.

use std::path::Path;

/// kubectl asks what may follow `kubectl jobrequest`.
pub(super) fn is_completion_of_kubectl() -> bool {
    stem() == "kubectl_complete-jobrequest"
}

/// The name of the program's file, as it was called.
fn stem() -> String {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a user types to run the program.
pub(super) fn program() -> &'static str {
    called(&stem())
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
