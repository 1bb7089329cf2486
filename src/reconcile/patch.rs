//! Patches of a live Job: what may change while it lives, and the deadline that ends it.

use serde_json::{Map, Value};

use super::observed::JobView;
use super::state::Blocked;
use crate::api::condition::Reason;
use crate::api::status::Run;
use crate::api::{JobRequestSpec, labels};
use crate::compile::Compiled;
use crate::compile::digest::digest;
use crate::compile::in_place::InPlace;

/// The merge patch which the live `job` of `run` needs, if any, and what policies do not allow.
///
/// While a newer spec waits for its own run, only `suspend` and what people read still concern the present Job.
pub(super) fn in_place_patch(
    job: &JobView,
    run: &Run,
    spec: &JobRequestSpec,
    compiled: &Compiled,
) -> (Option<Value>, Option<Blocked>) {
    let last = last_written(job);
    let same_templates = run.templates == compiled.templates;
    let mut desired = compiled.in_place.for_live(last.as_ref(), spec, same_templates);
    desired.suspend = spec.suspend == Some(true);
    if run.digest != digest(spec) {
        let Some(last) = last.clone() else { return (None, None) };
        desired = InPlace { suspend: desired.suspend, note: desired.note, ..last };
    }
    let blocked = exceeds_limits(job, last.as_ref(), &desired, compiled);
    if blocked.is_some() {
        // As long as it is not written, it stays due; everything else is patched.
        desired.parallelism = last.as_ref().map_or(job.spec.parallelism, |last| last.parallelism);
        desired.asked = last.as_ref().map(|last| last.asked.clone()).unwrap_or_default();
    }
    let patch = desired.patch(last.as_ref(), spec).map(|patch| with_preconditions(job, patch));
    (patch, blocked)
}

/// Why the live `job` cannot have as many pods as are `desired`: its pods are as large as they were created, whatever the
/// templates of today say. Fewer pods than there are use no more.
fn exceeds_limits(
    job: &JobView,
    last: Option<&InPlace>,
    desired: &InPlace,
    compiled: &Compiled,
) -> Option<Blocked> {
    let parallelism = desired.parallelism.unwrap_or(1);
    let is_due = last.is_none_or(|last| last.parallelism != desired.parallelism);
    if !is_due || parallelism <= job.spec.parallelism.unwrap_or(1) {
        return None;
    }
    let problems = compiled.live_limits.judge_parallelism(&job.spec.amounts, parallelism);
    let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
    (!messages.is_empty()).then(|| Blocked {
        reason: Reason::LimitsExceeded,
        job: job.name().to_owned(),
        message: messages.join("; "),
        pause: None,
    })
}

/// The merge patch which ends the live `job` by a deadline that passed after `seconds` of its time. From then on that
/// field is left as it is.
pub(super) fn stop_patch(job: &JobView, seconds: i64) -> Option<Value> {
    let last = last_written(job)?;
    let deadline = last.active_deadline_seconds.map_or(seconds, |set| set.min(seconds));
    let desired = InPlace { stopped: true, active_deadline_seconds: Some(deadline), ..last.clone() };
    // Nothing of the spec goes into it: alias and description stay.
    desired.patch(Some(&last), &JobRequestSpec::default()).map(|patch| with_preconditions(job, patch))
}

/// Rule 1: for this very Job as it was judged. A late patch would separate the record from the fields.
fn with_preconditions(job: &JobView, mut patch: Map<String, Value>) -> Value {
    if let Some(Value::Object(metadata)) = patch.get_mut("metadata") {
        metadata.insert("uid".to_owned(), job.uid().into());
        metadata.insert("resourceVersion".to_owned(), job.resource_version().into());
    }
    Value::Object(patch)
}

/// What the operator last wrote to the fields that may change, by the record which the Job carries.
pub(super) fn last_written(job: &JobView) -> Option<InPlace> {
    job.annotation(labels::IN_PLACE).and_then(InPlace::from_annotation)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::api::template_ref::{TemplateKind, TemplateRef};
    use crate::compile::{Builtin, Identity, Template, compile, select};

    /// The only default of the namespace, with one size preset.
    fn compiled(spec: &JobRequestSpec, preset: &str, max: &str, generation: i64) -> Compiled {
        let template = json!({
            "default": true,
            "quotas": {"small": {"limits": {"cpu": preset}}},
            "policy": {"resources": {"runMax": {"cpu": max}}},
        });
        let template = Template {
            reference: TemplateRef { kind: TemplateKind::JobTemplate, name: "limits".to_owned() },
            uid: "limits".to_owned(),
            generation,
            created: None,
            is_terminating: false,
            spec: Ok(serde_json::from_value(template).unwrap()),
        };
        let layers = select(Builtin::default(), spec, &[Arc::new(template)]);
        let identity =
            Identity { name: "a", namespace: None, uid: Some("a"), generation: None, handled: None };
        compile(&identity, spec, &layers, 1).unwrap()
    }

    fn request(more: &Value) -> JobRequestSpec {
        let mut spec = json!({"containers": [{"name": "main", "image": "perl", "quota": "small"}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    /// The live Job of run 1, whose pods have 4 cpu each, and its record.
    fn live(parallelism: i32) -> (JobView, Run) {
        let spec = request(&json!({"settings": {"parallelism": parallelism}}));
        let compiled = compiled(&spec, "4", "100", 1);
        let job: JobView = serde_json::from_value(json!(compiled.job)).unwrap();
        let run = json!({
            "number": 1, "jobName": "a-1", "jobUid": "u", "trigger": "Created", "digest": digest(&spec),
            "generation": 1, "templates": compiled.templates,
        });
        (job, serde_json::from_value(run).unwrap())
    }

    #[test]
    fn a_live_job_has_the_pods_that_it_was_created_with() {
        let settings = |settings: Value, suspend| request(&json!({"settings": settings, "suspend": suspend}));
        // With a preset of 10m, 30 pods would fit.
        for (what, before, spec, max, patched, said) in [
            (
                "too many pods",
                1,
                settings(json!({"parallelism": 30}), false),
                "8",
                json!(null),
                "30 pods of the live Job may use 120 of cpu (4 each), but JobTemplate/limits allows a run at most \
                 8 of cpu; set it to at most 2,",
            ),
            (
                "as many as fit",
                1,
                settings(json!({"parallelism": 2}), false),
                "8",
                json!({"parallelism": 2}),
                "",
            ),
            (
                "the other fields are patched",
                1,
                settings(json!({"parallelism": 30, "backoffLimit": 2}), true),
                "8",
                json!({"backoffLimit": 2, "suspend": true}),
                "30 pods",
            ),
            (
                "fewer pods use less, also above a limit that is new",
                9,
                settings(json!({"parallelism": 5}), false),
                "8",
                json!({"parallelism": 5}),
                "",
            ),
            (
                "not even one more fits",
                3,
                settings(json!({"parallelism": 4}), false),
                "3",
                json!(null),
                "leave it as it is, or ask for a rerun",
            ),
        ] {
            let (mut job, run) = live(before);
            let now = compiled(&spec, "10m", max, 2);
            let (patch, blocked) = in_place_patch(&job, &run, &spec, &now);
            let fields = patch.as_ref().map(|patch| patch["spec"].clone()).unwrap_or_default();
            assert_eq!(fields, patched, "{what}");
            let message = blocked.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(message.contains(said) && message.is_empty() == said.is_empty(), "{what}: {message}");
            // Once it is patched, the rest is still due, and nothing else is.
            if let Some(record) = patch.and_then(|patch| {
                patch["metadata"]["annotations"][labels::IN_PLACE].as_str().map(ToOwned::to_owned)
            }) {
                job.metadata.annotations.get_or_insert_default().insert(labels::IN_PLACE.to_owned(), record);
                assert_eq!(in_place_patch(&job, &run, &spec, &now), (None, blocked), "{what}");
            }
        }
    }

    #[test]
    fn pods_that_are_not_known_have_no_limit() {
        let (mut job, run) = live(1);
        job.spec.amounts = crate::compile::policy::PodAmounts::default();
        let spec = request(&json!({"settings": {"parallelism": 2}}));
        let (patch, blocked) = in_place_patch(&job, &run, &spec, &compiled(&spec, "10m", "8", 2));
        assert_eq!(patch, None);
        let message = blocked.unwrap().to_string();
        assert!(
            message.contains("spec.settings.parallelism: the pods of the live Job have no limit of cpu"),
            "{message}"
        );
    }
}
