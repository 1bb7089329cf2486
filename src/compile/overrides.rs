//! `overrides`: a partial batch/v1 Job spec from the user, parsed strictly.
//!
//! Takes the user's map; returns a typed partial spec, or every problem in it. Kubernetes would silently drop an
//! unknown field, and tools disagree about null: both are refused here.

use std::collections::BTreeSet;

use k8s_openapi::DeepMerge;
use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::{Container, Volume};
use serde_json::{Map, Value};

use super::problem::Problem;

/// Parses the overrides in `field`.
pub(super) fn parse(overrides: &Map<String, Value>, field: &str) -> Result<JobSpec, Vec<Problem>> {
    let value = Value::Object(overrides.clone());
    let mut problems = Vec::new();
    find_nulls(field, &value, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let typed: JobSpec = serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { field.to_owned() } else { format!("{field}.{path}") };
        vec![Problem::new(field, error.into_inner().to_string())]
    })?;
    let kept = serde_json::to_value(&typed).unwrap_or_default();
    find_dropped(field, &value, &kept, &mut problems);
    find_nameless(field, &typed, &mut problems);
    if problems.is_empty() { Ok(typed) } else { Err(problems) }
}

/// Merges `overrides` into `job` by the API's own merge keys. As in every layer, a member of a choice drops the others:
/// the source of a variable and of a volume.
pub(super) fn merge_into(job: &mut JobSpec, overrides: JobSpec) {
    if let (Some(pod), Some(higher)) = (job.template.spec.as_mut(), overrides.template.spec.as_ref()) {
        let volumes: BTreeSet<&str> = higher
            .volumes
            .iter()
            .flatten()
            .filter(|volume| has_source(volume))
            .map(|volume| volume.name.as_str())
            .collect();
        for volume in pod.volumes.iter_mut().flatten().filter(|volume| volumes.contains(volume.name.as_str()))
        {
            *volume = Volume { name: std::mem::take(&mut volume.name), ..Volume::default() };
        }
        drop_sources(&mut pod.containers, &higher.containers);
        drop_sources(
            pod.init_containers.as_deref_mut().unwrap_or_default(),
            higher.init_containers.as_deref().unwrap_or_default(),
        );
    }
    job.merge_from(overrides);
}

fn has_source(volume: &Volume) -> bool {
    *volume != Volume { name: volume.name.clone(), ..Volume::default() }
}

/// Removes the source of every variable that `higher` gives one.
fn drop_sources(containers: &mut [Container], higher: &[Container]) {
    for container in containers {
        let given: BTreeSet<&str> = (higher.iter().filter(|other| other.name == container.name))
            .flat_map(|other| other.env.iter().flatten())
            .filter(|variable| variable.value.is_some() || variable.value_from.is_some())
            .map(|variable| variable.name.as_str())
            .collect();
        for variable in
            container.env.iter_mut().flatten().filter(|variable| given.contains(variable.name.as_str()))
        {
            (variable.value, variable.value_from) = (None, None);
        }
    }
}

/// Finds items without a name, which would be added as new ones: no user means that.
fn find_nameless(field: &str, overrides: &JobSpec, problems: &mut Vec<Problem>) {
    let Some(pod) = &overrides.template.spec else {
        return;
    };
    let lists = [
        ("containers", pod.containers.as_slice()),
        ("initContainers", pod.init_containers.as_deref().unwrap_or_default()),
    ];
    let mut nameless = |list: String, names: &mut dyn Iterator<Item = &String>| {
        for (index, _) in names.enumerate().filter(|(_, name)| name.is_empty()) {
            problems.push(Problem::new(
                format!("{field}.template.spec.{list}[{index}].name"),
                "a name is required: the item is merged into the one with this name",
            ));
        }
    };
    for (list, containers) in lists {
        nameless(list.to_owned(), &mut containers.iter().map(|container| &container.name));
        for (index, container) in containers.iter().enumerate() {
            nameless(
                format!("{list}[{index}].env"),
                &mut container.env.iter().flatten().map(|env| &env.name),
            );
        }
    }
    nameless("volumes".to_owned(), &mut pod.volumes.iter().flatten().map(|volume| &volume.name));
}

fn find_nulls(path: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::Null => problems.push(Problem::new(
            path,
            "null is refused, because tools disagree about what it means; leave the field out",
        )),
        Value::Object(map) => {
            map.iter().for_each(|(key, child)| find_nulls(&format!("{path}.{key}"), child, problems));
        }
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, child)| find_nulls(&format!("{path}[{index}]"), child, problems));
        }
        _ => {}
    }
}

/// Reports what the typed form dropped: fields that a Job does not have.
fn find_dropped(path: &str, written: &Value, kept: &Value, problems: &mut Vec<Problem>) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, child) in written {
                let path = format!("{path}.{key}");
                match kept.get(key) {
                    Some(kept) => find_dropped(&path, child, kept, problems),
                    None if key.starts_with('$') => problems.push(Problem::new(
                        path,
                        "patch directives are not supported; lists merge by name, other values replace",
                    )),
                    None => problems
                        .push(Problem::new(path, "a Job has no such field; check its spelling and place")),
                }
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            for (index, (child, kept)) in written.iter().zip(kept).enumerate() {
                find_dropped(&format!("{path}[{index}]"), child, kept, problems);
            }
        }
        _ => {}
    }
}
