//! Where in a Job a lock holds something, for what `overrides` would change there.
//!
//! Takes a Job spec as JSON; returns the values that a lock holds in it, by their paths. What has no exact place in a
//! Job is held by the nearest part that has one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::compile::layers::{Containers, FieldPath, Step};

/// The settings which a Job spec has too.
pub(in crate::compile) const SETTINGS: [&str; 10] = [
    "backoffLimit",
    "completions",
    "parallelism",
    "activeDeadlineSeconds",
    "completionMode",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
    "podFailurePolicy",
    "successPolicy",
    "podReplacementPolicy",
];

/// The values which `lock` holds in `job`, by their path below the spec of a Job.
pub(super) fn held(lock: &FieldPath, job: &Value) -> BTreeMap<String, Value> {
    let mut held = BTreeMap::new();
    if let Some((list, containers, within)) = lock.containers() {
        of_containers(job, list, containers, within, &mut held);
        return held;
    }
    let mut put = |path: &str| {
        let pointer = format!("/{}", path.replace('.', "/"));
        if let Some(value) = job.pointer(&pointer) {
            held.insert(path.to_owned(), value.clone());
        }
    };
    let key = match lock.steps().get(1) {
        Some(Step::Field(key) | Step::Key(key)) => Some(key.as_str()),
        Some(Step::Every) | None => None,
    };
    let Some(Step::Field(first)) = lock.steps().first() else { return held };
    match (first.as_str(), key) {
        ("settings", Some(field)) => put(field),
        ("settings", None) => SETTINGS.iter().for_each(|field| put(field)),
        ("serviceAccountName", _) => {
            put("template.spec.serviceAccountName");
            put("template.spec.serviceAccount");
        }
        ("nodeName", _) => {
            put("template.spec.nodeName");
            put("template.spec.affinity");
        }
        ("podSecurity", _) => {
            put("template.spec.securityContext");
            let context = [Step::Field("securityContext".to_owned())];
            of_containers(job, "containers", Containers::Every, &context, &mut held);
        }
        ("nodeSelector" | "labels" | "annotations" | "volumes" | "imagePullSecrets", key) => {
            let folder = if first == "labels" || first == "annotations" { "metadata" } else { "spec" };
            let path = format!("template.{folder}.{first}");
            let whole = job.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null);
            members(whole, &["name"], key, &path, &mut held);
        }
        (field, _) => put(&format!("template.spec.{field}")),
    }
    held
}

/// Containers of `job` that are not in `before` and that `lock` is about: the path of each, and what the lock holds of it.
pub(super) fn added(lock: &FieldPath, before: &Value, job: &Value) -> Vec<(String, BTreeMap<String, Value>)> {
    let Some((list, containers, within)) = lock.containers() else { return Vec::new() };
    let names = |job: &Value| {
        let mut all = BTreeMap::new();
        of_containers(job, "containers", Containers::Every, &[Step::Field("name".to_owned())], &mut all);
        all.into_values().collect::<Vec<_>>()
    };
    let known = names(before);
    let mut whole = BTreeMap::new();
    of_containers(job, list, containers, &[], &mut whole);
    let new = whole
        .into_iter()
        .filter(|(_, container)| !known.iter().any(|name| container.get("name") == Some(name)));
    new.map(|(path, container)| {
        let mut held = BTreeMap::new();
        of_container(&container, within, &path, &mut held);
        (path, held)
    })
    .collect()
}

fn of_containers(
    job: &Value,
    list: &str,
    containers: Containers<'_>,
    within: &[Step],
    held: &mut BTreeMap<String, Value>,
) {
    // Sidecars stand among the init containers of a pod.
    let lists: &[&str] =
        if list == "containers" { &["containers", "initContainers"] } else { &["initContainers"] };
    for list in lists {
        let items = job.pointer(&format!("/template/spec/{list}")).and_then(Value::as_array);
        for container in items.into_iter().flatten() {
            let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
            if containers.include(name) {
                of_container(container, within, &format!("template.spec.{list}[{name}]"), held);
            }
        }
    }
}

fn of_container(container: &Value, within: &[Step], path: &str, held: &mut BTreeMap<String, Value>) {
    let Some((Step::Field(field), rest)) = within.split_first() else {
        held.insert(path.to_owned(), container.clone());
        return;
    };
    let (field, keys): (&str, &[&str]) = match field.as_str() {
        // The name of a preset is not in the Job, its amounts are those of `resources`.
        "quota" => return,
        "sidecar" => ("restartPolicy", &[]),
        "mounts" => ("volumeMounts", &["mountPath"]),
        "ports" => ("ports", &["containerPort", "protocol"]),
        "env" => ("env", &["name"]),
        field => (field, &[]),
    };
    let path = format!("{path}.{field}");
    let mut value = container.get(field).unwrap_or(&Value::Null);
    if keys.is_empty() {
        let mut path = path;
        for step in rest {
            let (Step::Field(key) | Step::Key(key)) = step else { break };
            path = crate::compile::layers::join(&path, key);
            value = value.get(key).unwrap_or(&Value::Null);
        }
        if !value.is_null() {
            held.insert(path, value.clone());
        }
    } else {
        let key = match rest.first() {
            Some(Step::Field(key) | Step::Key(key)) => Some(key.as_str()),
            Some(Step::Every) | None => None,
        };
        members(value, keys, key, &path, held);
    }
}

/// The member of a map or list called `key`, or each of them.
fn members(whole: &Value, keys: &[&str], key: Option<&str>, path: &str, held: &mut BTreeMap<String, Value>) {
    let is_meant = |name: &str| key.is_none_or(|key| key == name);
    match whole {
        Value::Object(map) => {
            for (name, value) in map.iter().filter(|(name, _)| is_meant(name)) {
                held.insert(crate::compile::layers::join(path, name), value.clone());
            }
        }
        Value::Array(items) => {
            for item in items {
                let text = |key: &&str| match item.get(*key) {
                    Some(Value::String(text)) => text.clone(),
                    Some(value) => value.to_string(),
                    // The API server's default, which overrides may leave out.
                    None if *key == "protocol" => "TCP".to_owned(),
                    None => String::new(),
                };
                let name = keys.iter().map(text).collect::<Vec<_>>().join("/");
                if is_meant(&name) {
                    held.insert(format!("{path}[{name}]"), item.clone());
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(lock: &str) -> Vec<String> {
        let job = json!({
            "backoffLimit": 3,
            "template": {
                "metadata": {"labels": {"tier": "a", "app.kubernetes.io/name": "b"}},
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": "batch",
                    "volumes": [{"name": "data", "emptyDir": {}}],
                    "initContainers": [{"name": "proxy", "image": "p", "restartPolicy": "Always"}],
                    "containers": [{
                        "name": "main", "image": "m", "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 80}], "volumeMounts": [{"name": "data", "mountPath": "/d"}],
                        "resources": {"limits": {"cpu": "1", "a.com/b": "2"}}
                    }],
                }
            }
        });
        held(&FieldPath::parse(lock).unwrap(), &job).into_keys().collect()
    }

    #[test]
    fn every_field_has_its_place_in_a_job() {
        for (lock, places) in [
            ("settings.backoffLimit", &["backoffLimit"][..]),
            ("settings", &["backoffLimit"]),
            ("restartPolicy", &["template.spec.restartPolicy"]),
            ("serviceAccountName", &["template.spec.serviceAccountName"]),
            ("labels[app.kubernetes.io/name]", &["template.metadata.labels[app.kubernetes.io/name]"]),
            (
                "labels[*]",
                &["template.metadata.labels.tier", "template.metadata.labels[app.kubernetes.io/name]"],
            ),
            ("volumes[data].emptyDir", &["template.spec.volumes[data]"]),
            ("containers[main].image", &["template.spec.containers[main].image"]),
            (
                "containers[*].image",
                &["template.spec.containers[main].image", "template.spec.initContainers[proxy].image"],
            ),
            ("initContainers[*].image", &["template.spec.initContainers[proxy].image"]),
            ("containers[proxy].sidecar", &["template.spec.initContainers[proxy].restartPolicy"]),
            ("containers", &["template.spec.containers[main]", "template.spec.initContainers[proxy]"]),
            ("containers[main].env[A].value", &["template.spec.containers[main].env[A]"]),
            ("containers[main].ports[80/TCP]", &["template.spec.containers[main].ports[80/TCP]"]),
            ("containers[main].mounts[/d]", &["template.spec.containers[main].volumeMounts[/d]"]),
            (
                "containers[main].resources.limits[a.com/b]",
                &["template.spec.containers[main].resources.limits[a.com/b]"],
            ),
            ("containers[main].resources.limits[*]", &["template.spec.containers[main].resources.limits"]),
            ("containers[main].quota", &[]),
        ] {
            assert_eq!(paths(lock), places, "{lock}");
        }
    }
}
