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

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::problem::Problem;
use crate::api::JobRequestSpec;

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
        let has = |list: &Option<Vec<crate::api::container::Container>>| {
            list.iter().flatten().any(|container| container.name == name)
        };
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
        if is_of_form {
            format!("spec.volumes[{name}]")
        } else {
            format!("spec.overrides.template.spec.volumes[{name}]")
        }
    }
}

/// The path of a field of the pod that the form has, if it is set there, or else of the overrides.
fn pod_field(is_of_form: bool, field: &str) -> String {
    if is_of_form { format!("spec.{field}") } else { format!("spec.overrides.template.spec.{field}") }
}

/// Init containers and containers, each with the list that it is in.
fn each_container(pod: &PodSpec) -> impl Iterator<Item = (&'static str, &Container)> {
    let init = pod.init_containers.iter().flatten().map(|container| ("initContainers", container));
    init.chain(pod.containers.iter().map(|container| ("containers", container)))
}

/// A DNS-1123 label.
fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_between_alphanumerics(text, |c| c == '-') && is_lower(text)
}

/// A DNS-1123 subdomain.
fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && is_lower(text)
        && text.split('.').all(|part| is_between_alphanumerics(part, |c| c == '-'))
}

/// A value of a label.
fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_between_alphanumerics(text, |c| "-_.".contains(c)))
}

/// A qualified name: `[prefix/]name`.
fn is_qualified_name(text: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && is_label_value(name);
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name(name),
        None => is_name(text),
    }
}

fn is_lower(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_uppercase())
}

fn is_between_alphanumerics(text: &str, others: impl Fn(char) -> bool) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    ends.into_iter().all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others(c))
}
