//! From a container of the form to one of a pod: variables, ports, resources, mounts, security settings.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapEnvSource, ConfigMapKeySelector, Container, ContainerPort, EnvFromSource, EnvVar, EnvVarSource,
    ObjectFieldSelector, ResourceFieldSelector, ResourceRequirements, SecretEnvSource, SecretKeySelector,
    SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::Amount;
use crate::api::container as api;
use crate::api::env::{self, ConfigKind};

/// One container of the pod.
pub(super) fn build(container: &api::Container, message_policy: &str, restricted: bool) -> Container {
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
        security_context: security_context(container.security_context.as_ref(), restricted),
        startup_probe: container.startup_probe.clone(),
        ..Default::default()
    }
}

fn build_port(port: &api::ContainerPort) -> ContainerPort {
    ContainerPort {
        name: port.name.clone(),
        container_port: port.port,
        protocol: Some(port.protocol.unwrap_or_default().as_str().to_owned()),
        ..Default::default()
    }
}

fn build_env(variable: &env::EnvVar) -> EnvVar {
    let of_key = variable.config_ref.as_ref().map(|key_ref| {
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
    });
    let of_field = || {
        let field_ref = variable.field_ref.as_deref().map(field_selector)?;
        Some(EnvVarSource { field_ref: Some(field_ref), ..Default::default() })
    };
    let of_resource = || {
        let resource_field_ref = variable.resource_ref.as_ref().map(resource_selector)?;
        Some(EnvVarSource { resource_field_ref: Some(resource_field_ref), ..Default::default() })
    };
    EnvVar {
        name: variable.name.clone(),
        value: variable.value.clone(),
        value_from: of_key.or_else(of_field).or_else(of_resource),
    }
}

/// A field of the pod.
pub(super) fn field_selector(path: &str) -> ObjectFieldSelector {
    ObjectFieldSelector { api_version: None, field_path: path.to_owned() }
}

/// A request or limit of a container.
fn resource_selector(wanted: &env::ResourceRef) -> ResourceFieldSelector {
    ResourceFieldSelector {
        container_name: wanted.container.clone(),
        divisor: wanted.divisor.clone(),
        resource: wanted.resource.clone(),
    }
}

/// What the user set, and below it what the restricted Pod Security Standard requires.
fn security_context(set: Option<&SecurityContext>, restricted: bool) -> Option<SecurityContext> {
    if !restricted {
        return set.cloned();
    }
    let mut context = set.cloned().unwrap_or_default();
    context.allow_privilege_escalation.get_or_insert(false);
    let capabilities = context.capabilities.get_or_insert_default();
    capabilities.drop.get_or_insert_with(|| vec!["ALL".to_owned()]);
    Some(context)
}

fn build_env_from(source: &env::EnvFrom) -> EnvFromSource {
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
