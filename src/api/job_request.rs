//! The JobRequest: what a person writes, step by step like a creation form.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSecurityContext, Toleration};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::container::Container;
use super::pod_security::PodSecurity;
use super::run_policy::RunPolicy;
use super::settings::Settings;
use super::status::JobRequestStatus;
use super::template_ref::TemplateRef;
use super::volume::Volume;
use super::{native, rules};

/// Maximum length of a JobRequest's name: the run number and the pods' suffixes follow it.
pub const MAX_NAME_LENGTH: usize = 52;

/// Desired state of a JobRequest. Every field is optional here: what is required is checked after all
/// layers are merged, so that a template can supply it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "jobrequest.dev",
    version = "v1alpha1",
    kind = "JobRequest",
    plural = "jobrequests",
    shortname = "jr",
    category = "jobrequest-all",
    category = "all",
    namespaced,
    status = "JobRequestStatus",
    derive = "PartialEq",
    doc = "A Job that survives GitOps: every change of the spec becomes a run, and its result stays in the status.",
    selectable = ".status.phase",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "State of the newest run"),
    printcolumn(name = "Completions", type_ = "string", json_path = ".status.completions", description = "Succeeded of the desired pods"),
    printcolumn(name = "Run", type_ = "integer", json_path = ".status.run", description = "Number of the newest run"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason", description = "Why, in one word"),
    printcolumn(name = "Last Run", type_ = "date", json_path = ".status.startTime", description = "Since the start of the newest run's Job"),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration", description = "From start to end of the newest run; Last Run says it of one that has not ended"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Alias", type_ = "string", json_path = ".spec.alias", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", description = "Why, in a sentence", priority = 1),
    printcolumn(name = "Template", type_ = "string", json_path = ".spec.templateRef.name", priority = 1),
    printcolumn(name = "Job", type_ = "string", json_path = ".status.jobName", description = "The native Job of the newest run", priority = 1),
    validation = rules::request_name()
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.settings) || !has(self.settings.podFailurePolicy) || !has(self.restartPolicy) || self.restartPolicy == 'Never'")
        .field_path(".settings.podFailurePolicy")
        .message("requires restartPolicy Never; set it, or leave podFailurePolicy out"),
    validation = Rule::new("!has(self.containers) || !has(self.initContainers) || self.containers.all(c, !self.initContainers.exists(i, i.name == c.name))")
        .field_path(".initContainers")
        .message("a name is also used in containers; names are unique in the pod")
)]
pub struct JobRequestSpec {
    /// Name for people, in any language, 1 to 63 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::alias")]
    pub alias: Option<String>,
    /// What it is for, at most 1000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// A template whose values apply to this request, with precedence over the default templates. Default: the default
    /// templates only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_ref: Option<TemplateRef>,
    /// Job settings: how many, how often, how long, what counts as failure or success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// True: no run is started, and the Job of the active run is suspended; its pods are stopped. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// What happens to a container that failed: Never (a new pod is created) or OnFailure (it is restarted in its
    /// pod). Default: Never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<RestartPolicy>,
    /// Containers of the pod, 1 to 16. Required after merging: set them here or in a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub containers: Option<Vec<Container>>,
    /// Containers that run before the others, one after the other, at most 16. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub init_containers: Option<Vec<Container>>,
    /// Names of Secrets with registry credentials, in this namespace. Default: those of the service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::object_names")]
    pub image_pull_secrets: Option<Vec<String>>,
    /// ServiceAccount the pods run as, in this namespace. Default: default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub service_account_name: Option<String>,
    /// Security settings of the pod, named as in a Pod: they apply to all containers that set none themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::pod_security_context")]
    pub security_context: Option<PodSecurityContext>,
    /// restricted: the settings that this Pod Security Standard requires are compiled into the pod and all its
    /// containers; baseline requires none. Default: baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// Taints of nodes that the pods accept, as in a Pod, at most 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "native::tolerations")]
    pub tolerations: Option<Vec<Toleration>>,
    /// PriorityClass of the pods: which pods the scheduler serves first, and which give way. Default: that of the
    /// cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub priority_class_name: Option<String>,
    /// Seconds between the request to end (SIGTERM) and the kill (SIGKILL) of a container that is stopped. Default: 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub termination_grace_period_seconds: Option<i64>,
    /// Name of a headless Service that gives the pods host names. A pod of an Indexed run is called
    /// REQUEST-RUN-INDEX.SUBDOMAIN. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_label")]
    pub subdomain: Option<String>,
    /// A queue of Kueue: label kueue.x-k8s.io/queue-name of the Job. Kueue decides when the run starts. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_subdomain_63")]
    pub queue: Option<String>,
    /// Volumes that containers can mount, at most 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub volumes: Option<Vec<Volume>>,
    /// Inherited values that this layer takes away, by their paths, for example labels[tier],
    /// containers[main].env[DEBUG] or volumes[cache]; at most 64. What this layer sets itself stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::paths")]
    pub without: Option<Vec<String>>,
    /// Labels of Job and pods, at most 64. Labels of the JobRequest itself are not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::label_map")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of Job and pods, at most 64. Annotations of the JobRequest itself are not copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::annotation_map")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels a node must have, at most 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::selector_map")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// One node picked directly. It becomes a node affinity, so that the scheduler, taints and quota still count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_subdomain")]
    pub node_name: Option<String>,
    /// Any text of at most 253 characters. A value that differs from the last handled one starts one run, at once or
    /// after the active one (see runPolicy.whileActive). To request a run without a change in Git, set the annotation
    /// jobrequest.dev/rerun in the same way. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub rerun: Option<String>,
    /// What starts a run, and how many Jobs of finished runs are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_policy: Option<RunPolicy>,
    /// Everything else a Job can have: a partial batch/v1 Job spec, merged last by the API's own merge keys. It cannot
    /// set what the operator owns: selector, manualSelector, managedBy, suspend, ttlSecondsAfterFinished and reserved
    /// labels and annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "overrides_schema")]
    #[x_kube(
        validation = Rule::new("!has(self.selector) && !has(self.manualSelector)")
            .message("selector and manualSelector belong to the Job controller; leave them out"),
        validation = Rule::new("!has(self.managedBy)")
            .field_path(".managedBy")
            .message("would take the Job away from the Job controller; leave it out"),
        validation = Rule::new("!has(self.suspend)")
            .field_path(".suspend")
            .message("belongs to the operator; use spec.suspend"),
        validation = Rule::new("!has(self.ttlSecondsAfterFinished)")
            .field_path(".ttlSecondsAfterFinished")
            .message("would delete the Job before its result is recorded; use spec.settings.ttlSecondsAfterFinished")
    )]
    pub overrides: Option<Map<String, Value>>,
}

/// What happens to a container that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum RestartPolicy {
    /// A new pod is created.
    Never,
    /// It is restarted in its pod.
    OnFailure,
}

impl RestartPolicy {
    /// As Kubernetes spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::OnFailure => "OnFailure",
        }
    }
}

/// Declares what the operator owns, so that CEL can refuse it, and leaves the rest to the API server.
fn overrides_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "selector": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "Refused: the Job controller chooses it."},
            "manualSelector": {"type": "boolean", "description": "Refused, as selector is."},
            "managedBy": {"type": "string", "maxLength": 253, "description": "Refused: it would take the Job away from the Job controller."},
            "suspend": {"type": "boolean", "description": "Refused: use spec.suspend."},
            "ttlSecondsAfterFinished": {"type": "integer", "description": "Refused: use spec.settings.ttlSecondsAfterFinished."},
            "template": {
                "type": "object",
                "description": "A partial pod template.",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "metadata": {
                        "type": "object",
                        "description": "Further labels and annotations of the pods.",
                        "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {
                            "labels": rules::overriding_map("Labels of the pods only, at most 64."),
                            "annotations": rules::overriding_map("Annotations of the pods only, at most 64.")
                        }
                    }
                }
            }
        }
    })
}
