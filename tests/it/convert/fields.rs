//! Nothing is silently lost: each field that a Job can have, set alone, is in the JobRequest or in a note.

use std::collections::BTreeMap;

use jobrequest::compile::read_native;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::CONVERTER;

pub(crate) fn tests() -> Vec<Trial> {
    tests![each_field_of_a_job_is_carried_or_named, a_misspelled_field_is_named]
}

/// The types of a Job's spec, each with its fields and their types.
fn types() -> BTreeMap<&'static str, Vec<(&'static str, &'static str)>> {
    let table = include_str!("../../../src/compile/job_fields.txt");
    let fields = |fields: &'static str| {
        fields.split(' ').map(|field| field.split_once(':').unwrap_or((field, ""))).collect()
    };
    table.lines().filter_map(|line| line.split_once(' ')).map(|(name, list)| (name, fields(list))).collect()
}

/// The values that a field may have; the first that its type takes is used. None is a default of Kubernetes.
fn candidates() -> [Value; 9] {
    [
        json!("sentinel"),
        json!(421),
        json!(true),
        json!(["sentinel"]),
        json!([421]),
        json!({"sentinel": "421"}),
        json!([{"sentinel": "421"}]),
        json!("2026-11-28T12:00:00Z"),
        json!({}),
    ]
}

/// `value` at `path` of a Job's spec, beside what every Job has. A step that begins with a bracket is the first member of
/// a list.
fn spec_with(path: &[(&str, bool)], value: &Value) -> Value {
    let mut spec = json!({"template": {"spec": {
        "restartPolicy": "OnFailure", "containers": [{"name": "main", "image": "perl:5"}],
    }}});
    let mut node = &mut spec;
    for (field, is_list) in path {
        if node.is_null() {
            *node = json!({});
        }
        node = &mut node[*field];
        if *is_list {
            if !node.is_array() {
                *node = json!([{}]);
            }
            node = &mut node[0];
            if ["initContainers", "volumes", "ephemeralContainers", "env"].contains(field) {
                node["name"] = json!("other");
            }
            if *field == "volumeMounts" {
                node["name"] = json!("other");
            }
        }
    }
    *node = value.clone();
    spec
}

/// A spec with this field, in a shape that its type takes.
fn sample(path: &[(&str, bool)], name: &'static str) -> Option<(Value, Value)> {
    candidates().into_iter().find_map(|value| {
        let mut path = path.to_vec();
        path.push((name, false));
        let value = if name == "enableServiceLinks" && value == json!(true) { json!(false) } else { value };
        let spec = spec_with(&path, &value);
        let read = read_native(&spec, "spec");
        (read.misfits.is_empty() && read.unknown.is_empty()).then_some((spec, value))
    })
}

/// Which of the fields of a type are lists: the one shape that is not in the table.
fn is_list(path: &[(&str, bool)], name: &'static str) -> Option<bool> {
    [true, false].into_iter().find(|is_list| {
        let mut path = path.to_vec();
        path.push((name, *is_list));
        let read = read_native(&spec_with(&path, &json!({})), "spec");
        read.misfits.is_empty() && read.unknown.is_empty()
    })
}

fn leaves(
    types: &BTreeMap<&'static str, Vec<(&'static str, &'static str)>>,
    of: &str,
    path: &mut Vec<(&'static str, bool)>,
    found: &mut Vec<(Vec<(&'static str, bool)>, &'static str)>,
) {
    for (name, kind) in &types[of] {
        match types.contains_key(kind).then(|| is_list(path, name)).flatten() {
            Some(is_list) => {
                path.push((name, is_list));
                leaves(types, kind, path, found);
                path.pop();
            }
            None => found.push((path.clone(), name)),
        }
    }
}

/// Whether the value, or the field with it, is somewhere in the JobRequest.
fn is_in(request: &Value, name: &str, value: &Value) -> bool {
    match request {
        Value::Object(fields) => {
            fields.iter().any(|(key, child)| (key == name && child == value) || is_in(child, name, value))
        }
        Value::Array(items) => items.iter().any(|item| is_in(item, name, value)),
        _ => false,
    }
}

fn each_field_of_a_job_is_carried_or_named() {
    let mut found = Vec::new();
    leaves(&types(), "JobSpec", &mut Vec::new(), &mut found);
    assert!(found.len() > 900, "{}", found.len());
    let (mut lost, mut skipped) = (Vec::new(), Vec::new());
    for (path, name) in &found {
        let steps: Vec<String> = path
            .iter()
            .map(|(name, is_list)| format!("{name}{}.", if *is_list { "[0]" } else { "" }))
            .collect();
        let shown = steps.concat();
        let shown = format!("{shown}{name}");
        let Some((spec, value)) = sample(path, name) else {
            skipped.push(shown);
            continue;
        };
        let object =
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": spec});
        let (request, notes) = match CONVERTER.convert(&object) {
            Ok(converted) => (converted.request, converted.notes),
            Err(refusal) => (Value::Null, refusal.0),
        };
        let text = request.to_string();
        let is_carried = if value.to_string().contains("sentinel") || value.to_string().contains("421") {
            text.contains("sentinel") || text.contains("421")
        } else {
            is_in(&request, name, &value)
        };
        let is_named = super::is_named(&format!("spec.{shown}"), &notes);
        // What the API server writes in templates has no meaning there.
        if !is_carried && !is_named && !shown.ends_with("metadata.creationTimestamp") {
            lost.push(format!("{shown}: {value} {request}"));
        }
    }
    println!("figure: {} fields of a Job", found.len());
    assert!(lost.is_empty(), "{} of {}:\n{}", lost.len(), found.len(), lost.join("\n"));
    assert!(skipped.is_empty(), "{skipped:?}");
}

fn a_misspelled_field_is_named() {
    for (path, name) in [
        (&[][..], "backofLimit"),
        (&[("template", false), ("spec", false)], "affinty"),
        (&[("template", false), ("spec", false), ("containers", true)], "livenesProbe"),
        (&[("template", false)], "nonsense"),
    ] {
        let mut full = path.to_vec();
        full.push((name, false));
        let object = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": spec_with(&full, &json!(1)),
        });
        let converted = CONVERTER.convert(&object).unwrap();
        assert!(
            converted.notes.iter().any(|note| note.field.ends_with(name)),
            "{name}: {:?}",
            converted.notes
        );
    }
}
