//! Volumes of the pod: an existing claim, scratch space, or a ConfigMap or Secret as files.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::container::ConfigKind;
use super::rules;

/// One volume: a name and exactly one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.persistentVolumeClaim), has(self.emptyDir), has(self.configRef)].filter(x, x).size() == 1")
    .message("set exactly one of persistentVolumeClaim, emptyDir and configRef"))]
pub struct Volume {
    /// Name that mounts refer to, a DNS label of at most 63 characters.
    #[schemars(schema_with = "rules::dns_label")]
    pub name: String,
    /// An existing volume, by its claim in the namespace of the JobRequest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ClaimSource>,
    /// Scratch space that lives as long as the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDirSource>,
    /// The keys of a ConfigMap or Secret as files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_ref: Option<ConfigSource>,
}

impl Volume {
    /// The members of the choice: a layer that sets one drops the others of lower-precedence layers.
    pub const SOURCES: &[&str] = &["persistentVolumeClaim", "emptyDir", "configRef"];
}

/// An existing PersistentVolumeClaim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSource {
    /// Name of the claim.
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub claim_name: String,
    /// True: no container can write to it. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<bool>,
}

/// Scratch space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDirSource {
    /// Memory for a tmpfs, HugePages or HugePages-SIZE; absent: the node's disk. Memory counts against the
    /// container's memory limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::medium")]
    pub medium: Option<String>,
    /// Maximum size, for example 64Mi; a pod that exceeds it is evicted. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity")]
    pub size_limit: Option<Quantity>,
}

/// A ConfigMap or Secret as files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigSource {
    /// ConfigMap or Secret.
    pub kind: ConfigKind,
    /// Name of the object, in the namespace of the JobRequest.
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub name: String,
    /// Only these keys, each at its path. Default: all keys, each as a file with the key's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub items: Option<Vec<KeyToPath>>,
    /// True: the pod also starts when the object or a listed key is missing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
    /// Permission bits of the files, 0 to 0777 (511). YAML reads 0644 as octal; JSON needs 420. Default: 0644.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub default_mode: Option<i32>,
}

/// One key as a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyToPath {
    /// Key within the object.
    #[schemars(schema_with = "rules::config_key")]
    pub key: String,
    /// Path of the file within the volume: relative, without '..'.
    #[schemars(schema_with = "rules::file_path")]
    pub path: String,
}
