//! From CustomResourceDefinitions to JSON Schema, draft 7, as editors and kubeconform read it.
//!
//! The schemas are strict: a field that a kind does not have is refused, as the API server refuses it when kubectl asks.
//! What JSON Schema cannot say (the CEL rules, unique keys of lists) is left out; `jobrequest validate` knows it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::crds;

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";
/// The definition of `metadata`.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// The name of the file that has all kinds.
const ALL: &str = "all";

/// The schema of one version of a kind.
#[derive(Clone, Debug, PartialEq)]
pub struct KindSchema {
    /// The API group.
    pub group: String,
    /// The version, such as `v1alpha1`.
    pub version: String,
    /// The kind, such as `JobRequest`.
    pub kind: String,
    /// Its schema, without the definitions that it refers to.
    schema: Value,
}

impl KindSchema {
    /// The whole schema.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = self.schema.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.insert("$schema".to_owned(), json!(DRAFT));
            fields.insert("definitions".to_owned(), Value::Object(metadata_definitions()));
        }
        document
    }

    /// Where kubeconform looks for it: `jobrequest.dev/jobrequest_v1alpha1.json`, which is
    /// `{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json`.
    #[must_use]
    pub fn file(&self) -> String {
        format!("{}/{}_{}.json", self.group, self.kind.to_lowercase(), self.version)
    }
}

/// The schema of every kind and version of the project.
#[must_use]
pub fn kind_schemas() -> Vec<KindSchema> {
    let mut all = Vec::new();
    for crd in crds() {
        for version in crd.spec.versions.iter().filter(|version| version.served) {
            let root = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            let mut schema = serde_json::to_value(root).unwrap_or_default();
            super::schema::whole_numbers(&mut schema);
            let (group, kind) = (crd.spec.group.clone(), crd.spec.names.kind.clone());
            complete(&mut schema, &format!("{group}/{}", version.name), &kind);
            translate(&mut schema);
            all.push(KindSchema { group, version: version.name.clone(), kind, schema });
        }
    }
    all
}

/// A schema for files with objects of every kind: those of the project are judged by the schema of their kind, others
/// pass.
#[must_use]
pub fn group_schema() -> Value {
    let schemas = kind_schemas();
    let groups = schemas.first().map(|schema| schema.group.replace('.', "\\.")).unwrap_or_default();
    let mut definitions = metadata_definitions();
    let mut choices = Vec::new();
    for schema in schemas {
        let name = format!("{}.{}", schema.version, schema.kind);
        choices.push(json!({"$ref": format!("#/definitions/{name}")}));
        definitions.insert(name, schema.schema);
    }
    choices.push(json!({
        "title": "An object of another API group",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string", "not": {"pattern": format!("^{groups}/")}},
            "kind": {"type": "string"},
        },
        "required": ["apiVersion", "kind"],
    }));
    json!({
        "$schema": DRAFT,
        "title": "Objects of jobrequest.dev",
        "definitions": definitions,
        "oneOf": choices,
    })
}

/// Every schema with the name of its file, in kubeconform's layout.
#[must_use]
pub fn schema_files() -> Vec<(String, Value)> {
    let schemas = kind_schemas();
    let group = schemas.first().map(|schema| schema.group.clone()).unwrap_or_default();
    let kinds = schemas.iter().map(|schema| (schema.file(), schema.document()));
    kinds.chain([(format!("{group}/{ALL}.json"), group_schema())]).collect()
}

/// Adds what the API server knows without the CRD.
fn complete(schema: &mut Value, api_version: &str, kind: &str) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.insert("title".to_owned(), json!(kind));
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        let only = |value: &str, description: &str| json!({"type": "string", "enum": [value], "description": description});
        properties.insert("apiVersion".to_owned(), only(api_version, "API group and version of the object."));
        properties.insert("kind".to_owned(), only(kind, "Kind of the object."));
        properties.insert("metadata".to_owned(), json!({"$ref": format!("#/definitions/{METADATA}")}));
    }
    let required = fields.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        required.extend(["apiVersion", "kind", "metadata"].map(Value::from));
    }
}

/// The definitions of ObjectMeta and of what it refers to. Null stands for the absence of a field there.
fn metadata_definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft07().into_generator();
    generator.subschema_for::<ObjectMeta>();
    let mut definitions = generator.take_definitions(true);
    for definition in definitions.values_mut() {
        translate(definition);
        let required: Vec<_> =
            definition.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let properties = definition.get_mut("properties").and_then(Value::as_object_mut);
        for (name, property) in properties.into_iter().flatten() {
            if !required.contains(&json!(name)) {
                or_null(property);
            }
        }
    }
    definitions
}

/// From the OpenAPI of CRDs to JSON Schema, with all that is in it.
fn translate(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    let is_true = |fields: &Map<String, Value>, key: &str| fields.get(key) == Some(&json!(true));
    if is_true(fields, "x-kubernetes-int-or-string") {
        fields.insert("type".to_owned(), json!(["integer", "string"]));
        fields.remove("anyOf");
    }
    let takes_anything = is_true(fields, "x-kubernetes-preserve-unknown-fields");
    if fields.contains_key("properties") && !fields.contains_key("additionalProperties") && !takes_anything {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    let is_nullable = is_true(fields, "nullable");
    let is_integer_format = fields.get("format").is_some_and(|format| format == "int32" || format == "int64");
    fields.retain(|key, value| {
        let is_of_openapi = key.starts_with("x-kubernetes-") || key == "nullable" || key == "example";
        let says_nothing = key == "format" && is_integer_format || key == "default" && value.is_null();
        !(is_of_openapi || says_nothing)
    });
    for key in ["properties", "definitions"] {
        fields
            .get_mut(key)
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
            .for_each(|(_, child)| translate(child));
    }
    for key in ["items", "additionalProperties", "not"] {
        if let Some(child) = fields.get_mut(key) {
            translate(child);
        }
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        fields.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().for_each(translate);
    }
    if is_nullable {
        or_null(schema);
    }
}

/// The same schema, which null also satisfies.
fn or_null(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(values) = fields.get_mut("enum").and_then(Value::as_array_mut)
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    let is_composed = fields.contains_key("$ref") || fields.contains_key("allOf");
    match fields.get_mut("type") {
        Some(Value::Array(types)) if types.contains(&json!("null")) => {}
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one.take(), "null"]),
        None if is_composed => *schema = json!({"anyOf": [schema.take(), {"type": "null"}]}),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls `look` on every schema in `schema`.
    fn walk(schema: &Value, look: &mut impl FnMut(&Map<String, Value>)) {
        match schema {
            Value::Object(fields) => {
                look(fields);
                fields.values().for_each(|child| walk(child, look));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, look)),
            _ => {}
        }
    }

    #[test]
    fn nothing_of_openapi_is_left() {
        for (file, schema) in schema_files() {
            let mut seen = 0;
            walk(&schema, &mut |fields| {
                seen += 1;
                let left: Vec<_> = fields
                    .keys()
                    .filter(|key| key.starts_with("x-kubernetes") || *key == "nullable")
                    .collect();
                assert!(left.is_empty(), "{file}: {left:?}");
            });
            assert!(seen > 300, "{file}: {seen}");
            assert_eq!(schema["$schema"], DRAFT);
        }
    }

    #[test]
    fn each_reference_has_its_definition() {
        for (file, schema) in schema_files() {
            walk(&schema, &mut |fields| {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(schema.pointer(pointer).is_some(), "{file}: {reference}");
                }
            });
        }
    }

    #[test]
    fn files_are_laid_out_as_kubeconform_looks_for_them() {
        let files: Vec<_> = schema_files().into_iter().map(|(file, _)| file).collect();
        assert_eq!(
            files,
            [
                "jobrequest.dev/jobrequest_v1alpha1.json",
                "jobrequest.dev/jobtemplate_v1alpha1.json",
                "jobrequest.dev/clusterjobtemplate_v1alpha1.json",
                "jobrequest.dev/all.json"
            ]
        );
    }

    #[test]
    fn what_openapi_says_is_said_in_json_schema() {
        for (openapi, wanted) in [
            (
                json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}], "maxLength": 5}),
                json!({"type": ["integer", "string"], "maxLength": 5}),
            ),
            (
                json!({"type": "array", "nullable": true, "items": {"type": "string"}}),
                json!({"type": ["array", "null"], "items": {"type": "string"}}),
            ),
            (
                json!({"type": "string", "enum": ["a"], "nullable": true}),
                json!({"type": ["string", "null"], "enum": ["a", null]}),
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}}),
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}),
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-preserve-unknown-fields": true}),
                json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "integer", "format": "int64"}}),
                json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                json!({"type": "string", "format": "date-time"}),
            ),
            (
                // A field may be called as a keyword is.
                json!({"type": "object", "properties": {"nullable": {"type": "boolean"}, "default": {"type": "boolean", "default": false}}}),
                json!({"type": "object", "properties": {"nullable": {"type": "boolean"}, "default": {"type": "boolean", "default": false}}, "additionalProperties": false}),
            ),
        ] {
            let mut schema = openapi.clone();
            translate(&mut schema);
            assert_eq!(schema, wanted, "{openapi}");
        }
    }
}
