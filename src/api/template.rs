//! Templates: defaults, size presets and policies that the platform team applies to every JobRequest in scope. One
//! spec, two kinds: JobTemplate in a namespace, ClusterJobTemplate for the cluster.

#![allow(clippy::duplicated_attributes)] // columns of the same type

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::JobRequestSpec;
use super::container::Container;
use super::policy::Policy;
use super::{rules, status};

/// Fields of a JobRequest that no template can supply: they are about one request.
pub const OWN_FIELDS: [&str; 5] = ["alias", "description", "templateRef", "suspend", "rerun"];

/// Defaults, size presets and limits for JobRequests.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "jobrequest.dev",
    version = "v1alpha1",
    kind = "JobTemplate",
    plural = "jobtemplates",
    shortname = "jrt",
    category = "jobrequest-all",
    namespaced,
    status = "TemplateStatus",
    derive = "PartialEq",
    doc = "Defaults, size presets and limits for the JobRequests of a namespace.",
    printcolumn(
        name = "Default",
        type_ = "boolean",
        json_path = ".spec.default",
        description = "Applies to every JobRequest in scope"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether it is valid"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why, in one word"
    ),
    printcolumn(
        name = "Effective",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Effective\")].reason",
        description = "Of a default: Default, NewestDefault (older ones add their policies) or Superseded (only its policy counts)"
    ),
    printcolumn(
        name = "Requests",
        type_ = "integer",
        json_path = ".status.requests",
        description = "How many JobRequests use it"
    ),
    printcolumn(
        name = "Violations",
        type_ = "integer",
        json_path = ".status.violations",
        description = "How many JobRequests violate its policy, which only warns"
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.reruns.waiting",
        description = "JobRequests that wait for their turn to follow an edit of the template"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct JobTemplateSpec {
    /// What it is for, at most 1000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// True: applies to every JobRequest in scope (the namespace, or the cluster) without being named. Of several, the
    /// newest supplies base, containerDefaults and quotas (equally old: the first by name), and the policies of all
    /// count together; their status says so. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
    /// Any part of a JobRequest's spec: the values that a request in scope gets where it sets none itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "base_schema")]
    pub base: Option<JobRequestSpec>,
    /// Inherited by every container of every request in scope, init containers and sidecars included, whatever its
    /// name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "container_defaults_schema")]
    pub container_defaults: Option<Container>,
    /// Size presets by name, at most 64: a container selects one by `quota: NAME`. This is no ResourceQuota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "quotas_schema")]
    pub quotas: Option<BTreeMap<String, Quota>>,
    /// Whether the last output of a container that failed is kept as its termination message
    /// (terminationMessagePolicy FallbackToLogsOnError), which is shown in status, conditions and events. False:
    /// only what a program itself writes to its termination log, for programs whose output may hold secrets. The
    /// template with the highest precedence that sets it wins. Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture_messages: Option<bool>,
    /// What a run is allowed to be; judged on the compiled Job, so that no field, preset or override can bypass it.
    /// The policies of all templates that apply to a request count together: a namespace's can tighten the cluster's,
    /// never loosen it. Default: anything Kubernetes allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A size preset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::requests_within_limits())]
pub struct Quota {
    /// What it is for, at most 1000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// What the scheduler reserves for the container, for example cpu: 250m. 0: no request. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity_map")]
    pub requests: Option<BTreeMap<String, Quantity>>,
    /// Maximum that the container may use. 0: no limit. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity_map")]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

/// Observed state of a template, written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateStatus {
    /// metadata.generation that this status describes; -1: not observed yet.
    #[serde(default = "status::unobserved")]
    pub observed_generation: i64,
    /// Ready: the template is valid. Stalled: it is not, and requests in scope are rejected. Effective: its values are
    /// the defaults of its scope; if False, the message says which template supplies them instead; its policy still
    /// counts. Violated: JobRequests in scope violate its policy, which only warns; the message names the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "status::condition_list")]
    pub conditions: Vec<Condition>,
    /// How many JobRequests use it, by name or as a default; updated at most once a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<i64>,
    /// Of a policy that warns: how many JobRequests violate it, also those at rest; absent when none does. Updated at most
    /// once a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violations: Option<i64>,
    /// The defaults of its scope, if it is one of several: the one that supplies the values first, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub defaults: Vec<String>,
    /// Runs that follow an edit of the template (onTemplateChange: Rerun); absent when none is under way or waits. Updated
    /// at most every ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reruns: Option<Reruns>,
}

/// Runs that follow an edit of a template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reruns {
    /// Runs that are under way.
    pub active: i64,
    /// JobRequests that wait for one of them to end.
    pub waiting: i64,
}

fn base_schema(generator: &mut SchemaGenerator) -> Schema {
    without(generator.subschema_for::<JobRequestSpec>(), &OWN_FIELDS)
}

/// A container without what belongs to one container only.
fn container_defaults_schema(generator: &mut SchemaGenerator) -> Schema {
    without(generator.subschema_for::<Container>(), &["name", "sidecar"])
}

fn quotas_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut preset = generator.subschema_for::<Quota>();
    preset.remove("description");
    rules::named_map(64, preset)
}

fn without(mut schema: Schema, fields: &[&str]) -> Schema {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|name, _| !fields.contains(&name.as_str()));
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !fields.iter().any(|field| name == field));
    }
    schema.remove("description");
    schema
}

/// The same for the whole cluster, from the platform team.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "jobrequest.dev",
    version = "v1alpha1",
    kind = "ClusterJobTemplate",
    plural = "clusterjobtemplates",
    shortname = "cjrt",
    category = "jobrequest-all",
    status = "TemplateStatus",
    derive = "PartialEq",
    doc = "Defaults, size presets and limits for the JobRequests of all namespaces.",
    printcolumn(
        name = "Default",
        type_ = "boolean",
        json_path = ".spec.default",
        description = "Applies to every JobRequest in scope"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether it is valid"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why, in one word"
    ),
    printcolumn(
        name = "Effective",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Effective\")].reason",
        description = "Of a default: Default, NewestDefault (older ones add their policies) or Superseded (only its policy counts)"
    ),
    printcolumn(
        name = "Requests",
        type_ = "integer",
        json_path = ".status.requests",
        description = "How many JobRequests use it"
    ),
    printcolumn(
        name = "Violations",
        type_ = "integer",
        json_path = ".status.violations",
        description = "How many JobRequests violate its policy, which only warns"
    ),
    printcolumn(
        name = "Waiting",
        type_ = "integer",
        json_path = ".status.reruns.waiting",
        description = "JobRequests that wait for their turn to follow an edit of the template"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(transparent)]
pub struct ClusterJobTemplateSpec(pub JobTemplateSpec);
