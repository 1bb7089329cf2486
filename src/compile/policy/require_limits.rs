//! Limits of cpu and memory on every container.

use super::pod_amounts::amount_of;
use super::subject::{Found, Subject};
use crate::api::policy::Policy;

/// Finds containers without a limit. A limit of the pod does not count as one of its containers.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    if policy.resources.as_ref().and_then(|policy| policy.require_limits) != Some(true) {
        return;
    }
    for (path, container) in subject.containers() {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        for resource in ["cpu", "memory"] {
            if amount_of(limits, resource).is_none() {
                found.add(
                    format!("{path}.resources.limits.{resource}"),
                    "is not set",
                    "requires limits for cpu and memory on every container",
                    "set it, or a quota (size preset) that has it",
                );
            }
        }
    }
}
