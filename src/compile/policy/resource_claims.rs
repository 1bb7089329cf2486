//! The resource claims of the pods: devices that are allocated by claims.

use super::subject::{Found, Subject};
use crate::api::policy::Policy;

/// Finds claims, and templates of claims, that are not allowed.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(allowed) = &policy.resource_claims else { return };
    for claim in subject.pod().into_iter().flat_map(|pod| pod.resource_claims.iter().flatten()) {
        let name = claim.resource_claim_name.as_deref().or(claim.resource_claim_template_name.as_deref());
        let allowed = (allowed.as_slice(), "resource claims");
        let field = format!("spec.overrides.template.spec.resourceClaims[{}]", claim.name);
        let fix = "use one of them, or remove the claim";
        found.unless_allowed(name.unwrap_or_default(), allowed, field, "claims", fix);
    }
}
