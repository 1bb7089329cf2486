//! The resources of containers: their names, whole devices, and requests beside limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Found;
use crate::compile::layers::join;
use crate::compile::pod::each_container;
use crate::compile::quantity::Amount;
use crate::compile::well_formed::is_qualified_name;

type Amounts = BTreeMap<String, Quantity>;

/// What the name of an amount of huge pages begins with; their size follows.
const HUGE_PAGES: &str = "hugepages-";

pub(super) fn judge(pod: &PodSpec, found: &mut Found<'_>) {
    for (list, container) in each_container(pod) {
        let path = format!("{}.resources", found.container(list, &container.name));
        names_and_numbers(container, &path, found);
        pairs(container, &path, found);
    }
}

fn amounts(container: &Container) -> [(&'static str, Option<&Amounts>); 2] {
    let set = container.resources.as_ref();
    [
        ("requests", set.and_then(|set| set.requests.as_ref())),
        ("limits", set.and_then(|set| set.limits.as_ref())),
    ]
}

fn names_and_numbers(container: &Container, path: &str, found: &mut Found<'_>) {
    for (kind, amounts) in amounts(container) {
        for (name, quantity) in amounts.into_iter().flatten() {
            let field = join(&format!("{path}.{kind}"), name);
            if !is_resource_of_containers(name) {
                let message = format!(
                    "{name} is no resource of containers; write cpu, memory, ephemeral-storage, hugepages-SIZE, or a name with a domain such as nvidia.com/gpu"
                );
                found.add(field, message);
                continue;
            }
            let Some(amount) = Amount::parse(&quantity.0) else {
                found.add(field, format!("{} is no amount, such as 2, 500m or 64Mi", quantity.0));
                continue;
            };
            if amount < Amount::default() {
                found.add(field, format!("is {}, and must not be negative", quantity.0));
            } else if is_device(name) && !amount.as_stored().is_whole() {
                found.add(field, format!("is {}, and devices are whole: set a whole number", quantity.0));
            } else if let Some(message) = why_no_pages(name, amount, &quantity.0) {
                found.add(field, message);
            }
        }
    }
    let uses = |name: &str| {
        amounts(container).into_iter().any(|(_, amounts)| amounts.is_some_and(|all| all.contains_key(name)))
    };
    let pages = amounts(container).into_iter().flat_map(|(_, amounts)| amounts.into_iter().flatten());
    if pages.into_iter().any(|(name, _)| is_huge_pages(name)) && !uses("cpu") && !uses("memory") {
        found.add(path, "hugepages require cpu or memory beside them; set one of these");
    }
}

/// A request beside its limit.
fn pairs(container: &Container, path: &str, found: &mut Found<'_>) {
    let [(_, requests), (_, limits)] = amounts(container);
    for (name, request) in requests.into_iter().flatten().filter(|(name, _)| is_resource_of_containers(name))
    {
        let field = join(&format!("{path}.requests"), name);
        let limit = limits.and_then(|limits| limits.get(name));
        let is_shared = !is_device(name) && !is_huge_pages(name);
        let read = |quantity: &Quantity| Amount::parse(&quantity.0).map(Amount::as_stored);
        match (limit, read(request), limit.and_then(read)) {
            (None, Some(_), _) if !is_shared => {
                let message = format!(
                    "needs a limit of the same amount, because {name} cannot be shared; set limits, or the limit alone"
                );
                found.add(field, message);
            }
            (Some(limit), Some(asked), Some(most)) if !is_shared && asked != most => {
                let message = format!(
                    "is {}, and must be the limit, {}, because {name} cannot be shared",
                    request.0, limit.0
                );
                found.add(field, message);
            }
            (Some(limit), Some(asked), Some(most)) if asked > most => {
                let message = format!(
                    "is {}, above the limit of {}; lower the request, raise the limit, or set the limit to 0 for none",
                    request.0, limit.0
                );
                found.add(field, message);
            }
            _ => {}
        }
    }
}

/// Why `amount`, written as `written`, is no number of whole pages.
fn why_no_pages(name: &str, amount: Amount, written: &str) -> Option<String> {
    let size = name.strip_prefix(HUGE_PAGES)?;
    let page = Amount::parse(size).map(Amount::as_stored);
    match page.filter(|page| *page > Amount::default() && page.is_whole()) {
        None => Some(format!("{size} is no size of a page; write for example hugepages-2Mi")),
        Some(page) if !amount.as_stored().is_multiple_of(page) => {
            Some(format!("is {written}, and pages are whole: set a multiple of {size}"))
        }
        Some(_) => None,
    }
}

fn is_huge_pages(name: &str) -> bool {
    name.starts_with(HUGE_PAGES)
}

/// A resource with a domain other than Kubernetes' own.
fn is_device(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/")
}

fn is_resource_of_containers(name: &str) -> bool {
    if !is_qualified_name(name) {
        return false;
    }
    if !name.contains('/') {
        return ["cpu", "memory", "ephemeral-storage"].contains(&name) || is_huge_pages(name);
    }
    // Kubernetes writes quota for it as requests.NAME, which must be a name, too.
    name.contains("kubernetes.io/")
        || (!name.starts_with("requests.") && is_qualified_name(&format!("requests.{name}")))
}
