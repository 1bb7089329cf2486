//! The labels by which nodes are selected.

use std::collections::BTreeSet;

use super::subject::{Found, Subject, listed};
use crate::api::policy::Policy;

/// The key of a node that is selected by its name.
const NODE_NAME_KEY: &str = "metadata.name";

/// Finds keys that are not allowed: in the node selector, in every term of the node affinity, required or preferred,
/// and a node selected directly.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let (Some(allowed), Some(pod)) = (&policy.node_selector_keys, subject.pod()) else { return };
    let mut used: BTreeSet<(String, &str)> = BTreeSet::new();
    for key in pod.node_selector.iter().flatten().map(|(key, _)| key) {
        used.insert((format!("spec.nodeSelector[{key}]"), key));
    }
    let affinity = pod.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref())
        .into_iter()
        .flat_map(|selector| &selector.node_selector_terms);
    let preferred = affinity
        .and_then(|affinity| affinity.preferred_during_scheduling_ignored_during_execution.as_ref())
        .into_iter()
        .flatten()
        .map(|term| &term.preference);
    for term in required.chain(preferred) {
        for field in term.match_fields.iter().flatten() {
            used.insert(("spec.nodeName".to_owned(), &field.key));
        }
        for label in term.match_expressions.iter().flatten() {
            used.insert(("spec.overrides.template.spec.affinity.nodeAffinity".to_owned(), &label.key));
        }
    }
    if pod.node_name.as_ref().is_some_and(|name| !name.is_empty()) {
        used.insert(("spec.overrides.template.spec.nodeName".to_owned(), NODE_NAME_KEY));
    }

    for (field, key) in used {
        if !allowed.iter().any(|allowed| allowed == key) {
            found.add(
                field,
                &format!("selects nodes by {key}"),
                &format!("allows selecting them by: {}", listed(allowed)),
                "use one of these, or none",
            );
        }
    }
}
