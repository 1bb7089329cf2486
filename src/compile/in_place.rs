//! What may change while a Job exists: the fields that the operator patches on the live Job instead of starting a new
//! run.
//!
//! The Job itself records, in an annotation, what the operator last wrote to them. The operator writes again only when
//! the request differs from that record, never because the live field does: a queue may have suspended the Job, a
//! webhook may have lowered its parallelism, and both stay. Record and fields change in one write, so that no crash
//! and no second operator can separate them.

use k8s_openapi::api::batch::v1::Job;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::digest::short_hash;
use crate::api::{JobRequestSpec, labels};

/// The desired values of the fields that may change while a Job exists. Absent means absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InPlace {
    /// `spec.suspend`.
    #[serde(default)]
    pub suspend: bool,
    /// Someone else, for example a queue, had suspended the Job before `suspend` was set: it is theirs to resume.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
    /// `spec.parallelism`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<i32>,
    /// `spec.backoffLimit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<i32>,
    /// `spec.activeDeadlineSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i64>,
    /// `spec.maxFailedIndexes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failed_indexes: Option<i32>,
    /// `spec.podReplacementPolicy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_replacement_policy: Option<String>,
    /// Hash of alias and description, which are annotations of the Job.
    #[serde(default)]
    pub note: String,
    /// The start deadline has passed, and `activeDeadlineSeconds` was lowered to end the Job: it is not changed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// Hash of what the request itself sets in these fields: what only a template changed does not affect live Jobs.
    #[serde(default)]
    pub asked: String,
}

impl InPlace {
    /// What `job`, compiled from `spec`, holds in these fields. A Job is created running; `suspend` is for live ones.
    pub(super) fn of(job: &Job, spec: &JobRequestSpec) -> Self {
        let fields = job.spec.as_ref();
        Self {
            suspend: false,
            queued: false,
            parallelism: fields.and_then(|fields| fields.parallelism),
            backoff_limit: fields.and_then(|fields| fields.backoff_limit),
            active_deadline_seconds: fields.and_then(|fields| fields.active_deadline_seconds),
            max_failed_indexes: fields.and_then(|fields| fields.max_failed_indexes),
            pod_replacement_policy: fields.and_then(|fields| fields.pod_replacement_policy.clone()),
            note: note(spec),
            stopped: false,
            asked: asked(spec),
        }
    }

    /// The desired values of a live Job on which `last` was written: `self`, except that a field which the request
    /// itself does not set keeps its value if the templates have changed since, and all keep theirs while the request
    /// sets the same as before. `suspend` keeps its value in any case: it is decided apart.
    #[must_use]
    pub fn for_live(&self, last: Option<&Self>, spec: &JobRequestSpec, same_templates: bool) -> Self {
        let Some(last) = last else {
            return self.clone();
        };
        if self.asked == last.asked {
            return Self { note: self.note.clone(), ..last.clone() };
        }
        if last.stopped {
            let live = Self { stopped: false, ..last.clone() };
            let rest = self.for_live(Some(&live), spec, same_templates);
            return Self { stopped: true, active_deadline_seconds: last.active_deadline_seconds, ..rest };
        }
        if same_templates {
            return Self { suspend: last.suspend, queued: last.queued, ..self.clone() };
        }
        let said = spec.settings.clone().unwrap_or_default();
        Self {
            suspend: last.suspend,
            queued: last.queued,
            note: self.note.clone(),
            stopped: false,
            asked: self.asked.clone(),
            parallelism: said.parallelism.map_or(last.parallelism, |_| self.parallelism),
            backoff_limit: said.backoff_limit.map_or(last.backoff_limit, |_| self.backoff_limit),
            active_deadline_seconds: said
                .active_deadline_seconds
                .map_or(last.active_deadline_seconds, |_| self.active_deadline_seconds),
            max_failed_indexes: said
                .max_failed_indexes
                .map_or(last.max_failed_indexes, |_| self.max_failed_indexes),
            pod_replacement_policy: match said.pod_replacement_policy {
                Some(_) => self.pod_replacement_policy.clone(),
                None => last.pod_replacement_policy.clone(),
            },
        }
    }

    /// `last` with this field as `self` has it.
    #[must_use]
    pub fn step(&self, last: &Self, field: Field) -> Self {
        let mut step = last.clone();
        match field {
            Field::Suspend => step.suspend = self.suspend,
            Field::Parallelism => step.parallelism = self.parallelism,
            Field::BackoffLimit => step.backoff_limit = self.backoff_limit,
            Field::ActiveDeadlineSeconds => step.active_deadline_seconds = self.active_deadline_seconds,
            Field::MaxFailedIndexes => step.max_failed_indexes = self.max_failed_indexes,
            Field::PodReplacementPolicy => {
                step.pod_replacement_policy.clone_from(&self.pod_replacement_policy);
            }
        }
        step
    }

    /// The fields in which `self` differs from `last`.
    pub fn differing(&self, last: &Self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(|field| field.of(last) != field.of(self))
    }

    /// As the annotation stores it.
    #[must_use]
    pub fn to_annotation(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From the annotation; absent when it is missing or was tampered with.
    #[must_use]
    pub fn from_annotation(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The merge patch that changes a live Job from what was last written, `last`, to `self`: only the fields that
    /// differ, with the new record. `None` if nothing differs.
    #[must_use]
    pub fn patch(&self, last: Option<&Self>, spec: &JobRequestSpec) -> Option<Map<String, Value>> {
        let unknown = Self::default();
        let before = last.unwrap_or(&unknown);
        if last == Some(self) {
            return None;
        }
        let fields: Map<String, Value> =
            self.differing(before).map(|field| (field.name().to_owned(), field.of(self))).collect();
        let mut annotations = Map::from_iter([(labels::IN_PLACE.to_owned(), json!(self.to_annotation()))]);
        if before.note != self.note {
            annotations.insert(labels::ALIAS.to_owned(), json!(spec.alias));
            annotations.insert(labels::DESCRIPTION.to_owned(), json!(spec.description));
        }
        let mut patch = Map::from_iter([("metadata".to_owned(), json!({"annotations": annotations}))]);
        if !fields.is_empty() {
            patch.insert("spec".to_owned(), Value::Object(fields));
        }
        Some(patch)
    }
}

/// A field of a Job that may change while the Job exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `spec.suspend`.
    Suspend,
    /// `spec.parallelism`.
    Parallelism,
    /// `spec.backoffLimit`.
    BackoffLimit,
    /// `spec.activeDeadlineSeconds`.
    ActiveDeadlineSeconds,
    /// `spec.maxFailedIndexes`.
    MaxFailedIndexes,
    /// `spec.podReplacementPolicy`.
    PodReplacementPolicy,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Suspend,
        Self::Parallelism,
        Self::BackoffLimit,
        Self::ActiveDeadlineSeconds,
        Self::MaxFailedIndexes,
        Self::PodReplacementPolicy,
    ];

    /// As it is called in `spec` of a Job.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Parallelism => "parallelism",
            Self::BackoffLimit => "backoffLimit",
            Self::ActiveDeadlineSeconds => "activeDeadlineSeconds",
            Self::MaxFailedIndexes => "maxFailedIndexes",
            Self::PodReplacementPolicy => "podReplacementPolicy",
        }
    }

    fn of(self, values: &InPlace) -> Value {
        match self {
            Self::Suspend => json!(values.suspend),
            Self::Parallelism => json!(values.parallelism),
            Self::BackoffLimit => json!(values.backoff_limit),
            Self::ActiveDeadlineSeconds => json!(values.active_deadline_seconds),
            Self::MaxFailedIndexes => json!(values.max_failed_indexes),
            Self::PodReplacementPolicy => json!(values.pod_replacement_policy),
        }
    }
}

fn asked(spec: &JobRequestSpec) -> String {
    let said = spec.settings.clone().unwrap_or_default();
    let fields = json!([
        said.parallelism,
        said.backoff_limit,
        said.active_deadline_seconds,
        said.max_failed_indexes,
        said.pod_replacement_policy
    ]);
    short_hash(fields.to_string().as_bytes())
}

fn note(spec: &JobRequestSpec) -> String {
    short_hash(format!("{:?}{:?}", spec.alias, spec.description).as_bytes())
}
