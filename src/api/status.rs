//! What the operator reports: phase, conditions, counts and the records of runs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::condition::{ConditionType, Phase, RunResult, Stop, Trigger};
use super::failure::Failure;
use super::run_policy::RunPolicy;
use super::template_ref::TemplateKind;

/// Maximum number of records of runs that are kept.
pub const MAX_RUNS: usize = 25;
/// Maximum number of templates that count for one run.
pub const MAX_TEMPLATES: usize = 16;

/// Observed state of a JobRequest, written by the operator only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobRequestStatus {
    /// metadata.generation that this status describes; -1: not observed yet.
    #[serde(default = "unobserved")]
    pub observed_generation: i64,
    /// State of the newest run, for people. Programs read the conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Why, in one word, for people: the category of the failure, where there is one; PendingChanges, while changes are held
    /// back; or else the reason of Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
    /// Accepted, Ready, Reconciling, Stalled, Finished, Suspended and the Job's own conditions, mirrored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "condition_list")]
    pub conditions: Vec<Condition>,
    /// Number of the newest run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<i32>,
    /// Name of the newest run's Job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// Succeeded of the desired pods, for example 2/4; a WorkQueue shows the number only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<String>,
    /// Pods that must succeed; absent for a WorkQueue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// Pods that are pending or running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<i32>,
    /// Pods that are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<i32>,
    /// Pods that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<i32>,
    /// Pods that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,
    /// When the newest run's Job was started or last resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When the newest run ended, whatever its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// From start to end, for example 1m23s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// The effective job settings, defaults included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<EffectiveSettings>,
    /// What starts a run and how many Jobs are kept, defaults included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_policy: Option<RunPolicy>,
    /// The rerun tokens that were handled last, one for each source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_rerun: Option<HandledRerun>,
    /// The spec that counts as having run, because runPolicy.onCreate was Hold when the JobRequest was created; absent once
    /// there is a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldSpec>,
    /// What asked for the run that waits until the active one has ended, or until spec.suspend is false; absent if none
    /// waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_trigger: Option<Trigger>,
    /// Why the newest run failed, or what keeps it from making progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// The origin of each value that the user did not write, at most 64; `jobrequest explain` lists all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub defaulted: Vec<Defaulted>,
    /// Records of runs, newest first, at most 25. A record stays when its Job is gone; where there are more, those whose
    /// Job is gone make room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 25), extend("x-kubernetes-list-type" = "atomic"))]
    pub runs: Vec<Run>,
}

impl JobRequestStatus {
    /// A status that was never written, or was wiped.
    #[must_use]
    pub fn unwritten() -> Self {
        Self { observed_generation: unobserved(), ..Self::default() }
    }

    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, type_: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_.as_str())
    }

    /// True when nothing was ever written, or everything was wiped.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.observed_generation < 0 && self.runs.is_empty() && self.held.is_none()
    }
}

/// A spec that counts as having run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldSpec {
    /// Digest of its run-relevant fields.
    pub digest: String,
    /// metadata.generation that it had.
    pub generation: i64,
}

pub(super) const fn unobserved() -> i64 {
    -1
}

/// The settings of a run, with all defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveSettings {
    /// How many failed pods are replaced before the run fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i32>,
    /// How many pods must succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<i32>,
    /// Maximum number of pods that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// Deadline in seconds; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds within which a container must have started; absent: no deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_deadline_seconds: Option<i64>,
    /// Seconds a completed run's Job is kept; absent: forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i32>,
    /// Seconds a failed run's Job is kept; absent: forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_failed: Option<i32>,
}

/// Rerun tokens, one for each source. A value longer than 253 bytes is stored as its beginning and its hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HandledRerun {
    /// Of spec.rerun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// Of the annotation jobrequest.dev/rerun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation: Option<String>,
}

/// Maximum number of entries in `defaulted`.
pub const MAX_DEFAULTED: usize = 64;

/// A value that the user did not write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Defaulted {
    /// The field, for example settings.backoffLimit or containers[main].resources.limits.cpu.
    pub path: String,
    /// The layer that decided it: builtin, ClusterJobTemplate/NAME, JobTemplate/NAME, or quota NAME, overrides or
    /// policy of one of them; LimitRange, which is seen in the pods of the run.
    pub origin: String,
}

/// A template as a run used it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplatePin {
    /// JobTemplate or ClusterJobTemplate.
    pub kind: TemplateKind,
    /// Name of the template.
    pub name: String,
    /// uid of the template.
    pub uid: String,
    /// metadata.generation of the template.
    pub generation: i64,
}

/// The record of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Number of the run, counted from 1.
    pub number: i32,
    /// Name of its Job.
    pub job_name: String,
    /// uid of its Job; absent while the run is only reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_uid: Option<String>,
    /// Why the run was created.
    pub trigger: Trigger,
    /// The rerun token that requested it; absent if a change alone did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Why the operator decided to stop it; recorded before it acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Digest of the fields that it ran with; provisional while the run is only reserved.
    pub digest: String,
    /// metadata.generation that it ran with; provisional while the run is only reserved.
    pub generation: i64,
    /// The templates that it ran with, lowest precedence first, then those of which only the policy counted;
    /// provisional while the run is only reserved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub templates: Vec<TemplatePin>,
    /// When its Job was started or last resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// True: a main container, not an init container or a sidecar, has started since the Job was started or last resumed.
    /// False: one had, before it was suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers_started: Option<bool>,
    /// When it ended, whatever its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// From start to end, for example 1m23s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Pods that had to succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<i32>,
    /// Pods that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded: Option<i32>,
    /// Pods that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<i32>,
    /// How it ended; absent until then. Written once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// The Job's own reason, for example DeadlineExceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, in a sentence; at most 1 KiB for the newest run, 256 bytes for older ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Run {
    /// The run has no result yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.result.is_none()
    }

    /// Of `runs`, newest first, the newest that has, or had, a Job.
    #[must_use]
    pub fn newest_with_job(runs: &[Self]) -> Option<&Self> {
        runs.iter().find(|run| run.job_uid.is_some())
    }

    /// The run is reserved, and no Job of it is known.
    #[must_use]
    pub const fn is_reserved(&self) -> bool {
        self.is_open() && self.job_uid.is_none()
    }
}

/// Schema of a list of metav1.Condition, as Kubernetes' own types declare it.
pub(super) fn condition_list(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "Type of the condition."},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"], "description": "True, False or Unknown."},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "Why, in one word."},
                "message": {"type": "string", "maxLength": 32_768, "description": "Why, in a sentence."},
                "observedGeneration": {"type": "integer", "format": "int64", "description": "metadata.generation that the condition describes."},
                "lastTransitionTime": {"type": "string", "format": "date-time", "description": "When the status last changed."}
            }
        }
    })
}
