//! Files that follow from the CRDs: the reference of the API, and the merge keys for Kustomize.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use libtest_mimic::Trial;
use serde_json::{Map, Value, json};

use crate::support::{golden, root};

pub(crate) fn tests() -> Vec<Trial> {
    tests![the_reference_is_current, merge_keys_for_kustomize_are_current, names_for_kustomize_are_complete]
}

/// The first version of each CRD: kind, plural, whether it is namespaced, schema.
fn kinds() -> Vec<(String, String, bool, Value)> {
    let crds = jobrequest::api::crds().into_iter().map(|crd| {
        let crd = serde_json::to_value(crd).unwrap();
        let names = &crd["spec"]["names"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
        (text(&names["kind"]), text(&names["plural"]), crd["spec"]["scope"] == "Namespaced", schema)
    });
    crds.collect()
}

fn the_reference_is_current() {
    let mut page = String::from(
        "# API reference\n\nEvery field of the three kinds, from their CustomResourceDefinitions. `kubectl explain jobrequest.spec.settings` shows the same for the version that a cluster has.\n",
    );
    for (kind, _, _, schema) in kinds() {
        if kind == "ClusterJobTemplate" {
            page.push_str(
                "\n## ClusterJobTemplate\n\nA ClusterJobTemplate has the fields of a JobTemplate.\n",
            );
            continue;
        }
        write!(page, "\n## {kind}\n").unwrap();
        for part in ["spec", "status"] {
            section(&mut page, &kind, part, &schema["properties"][part]);
        }
    }
    let difference = golden::compare(&root().join("docs/api.md"), &page);
    assert!(difference.is_none(), "{}", difference.unwrap());
}

/// A table of the fields of an object, then those of the objects in it.
fn section(page: &mut String, kind: &str, path: &str, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let intro = schema["description"].as_str().unwrap_or_default();
    write!(page, "\n### {kind} {path}\n\n").unwrap();
    if !intro.is_empty() && !path.contains(['.', '[']) {
        write!(page, "{intro}\n\n").unwrap();
    }
    page.push_str("| field | type | |\n|---|---|---|\n");
    let mut inner = Vec::new();
    for (name, field) in properties {
        let is_required = schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
        let required = if is_required { " (required)" } else { "" };
        let text = field["description"].as_str().unwrap_or_default().replace('|', "\\|");
        writeln!(page, "| `{name}` | {}{required} | {text} |", type_of(field)).unwrap();
        let below = format!("{path}.{name}");
        match (name.as_str(), field["type"].as_str()) {
            // As the spec and a container of a JobRequest.
            ("base" | "containerDefaults" | "initContainers", _) => {}
            (_, Some("array")) => inner.push((format!("{below}[]"), field["items"].clone())),
            (_, Some("object")) if field["additionalProperties"].is_object() => {
                inner.push((format!("{below}{{}}"), field["additionalProperties"].clone()));
            }
            _ => inner.push((below, field.clone())),
        }
    }
    for (path, schema) in inner {
        section(page, kind, &path, &schema);
    }
}

fn type_of(field: &Value) -> String {
    if field["x-kubernetes-int-or-string"] == true {
        return "quantity or number".to_owned();
    }
    if let Some(values) = field["enum"].as_array() {
        return values
            .iter()
            .map(|value| value.as_str().filter(|text| !text.is_empty()).unwrap_or("\"\"").to_owned())
            .collect::<Vec<_>>()
            .join(", ");
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => {
            format!("map of {}", type_of(&field["additionalProperties"]))
        }
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

const FOLDER: &str = "integrations/kustomize";

/// The way to each list that is merged by one key, and nothing else: Kustomize needs no more.
fn pruned(schema: &Value) -> Option<Value> {
    if schema["type"] == "array" {
        let items = pruned(&schema["items"]);
        let keys = schema["x-kubernetes-list-map-keys"].as_array().map(Vec::as_slice).unwrap_or_default();
        return match (keys, items) {
            ([key], items) => Some(json!({
                "type": "array",
                "items": items.unwrap_or(json!({"type": "object"})),
                "x-kubernetes-patch-merge-key": key,
                "x-kubernetes-patch-strategy": "merge"
            })),
            (_, Some(items)) => Some(json!({"type": "array", "items": items})),
            (_, None) => None,
        };
    }
    let properties: Map<String, Value> = (schema["properties"].as_object().into_iter().flatten())
        .filter_map(|(name, schema)| Some((name.clone(), pruned(schema)?)))
        .collect();
    (!properties.is_empty()).then(|| json!({"type": "object", "properties": properties}))
}

fn merge_keys_for_kustomize_are_current() {
    let mut definitions = BTreeMap::new();
    let mut paths = Map::new();
    for (kind, plural, is_namespaced, schema) in kinds() {
        let of_spec = pruned(&schema["properties"]["spec"]).unwrap();
        let gvk = json!({"group": "jobrequest.dev", "kind": kind, "version": "v1alpha1"});
        let definition = json!({
            "type": "object", "properties": {"spec": of_spec}, "x-kubernetes-group-version-kind": [gvk]
        });
        definitions.insert(format!("dev.jobrequest.v1alpha1.{kind}"), definition);
        let scope = if is_namespaced { "/namespaces/{namespace}" } else { "" };
        let get = json!({"get": {"responses": {}, "x-kubernetes-group-version-kind": gvk}});
        paths.insert(format!("/apis/jobrequest.dev/v1alpha1{scope}/{plural}"), get);
    }
    let own = json!({"definitions": definitions, "paths": paths});
    let own = format!("{}\n", serde_json::to_string_pretty(&own).unwrap());

    // The merge keys of Kubernetes' own kinds stay until its version is raised.
    let file = root().join(FOLDER).join("schema-with-kubernetes.json");
    let with_kubernetes: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let theirs = with_kubernetes["definitions"].as_object().unwrap();
    let theirs = theirs.iter().filter(|(name, _)| !name.starts_with("dev.jobrequest."));
    definitions.extend(theirs.map(|(name, schema)| (name.clone(), schema.clone())));
    assert!(definitions.len() > 100, "{} definitions", definitions.len());
    let lines: Vec<String> =
        definitions.iter().map(|(name, schema)| format!("  {}: {schema}", json!(name))).collect();
    let all = format!("{{\"definitions\": {{\n{}\n}}, \"paths\": {}}}\n", lines.join(",\n"), json!(paths));

    let differences: Vec<_> =
        [golden::compare(&root().join(FOLDER).join("schema.json"), &own), golden::compare(&file, &all)]
            .into_iter()
            .flatten()
            .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Kustomize follows a name only at places that are listed.
fn names_for_kustomize_are_complete() {
    let names: Value =
        serde_saphyr::from_str(&fs::read_to_string(root().join(FOLDER).join("names.yaml")).unwrap()).unwrap();
    let of_kind = |kind: &str| -> Vec<String> {
        let entries = names["nameReference"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["kind"] == kind).unwrap();
        let specs = entry["fieldSpecs"].as_array().unwrap();
        specs.iter().map(|spec| spec["path"].as_str().unwrap().to_owned()).collect()
    };
    let mut missing = Vec::new();
    for (kind, _, _, schema) in kinds() {
        references(&schema["properties"]["spec"], "spec", &mut |path, referred| {
            for other in referred {
                if !of_kind(other).iter().any(|known| known == path) {
                    missing.push(format!("{kind} {path}: {other}"));
                }
            }
        });
    }
    assert!(missing.is_empty(), "integrations/kustomize/names.yaml lacks {missing:#?}");
}

/// Calls `found` with each place that names an object of the namespace, and with what that is.
fn references(schema: &Value, path: &str, found: &mut impl FnMut(&str, &[&str])) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        let inner = if field["type"] == "array" { &field["items"] } else { field };
        match name.as_str() {
            "configRef" => found(&format!("{path}/name"), &["ConfigMap", "Secret"]),
            "templateRef" => found(&format!("{path}/name"), &["JobTemplate", "ClusterJobTemplate"]),
            "nodePublishSecretRef" => found(&format!("{path}/name"), &["Secret"]),
            "claimName" => found(&path, &["PersistentVolumeClaim"]),
            "imagePullSecrets" => found(&path, &["Secret"]),
            "serviceAccountName" => found(&path, &["ServiceAccount"]),
            _ => references(inner, &path, found),
        }
    }
}
