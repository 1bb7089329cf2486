//! The maximum request and limit of one container.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Container;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::devices::{Bounds, counts_as, is_device};
use super::pod_amounts::{amount_of, is_freely_used, read};
use super::run_max::CLAIMED;
use super::subject::{Found, Subject};
use super::{Clamp, Named};
use crate::api::policy::Policy;
use crate::compile::layers::join;
use crate::compile::quantity::Amount;

pub(super) fn limit_of<'a>(container: &'a Container, resource: &str) -> Option<&'a str> {
    amount_of(container.resources.as_ref()?.limits.as_ref(), resource)
}

pub(super) fn request_of<'a>(container: &'a Container, resource: &str) -> Option<&'a str> {
    amount_of(container.resources.as_ref()?.requests.as_ref(), resource)
}

fn exceeds(amount: &str, bound: Amount) -> bool {
    read(amount) > bound
}

/// Finds containers that may use more than the bound.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let bounds = policy.resources.as_ref().and_then(|policy| policy.container_max.as_ref());
    let Some(bounds) = bounds else { return };
    for (resource, bound) in bounds {
        let allows = format!("allows a container at most {} of {resource}", bound.0);
        // The schema refuses a bound that is not an amount; offline it allows nothing.
        let max = Amount::parse(&bound.0).unwrap_or_default();
        for (path, container) in subject.containers() {
            judge_devices(&path, container, resource, max, bounds, &allows, found);
            match limit_of(container, resource) {
                None if is_freely_used(resource) => found.add(
                    format!("{path}.resources.limits.{resource}"),
                    "is not set, which means no limit",
                    &allows,
                    &format!("set it to at most {}", bound.0),
                ),
                Some(limit) if exceeds(limit, max) => found.add(
                    format!("{path}.resources.limits.{resource}"),
                    &format!("is {limit}"),
                    &allows,
                    "lower it",
                ),
                None | Some(_) => {}
            }
            if let Some(request) = request_of(container, resource).filter(|request| exceeds(request, max)) {
                found.add(
                    format!("{path}.resources.requests.{resource}"),
                    &format!("is {request}"),
                    &allows,
                    "lower it",
                );
            }
        }
    }
}

/// Finds devices that the container gets by claims, or by their class.
fn judge_devices(
    path: &str,
    container: &Container,
    resource: &str,
    max: Amount,
    bounds: &Bounds,
    allows: &str,
    found: &mut Found<'_>,
) {
    let Some(set) = container.resources.as_ref().filter(|_| is_device(resource)) else { return };
    if set.claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        let fix = "remove the claims, or the bound";
        found.add(format!("{path}.resources.claims"), CLAIMED, allows, fix);
    }
    let amounts = [&set.limits, &set.requests].into_iter().flatten();
    let classes: BTreeSet<&String> =
        amounts.flat_map(BTreeMap::keys).filter(|other| counts_as(other, resource, bounds)).collect();
    let of = |name: &str| {
        let limit = limit_of(container, name).map(read).unwrap_or_default();
        limit.max(request_of(container, name).map(read).unwrap_or_default())
    };
    let by_class = classes.iter().fold(Amount::default(), |sum, class| sum.plus(of(class)));
    let all = by_class.plus(of(resource));
    // More than that by its own name is found for that name.
    if !by_class.is_zero() && all > max && of(resource) <= max {
        for class in classes {
            found.add(
                format!("{path}.resources.limits.{class}"),
                &format!("brings devices that may be {resource}, {all} in all"),
                allows,
                "lower it, or have the policy set a bound for the class itself",
            );
        }
    }
}

/// The lowest bound of `resource`, and the policy that sets it.
struct Least<'a> {
    amount: Amount,
    text: &'a Quantity,
    by: &'a str,
}

fn least<'a>(resource: &str, policies: &[Named<'a>]) -> Option<Least<'a>> {
    policies
        .iter()
        .filter_map(|named| {
            let text = named.policy.resources.as_ref()?.container_max.as_ref()?.get(resource)?;
            Some(Least { amount: Amount::parse(&text.0)?, text, by: named.origin })
        })
        .min_by(|a, b| (a.amount, a.by, &a.text.0).cmp(&(b.amount, b.by, &b.text.0)))
}

/// Clamps limits and requests to the bounds of all `policies` together, and sets limits where there are none.
pub(super) fn cut(subject: &mut Subject, policies: &[Named<'_>]) -> Vec<Clamp> {
    let resources: BTreeSet<&String> = policies
        .iter()
        .filter_map(|named| named.policy.resources.as_ref()?.container_max.as_ref())
        .flat_map(BTreeMap::keys)
        .collect();
    // Kubernetes refuses a container's limit above that of its pod.
    let of_pod = subject.pod().and_then(|pod| pod.resources.as_ref()?.limits.clone()).unwrap_or_default();
    let mut cuts = Vec::new();
    for resource in resources {
        let Some(least) = least(resource, policies) else { continue };
        let pod_limit = amount_of(Some(&of_pod), resource).filter(|limit| !exceeds(limit, least.amount));
        let missing = pod_limit.map_or_else(|| least.text.clone(), |limit| Quantity(limit.to_owned()));
        for (path, container) in subject.containers_mut() {
            let limit = limit_of(container, resource).map(ToOwned::to_owned);
            let request = request_of(container, resource).map(ToOwned::to_owned);
            let is_limit_cut =
                limit.as_ref().map_or(is_freely_used(resource), |limit| exceeds(limit, least.amount));
            if is_limit_cut {
                let to = if limit.is_some() { least.text } else { &missing };
                let limits = &mut container.resources.get_or_insert_default().limits;
                limits.get_or_insert_default().insert(resource.clone(), to.clone());
                cuts.push(Clamp {
                    path: join(&format!("{path}.resources.limits"), resource),
                    from: limit,
                    to: to.0.clone(),
                    by: least.by.to_owned(),
                });
            }
            if let Some(request) = request.filter(|request| exceeds(request, least.amount)) {
                let requests = &mut container.resources.get_or_insert_default().requests;
                requests.get_or_insert_default().insert(resource.clone(), least.text.clone());
                cuts.push(Clamp {
                    path: join(&format!("{path}.resources.requests"), resource),
                    from: Some(request),
                    to: least.text.0.clone(),
                    by: least.by.to_owned(),
                });
            }
        }
    }
    cuts
}
