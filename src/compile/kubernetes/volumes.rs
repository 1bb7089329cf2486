//! Volumes: unique names, storage to claim, and files of several sources.

use k8s_openapi::api::core::v1::{PodSpec, ProjectedVolumeSource, Volume};

use super::containers::{divisor, wrong_key};
use super::{Found, NO_LABEL, twice};
use crate::compile::quantity::Amount;
use crate::compile::well_formed::is_dns_label;

pub(super) fn judge(pod: &PodSpec, found: &mut Found<'_>) {
    for name in twice(pod.volumes.iter().flatten().map(|volume| volume.name.as_str())) {
        let field = found.volume(name);
        found.add(field, format!("two volumes are called {name}; rename one of them"));
    }
    for volume in pod.volumes.iter().flatten() {
        let path = found.volume(&volume.name);
        if !is_dns_label(&volume.name) {
            found.add(format!("{path}.name"), NO_LABEL);
        }
        ephemeral(volume, &path, found);
        if let Some(projected) = &volume.projected {
            files(projected, &format!("{path}.projected"), found);
        }
    }
}

fn ephemeral(volume: &Volume, path: &str, found: &mut Found<'_>) {
    let claim = volume.ephemeral.as_ref().and_then(|ephemeral| ephemeral.volume_claim_template.as_ref());
    let Some(claim) = claim.map(|template| &template.spec) else { return };
    let modes = || claim.access_modes.iter().flatten();
    let is_alone = |mode: &String| mode == "ReadWriteOncePod";
    if modes().any(is_alone) && !modes().all(is_alone) {
        let message = "ReadWriteOncePod stands alone; remove it, or the other modes";
        found.add(format!("{path}.ephemeral.accessModes"), message);
    }
    let size = claim.resources.as_ref().and_then(|set| set.requests.as_ref()?.get("storage"));
    let size = size.and_then(|size| Amount::parse(&size.0));
    if size.is_none_or(|size| size <= Amount::default()) {
        found.add(format!("{path}.ephemeral.size"), "must be above 0, for example 10Gi");
    }
}

/// The files of several sources: no path occurs twice. Kubernetes does not compare the paths of tokens.
fn files(projected: &ProjectedVolumeSource, path: &str, found: &mut Found<'_>) {
    let mut known: Vec<(usize, &str)> = Vec::new();
    for (index, source) in projected.sources.iter().flatten().enumerate() {
        let keys = source.config_map.as_ref().and_then(|source| source.items.as_ref());
        let keys = keys.or_else(|| source.secret.as_ref().and_then(|source| source.items.as_ref()));
        let fields = source.downward_api.as_ref().and_then(|source| source.items.as_ref());
        let token = source.service_account_token.as_ref().map(|token| token.path.as_str());
        let paths = (keys.into_iter().flatten().map(|item| item.path.as_str()))
            .chain(fields.into_iter().flatten().map(|file| file.path.as_str()));
        for file in paths.clone() {
            if let Some((other, _)) = known.iter().find(|(_, known)| *known == file) {
                let message = format!("{file} is also a file of sources[{other}]; change one of the paths");
                found.add(format!("{path}.sources[{index}]"), message);
            }
            known.push((index, file));
        }
        for file in paths.chain(token).filter(|file| !is_local(file)) {
            let message = format!(
                "{file:?} is no path within the volume: it must not be empty, begin with '/' or '..', or have '..' as a part"
            );
            found.add(format!("{path}.sources[{index}]"), message);
        }
        if keys.into_iter().flatten().any(|item| item.key.is_empty()) {
            found.add(format!("{path}.sources[{index}].configRef.items"), "an item needs a key");
        }
        for (item, file) in fields.into_iter().flatten().enumerate() {
            let field = format!("{path}.sources[{index}].downwardAPI.items[{item}]");
            if let Some(resource) = &file.resource_field_ref {
                if resource.container_name.as_deref().unwrap_or_default().is_empty() {
                    found.add(
                        format!("{field}.resourceRef.container"),
                        "a file needs the name of the container",
                    );
                }
                divisor(resource, &format!("{field}.resourceRef"), found);
            }
            if let Some(of_pod) = file.field_ref.as_ref().filter(|of_pod| !is_file_field(&of_pod.field_path))
            {
                let message = format!(
                    "{:?} is no field for a file: write metadata.name, metadata.namespace, metadata.uid, metadata.labels, metadata.annotations, metadata.labels['KEY'] or metadata.annotations['KEY']",
                    of_pod.field_path
                );
                found.add(format!("{field}.fieldRef"), message);
            }
        }
    }
}

/// A field of the pod that can become a file.
fn is_file_field(path: &str) -> bool {
    let whole =
        ["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations"];
    let of_key = path.starts_with("metadata.labels[") || path.starts_with("metadata.annotations[");
    whole.contains(&path) || (of_key && wrong_key(path).is_none())
}

/// Path of a file within a volume.
fn is_local(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.starts_with("..")
        && path.split('/').all(|part| part != "..")
}
