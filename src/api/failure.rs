//! Why a run failed or is stuck: what the status says beyond the Job's own reason.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::condition::{FailureCategory, Obstacle};

/// The cause of a failure, captured while the pods still exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The kind of failure; one of a fixed set, for programs and metrics.
    pub category: FailureCategory,
    /// What kept the Job, its pods or their containers from being created or started; absent if something else failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// The container that failed or is stuck.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// True: it is an init container. A sidecar is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_init: Option<bool>,
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The node it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Exit code of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Number of the signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The native reason closest to the cause: of the container, the pod or the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened, in a sentence: the message of the kubelet or the scheduler, or the last output of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many pods failed before the run did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
