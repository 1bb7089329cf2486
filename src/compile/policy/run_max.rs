//! The maximum that all pods of a run may use together.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::container_max::{limit_of, request_of};
use super::pod_amounts::{PodAmounts, PodResources, Usage};
use super::subject::{Found, Subject};
use crate::api::policy::Policy;
use crate::compile::quantity::Amount;

/// Why claims exceed each bound of a device.
pub(super) const CLAIMED: &str = "resource claims may bring any number of devices";

/// Finds resources of which the run may use more than the bound.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let bounds = policy.resources.as_ref().and_then(|policy| policy.run_max.as_ref());
    let (Some(pod), Some(bounds)) = (subject.pod(), bounds) else { return };
    let parallelism = subject.parallelism();
    let amounts = PodAmounts::of(&PodResources::from(pod));
    for (resource, bound) in bounds {
        let usage = amounts.of_pod(resource, bounds);
        let Some(excess) = excess(resource, usage, parallelism, bound) else { continue };
        let allows = format!("allows a run at most {} of {resource}", bound.0);
        let fitting = excess.fitting;
        if usage == Usage::Claimed {
            found.add("spec.resourceClaims", CLAIMED, &allows, "remove the claims, or the bound");
            continue;
        }
        if usage == Usage::Unlimited {
            let without = subject.containers().filter(|(_, container)| {
                limit_of(container, resource).is_none() && request_of(container, resource).is_none()
            });
            for (path, _) in without {
                found.add(
                    format!("{path}.resources.limits.{resource}"),
                    "is not set, and neither is a request, which means no limit",
                    &allows,
                    "set a limit, a request, or a quota (size preset) that has one",
                );
            }
            continue;
        }
        let way_out = if fitting > 0 {
            format!(
                "lower spec.settings.parallelism to at most {fitting}, or the resources of the containers"
            )
        } else {
            "lower the resources of the containers".to_owned()
        };
        let is = uses(resource, parallelism, &excess);
        found.add("spec.containers", &is, &allows, &way_out);
    }
}

/// By how much the pods of a run exceed a bound.
#[derive(Debug)]
pub(super) struct Excess {
    /// What all pods may use together, for people.
    pub(super) total: String,
    /// What one pod may use, for people.
    pub(super) each: String,
    /// How many pods fit into the bound.
    pub(super) fitting: i128,
}

/// By how much `parallelism` pods that may use `usage` each exceed `bound`; `None`: they do not.
pub(super) fn excess(resource: &str, usage: Usage, parallelism: i32, bound: &Quantity) -> Option<Excess> {
    let max = Amount::parse(&bound.0).unwrap_or_default();
    match usage {
        Usage::Unlimited | Usage::Claimed => {
            let text = || "any amount".to_owned();
            (parallelism > 0).then(|| Excess { total: text(), each: text(), fitting: 0 })
        }
        Usage::AtMost(amount) => {
            let total = amount.times(parallelism.into());
            (total > max).then(|| Excess {
                total: words(resource, total),
                each: words(resource, amount),
                fitting: max.over(amount).unwrap_or_default(),
            })
        }
    }
}

/// What a run may use, in a sentence.
pub(super) fn uses(resource: &str, parallelism: i32, excess: &Excess) -> String {
    let Excess { total, each, .. } = excess;
    format!("the run may use {total} of {resource} ({parallelism} pods at once, {each} each)")
}

/// An amount of `resource`, for people.
pub(super) fn words(resource: &str, amount: Amount) -> String {
    let is_bytes =
        resource.contains("memory") || resource.contains("storage") || resource.starts_with("hugepages-");
    if is_bytes { amount.as_bytes() } else { amount.to_string() }
}
