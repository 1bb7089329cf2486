//! What policies judge (the Job of a run, with the TTLs that the Job itself lacks) and what they find.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec};

use crate::api::status::EffectiveSettings;
use crate::compile::pod::{each_container, each_container_mut};
use crate::compile::problem::Problem;

/// The parts of a run's Job that policies judge.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The Job's spec.
    pub(super) spec: JobSpec,
    /// TTL of a run that succeeded.
    pub(super) ttl_after_finished: Option<i32>,
    /// TTL of a run that failed.
    pub(super) ttl_after_failed: Option<i32>,
}

impl Subject {
    pub(super) fn new(job: &Job, settings: &EffectiveSettings) -> Self {
        Self {
            spec: job.spec.clone().unwrap_or_default(),
            ttl_after_finished: settings.ttl_seconds_after_finished,
            ttl_after_failed: settings.ttl_seconds_after_failed,
        }
    }

    /// Writes everything back.
    pub(super) fn write(self, job: &mut Job, settings: &mut EffectiveSettings) {
        settings.backoff_limit = self.spec.backoff_limit;
        settings.completions = self.spec.completions;
        settings.parallelism = self.spec.parallelism;
        settings.active_deadline_seconds = self.spec.active_deadline_seconds;
        settings.ttl_seconds_after_finished = self.ttl_after_finished;
        settings.ttl_seconds_after_failed = self.ttl_after_failed;
        if job.spec.is_some() || self.spec != JobSpec::default() {
            job.spec = Some(self.spec);
        }
    }

    /// The pod, if there is one.
    pub(super) const fn pod(&self) -> Option<&PodSpec> {
        self.spec.template.spec.as_ref()
    }

    /// Maximum number of pods that run at once: 1 by default, as in the API server.
    pub(super) fn parallelism(&self) -> i32 {
        self.spec.parallelism.unwrap_or(1)
    }

    /// Every container with its path, init containers and sidecars first. (Ephemeral containers are no part of a
    /// template: the API server refuses them there.)
    pub(super) fn containers(&self) -> impl Iterator<Item = (String, &Container)> {
        let all = self.pod().into_iter().flat_map(each_container);
        all.map(|(list, container)| (path(list, container), container))
    }

    /// The same, to be changed.
    pub(super) fn containers_mut(&mut self) -> impl Iterator<Item = (String, &mut Container)> {
        let all = self.spec.template.spec.iter_mut().flat_map(each_container_mut);
        all.map(|(list, container)| (path(list, container), container))
    }
}

fn path(list: &str, container: &Container) -> String {
    format!("spec.{list}[{}]", container.name)
}

/// The problems that one policy has with a Job.
pub(super) struct Found<'a> {
    /// Where the policy is written.
    pub(super) origin: &'a str,
    /// What was found.
    pub(super) problems: Vec<Problem>,
}

impl<'a> Found<'a> {
    pub(super) const fn new(origin: &'a str) -> Self {
        Self { origin, problems: Vec::new() }
    }

    /// A problem of `field` if `name` is none of the `allowed` names of `what`: `is` leads up to the name.
    pub(super) fn unless_allowed(
        &mut self,
        name: &str,
        (allowed, what): (&[String], &str),
        field: impl Into<String>,
        is: &str,
        fix: &str,
    ) {
        if !allowed.iter().any(|known| known == name) {
            self.add(field, &format!("{is} {name}"), &format!("allows the {what}: {}", listed(allowed)), fix);
        }
    }

    /// A problem of `field`: what it is, which bound of the policy it breaks, and how to fix it.
    pub(super) fn add(&mut self, field: impl Into<String>, is: &str, bound: &str, fix: &str) {
        let message = format!("{is}, but {} {bound}; {fix}", self.origin);
        self.problems.push(Problem::new(field, message).by(self.origin));
    }
}

/// Maximum number of list members that a message names.
const MAX_LISTED: usize = 10;

/// The first members of a list in a sentence.
pub(super) fn listed(allowed: &[String]) -> String {
    if allowed.is_empty() {
        return "none".to_owned();
    }
    let first: Vec<&str> = allowed.iter().take(MAX_LISTED).map(String::as_str).collect();
    match allowed.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
