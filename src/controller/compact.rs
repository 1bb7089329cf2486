//! JobRequests and Jobs as they are cached: as text, of bounded length.
//!
//! Most requests have finished, and are looked at once after a restart and then never again: what rules read is made
//! from their text when they are. A text that is too long is not kept: of a spec what a request at rest is judged by, of
//! the status of a request at rest nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;

use crate::api::condition::{ConditionType, Phase, Reason};
use crate::api::json_text::{JsonText, JsonTextError};
use crate::api::status::Run;
use crate::api::template_ref::TemplateRef;
use crate::api::{JobRequest, JobRequestSpec, JobRequestStatus};
use crate::compile::policy::PodAmounts;
use crate::reconcile::observed::{KEPT, Lenient, SpecBrief, SpecView, UnreadableSpec, of_request};
use crate::reconcile::{JobView, StoredRequest};

/// See the module.
#[derive(Clone, Debug, PartialEq, Deserialize, Resource)]
#[resource(inherit = JobRequest)]
#[serde(from = "Wire")]
pub(super) struct CompactRequest {
    pub(super) metadata: ObjectMeta,
    spec: CompactSpec,
    status: CompactStatus,
    /// A part of the spec that all requests are counted by now and then.
    template_ref: Option<TemplateRef>,
    /// The same of the status.
    phase: Option<Phase>,
    run: Option<i32>,
    is_clamped: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum CompactSpec {
    Text(JsonText),
    /// It was longer, by this many bytes of JSON.
    Brief(Box<SpecBrief>, usize),
    Unreadable(UnreadableSpec),
}

#[derive(Clone, Debug, PartialEq)]
enum CompactStatus {
    Text(JsonText),
    /// It had this many bytes of JSON.
    NotKept(usize),
    Unreadable(JsonTextError),
}

impl From<JsonText> for CompactSpec {
    fn from(text: JsonText) -> Self {
        if text.len() <= KEPT {
            return Self::Text(text);
        }
        match SpecView::read(&text).map(SpecView::to_keep) {
            Ok(SpecView::Brief(brief)) => Self::Brief(Box::new(brief), text.len()),
            Ok(SpecView::Whole { .. }) => Self::Text(text),
            Err(error) => Self::Unreadable(error),
        }
    }
}

impl From<JsonText> for CompactStatus {
    fn from(text: JsonText) -> Self {
        if text.len() <= KEPT {
            return Self::Text(text);
        }
        match text.read::<JobRequestStatus>() {
            // It is needed again and again until the run has ended.
            Ok(status) if status.runs.first().is_some_and(Run::is_open) => Self::Text(text),
            Ok(_) => Self::NotKept(text.len()),
            Err(error) => Self::Unreadable(error),
        }
    }
}

/// A JobRequest as it comes over the wire.
#[derive(Deserialize)]
struct Wire {
    #[serde(deserialize_with = "of_request")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: JsonText,
    #[serde(default)]
    status: JsonText,
}

impl From<Wire> for CompactRequest {
    fn from(Wire { metadata, spec, status }: Wire) -> Self {
        // A longer name is of no template that exists.
        let template_ref = spec.read::<Counted>().ok().and_then(|spec| spec.template_ref);
        let template_ref = template_ref.filter(|named| named.name.len() <= KEPT);
        let Counted { phase, run, conditions, .. } = status.read().unwrap_or_default();
        let is_clamped = conditions.iter().any(|condition| {
            condition.type_ == ConditionType::Accepted.as_str()
                && condition.reason == Reason::Clamped.as_str()
        });
        Self { metadata, spec: spec.into(), status: status.into(), template_ref, phase, run, is_clamped }
    }
}

/// What requests are counted by; everything else is passed over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Counted {
    template_ref: Option<TemplateRef>,
    phase: Option<Phase>,
    run: Option<i32>,
    conditions: Vec<CountedCondition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CountedCondition {
    #[serde(rename = "type")]
    type_: String,
    reason: String,
}

impl CompactRequest {
    /// What rules read; `None`: its status is not kept, so ask for the request.
    pub(super) fn expand(&self) -> Option<StoredRequest> {
        let status = match &self.status {
            CompactStatus::Text(text) => text.read(),
            CompactStatus::NotKept(_) => return None,
            CompactStatus::Unreadable(error) => Err(error.clone()),
        };
        let spec = match &self.spec {
            CompactSpec::Text(text) => SpecView::read(text),
            CompactSpec::Brief(brief, _) => Ok(SpecView::Brief((**brief).clone())),
            CompactSpec::Unreadable(error) => Err(error.clone()),
        };
        Some(StoredRequest { metadata: self.metadata.clone(), spec: Lenient(spec), status: Lenient(status) })
    }

    /// How many bytes of JSON are not kept, and may have to be asked for.
    pub(super) const fn left_out(&self) -> usize {
        let spec = if let CompactSpec::Brief(_, length) = self.spec { length } else { 0 };
        let status = if let CompactStatus::NotKept(length) = self.status { length } else { 0 };
        spec.saturating_add(status)
    }

    /// `spec.templateRef`, if it can be read.
    pub(super) const fn template_ref(&self) -> Option<&TemplateRef> {
        self.template_ref.as_ref()
    }

    /// `status.phase`, if it can be read.
    pub(super) const fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// `status.run`, if it can be read.
    pub(super) const fn run(&self) -> Option<i32> {
        self.run
    }

    /// Policies have changed numbers of its spec, as its status says.
    pub(super) const fn is_clamped(&self) -> bool {
        self.is_clamped
    }

    /// The whole spec, if it is kept and can be read.
    pub(super) fn spec(&self) -> Option<JobRequestSpec> {
        match &self.spec {
            CompactSpec::Text(text) => text.read().ok(),
            CompactSpec::Brief(..) | CompactSpec::Unreadable(_) => None,
        }
    }

    /// `metadata.generation`.
    pub(super) fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }

    /// `metadata.name`.
    pub(super) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
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
pub(super) struct CompactJob(Box<str>);

impl CompactJob {
    /// The text of `view`. How much its pods use is judged while it lives.
    pub(super) fn of(mut view: JobView) -> Self {
        view.spec.amounts =
            if view.is_terminal() { PodAmounts::default() } else { view.spec.amounts.of_live_job() };
        Self(serde_json::to_string(&view).unwrap_or_default().into_boxed_str())
    }

    /// What rules read. A text that could not be read would be a Job without a uid, which no rule takes for a run's: the
    /// API server is asked.
    pub(super) fn expand(&self) -> JobView {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::compile::digest::digest;

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
            let compact: CompactRequest = serde_json::from_value(object.clone()).unwrap();
            let stored: StoredRequest = serde_json::from_value(object).unwrap();
            assert_eq!(compact.expand(), Some(stored.clone()));
            assert_eq!(compact.phase(), stored.status.0.ok().and_then(|status| status.phase));
        }
        let bare: CompactRequest = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        let stored: StoredRequest = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
        assert_eq!(bare.expand(), Some(stored));
    }

    #[test]
    fn what_cannot_be_read_is_not_kept_and_stalls_nobody() {
        let deep = format!("{}0{}", r#"{"a":"#.repeat(5000), "}".repeat(5000));
        let bad = format!(
            r#"{{"metadata":{{"name":"bad","managedFields":[{{"fieldsV1":{deep}}}]}},"spec":{{"overrides":{deep}}},"status":{deep}}}"#
        );
        let list = format!(
            r#"{{"metadata":{{}},"items":[{bad},{{"metadata":{{"name":"good"}},"spec":{{"alias":"x"}}}}]}}"#
        );
        let list: kube::api::ObjectList<CompactRequest> = serde_json::from_str(&list).unwrap();
        let read: Vec<_> =
            list.items.iter().map(|compact| compact.expand().unwrap().spec.0.is_ok()).collect();
        assert_eq!(read, [false, true]);
        let line = format!(r#"{{"type":"MODIFIED","object":{bad}}}"#);
        let event: kube::api::WatchEvent<CompactRequest> = serde_json::from_str(&line).unwrap();
        assert!(
            matches!(event, kube::api::WatchEvent::Modified(compact) if compact.expand().unwrap().spec.0.is_err())
        );
    }

    #[test]
    fn what_is_long_is_not_kept_at_rest() {
        let variables: Vec<_> = (0..40)
            .map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(30_000)}))
            .collect();
        let spec = json!({"suspend": true, "rerun": "r".repeat(1000), "templateRef": {"name": "t"},
            "containers": [{"name": "a", "env": variables}]});
        let run = |result: Option<&str>| {
            json!({"number": 1, "jobName": "n-1", "trigger": "Created", "digest": "1:0", "generation": 1,
                "result": result, "message": "m".repeat(10_000)})
        };
        let compact = |status: serde_json::Value| -> CompactRequest {
            serde_json::from_value(json!({"metadata": {"name": "n"}, "spec": spec, "status": status}))
                .unwrap()
        };
        let open = compact(json!({"observedGeneration": 1, "run": 1, "runs": [run(None)]}));
        let whole: JobRequestSpec = serde_json::from_value(spec.clone()).unwrap();
        let request = open.expand().unwrap();
        let seen = request.spec.0.as_ref().unwrap();
        assert_eq!((seen.whole(), seen.digest()), (None, digest(&whole)));
        assert!(request.is_suspended());
        assert_eq!(
            (open.template_ref(), seen.template_ref()),
            (whole.template_ref.as_ref(), whole.template_ref.as_ref())
        );
        assert!(seen.rerun().unwrap().len() <= 253);
        assert_eq!(request.known_status().runs[0].message.as_ref().map(String::len), Some(10_000));
        assert!(open.left_out() > 1_000_000);

        let ended = compact(json!({"observedGeneration": 1, "run": 1, "runs": [run(Some("Failed"))]}));
        assert_eq!((ended.expand(), ended.run()), (None, Some(1)));
        let wrong = compact(json!({"runs": "x".repeat(10_000)}));
        assert!(wrong.expand().unwrap().status.0.is_err());
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
            assert_eq!(CompactJob::of(view.clone()).expand(), view);
        }
    }
}
