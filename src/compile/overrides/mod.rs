//! `overrides`: a partial batch/v1 Job spec from the user, parsed strictly.
//!
//! Takes the user's map; returns a typed partial spec, or every problem in it. Kubernetes would silently drop an
//! unknown field, and tools disagree about null: both are refused here. [`read_native`] does the same for a whole Job.

mod merge;

use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Map, Value};

use super::job_fields;
use super::problem::Problem;
pub(super) use merge::merge_into;

/// Values of a wrong type that are looked for in one go.
const MAX_MISFITS: usize = 32;

/// Parses the overrides in `field`.
pub(super) fn parse(overrides: &Map<String, Value>, field: &str) -> Result<JobSpec, Vec<Problem>> {
    let value = Value::Object(overrides.clone());
    let mut problems = Vec::new();
    find_nulls(field, &value, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let (typed, misfits) = read(&value, field);
    let typed = typed.unwrap_or_default();
    problems.extend(misfits);
    let kept = serde_json::to_value(&typed).unwrap_or_default();
    find_dropped(field, &mut Vec::new(), &value, &kept, &mut problems);
    find_nameless(field, &typed, &mut problems);
    if problems.is_empty() { Ok(typed) } else { Err(problems) }
}

/// The spec of a native Job, read as strictly as overrides are.
#[derive(Clone, Debug)]
pub struct NativeSpec {
    /// The spec without what is wrong; none if too much is.
    pub spec: Option<JobSpec>,
    /// Values of a wrong type.
    pub misfits: Vec<Problem>,
    /// Fields that a Job does not have.
    pub unknown: Vec<Problem>,
}

/// Reads the spec of a native Job, which is written in `field`. Null is taken for absent, as the API server takes it.
#[must_use]
pub fn read_native(spec: &Value, field: &str) -> NativeSpec {
    let mut written = spec.clone();
    drop_nulls(&mut written);
    let (spec, misfits) = read(&written, field);
    let mut unknown = misfits.clone();
    let kept = serde_json::to_value(spec.clone().unwrap_or_default()).unwrap_or_default();
    find_dropped(field, &mut Vec::new(), &written, &kept, &mut unknown);
    NativeSpec { spec, unknown: unknown.split_off(misfits.len()), misfits }
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Reads the overrides without the values that have a wrong type, and says which these are; nothing is read if too many
/// have.
fn read(overrides: &Value, field: &str) -> (Option<JobSpec>, Vec<Problem>) {
    let mut left = overrides.clone();
    let mut misfits = Vec::new();
    while misfits.len() < MAX_MISFITS {
        let error = match serde_path_to_error::deserialize::<_, JobSpec>(&left) {
            Ok(typed) => return (Some(typed), misfits),
            Err(error) => error,
        };
        let path = error.path().clone();
        let place = if path.iter().next().is_none() { field.to_owned() } else { format!("{field}.{path}") };
        misfits.push(Problem::new(place, error.into_inner().to_string()));
        if !take_away(&mut left, &path) {
            break;
        }
    }
    (None, misfits)
}

/// Takes the value at `path` away; false if there is none.
fn take_away(value: &mut Value, path: &serde_path_to_error::Path) -> bool {
    let segments: Vec<String> = path.iter().map(ToString::to_string).collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let index = |segment: &str| segment.trim_matches(['[', ']']).parse::<usize>().ok();
    let mut parent = value;
    for segment in parents {
        let child = match parent {
            Value::Object(map) => map.get_mut(segment),
            Value::Array(items) => index(segment).and_then(|index| items.get_mut(index)),
            _ => None,
        };
        let Some(child) = child else { return false };
        parent = child;
    }
    match parent {
        Value::Object(map) => map.remove(last).is_some(),
        // Its place stays, so that the paths of the others stay right.
        Value::Array(items) => match index(last).and_then(|index| items.get_mut(index)) {
            Some(item) if !item.is_null() => {
                *item = Value::Null;
                true
            }
            _ => false,
        },
        _ => false,
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

/// Reports what the typed form dropped: fields that a Job does not have. `within` names the fields on the way.
fn find_dropped<'a>(
    path: &str,
    within: &mut Vec<&'a str>,
    written: &'a Value,
    kept: &Value,
    problems: &mut Vec<Problem>,
) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, child) in written {
                let path = format!("{path}.{key}");
                match kept.get(key) {
                    Some(kept) => {
                        within.push(key);
                        find_dropped(&path, within, child, kept, problems);
                        within.pop();
                    }
                    None if problems.iter().any(|known| known.field.starts_with(&path)) => {}
                    None if key.starts_with('$') => problems.push(Problem::new(
                        path,
                        "patch directives are not supported; lists merge by name, other values replace",
                    )),
                    None => {
                        let advice = job_fields::advice_in_overrides(within, key);
                        problems.push(Problem::new(path, format!("a Job has no such field here; {advice}")));
                    }
                }
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            for (index, (child, kept)) in written.iter().zip(kept).enumerate() {
                find_dropped(&format!("{path}[{index}]"), within, child, kept, problems);
            }
        }
        _ => {}
    }
}
