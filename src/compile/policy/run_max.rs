//! The maximum that all pods of a run may use together.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::container_max::{amount_of, is_freely_used};
use super::subject::{Found, Subject};
use crate::api::policy::Policy;
use crate::compile::quantity::Amount;

/// Finds resources of which the run may use more than the bound.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let bounds = policy.resources.as_ref().and_then(|policy| policy.run_max.as_ref());
    let Some(pod) = subject.pod() else { return };
    let parallelism = subject.parallelism();
    for (resource, bound) in bounds.into_iter().flatten() {
        let allows = format!("allows a run at most {} of {resource}", bound.0);
        let max = Amount::parse(&bound.0).unwrap_or_default();
        let words = |amount: Amount| {
            let is_bytes = resource.contains("memory")
                || resource.contains("storage")
                || resource.starts_with("hugepages-");
            if is_bytes { amount.as_bytes() } else { amount.to_string() }
        };
        match of_pod(subject, pod, resource) {
            Pod::Unlimited(containers) if parallelism > 0 => {
                for path in containers {
                    found.add(
                        format!("{path}.resources.limits.{resource}"),
                        "is not set, and neither is a request, which means no limit",
                        &allows,
                        "set a limit, a request, or a quota (size preset) that has one",
                    );
                }
            }
            Pod::Uses(amount) if amount.times(parallelism.into()) > max => {
                let total = words(amount.times(parallelism.into()));
                let fitting = max.over(amount).unwrap_or_default();
                let way_out = if fitting > 0 {
                    format!(
                        "lower spec.settings.parallelism to at most {fitting}, or the resources of the containers"
                    )
                } else {
                    "lower the resources of the containers".to_owned()
                };
                let is = format!(
                    "the run may use {total} of {resource} ({parallelism} pods at once, {} each)",
                    words(amount)
                );
                found.add("spec.containers", &is, &allows, &way_out);
            }
            Pod::Unlimited(_) | Pod::Uses(_) => {}
        }
    }
}

/// What one pod counts as.
enum Pod {
    /// This amount.
    Uses(Amount),
    /// Any amount, because of the containers at these paths.
    Unlimited(Vec<String>),
}

/// The amount of a pod, as Kubernetes counts it: sidecars run beside everything after them, other init containers
/// one by one, and what the pod itself sets takes precedence over its containers.
fn of_pod(subject: &Subject, pod: &PodSpec, resource: &str) -> Pod {
    let overhead = pod
        .overhead
        .as_ref()
        .and_then(|overhead| overhead.get(resource))
        .map_or(Amount::default(), |q| read(&q.0));
    let set = pod.resources.as_ref();
    if let Some(limit) = amount_of(set.and_then(|set| set.limits.as_ref()), resource) {
        return Pod::Uses(read(limit).plus(overhead));
    }
    let request = amount_of(set.and_then(|set| set.requests.as_ref()), resource).map(read);

    if request.is_none() && is_freely_used(resource) {
        let without: Vec<String> = subject
            .containers()
            .filter(|(_, container)| of_container(container, resource).is_none())
            .map(|(path, _)| path)
            .collect();
        if !without.is_empty() {
            return Pod::Unlimited(without);
        }
    }
    let amount = |container| of_container(container, resource).unwrap_or_default();
    let (mut sidecars, mut starting) = (Amount::default(), Amount::default());
    for container in pod.init_containers.iter().flatten() {
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = sidecars.plus(amount(container));
            starting = starting.max(sidecars);
        } else {
            starting = starting.max(sidecars.plus(amount(container)));
        }
    }
    let running = pod.containers.iter().fold(sidecars, |sum, container| sum.plus(amount(container)));
    Pod::Uses(running.max(starting).max(request.unwrap_or_default()).plus(overhead))
}

/// The limit of a container, else its request.
fn of_container(container: &Container, resource: &str) -> Option<Amount> {
    let resources = container.resources.as_ref()?;
    amount_of(resources.limits.as_ref(), resource)
        .or_else(|| amount_of(resources.requests.as_ref(), resource))
        .map(read)
}

/// An amount that cannot be read exceeds every bound.
fn read(text: &str) -> Amount {
    Amount::parse(text).unwrap_or(Amount::MAX)
}
