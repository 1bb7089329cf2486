//! The limits of resources that hold for a run beyond the moment in which it is compiled.
//!
//! A live Job keeps the pods that it was created with, whatever today's templates would make of the request. So a change
//! of its parallelism is judged with the amounts of those pods.

use super::Named;
use super::pod_amounts::{PodAmounts, Usage};
use super::run_max::{self, Excess};
use crate::api::policy::{Enforcement, ResourcesPolicy};
use crate::compile::problem::Problem;

/// What may be changed in place, and multiplies what a run uses.
const PARALLELISM: &str = "spec.settings.parallelism";

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

    /// Why a live Job whose pods use `amounts` each cannot have `parallelism` of them.
    #[must_use]
    pub fn judge_parallelism(&self, amounts: &PodAmounts, parallelism: i32) -> Vec<Problem> {
        let mut problems = Vec::new();
        for Limit { origin, resources } in &self.0 {
            for (resource, bound) in resources.run_max.iter().flatten() {
                let usage = amounts.of_pod(resource);
                let Some(excess) = run_max::excess(resource, usage, parallelism, bound) else { continue };
                let Excess { total, each, fitting } = excess;
                let is = match usage {
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
                let allows = format!("allows a run at most {} of {resource}", bound.0);
                let message = format!(
                    "{is}, but {origin} {allows}; {way_out}, or ask for a rerun, whose pods have the sizes of today"
                );
                problems.push(Problem::new(PARALLELISM, message));
            }
        }
        problems
    }
}
