//! From a volume of the form to one of a pod.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, ConfigMapVolumeSource, DownwardAPIProjection, DownwardAPIVolumeFile,
    EmptyDirVolumeSource, EphemeralVolumeSource, KeyToPath, PersistentVolumeClaimSpec,
    PersistentVolumeClaimTemplate, PersistentVolumeClaimVolumeSource, ProjectedVolumeSource,
    SecretProjection, SecretVolumeSource, ServiceAccountTokenProjection, Volume, VolumeProjection,
    VolumeResourceRequirements,
};

use super::container::field_selector;
use crate::api::env::ConfigKind;
use crate::api::volume::{self as api, AccessMode};

/// One volume of the pod.
pub(super) fn build(volume: &api::Volume) -> Volume {
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
        let items = config.items.as_deref().map(key_paths);
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
    built.ephemeral = volume.ephemeral.as_ref().map(ephemeral);
    built.projected = volume.projected.as_ref().map(|projected| ProjectedVolumeSource {
        default_mode: projected.default_mode,
        sources: Some(projected.sources.iter().map(projection).collect()),
        ..Default::default()
    });
    built.host_path.clone_from(&volume.host_path);
    built.nfs.clone_from(&volume.nfs);
    built.csi.clone_from(&volume.csi);
    built
}

fn key_paths(items: &[api::KeyToPath]) -> Vec<KeyToPath> {
    let each = items.iter();
    each.map(|item| KeyToPath { key: item.key.clone(), path: item.path.clone(), ..Default::default() })
        .collect()
}

fn ephemeral(claim: &api::EphemeralSource) -> EphemeralVolumeSource {
    let modes = claim.access_modes.as_deref().unwrap_or(&[AccessMode::ReadWriteOnce]);
    let requests = [("storage".to_owned(), claim.size.clone())];
    let spec = PersistentVolumeClaimSpec {
        access_modes: Some(modes.iter().map(|mode| mode.as_str().to_owned()).collect()),
        resources: Some(VolumeResourceRequirements { requests: Some(requests.into()), limits: None }),
        storage_class_name: claim.storage_class_name.clone(),
        ..Default::default()
    };
    EphemeralVolumeSource {
        volume_claim_template: Some(PersistentVolumeClaimTemplate { metadata: None, spec }),
    }
}

fn projection(source: &api::Projection) -> VolumeProjection {
    let mut built = VolumeProjection::default();
    if let Some(config) = &source.config_ref {
        let (name, optional) = (config.name.clone(), config.optional);
        let items = config.items.as_deref().map(key_paths);
        match config.kind {
            ConfigKind::ConfigMap => built.config_map = Some(ConfigMapProjection { name, items, optional }),
            ConfigKind::Secret => built.secret = Some(SecretProjection { name, items, optional }),
        }
    }
    built.service_account_token =
        source.service_account_token.as_ref().map(|token| ServiceAccountTokenProjection {
            audience: token.audience.clone(),
            expiration_seconds: token.expiration_seconds,
            path: token.path.clone(),
            ..Default::default()
        });
    built.downward_api = source.downward_api.as_ref().map(|fields| {
        let files = fields.items.iter().map(|file| DownwardAPIVolumeFile {
            path: file.path.clone(),
            field_ref: Some(field_selector(&file.field_ref)),
            ..Default::default()
        });
        DownwardAPIProjection { items: Some(files.collect()) }
    });
    built
}
