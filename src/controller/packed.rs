//! JobRequests and Jobs as they are cached: as text.
//!
//! Most requests have finished, and are looked at once after a restart and then never again: what rules read is made
//! from their text when they are.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::api::JobRequest;
use crate::api::condition::Phase;
use crate::api::template_ref::TemplateRef;
use crate::reconcile::observed::{Lenient, trimmed};
use crate::reconcile::{JobView, StoredRequest};

/// See the module.
#[derive(Clone, Debug, PartialEq, Deserialize, Resource)]
#[resource(inherit = JobRequest)]
pub(super) struct PackedRequest {
    #[serde(deserialize_with = "trimmed")]
    pub(super) metadata: ObjectMeta,
    #[serde(default)]
    spec: Text<TemplateRef>,
    #[serde(default)]
    status: Text<Phase>,
}

/// A part of an object, as JSON; empty: absent. One field of it is kept beside it, because all requests are counted by
/// it now and then.
#[derive(Clone, Debug, PartialEq)]
struct Text<F> {
    json: Box<str>,
    field: Option<F>,
}

/// What a part is counted by.
trait Field: DeserializeOwned {
    const NAME: &'static str;
}

impl Field for TemplateRef {
    const NAME: &'static str = "templateRef";
}

impl Field for Phase {
    const NAME: &'static str = "phase";
}

impl<F> Default for Text<F> {
    fn default() -> Self {
        Self { json: Box::default(), field: None }
    }
}

impl<'de, F: Field> Deserialize<'de> for Text<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_null() {
            return Ok(Self::default());
        }
        let field = value.get(F::NAME).and_then(|field| F::deserialize(field).ok());
        Ok(Self { json: value.to_string().into_boxed_str(), field })
    }
}

impl<F> Text<F> {
    fn unpack<T: DeserializeOwned + Default>(&self) -> Lenient<T> {
        if self.json.is_empty() {
            return Lenient::default();
        }
        serde_json::from_str(&self.json).unwrap_or_else(|error| Lenient(Err(error.to_string())))
    }
}

impl PackedRequest {
    /// What rules read.
    pub(super) fn unpack(&self) -> StoredRequest {
        StoredRequest {
            metadata: self.metadata.clone(),
            spec: self.spec.unpack(),
            status: self.status.unpack(),
        }
    }

    /// `spec.templateRef`, if it can be read.
    pub(super) const fn template_ref(&self) -> Option<&TemplateRef> {
        self.spec.field.as_ref()
    }

    /// `status.phase`, if it can be read.
    pub(super) const fn phase(&self) -> Option<Phase> {
        self.status.field
    }

    /// `metadata.namespace`.
    pub(super) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }
}

/// A Job as it is cached: the JSON of its view.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PackedJob(Box<str>);

impl PackedJob {
    /// The text of `view`.
    pub(super) fn pack(view: &JobView) -> Self {
        Self(serde_json::to_string(view).unwrap_or_default().into_boxed_str())
    }

    /// What rules read. A text that could not be read would be a Job without a uid, which no rule takes for a run's: the
    /// API server is asked.
    pub(super) fn unpack(&self) -> JobView {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_unpacked_is_what_was_stored() {
        for (spec, status) in [
            (
                json!({"alias": "计算", "containers": [{"name": "a", "image": "x"}]}),
                json!({"observedGeneration": 3, "phase": "Failed"}),
            ),
            (json!({"settings": {"backoffLimit": "many"}}), json!({"runs": 7})),
            (json!(null), json!(null)),
            (json!({}), json!({"phase": "Unheard"})),
        ] {
            let object = json!({
                "metadata": {"name": "n", "namespace": "ns", "uid": "u", "managedFields": []},
                "spec": spec, "status": status
            });
            let packed: PackedRequest = serde_json::from_value(object.clone()).unwrap();
            let stored: StoredRequest = serde_json::from_value(object).unwrap();
            assert_eq!(packed.unpack(), stored);
            assert_eq!(packed.phase(), stored.status.0.ok().and_then(|status| status.phase));
        }
        let bare: PackedRequest = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        let stored: StoredRequest = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        assert_eq!(bare.unpack(), stored);
    }

    #[test]
    fn a_job_is_unpacked_as_it_was_seen() {
        for job in [
            json!({
                "metadata": {
                    "name": "pi-1", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                    "creationTimestamp": "2026-11-24T10:00:00Z", "deletionTimestamp": "2026-11-24T11:00:00Z",
                    "annotations": {"jobrequest.dev/run": "1", "other": "x"},
                    "ownerReferences": [{"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
                        "name": "pi", "uid": "r", "controller": true, "blockOwnerDeletion": true}]
                },
                "spec": {"completions": 4, "parallelism": 2, "suspend": false, "template": {}},
                "status": {"succeeded": 4, "startTime": "2026-11-24T10:00:01Z", "failedIndexes": "1,3-5",
                    "conditions": [{"type": "Complete", "status": "True", "reason": "CompletionsReached",
                        "message": "圆周率", "lastTransitionTime": "2026-11-24T10:00:09Z"}]}
            }),
            json!({"metadata": {"name": "bare"}}),
        ] {
            let view: JobView = serde_json::from_value(job).unwrap();
            assert_eq!(PackedJob::pack(&view).unpack(), view);
        }
    }
}
