//! The taints of nodes that the pods tolerate.

use k8s_openapi::api::core::v1::Toleration;

use super::subject::{Found, Subject, listed};
use crate::api::policy::{AllowedToleration, Policy};

/// Finds tolerations that match none of the allowed ones.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(allowed) = &policy.tolerations else { return };
    let tolerations = subject.pod().into_iter().flat_map(|pod| pod.tolerations.iter().flatten());
    for (index, toleration) in tolerations.enumerate() {
        if !allowed.iter().any(|allowed| allows(allowed, toleration)) {
            let known: Vec<String> = allowed.iter().map(shown).collect();
            found.add(
                format!("spec.tolerations[{index}]"),
                &format!("tolerates {}", taint(toleration)),
                &format!("allows the tolerations: {}", listed(&known)),
                "use one of them, or leave it out",
            );
        }
    }
}

/// A toleration that matches more taints than the allowed one does not match it.
fn allows(allowed: &AllowedToleration, toleration: &Toleration) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let is_any_value = toleration.operator.as_deref() == Some("Exists");
    let value = toleration.value.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
    (allowed.key.is_empty() || allowed.key == key)
        && allowed.value.as_deref().is_none_or(|wanted| !is_any_value && wanted == value)
        && allowed.effect.as_deref().is_none_or(|wanted| effect == Some(wanted))
}

/// As a taint is written: `key=value:effect`.
fn taint(toleration: &Toleration) -> String {
    let key = toleration.key.as_deref().filter(|key| !key.is_empty());
    let Some(key) = key else { return "every taint".to_owned() };
    let value = toleration.value.as_deref().filter(|value| !value.is_empty());
    let mut taint = value.map_or_else(|| key.to_owned(), |value| format!("{key}={value}"));
    if let Some(effect) = toleration.effect.as_deref().filter(|effect| !effect.is_empty()) {
        taint.push(':');
        taint.push_str(effect);
    }
    taint
}

fn shown(allowed: &AllowedToleration) -> String {
    if allowed.key.is_empty() && allowed.value.is_none() && allowed.effect.is_none() {
        return "any".to_owned();
    }
    let value = allowed.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
    let effect = allowed.effect.as_ref().map(|effect| format!(":{effect}")).unwrap_or_default();
    let key = if allowed.key.is_empty() { "*" } else { &allowed.key };
    format!("{key}{value}{effect}")
}
