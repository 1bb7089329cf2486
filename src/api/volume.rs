//! Volumes of the pod: claims, scratch space, files from objects of the cluster, and what nodes and other systems have.

use k8s_openapi::api::core::v1::{CSIVolumeSource, HostPathVolumeSource, NFSVolumeSource};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::env::ConfigKind;
use super::{native, rules};

/// One volume: a name and exactly one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.persistentVolumeClaim), has(self.emptyDir), has(self.configRef), has(self.ephemeral), has(self.projected), has(self.hostPath), has(self.nfs), has(self.csi)].filter(x, x).size() == 1")
    .message("set exactly one of persistentVolumeClaim, emptyDir, configRef, ephemeral, projected, hostPath, nfs and csi"))]
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
    /// A claim that is made for each pod, and deleted with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EphemeralSource>,
    /// Several sources in one directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projected: Option<ProjectedSource>,
    /// A file or directory of the node. Programs that can write to one can often take over the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::host_path")]
    pub host_path: Option<HostPathVolumeSource>,
    /// A directory of an NFS server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::nfs")]
    pub nfs: Option<NFSVolumeSource>,
    /// A volume that a CSI driver makes for each pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::csi")]
    pub csi: Option<CSIVolumeSource>,
}

impl Volume {
    /// The members of the choice: a layer that sets one drops the others of lower-precedence layers.
    pub const SOURCES: &[&str] = &[
        "persistentVolumeClaim",
        "emptyDir",
        "configRef",
        "ephemeral",
        "projected",
        "hostPath",
        "nfs",
        "csi",
    ];
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

/// A claim that is made for each pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EphemeralSource {
    /// How much storage to claim, for example 10Gi.
    #[schemars(schema_with = "rules::quantity")]
    pub size: Quantity,
    /// Storage class. Default: that of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub storage_class_name: Option<String>,
    /// How nodes may use the volume. Default: ReadWriteOnce.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "set"))]
    pub access_modes: Option<Vec<AccessMode>>,
}

/// How nodes may use a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// One node reads and writes.
    ReadWriteOnce,
    /// Many nodes read.
    ReadOnlyMany,
    /// Many nodes read and write.
    ReadWriteMany,
    /// One pod reads and writes.
    ReadWriteOncePod,
}

impl AccessMode {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadOnlyMany => "ReadOnlyMany",
            Self::ReadWriteMany => "ReadWriteMany",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }
}

/// Several sources in one directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedSource {
    /// The sources, 1 to 16; no path may occur twice.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub sources: Vec<Projection>,
    /// Permission bits of the files, 0 to 0777 (511). YAML reads 0644 as octal; JSON needs 420. Default: 0644.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 511))]
    pub default_mode: Option<i32>,
}

/// One source of a projected volume.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.configRef), has(self.serviceAccountToken), has(self.downwardAPI)].filter(x, x).size() == 1")
    .message("set exactly one of configRef, serviceAccountToken and downwardAPI"))]
pub struct Projection {
    /// The keys of a ConfigMap or Secret as files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_ref: Option<ProjectedConfig>,
    /// A token of the pod's ServiceAccount, which the node renews.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_token: Option<ProjectedToken>,
    /// Fields of the pod as files.
    #[serde(rename = "downwardAPI", skip_serializing_if = "Option::is_none")]
    pub downward_api: Option<PodFields>,
}

/// A ConfigMap or Secret in a projected volume.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedConfig {
    /// ConfigMap or Secret.
    pub kind: ConfigKind,
    /// Name of the object, in the namespace of the JobRequest.
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub name: String,
    /// Only these keys, each at its path. Default: all keys, each as a file with the key's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::projected_items")]
    pub items: Option<Vec<KeyToPath>>,
    /// True: the pod also starts when the object or a listed key is missing. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A token of the pod's ServiceAccount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectedToken {
    /// Whom the token is for; the receiver checks it. Default: the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub audience: Option<String>,
    /// Seconds that a token is valid, at least 600. Default: 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 600, max = 4_294_967_296_i64))]
    pub expiration_seconds: Option<i64>,
    /// Path of the file within the volume: relative, without '..'.
    #[schemars(schema_with = "rules::projected_path")]
    pub path: String,
}

/// Fields of the pod as files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodFields {
    /// The files, 1 to 16.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub items: Vec<PodFieldFile>,
}

/// One field of the pod as a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodFieldFile {
    /// Path of the file within the volume: relative, without '..'.
    #[schemars(schema_with = "rules::projected_path")]
    pub path: String,
    /// A field: metadata.name, metadata.namespace, metadata.uid, metadata.labels, metadata.annotations,
    /// `metadata.labels['KEY']` or `metadata.annotations['KEY']`.
    #[schemars(schema_with = "rules::file_field")]
    pub field_ref: String,
}
