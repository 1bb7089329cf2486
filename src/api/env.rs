//! Environment variables, and the ConfigMaps and Secrets that they come from.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// One environment variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.value), has(self.configRef), has(self.fieldRef), has(self.resourceRef)].filter(x, x).size() == 1")
    .message("set exactly one of value, configRef, fieldRef and resourceRef (value: \"\" is an empty variable)"))]
pub struct EnvVar {
    /// Name of the variable: printable ASCII without '='.
    #[schemars(schema_with = "rules::env_name")]
    pub name: String,
    /// Its value; $(NAME) is replaced by an earlier variable, $$(NAME) is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub value: Option<String>,
    /// Takes the value from a key of a ConfigMap or Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_ref: Option<KeyRef>,
    /// Takes the value from a field of the pod, for example metadata.name, `metadata.labels['KEY']`, spec.nodeName or
    /// status.podIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::variable_field")]
    pub field_ref: Option<String>,
    /// Takes the value from a request or limit of a container of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_ref: Option<ResourceRef>,
}

impl EnvVar {
    /// The members of the choice: a layer that sets one drops the others of lower-precedence layers.
    pub const SOURCES: &[&str] = &["value", "configRef", "fieldRef", "resourceRef"];
}

/// A request or limit of a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRef {
    /// Which amount: limits or requests of cpu, memory, ephemeral-storage or hugepages-SIZE, for example limits.cpu.
    #[schemars(schema_with = "rules::resource_field")]
    pub resource: String,
    /// Name of the container. Default: the variable's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_label")]
    pub container: Option<String>,
    /// Unit of the value: 1 or 1m of cpu, 1, 1k to 1E or 1Ki to 1Ei of the others. Amounts are rounded up.
    /// Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity")]
    pub divisor: Option<Quantity>,
}

/// Which kind a `configRef` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConfigKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One key of a ConfigMap or Secret in the namespace of the JobRequest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// ConfigMap or Secret.
    pub kind: ConfigKind,
    /// Name of the object.
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub name: String,
    /// Key within the object.
    #[schemars(schema_with = "rules::config_key")]
    pub key: String,
    /// True: the container also starts when the object or key is missing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// All keys of a ConfigMap or Secret as environment variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvFrom {
    /// The object.
    pub config_ref: ObjectRef,
    /// Prefix of each name. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::env_prefix")]
    pub prefix: Option<String>,
}

/// A ConfigMap or Secret in the namespace of the JobRequest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// ConfigMap or Secret.
    pub kind: ConfigKind,
    /// Name of the object.
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub name: String,
    /// True: the container also starts when the object is missing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}
