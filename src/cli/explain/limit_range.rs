//! What the LimitRanges of a namespace add to the containers of a Job that is created there.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, LimitRange};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// What `ranges` set in the containers of `job`, a note each.
pub(super) fn notes(job: &Job, ranges: &[LimitRange]) -> Vec<String> {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers: Vec<&Container> =
        pod.into_iter().flat_map(|pod| pod.init_containers.iter().flatten().chain(&pod.containers)).collect();
    let mut notes = Vec::new();
    for range in ranges {
        let items = range.spec.iter().flat_map(|spec| &spec.limits).filter(|item| item.type_ == "Container");
        for item in items {
            for container in &containers {
                let own = container.resources.as_ref();
                let own_limits = own.and_then(|own| own.limits.as_ref());
                let own_requests = own.and_then(|own| own.requests.as_ref());
                let limits = missing(item.default.as_ref(), [own_limits, None]);
                // A limit of its own is the request, too.
                let requests = missing(item.default_request.as_ref(), [own_requests, own_limits]);
                for (kind, resource, amount) in limits
                    .map(|(resource, amount)| ("limits", resource, amount))
                    .chain(requests.map(|(resource, amount)| ("requests", resource, amount)))
                {
                    notes.push(format!(
                        "LimitRange/{}: containers[{}].resources.{kind}.{resource} is not set, or 0, and becomes {} in the pods",
                        range.metadata.name.as_deref().unwrap_or_default(),
                        container.name,
                        amount.0
                    ));
                }
            }
        }
    }
    notes
}

/// The amounts of `defaults` for what none of `own` has.
fn missing<'a>(
    defaults: Option<&'a BTreeMap<String, Quantity>>,
    own: [Option<&'a BTreeMap<String, Quantity>>; 2],
) -> impl Iterator<Item = (&'a String, &'a Quantity)> {
    let is_own = move |name: &str| own.into_iter().flatten().any(|own| own.contains_key(name));
    defaults.into_iter().flatten().filter(move |(name, _)| !is_own(name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(resources: &Value, limits: &Value) -> Vec<String> {
        let job = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "resources": resources}]}}}});
        let range = json!({"metadata": {"name": "bounds"}, "spec": {"limits": [limits]}});
        notes(&serde_json::from_value(job).unwrap(), &[serde_json::from_value(range).unwrap()])
    }

    #[test]
    fn what_has_no_value_gets_the_default() {
        let defaults = json!({"type": "Container", "default": {"memory": "500Mi"}, "defaultRequest": {"memory": "100Mi"}});
        let note = |kind: &str, amount: &str| {
            format!(
                "LimitRange/bounds: containers[main].resources.{kind}.memory is not set, or 0, and becomes {amount} in the pods"
            )
        };
        assert_eq!(of(&json!({}), &defaults), [note("limits", "500Mi"), note("requests", "100Mi")]);
        assert_eq!(of(&json!({"requests": {"memory": "1Gi"}}), &defaults), [note("limits", "500Mi")]);
        assert_eq!(of(&json!({"limits": {"memory": "1Gi"}}), &defaults), [""; 0]);
        let of_pods = json!({"type": "Pod", "max": {"memory": "1Gi"}});
        assert_eq!(of(&json!({}), &of_pods), [""; 0]);
    }
}
