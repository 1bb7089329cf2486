//! From YAML to Job, without knowing the cluster.
//!
//! [`compile`] takes a request, the layers that apply to it and the number of a run; it returns the Job of that run, or
//! every problem that prevents it. It is pure: the controller and every other front end call this one function, so that
//! what one shows is what the other creates.
//!
//! The steps, each a file: [`layers`] merges, [`check`] judges what only the merged spec shows, [`job`] and [`pod`]
//! build, [`policy`] judges what was built, and [`kubernetes`] what Kubernetes would refuse in it. [`provenance()`] says where each value comes from, [`digest`] whether a
//! spec requires a new run.

pub mod audit;
mod canonical;
mod container;
pub mod digest;
pub mod helm_hook;
mod identity;
pub mod in_place;
mod job;
pub mod job_fields;
mod kubernetes;
mod layers;
pub mod names;
mod overrides;
mod pod;
pub mod policy;
mod problem;
mod provenance;
pub mod quantity;
mod size;
mod validate;
mod volume;
mod well_formed;

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;

pub use identity::Identity;
use in_place::InPlace;
pub use layers::{
    Builtin, Decided, Fate, Layers, Origin, ScopedTemplate, Superseded, Template, Unreadable, defaults_of,
    in_scope, laid_over, read_spec, select, select_seen,
};
pub use overrides::{NativeSpec, read_native};
pub use problem::{Problem, Problems};
pub use provenance::{Provenance, provenance};

use crate::api::JobRequestSpec;
use crate::api::run_policy::RunPolicy;
use crate::api::status::{Defaulted, EffectiveSettings, MAX_DEFAULTED, TemplatePin};
use crate::api::template_ref::TemplateRef;
use layers::{Merged, Overrides, ValueTree};
use policy::locked_fields::{self, LockVerdict};
use policy::{Clamp, LiveLimits, Named};

/// A Job, and the facts about it that the status shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The Job as it is created.
    pub job: Job,
    /// What the Job holds in the fields that may change while it lives.
    pub in_place: InPlace,
    /// The settings in force, defaults included.
    pub settings: EffectiveSettings,
    /// What starts a run and how many Jobs are kept, defaults included.
    pub run_policy: RunPolicy,
    /// The templates that apply to it, lowest precedence first.
    pub templates: Vec<TemplatePin>,
    /// Defaults that are being deleted, and so no longer apply to it.
    pub terminating: Vec<TemplateRef>,
    /// Numbers that policies have clamped.
    pub clamped: Vec<Clamp>,
    /// The limits that hold for changes of the live Job, too.
    pub live_limits: LiveLimits,
    /// What policies warn about.
    pub warned: Vec<Problem>,
    /// The templates whose policies warn, for example `JobTemplate/reports`.
    pub warning: BTreeSet<String>,
    tree: ValueTree,
    overrides: Vec<Overrides>,
}

impl Compiled {
    /// Every value in force with its origin, in order of path; then what overrides set that no spec has.
    #[must_use]
    pub fn provenance(&self) -> Vec<Provenance> {
        provenance::rows(&self.tree, &self.overrides, &self.clamped)
    }

    /// The values that the user did not write, the first [`MAX_DEFAULTED`] by path.
    #[must_use]
    pub fn defaulted(&self) -> Vec<Defaulted> {
        self.provenance()
            .into_iter()
            .filter(|value| !value.decided.origin.is_of_request())
            .map(|value| Defaulted { path: value.path, origin: value.decided.origin.to_string() })
            .take(MAX_DEFAULTED)
            .collect()
    }
}

/// What is wrong with a template by itself. What only a request in scope can show is reported there.
#[must_use]
pub fn check_template(template: &Template) -> Vec<Problem> {
    let spec = match &template.spec {
        Ok(spec) => spec,
        Err(error) => {
            return vec![Problem::new("spec", format!("{error}; fix that field and apply it again"))];
        }
    };
    let overrides = spec.base.as_ref().and_then(|base| base.overrides.as_ref());
    let mut problems = overrides
        .and_then(|overrides| overrides::parse(overrides, "spec.base.overrides").err())
        .unwrap_or_default();
    problems.extend(spec.base.iter().flat_map(|base| layers::taking_nothing_away(base, "spec.base")));
    problems.extend(spec.policy.iter().flat_map(locked_fields::holding_nothing));
    problems
}

/// Compiles the Job of run `run` (counted from 1) of a request.
///
/// # Errors
/// Every problem that prevents the merged spec from becoming a Job, and what Kubernetes would refuse in it as far as that
/// can be known without a cluster.
pub fn compile(
    identity: &Identity<'_>,
    spec: &JobRequestSpec,
    layers: &Layers,
    run: i32,
) -> Result<Compiled, Problems> {
    let (merged, problems) = layers::merge(spec, layers);
    let valid = validate::validate(identity.name, merged, problems)?;
    let templates = layers.pins();
    let mut job = job::build(identity, spec, &valid, &templates, run);
    let mut settings = effective(&job, &valid);
    let LockVerdict { mut denied, mut warned, mut warning } = locked_fields::judge(&valid, layers);
    let merged = valid.into_merged();

    let mut counting: Vec<&Arc<Template>> = Vec::new();
    for (_, template, _) in layers.policies() {
        if !counting.iter().any(|known| Arc::ptr_eq(known, template)) {
            counting.push(template);
        }
    }
    let origins: Vec<String> = counting.iter().map(|template| template.reference.to_string()).collect();
    let policies: Vec<Named<'_>> = (counting.iter().zip(&origins))
        .filter_map(|(template, origin)| Some(Named { origin, policy: template.policy()? }))
        .collect();
    // Before the Job is judged: the record is one of its annotations.
    let mut in_place = job::note_in_place(&mut job, spec);
    let mut refused = kubernetes::judge(&job, &merged.spec);
    let verdict = policy::judge(&mut job, &mut settings, &policies);
    denied.extend(verdict.denied);
    let cut = locked_fields::judge_cuts(&verdict.clamped, layers);
    denied.extend(cut.denied);
    if !verdict.clamped.is_empty() {
        in_place = job::note_in_place(&mut job, spec);
        // A policy must not make valid what is not, and must not make invalid what is.
        if refused.is_empty() {
            refused = kubernetes::judge(&job, &merged.spec);
        }
    }
    denied.extend(refused);
    denied.extend(size::judge(spec, &job));
    Problems::none(denied)?;
    warned.extend(verdict.warned);
    warned.extend(cut.warned);
    warning.extend(verdict.warning);
    warning.extend(cut.warning);
    let Merged { spec: merged_spec, tree, overrides, .. } = merged;
    Ok(Compiled {
        job,
        in_place,
        settings,
        run_policy: merged_spec.run_policy.unwrap_or_default().with_defaults(),
        templates,
        terminating: layers.terminating_defaults(),
        clamped: verdict.clamped,
        live_limits: LiveLimits::of(&policies),
        warned,
        warning,
        tree,
        overrides,
    })
}

/// The settings in force. Overrides take precedence over the settings, so they are read from the Job itself.
fn effective(job: &Job, valid: &validate::ValidSpec) -> EffectiveSettings {
    let merged = &valid.merged().settings;
    let in_force = job.spec.as_ref();
    EffectiveSettings {
        backoff_limit: in_force.and_then(|spec| spec.backoff_limit),
        completions: in_force.and_then(|spec| spec.completions),
        parallelism: in_force.and_then(|spec| spec.parallelism),
        active_deadline_seconds: in_force.and_then(|spec| spec.active_deadline_seconds),
        start_deadline_seconds: merged.start_deadline_seconds,
        ttl_seconds_after_finished: merged.ttl_seconds_after_finished,
        ttl_seconds_after_failed: merged.ttl_seconds_after_failed,
    }
}
