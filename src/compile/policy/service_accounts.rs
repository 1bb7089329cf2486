//! Which service account the pods run as.

use super::subject::{Found, Subject, listed};
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
    if !allowed.iter().any(|account| account == name) {
        found.add(
            "spec.serviceAccountName",
            &format!("the pods run as {name}"),
            &format!("allows the service accounts: {}", listed(allowed)),
            "use one of them",
        );
    }
}
