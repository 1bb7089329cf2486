//! The kinds of volumes that the pods have.

use k8s_openapi::api::core::v1::Volume;

use super::subject::{Found, Subject, listed};
use crate::api::policy::Policy;

/// Finds volumes of a kind that is not allowed.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(allowed) = &policy.volumes else { return };
    for volume in subject.pod().into_iter().flat_map(|pod| pod.volumes.iter().flatten()) {
        for kind in kinds(volume) {
            if !allowed.contains(&kind) {
                found.add(
                    format!("spec.volumes[{}]", volume.name),
                    &format!("is a volume of kind {kind}"),
                    &format!("allows: {}", listed(allowed)),
                    "use another kind, or remove the volume",
                );
            }
        }
    }
}

/// The sources of a volume, by their names in a Pod; one without a source becomes an emptyDir.
pub(super) fn kinds(volume: &Volume) -> Vec<String> {
    let written = serde_json::to_value(volume).unwrap_or_default();
    let fields = written.as_object().into_iter().flat_map(|fields| fields.keys());
    let kinds: Vec<String> = fields.filter(|field| *field != "name").cloned().collect();
    if kinds.is_empty() { vec!["emptyDir".to_owned()] } else { kinds }
}
