//! The priority class of the pods.

use super::subject::{Found, Subject};
use crate::api::policy::Policy;

/// Finds a priority class that is not allowed; none is always allowed.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(allowed) = &policy.priority_classes else { return };
    let name = subject.pod().and_then(|pod| pod.priority_class_name.as_deref()).unwrap_or_default();
    if !name.is_empty() {
        let allowed = (allowed.as_slice(), "priority classes");
        found.unless_allowed(
            name,
            allowed,
            "spec.priorityClassName",
            "is",
            "use one of them, or leave it out",
        );
    }
}
