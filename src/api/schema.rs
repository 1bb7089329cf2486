//! From Rust types to CustomResourceDefinitions: removes what the derived schema has too much, adds what it lacks.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Number, Value, json};

use super::{ClusterJobTemplate, JobRequest, JobTemplate};

/// Every CustomResourceDefinition of the project, in the order in which they are installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [JobRequest::crd(), JobTemplate::crd(), ClusterJobTemplate::crd()].map(finish).into()
}

/// A CustomResourceDefinition as it is committed and printed: YAML in block form, which begins with a document
/// separator.
///
/// # Errors
/// When it cannot be written as YAML, which no definition of [`crds`] causes.
pub fn crd_yaml(crd: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let mut document = serde_json::to_value(crd).unwrap_or_default();
    whole_numbers(&mut document);
    Ok(format!("---\n{}", serde_saphyr::to_string(&document)?))
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(root) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            simplify(root);
            let properties = root.properties.get_or_insert_default();
            if let Some(spec) = properties.get_mut("spec") {
                empty_is_absent(spec);
            }
            properties.insert("metadata".to_owned(), metadata());
            if let Some(status) = properties.get_mut("status") {
                status.default = Some(JSON(json!({"observedGeneration": -1})));
            }
        }
    }
    crd
}

/// Declares `metadata.name`, so that the rule on it can point there. The API server knows the rest of metadata.
fn metadata() -> JSONSchemaProps {
    let of_type =
        |type_: &str| JSONSchemaProps { type_: Some(type_.to_owned()), ..JSONSchemaProps::default() };
    JSONSchemaProps { properties: Some([("name".to_owned(), of_type("string"))].into()), ..of_type("object") }
}

/// Lets null stand for the absence of a map, list or object. Server-side apply makes null of one that was emptied to `{}`,
/// and the API server would refuse that. Rules take it for absent, and so do compile and digest. Scalars keep no null:
/// nothing makes one, and an enumeration cannot have it.
fn empty_is_absent(schema: &mut JSONSchemaProps) {
    // Overrides are a partial Job, in which null is refused.
    if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
        return;
    }
    let required = schema.required.clone().unwrap_or_default();
    for (name, child) in schema.properties.iter_mut().flatten() {
        let is_several = matches!(child.type_.as_deref(), Some("object" | "array"));
        if is_several && child.default.is_none() && !required.contains(name) {
            child.nullable = Some(true);
        }
        empty_is_absent(child);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(child)) = schema.items.as_mut() {
        empty_is_absent(child);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(child)) = schema.additional_properties.as_mut() {
        empty_is_absent(child);
    }
}

/// Takes off what the API server does not need and answers badly to.
///
/// `nullable` keeps an explicit null in etcd: see [`empty_is_absent`] for where that is wanted. `format: int32` beside a
/// maximum says the same thing twice, once without a path.
fn simplify(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema.maximum.is_some() {
        schema.format = None;
    }
    for child in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        simplify(child);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(child)) => simplify(child),
        Some(JSONSchemaPropsOrArray::Schemas(children)) => children.iter_mut().for_each(simplify),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(child)) = schema.additional_properties.as_mut() {
        simplify(child);
    }
}

/// Bounds are floating-point numbers in the type; `65535` reads better than `65535.0`. Fractions stay.
pub(super) fn whole_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0);
            if let Some(whole) = whole.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *number = Number::from(whole);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
