//! From YAML to Job, without knowing the cluster.
//!
//! [`compile`] takes a request, the layers below it and the number of a run; it returns the Job of that run or every
//! problem that is in the way. It is pure: the controller and every other front end call this one function, so that
//! what one shows is what the other creates.
//!
//! The steps, each a file: [`layers`] merges, [`check`] judges what only the merged spec shows, [`job`] and [`pod`]
//! build. [`digest`] tells whether a spec asks for a new run.

mod check;
pub mod digest;
pub mod in_place;
mod job;
pub mod layers;
pub mod names;
mod overrides;
mod pod;
pub mod policy;
mod problem;
pub mod quantity;

use k8s_openapi::api::batch::v1::Job;

use in_place::InPlace;
pub use layers::Layers;
pub use problem::{Problem, Problems};

use crate::api::JobRequestSpec;
use crate::api::status::EffectiveSettings;

/// Who asks: the parts of the JobRequest's metadata that go into its Jobs.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// `metadata.namespace`; absent offline.
    pub namespace: Option<&'a str>,
    /// `metadata.uid`; absent offline, then the Job has no owner.
    pub uid: Option<&'a str>,
    /// `metadata.generation`; absent offline.
    pub generation: Option<i64>,
}

/// A Job and what is worth knowing about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The Job as it is created.
    pub job: Job,
    /// What the Job holds in the fields that may change while it lives.
    pub in_place: InPlace,
    /// The settings in force, defaults included.
    pub settings: EffectiveSettings,
}

/// Compiles the Job of run `run` (counted from 1) of a request.
///
/// # Errors
/// Every problem that keeps the merged spec from becoming a Job. What Kubernetes itself validates is not among them.
pub fn compile(
    identity: &Identity<'_>,
    spec: &JobRequestSpec,
    layers: &Layers,
    run: i32,
) -> Result<Compiled, Problems> {
    let valid = check::check(identity.name, layers::merge(spec, layers))?;
    let (job, in_place) = job::build(identity, spec, &valid, run);
    let merged = &valid.merged().settings;
    // Overrides lie above the settings, so the Job itself tells what is in force.
    let in_force = job.spec.as_ref();
    let settings = EffectiveSettings {
        backoff_limit: in_force.and_then(|spec| spec.backoff_limit),
        completions: in_force.and_then(|spec| spec.completions),
        parallelism: in_force.and_then(|spec| spec.parallelism),
        active_deadline_seconds: in_force.and_then(|spec| spec.active_deadline_seconds),
        ttl_seconds_after_finished: merged.ttl_seconds_after_finished,
        ttl_seconds_after_failed: merged.ttl_seconds_after_failed,
    };
    Ok(Compiled { job, in_place, settings })
}
