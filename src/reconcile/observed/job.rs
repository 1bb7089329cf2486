//! A Job as far as rules read it, and whose it is.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::{Deserialize, Deserializer, Serialize};

use super::metadata::{of_job, time};
use crate::api::labels;
use crate::compile::policy::{PodAmounts, PodResources};
use crate::reconcile::format::bounded_to;

/// Maximum number of conditions that are kept; Kubernetes has seven types.
const CONDITIONS: usize = 16;
/// Maximum length of a condition's type, status and reason, in bytes.
const WORD: usize = 316;
/// Maximum length of a condition's message and of the failed indexes, in bytes.
const MESSAGE: usize = 4096;

/// A Job as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Resource)]
#[resource(inherit = Job)]
pub struct JobView {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "of_job")]
    pub metadata: ObjectMeta,
    /// The part of the spec that rules read.
    #[serde(default)]
    pub spec: JobSpecView,
    /// The part of the status that rules read.
    #[serde(default)]
    pub status: JobStatusView,
}

/// The part of a Job's spec that rules read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, from = "SpecWire")]
pub struct JobSpecView {
    /// Pods that must succeed; absent for a work queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<i32>,
    /// Pods that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// Pods that may fail before the Job does; the largest number there is where indexes have limits of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i32>,
    /// The Job is suspended, by whomever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How much one pod may use.
    #[serde(skip_serializing_if = "is_default")]
    pub amounts: PodAmounts,
}

fn is_default(amounts: &PodAmounts) -> bool {
    *amounts == PodAmounts::default()
}

/// A Job's spec as the API server sends it, and as it is cached: then the amounts stand for the pods.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SpecWire {
    completions: Option<i32>,
    parallelism: Option<i32>,
    backoff_limit: Option<i32>,
    suspend: Option<bool>,
    template: TemplateWire,
    amounts: Option<PodAmounts>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateWire {
    spec: PodResources,
}

impl From<SpecWire> for JobSpecView {
    fn from(wire: SpecWire) -> Self {
        let SpecWire { completions, parallelism, backoff_limit, suspend, template, amounts } = wire;
        let amounts = amounts.unwrap_or_else(|| PodAmounts::of(&template.spec));
        Self { completions, parallelism, backoff_limit, suspend, amounts }
    }
}

/// The part of a Job's status that rules read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatusView {
    /// Pods that run or wait.
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
    /// Indexes that failed, as Kubernetes writes them: `1,3-5`; of many, the first.
    #[serde(deserialize_with = "indexes", skip_serializing_if = "Option::is_none")]
    pub failed_indexes: Option<String>,
    /// Start, or last resume.
    #[serde(deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// End of a completed Job; a failed one has none.
    #[serde(deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Native conditions.
    #[serde(deserialize_with = "conditions")]
    pub conditions: Vec<JobConditionView>,
}

/// One native condition of a Job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobConditionView {
    /// Type of the condition.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// Why, in one word; may be empty.
    pub reason: String,
    /// Why, in a sentence; may be empty.
    pub message: String,
    /// When the status last changed.
    #[serde(deserialize_with = "time", skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

impl JobView {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `metadata.resourceVersion`.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }

    /// The Job is being deleted.
    #[must_use]
    pub const fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// One of our own annotations.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Number of the run that the Job says it is.
    #[must_use]
    pub fn run(&self) -> Option<i32> {
        self.annotation(labels::RUN)?.parse().ok()
    }

    /// The Job says that it was created for the request with this uid. Identity to observe.
    #[must_use]
    pub fn is_of(&self, request_uid: &str) -> bool {
        self.annotation(labels::REQUEST_UID) == Some(request_uid)
    }

    /// The request with this uid controls the Job. Identity to delete or patch, beside [`JobView::is_of`].
    #[must_use]
    pub fn is_controlled_by(&self, request_uid: &str) -> bool {
        self.metadata
            .owner_references
            .iter()
            .flatten()
            .any(|owner| owner.controller == Some(true) && owner.uid == request_uid)
    }

    /// A JobRequest called `request`, but with another uid, controls the Job: a deleted predecessor.
    #[must_use]
    pub fn is_of_predecessor(&self, request: &str, request_uid: &str) -> bool {
        self.metadata.owner_references.iter().flatten().any(|owner| {
            owner.controller == Some(true)
                && owner.kind == "JobRequest"
                && owner.api_version.split('/').next() == Some(labels::GROUP)
                && owner.name == request
                && owner.uid != request_uid
        })
    }

    /// The Job says that it was created for a request with another uid.
    #[must_use]
    pub fn is_of_another(&self, request_uid: &str) -> bool {
        self.annotation(labels::REQUEST_UID).is_some_and(|uid| uid != request_uid)
    }

    /// The condition of this type, if it is true.
    #[must_use]
    pub fn true_condition(&self, type_: &str) -> Option<&JobConditionView> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// The Job is about to end: its result is decided, pods may still be terminating.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        ["SuccessCriteriaMet", "FailureTarget"].iter().any(|type_| self.true_condition(type_).is_some())
    }

    /// The Job has ended.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.true_condition("Complete").or_else(|| self.true_condition("Failed")).is_some()
    }
}

fn indexes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(|indexes| bounded_to(&indexes, MESSAGE)))
}

fn conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JobConditionView>, D::Error> {
    let mut conditions = Option::<Vec<JobConditionView>>::deserialize(deserializer)?.unwrap_or_default();
    conditions.truncate(CONDITIONS);
    for condition in &mut conditions {
        for word in [&mut condition.type_, &mut condition.status, &mut condition.reason] {
            *word = bounded_to(word, WORD);
        }
        condition.message = bounded_to(&condition.message, MESSAGE);
    }
    Ok(conditions)
}
