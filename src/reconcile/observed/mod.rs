//! What is seen of the cluster: small views of the watched objects, the answers of this pass, and what the process
//! remembers. Data only; judgement is in `plan`.
//!
//! Views are projections: they are deserialised straight from the wire and hold only what a rule reads, so that ten
//! thousand Jobs fit into memory. A part that cannot be parsed is data too, never an error: one bad stored object
//! must not stall the others.

mod event;
mod pod;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::api::failure::Failure;
use crate::api::status::TemplatePin;
use crate::api::template::TemplateRef;
use crate::api::{JobRequest, JobRequestSpec, JobRequestStatus, labels};

pub use event::{EventView, EventsOf};
pub use pod::{ConditionView, ContainerRole, ContainerState, ContainerView, EndView, PodView};

/// The two clocks that rules read. The pure rooms never ask for the time; they are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Wall clock: for times that people read and for TTLs.
    pub now: Timestamp,
    /// Monotonic time since this process started: for grace periods, which must not jump.
    pub uptime: Duration,
}

/// A part of an object that may not fit its type, for example when it was stored under an older schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient<T>(pub Result<T, String>);

impl<T: Default> Default for Lenient<T> {
    fn default() -> Self {
        Self(Ok(T::default()))
    }
}

impl<'de, T: DeserializeOwned + Default> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value.is_null() {
            return Ok(Self::default());
        }
        Ok(Self(serde_path_to_error::deserialize(value).map_err(|error| error.to_string())))
    }
}

/// A JobRequest as it is stored.
#[derive(Clone, Debug, PartialEq, Deserialize, Resource)]
#[resource(inherit = JobRequest)]
pub struct StoredRequest {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "trimmed")]
    pub metadata: ObjectMeta,
    /// The spec, or why it cannot be read.
    #[serde(default)]
    pub spec: Lenient<JobRequestSpec>,
    /// The status, or why it cannot be read.
    #[serde(default)]
    pub status: Lenient<JobRequestStatus>,
}

impl StoredRequest {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `metadata.generation`.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// The object is being deleted.
    #[must_use]
    pub const fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// This is a later version of the same object as `other`. Versions that are not numbers cannot be compared.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let version = |request: &Self| request.metadata.resource_version.as_ref()?.parse::<u64>().ok();
        self.uid() == other.uid()
            && version(self).zip(version(other)).is_some_and(|(own, others)| own > others)
    }

    /// The status; one that cannot be read counts as wiped.
    #[must_use]
    pub fn known_status(&self) -> JobRequestStatus {
        self.status.0.clone().unwrap_or_else(|_| JobRequestStatus::unwritten())
    }

    /// `spec.suspend`, false when the spec cannot be read.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.spec.0.as_ref().is_ok_and(|spec| spec.suspend == Some(true))
    }
}

/// A Job as far as rules read it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Resource)]
#[resource(inherit = Job)]
pub struct JobView {
    /// Metadata, without what no rule reads.
    #[serde(deserialize_with = "trimmed")]
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
#[serde(rename_all = "camelCase", default)]
pub struct JobSpecView {
    /// Pods that must succeed; absent for a work queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<i32>,
    /// Pods that run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// The Job is suspended, by whomever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
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
    /// Indexes that failed, as Kubernetes writes them: `1,3-5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_indexes: Option<String>,
    /// Start, or last resume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// End of a completed Job; a failed one has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
    /// Native conditions.
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
    /// Why, in words; may be empty.
    pub message: String,
    /// When the status last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
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

    /// An annotation of ours.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Number of the run that the Job says it is.
    #[must_use]
    pub fn run(&self) -> Option<i32> {
        self.annotation(labels::RUN)?.parse().ok()
    }

    /// The Job says that it was made for the request with this uid. Identity to observe.
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

    /// The condition of this type, if it is true.
    #[must_use]
    pub fn true_condition(&self, type_: &str) -> Option<&JobConditionView> {
        self.status.conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// The Job is about to end: its result is decided, pods may still be going.
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

/// Reads metadata without managedFields and without labels and annotations which are not ours.
pub(crate) fn trimmed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let mut metadata = ObjectMeta::deserialize(deserializer)?;
    metadata.managed_fields = None;
    metadata.generate_name = None;
    metadata.finalizers = None;
    let ours = |key: &String| key.starts_with("jobrequest.dev/");
    if let Some(map) = metadata.labels.as_mut() {
        map.retain(|key, _| ours(key));
    }
    if let Some(map) = metadata.annotations.as_mut() {
        map.retain(|key, _| ours(key));
    }
    Ok(metadata)
}

/// How the API server answered a create.
#[derive(Clone, Debug, PartialEq)]
pub enum Creation {
    /// 201: the Job as it was stored.
    Created(Box<JobView>),
    /// 409: the name is taken.
    NameTaken,
    /// 422: the API server finds the Job invalid; its words.
    Invalid(String),
    /// 403: quota, admission policy, webhook, a namespace that is going; its words.
    Forbidden(String),
}

/// What was asked and answered in this pass. Answers are newer than caches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answers {
    /// When the JobRequest was last answered by the API server: a GET or our own status write.
    pub request_at: Option<Duration>,
    /// GET of a Job by name.
    pub job: Option<(String, Option<JobView>)>,
    /// LIST of the request's Jobs.
    pub jobs: Option<Vec<JobView>>,
    /// LIST of events, and what they were asked about.
    pub events: Option<(EventsOf, Vec<EventView>)>,
    /// GET of templates: what a run would note of each, or that there is none.
    pub templates: BTreeMap<TemplateRef, Option<TemplatePin>>,
    /// The create, by name of the Job.
    pub creation: Option<(String, Creation)>,
}

impl Answers {
    /// How the create of the Job of this name was answered. After a conflict another run may be at hand.
    #[must_use]
    pub fn creation_of(&self, name: &str) -> Option<&Creation> {
        self.creation.as_ref().filter(|(created, _)| created == name).map(|(_, creation)| creation)
    }
}

/// What this process remembers of one JobRequest. Losing it is safe; it saves calls and keeps grace periods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The Job of an answered create, and when: it stands in for the cache until that has caught up.
    pub created: Option<(Duration, Box<JobView>)>,
    /// Since when each Job uid was seen recorded in the status.
    pub recorded_since: BTreeMap<String, Duration>,
    /// Last states of deleted Jobs that had ended, by uid.
    pub last_words: BTreeMap<String, JobView>,
    /// The run which this process reserved last.
    pub own_run: Option<OwnRun>,
    /// Jobs whose only create was sent by this process, which had reserved the run itself, and was answered: by uid,
    /// when that was reserved.
    pub only_creates: BTreeMap<String, Duration>,
    /// How often in a row a create was forbidden, and when to try again.
    pub forbidden: Option<(u32, Duration)>,
    /// Which events were asked for last, and when to ask for them again.
    pub inquiry: Option<Inquiry>,
    /// The newest pod failure of a Job, by its uid: the pod may be gone when the Job fails.
    pub pod_failure: Option<(String, Box<Failure>)>,
    /// When this process last wrote the status.
    pub written_at: Option<Duration>,
    /// The JobRequest as that write left it: it stands in for the cache until that has caught up.
    pub written: Option<Box<StoredRequest>>,
}

/// Events about what keeps something from getting on were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Which.
    pub of: EventsOf,
    /// How often in a row.
    pub count: u32,
    /// Not again before this uptime.
    pub until: Duration,
}

/// A run which this process itself has reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRun {
    /// Number of the run.
    pub number: i32,
    /// When the reservation was answered.
    pub reserved_at: Duration,
    /// How many creates were sent for it.
    pub creates: u32,
}

/// Everything that a plan is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The JobRequest, from the cache or newer.
    pub request: Option<StoredRequest>,
    /// Cached Jobs that carry the request's name.
    pub jobs: Vec<JobView>,
    /// Cached pods that carry the request's name.
    pub pods: Vec<PodView>,
    /// What this pass asked.
    pub answers: Answers,
    /// What this process remembers.
    pub memory: Memory,
    /// Since when this process holds the lease without a break (uptime); `None`: it holds none, and may have company.
    pub sole_since: Option<Duration>,
}
