//! A JobRequest that is a hook of a Helm chart is a false success: Helm waits for hooks that are Jobs or Pods only.

use crate::printable::shortened;

/// What is wrong with a JobRequest that is the `hook`, as the annotation says, and what to do.
#[must_use]
pub fn warning(hook: &str) -> String {
    format!(
        "Helm does not wait for a JobRequest that is a hook ({}): the release counts as deployed whatever becomes of the run; take the annotation off and install with helm --wait (Helm 4), or let the hook be a Job that runs jobrequest wait",
        shortened(hook)
    )
}
