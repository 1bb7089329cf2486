//! Holds a conversion to its promise: the Job of a run equals the native Job, but for what is noted.
//!
//! Takes the spec of the native Job and of the compiled one; returns the places in the native Job where they differ,
//! without what JobRequest does differently on purpose and the documentation lists.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Value, json};

use super::container::default_pull_policy;
use super::defaults;
use super::draft::Fields;
use super::metadata::is_reserved;
use super::note::Place;
use crate::api::labels;

/// Lists whose members are found by a key, so that their order does not count.
const BY_KEY: [(&str, &str); 2] = [("volumes", "name"), ("volumeMounts", "mountPath")];

/// Where `compiled` differs from `native`, which is written at `at`; no place is within another.
pub(super) fn differences(native: &JobSpec, compiled: &JobSpec, at: &Place) -> Vec<Place> {
    let mut found = Vec::new();
    differ(&Value::Object(comparable(native)), &Value::Object(comparable(compiled)), at, &mut found);
    found
}

/// The spec as it is compared.
fn comparable(spec: &JobSpec) -> Fields {
    let Ok(Value::Object(mut spec)) = serde_json::to_value(spec) else { return Fields::new() };
    defaults::leave_out(&mut spec, true);
    if spec.get("completionMode") == Some(&json!("NonIndexed")) {
        spec.remove("completionMode");
    }
    if !spec.contains_key("parallelism") {
        spec.entry("completions").or_insert(json!(1));
        spec.insert("parallelism".to_owned(), json!(1));
    }
    // The operator cleans up and suspends, the Job controller chooses the selector; each is noted where it matters.
    for field in ["ttlSecondsAfterFinished", "suspend", "selector", "manualSelector", "managedBy"] {
        spec.remove(field);
    }
    let Some(template) = spec.get_mut("template").and_then(Value::as_object_mut) else { return spec };
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        for map in ["labels", "annotations"] {
            if let Some(entries) = metadata.get_mut(map).and_then(Value::as_object_mut) {
                entries.retain(|key, _| !is_reserved(key) && key != labels::MANAGED_BY);
            }
        }
        metadata.retain(|_, value| *value != json!({}));
    }
    if template.get("metadata") == Some(&json!({})) {
        template.remove("metadata");
    }
    for list in ["initContainers", "containers"] {
        let containers =
            template.get_mut("spec").and_then(|pod| pod.get_mut(list)).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
            if let Some(image) = container.get("image").and_then(Value::as_str) {
                let policy = json!(default_pull_policy(image));
                container.entry("imagePullPolicy").or_insert(policy);
            }
            for variable in container.get_mut("env").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(variable) = variable.as_object_mut()
                    && !variable.contains_key("valueFrom")
                {
                    variable.entry("value").or_insert(json!(""));
                }
            }
        }
    }
    spec
}

fn differ(native: &Value, compiled: &Value, at: &Place, found: &mut Vec<Place>) {
    match (native, compiled) {
        (Value::Object(native), Value::Object(compiled)) => {
            for (key, value) in native {
                let at = at.key(key);
                let Some(other) = compiled.get(key) else {
                    found.push(at);
                    continue;
                };
                match BY_KEY.iter().find(|(list, _)| list == key) {
                    Some((_, by)) => differ_by_key(value, other, by, &at, found),
                    None => differ(value, other, &at, found),
                }
            }
            found.extend(compiled.keys().filter(|key| !native.contains_key(*key)).map(|key| at.key(key)));
        }
        (Value::Array(native), Value::Array(compiled)) if native.len() == compiled.len() => {
            for (index, (value, other)) in native.iter().zip(compiled).enumerate() {
                differ(value, other, &at.index(index), found);
            }
        }
        _ if native == compiled => {}
        _ => found.push(at.clone()),
    }
}

fn differ_by_key(native: &Value, compiled: &Value, by: &str, at: &Place, found: &mut Vec<Place>) {
    let (Some(native), Some(compiled)) = (native.as_array(), compiled.as_array()) else {
        return differ(native, compiled, at, found);
    };
    let key = |member: &Value| member.get(by).map(Value::to_string);
    let others: BTreeMap<_, _> = compiled.iter().map(|member| (key(member), member)).collect();
    if others.len() != native.len() {
        found.push(at.clone());
        return;
    }
    for (index, member) in native.iter().enumerate() {
        match others.get(&key(member)) {
            Some(other) => differ(member, other, &at.index(index), found),
            None => found.push(at.index(index)),
        }
    }
}
