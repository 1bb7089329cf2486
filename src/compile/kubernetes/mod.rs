//! What Kubernetes itself refuses in a Job, as far as it can be known without a cluster, in the words of the form.
//!
//! Takes the compiled Job; returns what its validation would refuse. The API server remains the judge: what is missing
//! here is shown in its own words. Only rules that all supported releases share are here, so that nothing is refused
//! that a cluster would take; a cluster test compares both on generated requests. A policy that clamps makes nothing valid
//! that is not: a Job is judged as it was written, and then as it was clamped.

mod amounts;
mod containers;
mod pod;
mod settings;
mod volumes;

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;

use super::problem::Problem;
use crate::api::JobRequestSpec;
use crate::api::container::Container;

/// Of a name that is no DNS label.
const NO_LABEL: &str =
    "must be at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit";

/// Judges `job`, which was compiled from the merged `spec`.
pub(super) fn judge(job: &Job, spec: &JobRequestSpec) -> Vec<Problem> {
    let mut found = Found { spec, problems: Vec::new() };
    let Some(job_spec) = &job.spec else { return found.problems };
    settings::host_names(job, &mut found);
    settings::judge(job_spec, &mut found);
    if let Some(pod) = &job_spec.template.spec {
        containers::judge(pod, &mut found);
        amounts::judge(pod, &mut found);
        volumes::judge(pod, &mut found);
    }
    pod::judge(job, &mut found);
    found.problems
}

/// What was found, and the form in which its fields are named.
struct Found<'a> {
    spec: &'a JobRequestSpec,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(field, message));
    }

    /// The path of a container, where its user wrote it.
    fn container(&self, list: &str, name: &str) -> String {
        let has =
            |list: &Option<Vec<Container>>| list.iter().flatten().any(|container| container.name == name);
        if has(&self.spec.containers) {
            format!("spec.containers[{name}]")
        } else if has(&self.spec.init_containers) {
            format!("spec.initContainers[{name}]")
        } else {
            format!("spec.overrides.template.spec.{list}[{name}]")
        }
    }

    /// The path of a volume, where its user wrote it.
    fn volume(&self, name: &str) -> String {
        let is_of_form = self.spec.volumes.iter().flatten().any(|volume| volume.name == name);
        pod_field(is_of_form, &format!("volumes[{name}]"))
    }
}

/// The path of a field of the pod that the form has, if it is set there, or else of the overrides.
fn pod_field(is_of_form: bool, field: &str) -> String {
    if is_of_form { format!("spec.{field}") } else { format!("spec.overrides.template.spec.{field}") }
}

/// The names that occur more than once.
fn twice<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    names.filter(|name| !known.insert(*name)).collect()
}
