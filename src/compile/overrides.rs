//! `overrides`: a partial batch/v1 Job spec from the user, parsed strictly.
//!
//! Takes the user's map; returns a typed partial spec, or every problem in it. Kubernetes would drop an unknown field
//! in silence, and tools disagree about null: both are refused here.

use k8s_openapi::api::batch::v1::JobSpec;
use serde_json::{Map, Value};

use super::problem::Problem;

/// Parses `overrides`.
pub(super) fn parse(overrides: &Map<String, Value>) -> Result<JobSpec, Vec<Problem>> {
    let value = Value::Object(overrides.clone());
    let mut problems = Vec::new();
    find_nulls("spec.overrides", &value, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let typed: JobSpec = serde_path_to_error::deserialize(&value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { "spec.overrides".to_owned() } else { format!("spec.overrides.{path}") };
        vec![Problem::new(field, error.into_inner().to_string())]
    })?;
    let kept = serde_json::to_value(&typed).unwrap_or_default();
    find_dropped("spec.overrides", &value, &kept, &mut problems);
    if problems.is_empty() { Ok(typed) } else { Err(problems) }
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

/// Reports what the typed form did not keep: fields which a Job does not have.
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
