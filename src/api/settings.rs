//! Job settings: how many pods, how many retries, how long, and what counts as failure or success. Native shapes and
//! rules.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Settings of the Job. Absent fields have the documented default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.successPolicy) || !has(self.completionMode) || self.completionMode == 'Indexed'")
        .field_path(".successPolicy")
        .message("requires completionMode Indexed; set it, or leave successPolicy out"),
    validation = Rule::new("!has(self.backoffLimitPerIndex) || !has(self.completionMode) || self.completionMode == 'Indexed'")
        .field_path(".backoffLimitPerIndex")
        .message("requires completionMode Indexed; set it, or leave backoffLimitPerIndex out"),
    validation = Rule::new("!has(self.completions) || !has(self.completionMode) || self.completionMode != 'WorkQueue'")
        .field_path(".completions")
        .message("a WorkQueue has no completions; leave them out, or choose another completionMode"),
    validation = Rule::new("!has(self.podFailurePolicy) || !has(self.podReplacementPolicy) || self.podReplacementPolicy == 'Failed'")
        .field_path(".podReplacementPolicy")
        .message("must be Failed when podFailurePolicy is set; set it to Failed, or leave it out")
)]
pub struct Settings {
    /// How many failed pods are replaced before the run fails. Default: 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub backoff_limit: Option<i32>,
    /// How many pods must succeed. Default: 1; a WorkQueue has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub completions: Option<i32>,
    /// Maximum number of pods that run at once; 0 pauses the run. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub parallelism: Option<i32>,
    /// Seconds after which the run is stopped and fails with DeadlineExceeded; suspended time does not count.
    /// 0 means no deadline (a native Job would end at once). Default: no deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds after the Job's start within which a container must have started; otherwise the run is stopped and
    /// fails with StartDeadlineExceeded and the cause. Suspended time does not count. 0 means no deadline. Default: no
    /// deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub start_deadline_seconds: Option<i64>,
    /// Seconds after the end of a run until the operator deletes its Job and pods; the result stays in status.runs.
    /// The Job itself has no TTL. Never sooner than 2 minutes after the run's Job was recorded. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl_seconds_after_finished: Option<i32>,
    /// The same for a failed run. Default: ttlSecondsAfterFinished.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl_seconds_after_failed: Option<i32>,
    /// What completions count: NonIndexed (any pods), Indexed (one success per index), WorkQueue (completions of the
    /// Job are unset; done when a pod has succeeded and all have ended). Default: NonIndexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_mode: Option<CompletionMode>,
    /// How many failed pods of one index are replaced before that index fails; Indexed only. Default: one
    /// backoffLimit for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub backoff_limit_per_index: Option<i32>,
    /// How many failed indexes end the run; needs backoffLimitPerIndex. Default: all indexes run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub max_failed_indexes: Option<i32>,
    /// Which pod failures are ignored, counted, or end the run or index; needs restartPolicy Never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_failure_policy: Option<PodFailurePolicy>,
    /// When the run has succeeded although not all indexes have; Indexed only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_policy: Option<SuccessPolicy>,
    /// When a pod is replaced: TerminatingOrFailed (as soon as it is terminating) or Failed (when it has ended).
    /// Default: TerminatingOrFailed; Failed with podFailurePolicy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_replacement_policy: Option<PodReplacementPolicy>,
}

/// What completions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum CompletionMode {
    /// Any pods.
    NonIndexed,
    /// One success for each index.
    Indexed,
    /// No count: the pods share a queue of work.
    WorkQueue,
}

/// When a pod is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = rules::undescribed)]
pub enum PodReplacementPolicy {
    /// As soon as it is terminating.
    TerminatingOrFailed,
    /// When it has ended.
    Failed,
}

/// What to do about failed pods: the first rule that matches decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodFailurePolicy {
    /// Rules in order, at most 20.
    #[schemars(length(max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<PodFailureRule>,
}

/// One rule on failed pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.onExitCodes) != has(self.onPodConditions)")
    .message("set onExitCodes or onPodConditions, exactly one of them"))]
pub struct PodFailureRule {
    /// Ignore (not counted), Count (as without the rule), FailIndex (needs backoffLimitPerIndex) or FailJob.
    pub action: PodFailureAction,
    /// Matches by exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exit_codes: Option<ExitCodes>,
    /// Matches by pod condition; any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub on_pod_conditions: Option<Vec<PodConditionPattern>>,
}

/// What a matching rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PodFailureAction {
    /// The pod is replaced and not counted.
    Ignore,
    /// The pod is counted towards backoffLimit.
    Count,
    /// The index fails without further retries.
    FailIndex,
    /// The run fails.
    FailJob,
}

/// Exit codes of one or all containers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.operator != 'In' || !self.values.exists(v, v == 0)")
    .field_path(".values")
    .message("must not hold 0 with operator In: a container that exits with 0 has not failed"))]
pub struct ExitCodes {
    /// Only this container. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::dns_label")]
    pub container_name: Option<String>,
    /// In or NotIn.
    pub operator: ExitCodeOperator,
    /// Exit codes, at most 255; In must not hold 0.
    #[schemars(
        length(min = 1, max = 255),
        inner(range(min = -2_147_483_648_i64, max = 2_147_483_647)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub values: Vec<i32>,
}

/// How exit codes are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExitCodeOperator {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
}

/// One pod condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodConditionPattern {
    /// Type of the condition, for example DisruptionTarget.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub type_: String,
    /// Status of the condition. Default: True.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::condition_status")]
    pub status: Option<String>,
}

/// When a run has succeeded early: any rule that is met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuccessPolicy {
    /// Rules in order, 1 to 20.
    #[schemars(length(min = 1, max = 20), extend("x-kubernetes-list-type" = "atomic"))]
    pub rules: Vec<SuccessRule>,
}

/// One rule on succeeded indexes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.succeededIndexes) || has(self.succeededCount)")
    .message("set succeededIndexes, succeededCount or both"))]
pub struct SuccessRule {
    /// Indexes that must succeed, for example 0,2-4. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "rules::indexes")]
    pub succeeded_indexes: Option<String>,
    /// How many of them must succeed. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub succeeded_count: Option<i32>,
}
