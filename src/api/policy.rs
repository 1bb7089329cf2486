//! What a run is allowed to be: the policy of a template.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::pod_security::PodSecurity;
use super::rules;

/// The sources a volume of a pod can have, as Kubernetes names them.
const VOLUME_KINDS: [&str; 30] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

/// What a run is allowed to be. It is judged on the compiled Job, so that no field, preset or override can bypass it.
/// The policies of all layers count together: a run has to meet every one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// What happens to a run that breaks this policy: Deny (it is not started), Clamp (settings and containerMax are
    /// set to the bound, which the status shows; what cannot be clamped is denied) or Warn (it is started, and the
    /// status says what is wrong). Default: Deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<Enforcement>,
    /// Bounds of the Job settings. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<SettingsPolicy>,
    /// Bounds of the resources. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesPolicy>,
    /// Which images may run. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImagesPolicy>,
    /// ServiceAccounts that pods may run as, at most 128; a run that names none counts as default. An empty list
    /// allows none. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_names")]
    pub service_accounts: Option<Vec<String>>,
    /// Priority classes that pods may have, at most 128; a run without one is always allowed. An empty list allows no
    /// other. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_names")]
    pub priority_classes: Option<Vec<String>>,
    /// Tolerations that pods may have, at most 128: each must match one of these. An empty list allows none.
    /// Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "allowed_tolerations")]
    pub tolerations: Option<Vec<AllowedToleration>>,
    /// Schedulers that pods may use, at most 128; a run that names none counts as default-scheduler. An empty list
    /// allows none. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_names")]
    pub schedulers: Option<Vec<String>>,
    /// Runtime classes that pods may have, at most 128; a run without one is always allowed. An empty list allows no
    /// other. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_names")]
    pub runtime_classes: Option<Vec<String>>,
    /// ResourceClaims and ResourceClaimTemplates that pods may use, by name, at most 128. An empty list allows none.
    /// Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "object_names")]
    pub resource_claims: Option<Vec<String>>,
    /// Labels by which nodes may be selected, in nodeSelector and node affinity, at most 128; a node selected by name
    /// counts as metadata.name. An empty list allows none. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_keys")]
    pub node_selector_keys: Option<Vec<String>>,
    /// Kinds of volumes that pods may have, named as in a Pod, for example persistentVolumeClaim, emptyDir,
    /// configMap, secret; at most 128. A projected volume needs projected, and each of secret, configMap and
    /// downwardAPI that it is made of. An empty list allows none. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "volume_kinds")]
    pub volumes: Option<Vec<String>>,
    /// Pod Security Standard that the compiled pod must meet, as the API server of Kubernetes 1.37 judges it:
    /// baseline or restricted. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// Whether higher-precedence layers may use overrides: Allow or Forbid. Default: Allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<OverridesPolicy>,
    /// Paths of fields below spec that higher-precedence layers must not change, for example restartPolicy or
    /// settings.backoffLimit, or captureMessages; at most 128. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "locked_paths")]
    pub locked: Option<Vec<String>>,
}

/// Tolerations that pods may have: those of this key, and of this value and effect where they are set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedToleration {
    /// Key of the taint; empty allows a toleration of every taint.
    #[schemars(schema_with = "rules::label_key_or_empty")]
    pub key: String,
    /// Value of the taint. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::taint_effect")]
    pub effect: Option<String>,
}

/// What happens to a run that breaks the policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum Enforcement {
    /// It is not started.
    #[default]
    Deny,
    /// Numbers are set to the bound; what cannot be clamped is denied.
    Clamp,
    /// It is started, and the status says what is wrong.
    Warn,
}

/// Whether overrides may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum OverridesPolicy {
    /// They are allowed.
    #[default]
    Allow,
    /// They are refused.
    Forbid,
}

/// Bounds of the Job settings in force, defaults included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsPolicy {
    /// Bounds of backoffLimit; without one beside backoffLimitPerIndex it counts as unlimited. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<Bounds>,
    /// Bounds of completions; a WorkQueue, which has none, is not judged. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<Bounds>,
    /// Bounds of parallelism. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<Bounds>,
    /// Bounds of activeDeadlineSeconds; a max makes one required. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<Bounds>,
    /// Bounds of ttlSecondsAfterFinished; a max makes one required. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<Bounds>,
    /// Bounds of ttlSecondsAfterFailed, which is ttlSecondsAfterFinished where it is not set; a max makes one
    /// required. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_failed: Option<Bounds>,
    /// Bounds of backoffLimitPerIndex, judged where one is set. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit_per_index: Option<Bounds>,
    /// Bounds of maxFailedIndexes; without one beside backoffLimitPerIndex it counts as unlimited, and is not judged
    /// otherwise. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failed_indexes: Option<Bounds>,
}

/// The minimum and the maximum of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.min) || !has(self.max) || self.min <= self.max")
    .message("min is above max, so that nothing is allowed; lower min or raise max"))]
pub struct Bounds {
    /// Minimum allowed value. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub min: Option<i64>,
    /// Maximum allowed value. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub max: Option<i64>,
}

/// Bounds of the resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesPolicy {
    /// Maximum that one container may have as request or limit, by resource name, for example cpu: "4", memory: 8Gi;
    /// init containers and sidecars too. A container without a limit of cpu, memory or ephemeral-storage exceeds
    /// any bound. 0 allows none at all. A bound of a device also counts devices of classes that have no bound
    /// themselves (deviceclass.resource.kubernetes.io/NAME); resource claims exceed it. Write fractions as 500m or
    /// "0.5". Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity_map")]
    pub container_max: Option<BTreeMap<String, Quantity>>,
    /// Maximum that all pods of a run may use together, by resource name: what Kubernetes counts for one pod, by its
    /// limits or else requests, times parallelism. A container with neither exceeds any bound of cpu, memory or
    /// ephemeral-storage. Devices count as for containerMax. Never clamped, even with enforcement Clamp. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::quantity_map")]
    pub run_max: Option<BTreeMap<String, Quantity>>,
    /// True: every container needs limits for cpu and memory. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_limits: Option<bool>,
}

/// Which images may run, in containers and in volumes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImagesPolicy {
    /// Patterns of images, at most 128, for example registry.example.com/**. * stands for anything within a part of
    /// the path, ** for any number of parts. Compared with the full reference, so perl is docker.io/library/perl;
    /// its tag and digest are ignored, unless the pattern has one. An empty list allows none. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "image_patterns")]
    pub allow: Option<Vec<String>>,
    /// True: every image names a tag or a digest. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_tag_or_digest: Option<bool>,
    /// True: every image names a digest. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_digest: Option<bool>,
}

/// An allow-list: at most 128 strings, without duplicates.
fn allow_list(items: &Schema) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 128,
        "x-kubernetes-list-type": "set",
        "items": items
    })
}

fn object_names(generator: &mut SchemaGenerator) -> Schema {
    allow_list(&rules::dns_subdomain(generator))
}

fn label_keys(generator: &mut SchemaGenerator) -> Schema {
    allow_list(&rules::label_key(generator))
}

fn volume_kinds(_: &mut SchemaGenerator) -> Schema {
    allow_list(&json_schema!({"type": "string", "enum": VOLUME_KINDS}))
}

fn image_patterns(_: &mut SchemaGenerator) -> Schema {
    allow_list(&json_schema!({
        "type": "string",
        "maxLength": 1024,
        "x-kubernetes-validations": [
            {
                "rule": r"self.matches('^[^\\s/]+(/[^\\s/]+)*$')",
                "message": "must be a pattern of images such as registry.example.com/**, without white space or empty parts"
            },
            {
                "rule": "!self.matches('[^/][*][*]|[*][*][^/:@]')",
                "message": "** must stand alone between two '/', at the end, or before a tag; use * within a part"
            }
        ]
    }))
}

fn locked_paths(_: &mut SchemaGenerator) -> Schema {
    allow_list(&rules::path())
}

/// Taints that pods may tolerate. The list has no keys: a JobTemplate's is applied as a whole.
fn allowed_tolerations(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<AllowedToleration>();
    json_schema!({"type": "array", "maxItems": 128, "x-kubernetes-list-type": "atomic", "items": item})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lists_survive_a_round_trip() {
        let written = "{\"images\":{\"allow\":[]},\"serviceAccounts\":[],\"priorityClasses\":[],\"nodeSelectorKeys\":[],\"volumes\":[],\"locked\":[]}";
        let policy: Policy = serde_json::from_str(written).unwrap();
        assert_eq!(policy.service_accounts, Some(Vec::new()));
        assert_eq!(serde_json::to_string(&policy).unwrap(), written);
        assert_eq!(serde_json::to_string(&Policy::default()).unwrap(), "{}");
    }

    #[test]
    fn volume_kinds_are_those_of_kubernetes() {
        let kinds: Vec<String> = schemars::schema_for!(k8s_openapi::api::core::v1::Volume)
            .get("properties")
            .and_then(|properties| properties.as_object())
            .map(|properties| properties.keys().filter(|key| *key != "name").cloned().collect())
            .unwrap();
        let mut kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, VOLUME_KINDS);
    }
}
