//! What runs in a pod: the simplified container with its ports, variables, resources and mounts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Probe, SecurityContext};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::env::{EnvFrom, EnvVar};
use super::{native, rules};

/// One container of the pod.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = with_a_name)]
pub struct Container {
    /// Name within the pod, a DNS label of at most 63 characters.
    #[serde(default)]
    #[schemars(schema_with = "rules::dns_label")]
    pub name: String,
    /// Image to run, for example perl:5.24.4. Required after merging: set it here or in a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::image")]
    pub image: Option<String>,
    /// When the node pulls the image: Always, IfNotPresent or Never. Default: IfNotPresent, also for tag latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Program to run instead of the image's entrypoint; no shell is involved. Default: the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::arguments")]
    pub command: Option<Vec<String>>,
    /// Arguments of the program. Default: the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::arguments")]
    pub args: Option<Vec<String>>,
    /// Working directory of the program. Default: the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub working_dir: Option<String>,
    /// Ports the container listens on; information for people and for policies by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"), transform = rules::distinct_ports)]
    pub ports: Option<Vec<ContainerPort>>,
    /// Environment variables, in order: a value may use $(NAME) of an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Option<Vec<EnvVar>>,
    /// ConfigMaps and Secrets whose keys all become environment variables; if a name occurs twice, the later source
    /// wins, and env wins over all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub env_from: Option<Vec<EnvFrom>>,
    /// A size preset of the templates in scope, by name; `resources` take precedence over it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_label")]
    pub quota: Option<String>,
    /// Requests and limits. 0 means no restriction: that amount is left out of the Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where volumes appear in the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub mounts: Option<Vec<Mount>>,
    /// Security settings of the container, named as in a Pod. They take precedence over those of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::security_context")]
    pub security_context: Option<SecurityContext>,
    /// What must succeed before the container counts as started, as in a Pod. The containers after a sidecar wait for
    /// it. An init container that is no sidecar cannot have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::probe")]
    pub startup_probe: Option<Probe>,
    /// True: runs beside the other containers and is stopped when they have ended (a native sidecar: an init
    /// container with restartPolicy Always). Sidecars of containers start before all initContainers; one in
    /// initContainers starts in its place. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<bool>,
}

/// The name is the key of the list, so the schema requires it. It has no default: what the API server adds inside a
/// list makes tools that compare with Git report a difference.
fn with_a_name(schema: &mut Schema) {
    schema.insert("required".to_owned(), serde_json::json!(["name"]));
    let name = schema.get_mut("properties").and_then(|properties| properties.get_mut("name"));
    if let Some(name) = name.and_then(serde_json::Value::as_object_mut) {
        name.remove("default");
    }
}

/// When the node pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum ImagePullPolicy {
    /// At every start of the container.
    Always,
    /// Only when the node does not have it.
    IfNotPresent,
    /// Never; the node must have it.
    Never,
}

impl ImagePullPolicy {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// One port of a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Name of the port, at most 15 lower-case letters, digits and dashes, with at least one letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::port_name")]
    pub name: Option<String>,
    /// Number of the port, 1 to 65535.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
    /// TCP or UDP. Default: TCP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
}

/// Transport protocol of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// TCP
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP
    #[serde(rename = "UDP")]
    Udp,
}

impl Protocol {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// Amounts by resource name, as in a Pod. 0 means no restriction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::requests_within_limits())]
pub struct Resources {
    /// What the scheduler reserves for the container, for example cpu: 100m, memory: 128Mi. Write fractions as
    /// 500m or "0.5": an unquoted 0.5 is refused. 0: no request. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity_map")]
    pub requests: Option<BTreeMap<String, Quantity>>,
    /// Maximum that the container may use. Write fractions as 500m or "0.5". 0: no limit. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity_map")]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

/// Where a volume appears in a container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Name of a volume, declared here or by a template. Required after merging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_label")]
    pub volume: Option<String>,
    /// Path in the container; no ':'.
    #[schemars(schema_with = "rules::mount_path")]
    pub path: String,
    /// Path within the volume: relative, without '..'. Default: the volume's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::sub_path")]
    pub sub_path: Option<String>,
    /// True: the container cannot write to it. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}
