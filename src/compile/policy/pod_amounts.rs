//! How much of each resource one pod may use, as `runMax` and `containerMax` count it.
//!
//! Takes a pod, or the JSON of a stored Job's pod; returns [`PodAmounts`]. A compiled Job and a stored one are counted by
//! the same rules.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::devices::{Bounds, counts_as, is_device};
use crate::compile::quantity::Amount;

/// Containers can use these without requesting them; of everything else, such as devices and huge pages, they get only
/// what they request.
const FREELY_USED: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// How many resources are kept; the schema allows a container 16.
const MAX_RESOURCES: usize = 64;

/// True when a container without a limit of `resource` may use as much as there is.
pub(super) fn is_freely_used(resource: &str) -> bool {
    FREELY_USED.contains(&resource)
}

/// How much of one resource may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// At most this amount.
    AtMost(Amount),
    /// Any amount.
    Unlimited,
    /// Any number of devices, by claims.
    Claimed,
}

/// How much of each resource a pod may use. What is freely used and not in a map has no limit; of anything else, nothing
/// is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodAmounts {
    /// The whole pod, as Kubernetes counts it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pod: BTreeMap<String, Amount>,
    /// The largest limit or request of one container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    container: BTreeMap<String, Amount>,
    /// A container uses claims.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    container_claims: bool,
    /// The pod has claims, whether or not a container uses them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pod_claims: bool,
    /// There are too many resources to keep: those that are not in the maps may be used without a limit.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_incomplete: bool,
}

impl PodAmounts {
    /// The amounts of `pod`.
    #[must_use]
    pub fn of(pod: &PodResources) -> Self {
        let mut names: BTreeSet<&str> = pod.names().collect();
        let is_incomplete = names.len() > MAX_RESOURCES;
        if is_incomplete {
            names = names.into_iter().take(MAX_RESOURCES).collect();
        }
        let collect = |usage: &dyn Fn(&str) -> Usage| {
            let used = names.iter().filter_map(|name| match usage(name) {
                Usage::AtMost(amount) => Some(((*name).to_owned(), amount)),
                Usage::Unlimited | Usage::Claimed => None,
            });
            used.collect()
        };
        let container = collect(&|name| pod.largest_container(name));
        let container_claims = pod.all().any(ContainerResources::has_claims);
        let pod_claims = container_claims || pod.resource_claims.as_ref().is_some_and(|all| !all.is_empty());
        Self { pod: collect(&|name| pod.usage(name)), container, container_claims, pod_claims, is_incomplete }
    }

    /// What the pod may use of `resource`, by a rule that has these `bounds`.
    pub(super) fn of_pod(&self, resource: &str, bounds: &Bounds) -> Usage {
        self.find(&self.pod, self.pod_claims, resource, bounds)
    }

    /// What the container that may use most of `resource` may use of it, by a rule that has these `bounds`.
    pub(super) fn of_largest_container(&self, resource: &str, bounds: &Bounds) -> Usage {
        self.find(&self.container, self.container_claims, resource, bounds)
    }

    fn find(
        &self,
        amounts: &BTreeMap<String, Amount>,
        has_claims: bool,
        resource: &str,
        bounds: &Bounds,
    ) -> Usage {
        if has_claims && is_device(resource) {
            return Usage::Claimed;
        }
        match amounts.get(resource) {
            None if self.is_incomplete || is_freely_used(resource) => Usage::Unlimited,
            own => {
                let classes = amounts.iter().filter(|(other, _)| counts_as(other, resource, bounds));
                let own = own.copied().unwrap_or_default();
                Usage::AtMost(classes.fold(own, |sum, (_, amount)| sum.plus(*amount)))
            }
        }
    }

    /// Without what only the decision about a new Job needs.
    #[must_use]
    pub fn of_live_job(self) -> Self {
        Self { container: BTreeMap::new(), ..self }
    }
}

/// Amounts by name of the resource.
type Amounts = BTreeMap<String, Quantity>;

/// The part of a pod that says how much it uses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodResources {
    containers: Option<Vec<ContainerResources>>,
    init_containers: Option<Vec<ContainerResources>>,
    resources: Option<Resources>,
    overhead: Option<Amounts>,
    resource_claims: Option<Vec<IgnoredAny>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerResources {
    restart_policy: Option<String>,
    resources: Option<Resources>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    limits: Option<Amounts>,
    requests: Option<Amounts>,
    claims: Option<Vec<IgnoredAny>>,
}

impl From<&PodSpec> for PodResources {
    fn from(pod: &PodSpec) -> Self {
        let all = |containers: &[Container]| containers.iter().map(ContainerResources::from).collect();
        Self {
            containers: Some(all(&pod.containers)),
            init_containers: pod.init_containers.as_deref().map(all),
            resources: pod.resources.as_ref().map(Resources::from),
            overhead: pod.overhead.clone(),
            resource_claims: pod.resource_claims.as_deref().map(count),
        }
    }
}

impl From<&Container> for ContainerResources {
    fn from(container: &Container) -> Self {
        Self {
            restart_policy: container.restart_policy.clone(),
            resources: container.resources.as_ref().map(Resources::from),
        }
    }
}

impl From<&k8s_openapi::api::core::v1::ResourceRequirements> for Resources {
    fn from(of: &k8s_openapi::api::core::v1::ResourceRequirements) -> Self {
        Self {
            limits: of.limits.clone(),
            requests: of.requests.clone(),
            claims: of.claims.as_deref().map(count),
        }
    }
}

impl PodResources {
    /// Every resource that is mentioned.
    fn names(&self) -> impl Iterator<Item = &str> {
        let all = self.all().filter_map(|container| container.resources.as_ref());
        let set = all.chain(&self.resources).flat_map(|set| [&set.limits, &set.requests]);
        set.chain([&self.overhead]).flatten().flat_map(BTreeMap::keys).map(String::as_str)
    }

    /// Init containers and sidecars, then the others.
    fn all(&self) -> impl Iterator<Item = &ContainerResources> {
        self.init_containers.iter().chain(&self.containers).flatten()
    }

    /// The pod as Kubernetes counts it: sidecars run beside everything after them, other init containers one by one, and
    /// what the pod itself sets takes precedence over its containers.
    fn usage(&self, resource: &str) -> Usage {
        let overhead = self.overhead.as_ref().and_then(|overhead| overhead.get(resource));
        let overhead = overhead.map_or(Amount::default(), |quantity| read(&quantity.0));
        let set = self.resources.as_ref();
        if let Some(limit) = set.and_then(|set| amount(set.limits.as_ref(), resource)) {
            return Usage::AtMost(limit.plus(overhead));
        }
        let request = set.and_then(|set| amount(set.requests.as_ref(), resource));
        if request.is_none()
            && is_freely_used(resource)
            && self.all().any(|container| container.amount(resource).is_none())
        {
            return Usage::Unlimited;
        }
        let amount = |container: &ContainerResources| container.amount(resource).unwrap_or_default();
        let (mut sidecars, mut starting) = (Amount::default(), Amount::default());
        for container in self.init_containers.iter().flatten() {
            if container.restart_policy.as_deref() == Some("Always") {
                sidecars = sidecars.plus(amount(container));
                starting = starting.max(sidecars);
            } else {
                starting = starting.max(sidecars.plus(amount(container)));
            }
        }
        let main = self.containers.iter().flatten();
        let running = main.fold(sidecars, |sum, container| sum.plus(amount(container)));
        Usage::AtMost(running.max(starting).max(request.unwrap_or_default()).plus(overhead))
    }

    fn largest_container(&self, resource: &str) -> Usage {
        let of = |container: &ContainerResources| {
            let set = container.resources.as_ref();
            let limit = set.and_then(|set| amount(set.limits.as_ref(), resource));
            let request = set.and_then(|set| amount(set.requests.as_ref(), resource));
            match limit {
                None if is_freely_used(resource) => Usage::Unlimited,
                limit => Usage::AtMost(limit.unwrap_or_default().max(request.unwrap_or_default())),
            }
        };
        self.all().map(of).max().unwrap_or(Usage::AtMost(Amount::default()))
    }
}

/// As many as there are: what they are does not matter.
fn count<T>(all: &[T]) -> Vec<IgnoredAny> {
    vec![IgnoredAny; all.len()]
}

impl ContainerResources {
    fn has_claims(&self) -> bool {
        let claims = self.resources.as_ref().and_then(|resources| resources.claims.as_ref());
        claims.is_some_and(|claims| !claims.is_empty())
    }

    /// The limit, else the request.
    fn amount(&self, resource: &str) -> Option<Amount> {
        let set = self.resources.as_ref()?;
        amount(set.limits.as_ref(), resource).or_else(|| amount(set.requests.as_ref(), resource))
    }
}

fn amount(amounts: Option<&Amounts>, resource: &str) -> Option<Amount> {
    amount_of(amounts, resource).map(read)
}

/// What is set for `resource`. A node treats 0 of what is freely used as no restriction, so it counts as not set.
pub(super) fn amount_of<'a>(amounts: Option<&'a Amounts>, resource: &str) -> Option<&'a str> {
    let text = amounts?.get(resource)?.0.as_str();
    let is_none = is_freely_used(resource) && Amount::parse(text).is_some_and(Amount::is_zero);
    (!is_none).then_some(text)
}

/// The amount as it is stored. One that cannot be read exceeds every bound.
pub(super) fn read(text: &str) -> Amount {
    Amount::parse(text).map_or(Amount::MAX, Amount::as_stored)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn amounts(pod: serde_json::Value) -> PodAmounts {
        PodAmounts::of(&serde_json::from_value(pod).unwrap())
    }

    fn at_most(text: &str) -> Usage {
        Usage::AtMost(Amount::parse(text).unwrap())
    }

    #[test]
    fn the_pod_and_its_largest_container() {
        let pod = json!({
            "initContainers": [{"resources": {"limits": {"cpu": "3"}}}],
            "containers": [
                {"resources": {"limits": {"cpu": "1", "example.com/gpu": "2"}, "requests": {"cpu": "1"}}},
                {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
            ],
            "overhead": {"cpu": "100m"},
        });
        let amounts = amounts(pod);
        assert_eq!(amounts.of_pod("cpu", &Bounds::default()), at_most("3100m"));
        assert_eq!(amounts.of_largest_container("cpu", &Bounds::default()), at_most("3"));
        assert_eq!(amounts.of_pod("memory", &Bounds::default()), Usage::Unlimited, "the others have none");
        assert_eq!(amounts.of_largest_container("memory", &Bounds::default()), Usage::Unlimited);
        assert_eq!(amounts.of_pod("example.com/gpu", &Bounds::default()), at_most("2"));
        assert_eq!(amounts.of_pod("example.com/other", &Bounds::default()), at_most("0"));
    }

    #[test]
    fn amounts_are_kept_as_text() {
        let amounts =
            amounts(json!({"containers": [{"resources": {"limits": {"cpu": "1e99", "memory": "1Gi"}}}]}));
        let text = serde_json::to_string(&amounts).unwrap();
        assert_eq!(serde_json::from_str::<PodAmounts>(&text).unwrap(), amounts);
        let live = amounts.clone().of_live_job();
        assert_eq!(live.of_pod("memory", &Bounds::default()), amounts.of_pod("memory", &Bounds::default()));
        let text = serde_json::to_string(&live).unwrap();
        assert!(text.contains(r#"{"pod":{"cpu":"#) && text.ends_with(r#""memory":"1073741824"}}"#), "{text}");
    }

    #[test]
    fn more_resources_than_are_kept_have_no_limit() {
        let many: BTreeMap<String, &str> =
            (0..=MAX_RESOURCES).map(|n| (format!("a.com/{n:03}"), "1")).collect();
        let amounts = amounts(json!({"containers": [{"resources": {"limits": many}}]}));
        assert_eq!(amounts.of_pod("a.com/000", &Bounds::default()), at_most("1"));
        assert_eq!(amounts.of_pod("a.com/064", &Bounds::default()), Usage::Unlimited);
        assert_eq!(amounts.of_largest_container("z.com/gpu", &Bounds::default()), Usage::Unlimited);
    }

    #[test]
    fn what_is_missing_is_no_error() {
        for pod in [
            json!({}),
            json!({"containers": null, "overhead": null, "resources": null}),
            json!({"containers": [{"resources": null}]}),
        ] {
            assert_eq!(amounts(pod).of_pod("cpu", &Bounds::default()), Usage::Unlimited);
        }
    }
}
