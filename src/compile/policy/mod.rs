//! Judges a compiled Job by the policies of its templates.
//!
//! Takes the Job, the settings in force and every policy with its origin; returns the [`Verdict`]. The Job itself is
//! judged, so that no field, preset or override can bypass a policy. Each rule is a file.
//!
//! A violation is treated by the enforcement of the policy it violates. `Clamp` policies set numbers to their bounds,
//! and the result is judged again. No policy makes up for another one: a run must be acceptable under every combination
//! of the `Clamp` policies there are, from none of them (so that a `Deny` policy sees what was written) to all of them
//! (what is created). Hence one more policy never allows what was denied, and their order does not matter.

mod container_max;
mod devices;
mod images;
mod live_limits;
pub(super) mod locked_fields;
mod node_selector;
mod pod_amounts;
pub mod pod_security;
mod priority_classes;
mod require_limits;
mod resource_claims;
mod run_max;
mod runtime_classes;
mod schedulers;
mod service_accounts;
mod settings;
mod subject;
mod tolerations;
mod volumes;

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::Job;
use serde::Serialize;

pub use live_limits::LiveLimits;
pub use pod_amounts::{PodAmounts, PodResources, Usage};

use super::problem::Problem;
use crate::api::policy::{Enforcement, Policy};
use crate::api::status::EffectiveSettings;
use subject::{Found, Subject};

/// A policy and where it is written.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// The template, for example `ClusterJobTemplate/nightly`.
    pub origin: &'a str,
    /// Its policy.
    pub policy: &'a Policy,
}

impl Named<'_> {
    fn enforcement(&self) -> Enforcement {
        self.policy.enforcement.unwrap_or_default()
    }
}

/// A number that was clamped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Clamp {
    /// Path of the field, for example `spec.settings.backoffLimit`; list members by their key.
    pub path: String,
    /// What it was; absent: nothing was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is.
    pub to: String,
    /// Origin of the policy with the bound.
    pub by: String,
}

/// The verdict of the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why the run is not started; then nothing was clamped.
    pub denied: Vec<Problem>,
    /// What was clamped in the Job and the settings.
    pub clamped: Vec<Clamp>,
    /// What is wrong but allowed.
    pub warned: Vec<Problem>,
    /// Origins of the policies that warn.
    pub warning: BTreeSet<String>,
}

/// One rule: finds what in the Job breaks it.
type Rule = fn(&Subject, &Policy, &mut Found<'_>);

/// Every rule, in the order of the form.
const RULES: [Rule; 14] = [
    settings::judge,
    images::judge,
    container_max::judge,
    require_limits::judge,
    run_max::judge,
    service_accounts::judge,
    pod_security::judge,
    volumes::judge,
    node_selector::judge,
    priority_classes::judge,
    tolerations::judge,
    schedulers::judge,
    runtime_classes::judge,
    resource_claims::judge,
];

/// Combinations double with every `Clamp` policy. A request has three templates at most; beyond this many policies,
/// `Clamp` is treated as `Deny`, which is never weaker.
const MAX_CLAMPS: usize = 6;

/// Judges `job`, with the TTLs of `settings`, which a Job does not carry. Unless the verdict denies, both then hold
/// the clamped numbers; otherwise they are unchanged.
pub fn judge(job: &mut Job, settings: &mut EffectiveSettings, policies: &[Named<'_>]) -> Verdict {
    let mut policies = policies.to_vec();
    policies.sort_by_key(|named| named.origin);
    let of = |enforcement: Enforcement| -> Vec<Named<'_>> {
        policies.iter().filter(|named| named.enforcement() == enforcement).copied().collect()
    };
    let (mut denying, mut clamping) = (of(Enforcement::Deny), of(Enforcement::Clamp));
    if clamping.len() > MAX_CLAMPS {
        denying.append(&mut clamping);
    }

    let written = Subject::new(job, settings);
    let mut denied = Vec::new();
    let mut clamped = Vec::new();
    let mut result = written.clone();
    let mut known = BTreeSet::new();
    for cutting in combinations(&clamping) {
        let mut subject = written.clone();
        let cuts = cut(&mut subject, &cutting);
        let mut new = BTreeSet::new();
        for (rule, judge) in RULES.iter().enumerate() {
            for named in denying.iter().chain(&cutting) {
                let mut found = Found::new(named.origin);
                judge(&subject, named.policy, &mut found);
                for mut problem in found.problems {
                    // The combinations begin with few policies: what they found is not reported again for larger ones.
                    let key = (named.origin, rule, problem.field.clone());
                    if known.contains(&key) {
                        continue;
                    }
                    problem.message.push_str(&after(&cuts, named.origin));
                    new.insert(key);
                    denied.push((rule, problem));
                }
            }
        }
        known.append(&mut new);
        // The last combination is all of them.
        (result, clamped) = (subject, cuts);
    }

    if !denied.is_empty() {
        denied.sort_by_key(|(rule, _)| *rule);
        let (warned, warning) = warnings(&written, &of(Enforcement::Warn));
        let denied = unique(denied.into_iter().map(|(_, problem)| problem));
        return Verdict { denied, clamped: Vec::new(), warned, warning };
    }
    let (warned, warning) = warnings(&result, &of(Enforcement::Warn));
    result.write(job, settings);
    Verdict { denied: Vec::new(), clamped, warned, warning }
}

/// What `policies` find, and the origins of those which find anything.
fn warnings(subject: &Subject, policies: &[Named<'_>]) -> (Vec<Problem>, BTreeSet<String>) {
    let mut warning = BTreeSet::new();
    let mut all = Vec::new();
    for judge in RULES {
        for named in policies {
            let mut found = Found::new(named.origin);
            judge(subject, named.policy, &mut found);
            if !found.problems.is_empty() {
                warning.insert(named.origin.to_owned());
            }
            all.extend(found.problems);
        }
    }
    (unique(all.into_iter()), warning)
}

/// Clamps the numbers to the bounds of all `policies` together.
fn cut(subject: &mut Subject, policies: &[Named<'_>]) -> Vec<Clamp> {
    let mut cuts = settings::cut(subject, policies);
    cuts.extend(container_max::cut(subject, policies));
    cuts
}

/// The end of a message about a Job that was clamped: which policies did it.
fn after(cuts: &[Clamp], judge: &str) -> String {
    let others: BTreeSet<&str> = cuts.iter().map(|cut| cut.by.as_str()).filter(|by| *by != judge).collect();
    if others.is_empty() {
        return String::new();
    }
    let others = others.into_iter().collect::<Vec<_>>().join(" and ");
    format!(" (with numbers clamped by {others}; set them within the bounds, or have the policies changed)")
}

/// Every combination of `all`, the small ones first.
fn combinations<'a>(all: &[Named<'a>]) -> Vec<Vec<Named<'a>>> {
    let mut combinations = vec![Vec::new()];
    for named in all {
        let with: Vec<Vec<Named<'a>>> = combinations
            .iter()
            .map(|without: &Vec<Named<'a>>| {
                let mut with = without.clone();
                with.push(*named);
                with
            })
            .collect();
        combinations.extend(with);
    }
    combinations.sort_by_key(Vec::len);
    combinations
}

fn unique(problems: impl Iterator<Item = Problem>) -> Vec<Problem> {
    let mut unique: Vec<Problem> = Vec::new();
    for problem in problems {
        if !unique.contains(&problem) {
            unique.push(problem);
        }
    }
    unique
}

#[cfg(test)]
mod tests;
