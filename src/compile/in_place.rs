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
    /// sets the same as before.
    #[must_use]
    pub fn for_live(&self, last: Option<&Self>, spec: &JobRequestSpec, same_templates: bool) -> Self {
        let Some(last) = last else {
            return self.clone();
        };
        if self.asked == last.asked {
            return Self { suspend: self.suspend, note: self.note.clone(), ..last.clone() };
        }
        if last.stopped {
            let live = Self { stopped: false, ..last.clone() };
            let rest = self.for_live(Some(&live), spec, same_templates);
            return Self { stopped: true, active_deadline_seconds: last.active_deadline_seconds, ..rest };
        }
        if same_templates {
            return self.clone();
        }
        let said = spec.settings.clone().unwrap_or_default();
        Self {
            suspend: self.suspend,
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
        let mut fields = Map::new();
        let mut differ = |name: &str, old: Value, new: Value| {
            if old != new {
                fields.insert(name.to_owned(), new);
            }
        };
        differ("suspend", json!(before.suspend), json!(self.suspend));
        differ("parallelism", json!(before.parallelism), json!(self.parallelism));
        differ("backoffLimit", json!(before.backoff_limit), json!(self.backoff_limit));
        differ(
            "activeDeadlineSeconds",
            json!(before.active_deadline_seconds),
            json!(self.active_deadline_seconds),
        );
        differ("maxFailedIndexes", json!(before.max_failed_indexes), json!(self.max_failed_indexes));
        differ(
            "podReplacementPolicy",
            json!(before.pod_replacement_policy),
            json!(self.pod_replacement_policy),
        );
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
