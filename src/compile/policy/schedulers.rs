//! The scheduler of the pods.

use super::subject::{Found, Subject};
use crate::api::policy::Policy;

/// The scheduler of a pod that names none.
const DEFAULT: &str = "default-scheduler";

/// Finds a scheduler that is not allowed.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(allowed) = &policy.schedulers else { return };
    let name = subject.pod().and_then(|pod| pod.scheduler_name.as_deref()).filter(|name| !name.is_empty());
    let allowed = (allowed.as_slice(), "schedulers");
    let field = "spec.overrides.template.spec.schedulerName";
    found.unless_allowed(name.unwrap_or(DEFAULT), allowed, field, "is", "use one of them");
}
