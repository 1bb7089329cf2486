//! The kinds of volumes that the pods have, and of what projected ones are made of.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Volume;

use super::subject::{Found, Subject, listed};
use crate::api::policy::Policy;

/// Finds volumes of a kind that is not allowed, and projected ones with a source of such a kind.
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
        for kind in sources(volume) {
            if !allowed.iter().any(|allowed| allowed == kind) {
                found.add(
                    format!("spec.volumes[{}]", volume.name),
                    &format!("projects a source of kind {kind}"),
                    &format!("allows: {}", listed(allowed)),
                    "use another source, or remove it",
                );
            }
        }
    }
}

/// The sources of a projected volume that are volumes by themselves elsewhere.
fn sources(volume: &Volume) -> BTreeSet<&'static str> {
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    let kinds = projected.flat_map(|source| {
        let kinds = [
            ("configMap", source.config_map.is_some()),
            ("downwardAPI", source.downward_api.is_some()),
            ("secret", source.secret.is_some()),
        ];
        kinds.into_iter().filter_map(|(kind, is_there)| is_there.then_some(kind))
    });
    kinds.collect()
}

/// The sources of a volume, by their names in a Pod; one without a source becomes an emptyDir.
pub(super) fn kinds(volume: &Volume) -> Vec<String> {
    let written = serde_json::to_value(volume).unwrap_or_default();
    let fields = written.as_object().into_iter().flat_map(|fields| fields.keys());
    let kinds: Vec<String> = fields.filter(|field| *field != "name").cloned().collect();
    if kinds.is_empty() { vec!["emptyDir".to_owned()] } else { kinds }
}
