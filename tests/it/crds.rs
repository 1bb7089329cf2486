//! The CustomResourceDefinitions as files: current, small, described, and free of defaults that would beat a template.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{golden, root};

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        committed_files_are_current,
        every_field_is_described,
        no_default_lies_in_a_list,
        nothing_is_required_that_a_template_may_supply,
        no_reference_leaves_the_namespace,
        every_list_map_and_string_is_bounded,
        every_rule_has_a_message,
        no_category_has_the_name_of_a_kind,
    ]
}

/// Calls `look` on every schema of the first version, with its path.
fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), look);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{path}[]"), look);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], &format!("{path}{{}}"), look);
    }
}

/// Every schema of every CRD: `<kind>`, path below it, schema.
fn schemas() -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for crd in jobrequest::api::crds() {
        let kind = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        let root = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        walk(root, "", &mut |path, schema| all.push((kind.clone(), path.to_owned(), schema.clone())));
    }
    all
}

/// The path in a JobRequest which a path in a template stands for.
fn in_request(path: &str) -> String {
    path.replacen(".spec.base", ".spec", 1).replacen(".spec.containerDefaults", ".spec.containers[]", 1)
}

/// Fails with every finding at once.
fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// What differs in crds/. Renderings of the chart are compared with it, so it comes first where files are written.
pub(crate) static GENERATED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let crds = jobrequest::api::crds();
    let differences = crds.iter().map(|crd| {
        let name = crd.metadata.name.as_deref().unwrap();
        golden::compare(&root().join(format!("crds/{name}.yaml")), &jobrequest::api::crd_yaml(crd).unwrap())
    });
    differences.flatten().collect()
});

fn committed_files_are_current() {
    assert!(GENERATED.is_empty(), "{}", GENERATED.join("\n"));
    for crd in jobrequest::api::crds() {
        let length = jobrequest::api::crd_yaml(&crd).unwrap().len();
        // Client-side apply ends at 256 KiB, and must hold the object twice.
        let limit = if crd.spec.names.kind == "JobRequest" { 140 * 1024 } else { 190 * 1024 };
        let kind = &crd.spec.names.kind;
        assert!(length < limit, "the CRD of {kind} has {length} bytes");
        println!("figure: the CRD of {kind} has {length} bytes (below {limit})");
    }
}

fn every_field_is_described() {
    let missing: Vec<_> = schemas()
        .into_iter()
        .filter(|(_, path, schema)| {
            path.rsplit('.').next().is_some_and(|name| !name.is_empty() && !name.ends_with(['}', ']']))
                && !["apiVersion", "kind", "metadata", "metadata.name"]
                    .iter()
                    .any(|known| path == &format!(".{known}"))
                && schema["description"].as_str().is_none_or(str::is_empty)
        })
        .map(|(kind, path, _)| format!("{kind}{path}"))
        .collect();
    none("fields without a description", &missing);
}

/// What the API server adds in a list makes Argo CD report a difference indefinitely, and `kubectl apply` say `configured`
/// each time. A default elsewhere would take precedence over every template.
fn no_default_lies_in_a_list() {
    let allowed: BTreeSet<&str> =
        BTreeSet::from([".spec.templateRef.kind", ".status", ".status.observedGeneration"]);
    let others: Vec<_> = schemas()
        .into_iter()
        .filter(|(_, path, schema)| {
            !schema["default"].is_null() && !allowed.contains(in_request(path).as_str())
        })
        .map(|(kind, path, _)| format!("{kind}{path}"))
        .collect();
    none("defaults", &others);
}

fn nothing_is_required_that_a_template_may_supply() {
    let mut wrong = Vec::new();
    for (kind, path, schema) in schemas() {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let is_one = [".spec", ".spec.settings"].contains(&in_request(&path).as_str())
                || ["image", "volume", "containers", "restartPolicy"].contains(&required);
            if is_one && path.starts_with(".spec") {
                wrong.push(format!("{kind}{path}.{required}"));
            }
        }
    }
    none("required too early", &wrong);
}

fn no_reference_leaves_the_namespace() {
    let found: Vec<_> = schemas()
        .into_iter()
        .filter(|(_, path, _)| path.starts_with(".spec") && path.to_lowercase().ends_with("namespace"))
        .map(|(kind, path, _)| format!("{kind}{path}"))
        .collect();
    none("fields that carry a namespace", &found);
}

fn every_list_map_and_string_is_bounded() {
    let mut unbounded = Vec::new();
    for (kind, path, schema) in schemas() {
        if !path.starts_with(".spec.") || in_request(&path).starts_with(".spec.overrides") {
            continue;
        }
        let is_bounded = match schema["type"].as_str() {
            Some("string") => schema["maxLength"].is_number() || schema["enum"].is_array(),
            Some("array") => schema["maxItems"].is_number() && schema["x-kubernetes-list-type"].is_string(),
            Some("object") if schema["additionalProperties"].is_object() => {
                schema["maxProperties"].is_number()
            }
            _ => true,
        };
        if !is_bounded {
            unbounded.push(format!("{kind}{path}"));
        }
    }
    // Programs and their arguments are ordered texts: an atomic list, which is what no list type means.
    unbounded.retain(|path| !["command", "args"].iter().any(|name| path.rsplit('.').next() == Some(name)));
    none("without a bound or a list type", &unbounded);
}

fn every_rule_has_a_message() {
    let mut silent = Vec::new();
    for (kind, path, schema) in schemas() {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            if rule["message"].as_str().is_none_or(str::is_empty) && rule["messageExpression"].is_null() {
                silent.push(format!("{kind}{path}: {}", rule["rule"]));
            }
        }
    }
    none("rules without a message", &silent);
}

/// kubectl takes a category before a kind: one called like a kind makes `kubectl get KIND NAME` fail, because it then
/// asks for several kinds.
fn no_category_has_the_name_of_a_kind() {
    let crds = jobrequest::api::crds();
    let names: Vec<String> = (crds.iter())
        .map(|crd| crd.spec.names.clone())
        .flat_map(|names| {
            [
                vec![names.kind.to_lowercase(), names.plural],
                names.singular.into_iter().collect(),
                names.short_names.unwrap_or_default(),
            ]
            .concat()
        })
        .collect();
    for category in crds.iter().flat_map(|crd| crd.spec.names.categories.iter().flatten()) {
        assert!(!names.contains(category), "{category} is a category and a kind");
    }
}
