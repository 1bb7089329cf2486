//! From a valid spec to the pod template: containers, variables, volumes, node selection.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapEnvSource, ConfigMapKeySelector, ConfigMapVolumeSource, Container,
    ContainerPort, EmptyDirVolumeSource, EnvFromSource, EnvVar, EnvVarSource, KeyToPath,
    LocalObjectReference, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, ResourceRequirements, SeccompProfile,
    SecretEnvSource, SecretKeySelector, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::layers::Merged;
use super::quantity::Amount;
use crate::api::container::{self as api, ConfigKind};
use crate::api::pod_security::PodSecurity;
use crate::api::volume as api_volume;

/// The pod spec of the merged request, before overrides.
pub(super) fn pod_spec(merged: &Merged) -> PodSpec {
    let spec = &merged.spec;
    let restricted = spec.pod_security == Some(PodSecurity::Restricted);
    let build = |container: &api::Container| {
        build_container(container, merged.termination_message_policy, restricted)
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
        security_context: restricted.then(|| PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..Default::default()
        }),
        volumes: spec.volumes.as_ref().map(|volumes| volumes.iter().map(build_volume).collect()),
        node_selector: spec.node_selector.clone(),
        ..Default::default()
    }
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

fn build_container(container: &api::Container, message_policy: &str, restricted: bool) -> Container {
    Container {
        name: container.name.clone(),
        image: container.image.clone(),
        image_pull_policy: container.image_pull_policy.map(|policy| policy.as_str().to_owned()),
        command: container.command.clone(),
        args: container.args.clone(),
        working_dir: container.working_dir.clone(),
        ports: container.ports.as_ref().map(|ports| ports.iter().map(build_port).collect()),
        env: container.env.as_ref().map(|env| env.iter().map(build_env).collect()),
        env_from: container.env_from.as_ref().map(|sources| sources.iter().map(build_env_from).collect()),
        resources: container.resources.as_ref().and_then(build_resources),
        volume_mounts: container.mounts.as_ref().map(|mounts| mounts.iter().map(build_mount).collect()),
        termination_message_policy: Some(message_policy.to_owned()),
        security_context: restricted.then(|| SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn build_port(port: &api::ContainerPort) -> ContainerPort {
    ContainerPort {
        name: port.name.clone(),
        container_port: port.port,
        protocol: Some(port.protocol.as_str().to_owned()),
        ..Default::default()
    }
}

fn build_env(variable: &api::EnvVar) -> EnvVar {
    EnvVar {
        name: variable.name.clone(),
        value: variable.value.clone(),
        value_from: variable.config_ref.as_ref().map(|key_ref| {
            let (name, key, optional) = (key_ref.name.clone(), key_ref.key.clone(), key_ref.optional);
            match key_ref.kind {
                ConfigKind::ConfigMap => EnvVarSource {
                    config_map_key_ref: Some(ConfigMapKeySelector { name, key, optional }),
                    ..Default::default()
                },
                ConfigKind::Secret => EnvVarSource {
                    secret_key_ref: Some(SecretKeySelector { name, key, optional }),
                    ..Default::default()
                },
            }
        }),
    }
}

fn build_env_from(source: &api::EnvFrom) -> EnvFromSource {
    let (name, optional) = (source.config_ref.name.clone(), source.config_ref.optional);
    let prefix = source.prefix.clone();
    match source.config_ref.kind {
        ConfigKind::ConfigMap => EnvFromSource {
            config_map_ref: Some(ConfigMapEnvSource { name, optional }),
            prefix,
            ..Default::default()
        },
        ConfigKind::Secret => EnvFromSource {
            secret_ref: Some(SecretEnvSource { name, optional }),
            prefix,
            ..Default::default()
        },
    }
}

fn build_resources(resources: &api::Resources) -> Option<ResourceRequirements> {
    let requests = resources.requests.as_ref().and_then(restricting);
    let limits = resources.limits.as_ref().and_then(restricting);
    (requests.is_some() || limits.is_some()).then_some(ResourceRequirements {
        requests,
        limits,
        claims: None,
    })
}

/// The amounts that restrict something: 0 means no restriction and is left out.
fn restricting(amounts: &BTreeMap<String, Quantity>) -> Option<BTreeMap<String, Quantity>> {
    let kept: BTreeMap<_, _> = amounts
        .iter()
        .filter(|(_, amount)| !is_zero(amount))
        .map(|(name, amount)| (name.clone(), amount.clone()))
        .collect();
    (!kept.is_empty()).then_some(kept)
}

/// True for 0 in every spelling: `0`, `0m`, `0.0Gi`, `0e3`. The schema has refused everything that is not a quantity.
fn is_zero(quantity: &Quantity) -> bool {
    Amount::parse(&quantity.0).is_some_and(Amount::is_zero)
}

fn build_mount(mount: &api::Mount) -> VolumeMount {
    VolumeMount {
        name: mount.volume.clone().unwrap_or_default(),
        mount_path: mount.path.clone(),
        sub_path: mount.sub_path.clone(),
        read_only: mount.read_only,
        ..Default::default()
    }
}

fn build_volume(volume: &api_volume::Volume) -> Volume {
    let mut built = Volume { name: volume.name.clone(), ..Default::default() };
    if let Some(claim) = &volume.persistent_volume_claim {
        built.persistent_volume_claim = Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim.claim_name.clone(),
            read_only: claim.read_only,
        });
    }
    if let Some(empty_dir) = &volume.empty_dir {
        built.empty_dir = Some(EmptyDirVolumeSource {
            medium: empty_dir.medium.clone(),
            size_limit: empty_dir.size_limit.clone(),
            ..Default::default()
        });
    }
    if let Some(config) = &volume.config_ref {
        let items = config.items.as_ref().map(|items| {
            items
                .iter()
                .map(|item| KeyToPath {
                    key: item.key.clone(),
                    path: item.path.clone(),
                    ..Default::default()
                })
                .collect()
        });
        match config.kind {
            ConfigKind::ConfigMap => {
                built.config_map = Some(ConfigMapVolumeSource {
                    name: config.name.clone(),
                    items,
                    optional: config.optional,
                    default_mode: config.default_mode,
                    ..Default::default()
                });
            }
            ConfigKind::Secret => {
                built.secret = Some(SecretVolumeSource {
                    secret_name: Some(config.name.clone()),
                    items,
                    optional: config.optional,
                    default_mode: config.default_mode,
                    ..Default::default()
                });
            }
        }
    }
    built
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_in_every_spelling() {
        for zero in ["0", "0m", "00", "0.0", "0Gi", "0e3", "+0", ".0"] {
            assert!(is_zero(&Quantity(zero.to_owned())), "{zero}");
        }
        for more in ["1", "100m", "0.5", "1e3", "0.001", "10Gi", ""] {
            assert!(!is_zero(&Quantity(more.to_owned())), "{more}");
        }
    }
}
