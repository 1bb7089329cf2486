//! What the chart repeats of other files: each function takes a file as it is, returns it as it should be.

use std::fmt::Write;
use std::fs;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, PodSecurityContext, ResourceRequirements, SecurityContext,
    Toleration, TopologySpreadConstraint,
};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::CHART;
use crate::support::root;

/// values.schema.json: its `$defs` are the schemas of Kubernetes' and our own types, without room for a typo.
pub(super) fn values_schema(before: &str) -> String {
    let mut schema: Value = serde_json::from_str(before).unwrap();
    let mut definitions = kubernetes_types();
    let crd = jobrequest::api::crds().into_iter().find(|crd| crd.spec.names.kind == "ClusterJobTemplate");
    let crd = serde_json::to_value(crd.unwrap()).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for part in ["base", "containerDefaults", "quotas", "policy"] {
        definitions.insert(format!("dev.jobrequest.{part}"), spec[part].clone());
    }
    definitions.values_mut().for_each(make_strict);
    schema["$defs"] = Value::Object(definitions);
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap())
}

fn kubernetes_types() -> Map<String, Value> {
    let mut generator = SchemaGenerator::default();
    generator.subschema_for::<Affinity>();
    generator.subschema_for::<EnvVar>();
    generator.subschema_for::<LocalObjectReference>();
    generator.subschema_for::<NetworkPolicyPeer>();
    generator.subschema_for::<PodSecurityContext>();
    generator.subschema_for::<ResourceRequirements>();
    generator.subschema_for::<SecurityContext>();
    generator.subschema_for::<Toleration>();
    generator.subschema_for::<TopologySpreadConstraint>();
    let mut definitions = generator.take_definitions(true);
    // YAML writes `cpu: 2` and `port: 80` as numbers, which the API server takes.
    for (name, types) in [
        ("io.k8s.apimachinery.pkg.api.resource.Quantity", json!(["string", "number"])),
        ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", json!(["string", "integer"])),
    ] {
        if let Some(definition) = definitions.get_mut(name) {
            *definition = json!({"type": types});
        }
    }
    definitions
}

/// From a schema of OpenAPI, as CRDs have it, to a strict one of JSON Schema.
fn make_strict(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(make_strict),
        Value::Object(fields) => {
            if fields.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
                fields.insert("type".to_owned(), json!(["integer", "string"]));
                fields.remove("anyOf");
            }
            let takes_anything = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            if fields.get("properties").is_some_and(Value::is_object)
                && !fields.contains_key("additionalProperties")
                && !takes_anything
            {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            if fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields.retain(|key, value| {
                !(key.starts_with("x-kubernetes-") || key == "default" && value.is_null())
            });
            fields.values_mut().for_each(make_strict);
        }
        _ => {}
    }
}

/// Chart.yaml: the version is the crate's, the annotations tell Artifact Hub of the CRDs and examples.
pub(super) fn chart_yaml(before: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let head = before.split_once("\nannotations:").expect("annotations").0;
    let head: String = head
        .lines()
        .map(|line| match line.split_once(": ") {
            Some((key @ ("version" | "appVersion"), _)) => format!("{key}: {version}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut crds = String::new();
    for crd in jobrequest::api::crds() {
        let version = &crd.spec.versions[0];
        let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let entry = json!([{
            "kind": crd.spec.names.kind,
            "version": version.name,
            "name": crd.metadata.name,
            "displayName": crd.spec.names.kind,
            "description": schema.description.as_deref().expect("a description").split("\n\n").next(),
        }]);
        crds += &serde_saphyr::to_string(&entry).unwrap();
    }
    let mut files: Vec<_> =
        fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut examples = String::new();
    for file in files {
        for document in jobrequest::manifest::read_documents(&fs::read_to_string(file).unwrap()).unwrap() {
            examples += &serde_saphyr::to_string(&[document]).unwrap();
        }
    }
    let values: Value =
        serde_saphyr::from_str(&fs::read_to_string(format!("{CHART}/values.yaml")).unwrap()).unwrap();
    let image = format!("{}:{version}", values["image"]["repository"].as_str().unwrap());
    let annotations = [
        ("category", "integration-delivery".to_owned()),
        ("crds", crds),
        ("crdsExamples", examples),
        ("images", format!("- name: jobrequest\n  image: {image}\n")),
        ("license", "Apache-2.0".to_owned()),
        ("operator", "\"true\"".to_owned()),
        ("operatorCapabilities", "Seamless Upgrades".to_owned()),
    ];
    let mut text = format!("{head}annotations:\n");
    for (key, value) in annotations {
        if value.ends_with('\n') {
            writeln!(text, "  artifacthub.io/{key}: |").unwrap();
            for line in value.lines() {
                text += format!("    {line}").trim_end();
                text += "\n";
            }
        } else {
            writeln!(text, "  artifacthub.io/{key}: {value}").unwrap();
        }
    }
    text
}

const TABLE: [&str; 2] =
    ["<!-- values: generated by BLESS=1 cargo test --test it chart:: -->\n", "<!-- end of values -->"];

/// docs/install.md: its table of values has the keys, defaults and comments of values.yaml.
pub(super) fn values_table(before: &str) -> String {
    let text = fs::read_to_string(format!("{CHART}/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let mut table = "| value | meaning | default |\n|---|---|---|\n".to_owned();
    let (mut section, mut comment) = (String::new(), None);
    for line in text.lines() {
        let key = line.trim_start().split_once(':').map(|(key, _)| key);
        if let Some(words) = line.trim_start().strip_prefix("# -- ") {
            comment = Some(words.to_owned());
        } else if let (Some(key), Some(words)) = (key.filter(|key| !key.starts_with('#')), comment.take()) {
            let path = if line.starts_with(' ') { format!("{section}.{key}") } else { key.to_owned() };
            let value = &values[if line.starts_with(' ') { section.as_str() } else { key }];
            let value = if line.starts_with(' ') { &value[key] } else { value };
            writeln!(table, "| `{path}` | {words} | `{value}` |").unwrap();
        } else if let Some(key) = key.filter(|key| !line.starts_with(' ') && !key.starts_with('#')) {
            key.clone_into(&mut section);
        }
    }
    let (head, rest) = before.split_once(TABLE[0]).expect("the begin of the table");
    let tail = rest.split_once(TABLE[1]).expect("the end of the table").1;
    format!("{head}{}{table}{}{tail}", TABLE[0], TABLE[1])
}
