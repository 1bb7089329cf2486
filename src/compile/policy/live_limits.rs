//! The limits of resources that hold for a run beyond the moment in which it is compiled.
//!
//! What the API server stores may differ from what was compiled: it rounds, drops fields of features that are off, and
//! lets webhooks and admission policies change the Job. So the Job is judged again as it was stored. It then keeps these
//! pods, whatever today's templates would make of the request, and a change of its parallelism is judged with them.

use super::Named;
use super::devices::Bounds;
use super::pod_amounts::{PodAmounts, Usage};
use super::run_max::{self, Excess};
use crate::api::policy::{Enforcement, ResourcesPolicy};
use crate::compile::problem::Problem;
use crate::compile::quantity::Amount;

/// What may be changed in place, and multiplies what a run uses.
const PARALLELISM: &str = "spec.settings.parallelism";

/// Where a container uses claims.
const CLAIMS: &str = "spec.containers[*].resources.claims";

/// Of a policy without such a rule.
static NO_BOUNDS: Bounds = Bounds::new();

/// The limits of all policies that deny.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveLimits(Vec<Limit>);

#[derive(Clone, Debug, PartialEq)]
struct Limit {
    /// The template that sets it.
    origin: String,
    resources: ResourcesPolicy,
}

impl LiveLimits {
    /// The limits of `policies`. Those with enforcement Clamp count: nothing clamps a live Job.
    pub(in crate::compile) fn of(policies: &[Named<'_>]) -> Self {
        let binding = policies.iter().filter(|named| named.enforcement() != Enforcement::Warn);
        let limits = binding.filter_map(|named| {
            let resources = named.policy.resources.clone()?;
            Some(Limit { origin: named.origin.to_owned(), resources })
        });
        Self(limits.collect())
    }

    /// Which limits a Job breaks that was stored with these `amounts` for each of `parallelism` pods.
    #[must_use]
    pub fn judge_stored(&self, amounts: &PodAmounts, parallelism: i32) -> Vec<Problem> {
        let mut problems = Vec::new();
        for Limit { origin, resources } in &self.0 {
            let mut add = |field: String, is: &str, allows: &str| {
                problems.push(Problem::new(field, format!("{is}, but {origin} {allows}")));
            };
            let bounds = resources.container_max.as_ref().unwrap_or(&NO_BOUNDS);
            for (resource, bound) in bounds {
                let allows = format!("allows a container at most {} of {resource}", bound.0);
                let max = Amount::parse(&bound.0).unwrap_or_default();
                match amounts.of_largest_container(resource, bounds) {
                    Usage::Claimed => add(CLAIMS.to_owned(), run_max::CLAIMED, &allows),
                    Usage::Unlimited => add(limit_of(resource), "is not set, which means no limit", &allows),
                    Usage::AtMost(amount) if amount > max => {
                        let is = format!("a container has {}", run_max::words(resource, amount));
                        add(limit_of(resource), &is, &allows);
                    }
                    Usage::AtMost(_) => {}
                }
            }
            if resources.require_limits == Some(true) {
                let set = "requires limits for cpu and memory on every container";
                for resource in ["cpu", "memory"] {
                    if amounts.of_largest_container(resource, bounds) == Usage::Unlimited {
                        add(limit_of(resource), "is not set", set);
                    }
                }
            }
            for RunExcess { resource, usage, excess, allows } in run_excesses(resources, amounts, parallelism)
            {
                let is = match usage {
                    Usage::Claimed => run_max::CLAIMED.to_owned(),
                    Usage::Unlimited => format!("the pods have no limit of {resource}"),
                    Usage::AtMost(_) => run_max::uses(resource, parallelism, &excess),
                };
                add("spec.containers".to_owned(), &is, &allows);
            }
        }
        problems
    }

    /// Why a live Job whose pods use `amounts` each cannot have `parallelism` of them.
    #[must_use]
    pub fn judge_parallelism(&self, amounts: &PodAmounts, parallelism: i32) -> Vec<Problem> {
        let mut problems = Vec::new();
        for Limit { origin, resources } in &self.0 {
            for RunExcess { resource, usage, excess, allows } in run_excesses(resources, amounts, parallelism)
            {
                let Excess { total, each, fitting } = excess;
                let is = match usage {
                    Usage::Claimed => run_max::CLAIMED.to_owned(),
                    Usage::Unlimited => format!("the pods of the live Job have no limit of {resource}"),
                    Usage::AtMost(_) => format!(
                        "{parallelism} pods of the live Job may use {total} of {resource} ({each} each)"
                    ),
                };
                let way_out = if fitting > 0 {
                    format!("set it to at most {fitting}")
                } else {
                    "leave it as it is".to_owned()
                };
                let message = format!(
                    "{is}, but {origin} {allows}; {way_out}, or ask for a rerun, whose pods have the sizes of today"
                );
                problems.push(Problem::new(PARALLELISM, message));
            }
        }
        problems
    }
}

/// A resource of which a run uses more than `runMax` allows.
struct RunExcess<'a> {
    resource: &'a str,
    /// What one pod may use.
    usage: Usage,
    excess: Excess,
    /// What the policy allows, as the end of a sentence.
    allows: String,
}

/// What `parallelism` pods that use `amounts` each use beyond `runMax`.
fn run_excesses<'a>(
    resources: &'a ResourcesPolicy,
    amounts: &'a PodAmounts,
    parallelism: i32,
) -> impl Iterator<Item = RunExcess<'a>> {
    let bounds = resources.run_max.as_ref().unwrap_or(&NO_BOUNDS);
    bounds.iter().filter_map(move |(resource, bound)| {
        let usage = amounts.of_pod(resource, bounds);
        let excess = run_max::excess(resource, usage, parallelism, bound)?;
        let allows = format!("allows a run at most {} of {resource}", bound.0);
        Some(RunExcess { resource, usage, excess, allows })
    })
}

fn limit_of(resource: &str) -> String {
    format!("spec.containers[*].resources.limits.{resource}")
}
