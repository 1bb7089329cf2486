//! The pod as a whole: names, tolerations, labels and annotations, and what only overrides set.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PodSpec, Toleration};

use super::{Found, pod_field};
use crate::compile::layers::join;
use crate::compile::pod::each_container;
use crate::compile::well_formed::{is_dns_label, is_dns_subdomain, is_label_value, is_qualified_name};

/// Most bytes of all annotations of an object.
const MAX_ANNOTATIONS: usize = 262_144;
/// Longest time that a pod may run.
const MAX_POD_SECONDS: i64 = 2_147_483_647;
/// Annotations that set security profiles of a container, whose name follows, or of the pod.
const APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";

pub(super) fn judge(job: &Job, found: &mut Found<'_>) {
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let metadata = template.and_then(|template| template.metadata.as_ref());
    labels(
        metadata.and_then(|metadata| metadata.labels.as_ref()),
        "spec.overrides.template.metadata.labels",
        found,
    );
    let annotations = metadata.and_then(|metadata| metadata.annotations.as_ref());
    let length = |all: Option<&BTreeMap<String, String>>| {
        all.into_iter().flatten().map(|(key, value)| key.len() + value.len()).sum::<usize>()
    };
    let longest = length(annotations).max(length(job.metadata.annotations.as_ref()));
    if longest > MAX_ANNOTATIONS {
        let message = format!(
            "take {longest} bytes with those of the operator, and an object may have {MAX_ANNOTATIONS}; move long texts into a ConfigMap"
        );
        found.add("spec.annotations", message);
    }
    if let Some(pod) = template.and_then(|template| template.spec.as_ref()) {
        of_kubernetes(annotations, pod, found);
        tolerations(pod, found);
        names(pod, found);
        labels(pod.node_selector.as_ref(), "spec.nodeSelector", found);
        numbers(pod, found);
    }
}

/// Labels that overrides set; those of the form are judged by its schema.
fn labels(labels: Option<&BTreeMap<String, String>>, path: &str, found: &mut Found<'_>) {
    for (key, value) in labels.into_iter().flatten() {
        if !is_qualified_name(key) {
            found.add(join(path, key), format!("{key} is no key of a label: [prefix/]name"));
        }
        if !is_label_value(value) {
            let message = format!(
                "{value:?} is no value of a label: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit"
            );
            found.add(join(path, key), message);
        }
    }
}

/// Annotations that Kubernetes itself reads, and keys that only overrides can set.
fn of_kubernetes(annotations: Option<&BTreeMap<String, String>>, pod: &PodSpec, found: &mut Found<'_>) {
    for (key, value) in annotations.into_iter().flatten() {
        let is_of_form = found.spec.annotations.as_ref().is_some_and(|all| all.contains_key(key));
        let path =
            if is_of_form { "spec.annotations" } else { "spec.overrides.template.metadata.annotations" };
        let path = join(path, key);
        // The case does not matter here.
        if !is_qualified_name(&key.to_lowercase()) {
            found.add(path, format!("{key} is no key of an annotation: [prefix/]name"));
            continue;
        }
        let profiles: &[&str] = if let Some(name) = key.strip_prefix(APPARMOR) {
            let known: Vec<&str> =
                each_container(pod).map(|(_, container)| container.name.as_str()).collect();
            if !known.contains(&name) {
                let message = format!("no container is called {name}; there are: {}", known.join(", "));
                found.add(path.clone(), message);
            }
            &["", "runtime/default", "unconfined"]
        } else if key.starts_with(SECCOMP) || key == SECCOMP_OF_POD {
            &["runtime/default", "docker/default", "unconfined"]
        } else {
            continue;
        };
        if !profiles.contains(&value.as_str()) && !value.starts_with("localhost/") {
            let message =
                format!("{value:?} is no profile; write runtime/default, unconfined or localhost/PROFILE");
            found.add(path, message);
        }
    }
}

fn tolerations(pod: &PodSpec, found: &mut Found<'_>) {
    for (index, toleration) in pod.tolerations.iter().flatten().enumerate() {
        if let Some(message) = why_not(toleration) {
            let path = pod_field(found.spec.tolerations.is_some(), "tolerations");
            found.add(format!("{path}[{index}]"), message);
        }
    }
}

fn why_not(toleration: &Toleration) -> Option<String> {
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let operator = toleration.operator.as_deref().filter(|operator| !operator.is_empty()).unwrap_or("Equal");
    let effect = toleration.effect.as_deref().unwrap_or_default();
    if !key.is_empty() && !is_qualified_name(key) {
        return Some(format!("{key} is no key of a taint: [prefix/]name"));
    }
    if key.is_empty() && operator != "Exists" {
        return Some("without a key, operator must be Exists: it then matches every taint".to_owned());
    }
    if operator == "Exists" && !value.is_empty() {
        return Some("operator Exists matches any value; leave value out, or use operator Equal".to_owned());
    }
    if operator == "Equal" && !is_label_value(value) {
        return Some(format!("{value:?} is no value of a taint"));
    }
    if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
        return Some("tolerationSeconds requires effect NoExecute".to_owned());
    }
    None
}

fn names(pod: &PodSpec, found: &mut Found<'_>) {
    let subdomains = [
        (
            "serviceAccountName",
            pod.service_account_name.as_deref(),
            found.spec.service_account_name.is_some(),
        ),
        ("priorityClassName", pod.priority_class_name.as_deref(), found.spec.priority_class_name.is_some()),
        ("runtimeClassName", pod.runtime_class_name.as_deref(), false),
        ("nodeName", pod.node_name.as_deref(), false),
    ];
    let subdomains =
        subdomains.map(|(field, name, of_form)| (field, name, of_form, is_dns_subdomain as fn(&str) -> bool));
    let labels = [
        ("subdomain", pod.subdomain.as_deref(), found.spec.subdomain.is_some()),
        ("hostname", pod.hostname.as_deref(), false),
    ];
    let labels =
        labels.map(|(field, name, of_form)| (field, name, of_form, is_dns_label as fn(&str) -> bool));
    for (field, name, of_form, is_name) in subdomains.into_iter().chain(labels) {
        if let Some(name) = name.filter(|name| !name.is_empty() && !is_name(name)) {
            let path = pod_field(of_form, field);
            found.add(path, format!("{name:?} is no name of an object: lower-case letters, digits and '-'"));
        }
    }
}

fn numbers(pod: &PodSpec, found: &mut Found<'_>) {
    // A negative grace period is not here: Kubernetes makes 1 second of it.
    if pod.active_deadline_seconds.is_some_and(|seconds| !(1..=MAX_POD_SECONDS).contains(&seconds)) {
        let message = format!("must be a number from 1 to {MAX_POD_SECONDS}");
        found.add("spec.overrides.template.spec.activeDeadlineSeconds", message);
    }
}
