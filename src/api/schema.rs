//! From Rust types to CustomResourceDefinitions: what the derived schema says too much, and what it cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::json;

use super::JobRequest;

/// Every CustomResourceDefinition of the project, in the order in which they are installed.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![finish(JobRequest::crd())]
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(root) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            drop_nullable(root);
            if let Some(properties) = root.properties.as_mut() {
                if let Some(status) = properties.get_mut("status") {
                    status.default = Some(JSON(json!({"observedGeneration": -1})));
                }
            }
        }
    }
    crd
}

/// `nullable` keeps an explicit null in etcd. Without it the API server drops null, so that a field is either there
/// or absent, as in a native Job.
fn drop_nullable(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for child in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        drop_nullable(child);
    }
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(child)) => drop_nullable(child),
        Some(JSONSchemaPropsOrArray::Schemas(children)) => children.iter_mut().for_each(drop_nullable),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(child)) = schema.additional_properties.as_mut() {
        drop_nullable(child);
    }
}
