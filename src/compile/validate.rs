//! Validation of the merged spec: rules that no layer alone can decide.
//!
//! Takes the [`Merged`] spec; returns a [`ValidSpec`] one, which nothing else can create, or every problem. What Kubernetes
//! itself would refuse is judged on the compiled Job, see [`super::kubernetes`].

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::PodSpec;

use super::layers::Merged;
use super::overrides;
use super::problem::{Problem, Problems};
use crate::api::container::Container;
use crate::api::job_request::{MAX_NAME_LENGTH, RestartPolicy};
use crate::api::settings::CompletionMode;

/// A merged spec that can become a Job.
#[derive(Clone, Debug)]
pub struct ValidSpec {
    merged: Merged,
    overrides: Vec<JobSpec>,
}

impl ValidSpec {
    /// The merged spec.
    pub(super) const fn merged(&self) -> &Merged {
        &self.merged
    }

    /// The merged spec, to keep.
    pub(super) fn into_merged(self) -> Merged {
        self.merged
    }

    /// The parsed overrides, lowest layer first.
    pub(super) fn overrides(&self) -> &[JobSpec] {
        &self.overrides
    }
}

/// Checks the merged spec of the request named `name`; `problems` are those that merging found.
pub(super) fn validate(
    name: &str,
    merged: Merged,
    mut problems: Vec<Problem>,
) -> Result<ValidSpec, Problems> {
    if name.len() > MAX_NAME_LENGTH {
        problems.push(Problem::new(
            "metadata.name",
            format!("has {} characters; at most {MAX_NAME_LENGTH} leave room for the run number and the pods' suffixes", name.len()),
        ));
    }
    settings(&merged, &mut problems);
    let mut overrides = Vec::new();
    for layer in &merged.overrides {
        match overrides::parse(&layer.partial, &layer.field) {
            Ok(parsed) => overrides.push(parsed),
            Err(found) => problems.extend(found),
        }
    }
    let pods: Vec<&PodSpec> = overrides.iter().filter_map(|spec| spec.template.spec.as_ref()).collect();
    containers(&merged, &pods, &mut problems);
    Problems::none(problems)?;
    Ok(ValidSpec { merged, overrides })
}

fn settings(merged: &Merged, problems: &mut Vec<Problem>) {
    let settings = &merged.settings;
    let indexed = settings.completion_mode == Some(CompletionMode::Indexed);
    let of = |field: &str, message: &str| Problem::new(format!("spec.settings.{field}"), message);
    let needs = |field: &str, message: &str, missing| of(field, message).without(missing);
    let mode = "spec.settings.completionMode";
    if settings.completions.is_some() && settings.completion_mode == Some(CompletionMode::WorkQueue) {
        problems.push(of(
            "completions",
            "a WorkQueue has no completions; leave them out, or set settings.completionMode: NonIndexed",
        ));
    }
    if settings.success_policy.is_some() && !indexed {
        let message = "requires completionMode Indexed; set settings.completionMode: Indexed";
        problems.push(needs("successPolicy", message, mode));
    }
    if settings.backoff_limit_per_index.is_some() && !indexed {
        let message = "requires completionMode Indexed; set settings.completionMode: Indexed";
        problems.push(needs("backoffLimitPerIndex", message, mode));
    }
    if settings.max_failed_indexes.is_some() && settings.backoff_limit_per_index.is_none() {
        let message = "requires backoffLimitPerIndex; set it, or leave maxFailedIndexes out";
        problems.push(needs("maxFailedIndexes", message, "spec.settings.backoffLimitPerIndex"));
    }
    if settings.pod_failure_policy.is_some() && merged.restart_policy != RestartPolicy::Never {
        let message = "requires restartPolicy Never; set it, or leave podFailurePolicy out";
        problems.push(needs("podFailurePolicy", message, "spec.restartPolicy"));
    }
}

fn containers(merged: &Merged, overrides: &[&PodSpec], problems: &mut Vec<Problem>) {
    let main = merged.spec.containers.as_deref().unwrap_or_default();
    let init = merged.spec.init_containers.as_deref().unwrap_or_default();
    if main.is_empty() {
        problems.push(Problem::new("spec.containers", "at least one container is needed"));
    } else if main.iter().all(|container| container.sidecar == Some(true)) {
        problems.push(Problem::new(
            "spec.containers",
            "every container is a sidecar; at least one must not be one, or the run would never end",
        ));
    }

    let declared: BTreeSet<&str> = (merged.spec.volumes.iter().flatten().map(|volume| volume.name.as_str()))
        .chain(overrides.iter().flat_map(|pod| pod.volumes.iter().flatten()).map(|v| v.name.as_str()))
        .collect();
    let image_of = |name: &str| {
        overrides
            .iter()
            .flat_map(|pod| pod.containers.iter().chain(pod.init_containers.iter().flatten()))
            .any(|container| container.name == name && container.image.is_some())
    };
    for (list, container) in
        main.iter().map(|c| ("containers", c)).chain(init.iter().map(|c| ("initContainers", c)))
    {
        let field = format!("spec.{list}[{}]", container.name);
        if container.image.is_none() && !image_of(&container.name) {
            problems.push(Problem::new(format!("{field}.image"), "an image is needed"));
        }
        mounts(&field, container, &declared, problems);
    }
}

fn mounts(field: &str, container: &Container, declared: &BTreeSet<&str>, problems: &mut Vec<Problem>) {
    for mount in container.mounts.iter().flatten() {
        let field = format!("{field}.mounts[{}].volume", mount.path);
        match mount.volume.as_deref() {
            None => problems.push(Problem::new(field, "the name of a volume is needed")),
            Some(volume) if !declared.contains(volume) => {
                let known = declared.iter().copied().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are: {known}")
                };
                problems.push(Problem::new(
                    field,
                    format!("no volume is called {volume}; {known}; declare it under spec.volumes"),
                ));
            }
            Some(_) => {}
        }
    }
}
