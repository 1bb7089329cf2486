//! From a valid spec to the pod template.

use k8s_openapi::api::core::v1::{
    Affinity, Container, LocalObjectReference, NodeAffinity, NodeSelector, NodeSelectorRequirement,
    NodeSelectorTerm, PodSecurityContext, PodSpec, SeccompProfile,
};

use super::container;
use super::layers::Merged;
use super::volume;
use crate::api::container as api;
use crate::api::pod_security::PodSecurity;

/// The pod spec of the merged request, before overrides.
pub(super) fn pod_spec(merged: &Merged) -> PodSpec {
    let spec = &merged.spec;
    let restricted = spec.pod_security == Some(PodSecurity::Restricted);
    let build = |container: &api::Container| {
        container::build(container, merged.termination_message_policy, restricted)
    };

    let all = spec.containers.as_deref().unwrap_or_default();
    let is_sidecar = |container: &&api::Container| container.sidecar == Some(true);
    // Sidecars come first: the init containers may need them.
    let init: Vec<Container> = all
        .iter()
        .filter(is_sidecar)
        .chain(spec.init_containers.iter().flatten())
        .map(|container| Container {
            restart_policy: is_sidecar(&container).then(|| "Always".to_owned()),
            ..build(container)
        })
        .collect();

    PodSpec {
        containers: all.iter().filter(|container| !is_sidecar(container)).map(build).collect(),
        init_containers: non_empty(init),
        restart_policy: Some(merged.restart_policy.as_str().to_owned()),
        image_pull_secrets: spec
            .image_pull_secrets
            .as_ref()
            .map(|names| names.iter().map(|name| LocalObjectReference { name: name.clone() }).collect()),
        service_account_name: spec.service_account_name.clone(),
        security_context: security_context(spec.security_context.as_ref(), restricted),
        tolerations: spec.tolerations.clone(),
        priority_class_name: spec.priority_class_name.clone(),
        termination_grace_period_seconds: spec.termination_grace_period_seconds,
        subdomain: spec.subdomain.clone(),
        volumes: spec.volumes.as_ref().map(|volumes| volumes.iter().map(volume::build).collect()),
        node_selector: spec.node_selector.clone(),
        ..Default::default()
    }
}

/// What the user set, and below it what the restricted Pod Security Standard requires.
fn security_context(set: Option<&PodSecurityContext>, restricted: bool) -> Option<PodSecurityContext> {
    if !restricted {
        return set.cloned();
    }
    let mut context = set.cloned().unwrap_or_default();
    context.run_as_non_root.get_or_insert(true);
    context.seccomp_profile.get_or_insert_with(|| SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        localhost_profile: None,
    });
    Some(context)
}

/// Init containers and containers, each with the list that it is in. Sidecars are among the init containers.
pub(super) fn each_container(pod: &PodSpec) -> impl Iterator<Item = (&'static str, &Container)> {
    let init = pod.init_containers.iter().flatten().map(|container| ("initContainers", container));
    init.chain(pod.containers.iter().map(|container| ("containers", container)))
}

/// The same, to be changed.
pub(super) fn each_container_mut(pod: &mut PodSpec) -> impl Iterator<Item = (&'static str, &mut Container)> {
    let init = pod.init_containers.iter_mut().flatten().map(|container| ("initContainers", container));
    init.chain(pod.containers.iter_mut().map(|container| ("containers", container)))
}

/// Pins the pod to `node` through the scheduler. Node selector terms are alternatives, so every one of them gets the
/// requirement: it holds whatever overrides wrote.
pub(super) fn pin_node(pod: &mut PodSpec, node: &str) {
    let requirement = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let terms = &mut pod
        .affinity
        .get_or_insert_with(Affinity::default)
        .node_affinity
        .get_or_insert_with(NodeAffinity::default)
        .required_during_scheduling_ignored_during_execution
        .get_or_insert_with(NodeSelector::default)
        .node_selector_terms;
    if terms.is_empty() {
        terms.push(NodeSelectorTerm::default());
    }
    for term in terms {
        term.match_fields.get_or_insert_default().push(requirement.clone());
    }
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
