//! Which tool applies an object from Git, by the marks that the tool leaves on it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Marks: a label or annotation, and the tool.
const MARKS: [(&str, &str); 5] = [
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
    ("meta.helm.sh/release-name", "Helm"),
];

/// The tool that applies the object, if one left its mark.
pub(super) fn tool_of(metadata: &ObjectMeta) -> Option<&'static str> {
    let marks = || metadata.labels.iter().flatten().chain(metadata.annotations.iter().flatten());
    MARKS.iter().find(|(mark, _)| marks().any(|(key, _)| key == mark)).map(|(_, tool)| *tool)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_is_known_by_its_mark() {
        for (metadata, tool) in [
            (json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}), Some("Flux")),
            (json!({"annotations": {"argocd.argoproj.io/tracking-id": "a:b"}}), Some("Argo CD")),
            (json!({"annotations": {"meta.helm.sh/release-name": "r"}, "labels": {"a": "b"}}), Some("Helm")),
            (json!({"labels": {"app.kubernetes.io/managed-by": "me"}}), None),
            (json!({}), None),
        ] {
            assert_eq!(tool_of(&serde_json::from_value(metadata).unwrap()), tool);
        }
    }
}
