//! Which service account the pods run as.

use super::subject::{Found, Subject};
use crate::api::policy::Policy;

/// Finds a service account that is not allowed. Without a name it is `default`; the deprecated field counts if the
/// new one is empty.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let (Some(allowed), Some(pod)) = (&policy.service_accounts, subject.pod()) else { return };
    let name = [&pod.service_account_name, &pod.service_account]
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .map_or("default", String::as_str);
    let allowed = (allowed.as_slice(), "service accounts");
    found.unless_allowed(name, allowed, "spec.serviceAccountName", "the pods run as", "use one of them");
}
