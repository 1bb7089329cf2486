//! Patches of a live Job: what may change while it lives, and the deadline that ends it.

use serde_json::{Map, Value, json};

use super::observed::JobView;
use super::rescale;
use super::state::Blocked;
use crate::api::condition::Reason;
use crate::api::status::Run;
use crate::api::{JobRequestSpec, labels};
use crate::compile::Compiled;
use crate::compile::in_place::{Field, InPlace};

/// The number of indexes, as `spec` of a Job calls it.
const COMPLETIONS: &str = "completions";

/// The merge patch by which the live `job` is suspended or resumed, if `suspend` is another than was written last: alone, so
/// that nothing else can keep it from being stored.
///
/// What someone else had suspended before stays suspended when `suspend` goes, and is suspended by the operator itself once
/// they resume it.
pub(super) fn suspend_patch(job: &JobView, suspend: bool) -> Option<Value> {
    let last = last_written(job).unwrap_or_default();
    let is_live_suspended = job.spec.suspend == Some(true);
    // What is theirs stays as it is in the Job: only who asked for what is noted.
    let (queued, is_theirs) = match (suspend, last.suspend) {
        (true, false) => (is_live_suspended, is_live_suspended),
        (true, true) if last.queued && !is_live_suspended => (false, false),
        (false, true) => (false, last.queued),
        (true, true) | (false, false) => return None,
    };
    let record = InPlace { suspend, queued, ..last }.to_annotation();
    let mut patch = json!({"metadata": {"annotations": {labels::IN_PLACE: record}}});
    if !is_theirs {
        json_patch::merge(&mut patch, &json!({"spec": {"suspend": suspend}}));
    }
    Some(with_preconditions(job, patch))
}

/// What a live Job needs beside `suspend`.
pub(super) struct InPlacePatches {
    /// The merge patch of everything that is due.
    pub joint: Option<Value>,
    /// The same field by field, with their names: where there are several, one that is refused keeps no other from being
    /// changed.
    pub single: Vec<(&'static str, Value)>,
    /// What policies do not allow.
    pub exceeded: Option<Blocked>,
}

/// The patches which the live `job` of `run` needs, also while a newer spec waits for its own run: fewer pods and a deadline
/// are the brake.
pub(super) fn in_place_patches(
    job: &JobView,
    run: &Run,
    spec: &JobRequestSpec,
    compiled: &Compiled,
) -> InPlacePatches {
    let last = last_written(job);
    let same_templates = run.templates == compiled.templates;
    let mut desired = compiled.in_place.for_live(last.as_ref(), spec, same_templates);
    let exceeded = exceeds_limits(job, last.as_ref(), &desired, compiled);
    if exceeded.is_some() {
        // As long as it is not written, it stays due; everything else is patched.
        desired.parallelism = last.as_ref().map_or(job.spec.parallelism, |last| last.parallelism);
        desired.asked = last.as_ref().map(|last| last.asked.clone()).unwrap_or_default();
    }
    let rescaled = rescale::due(job, spec, compiled).filter(|number| desired.parallelism == Some(*number));
    let rescaling = rescaled.map(|number| rescale::patch(number, compiled));
    let whole = |patch: Option<Map<String, Value>>, more: Option<&Value>| {
        let mut patch = patch.map(Value::Object);
        if let Some(more) = more {
            json_patch::merge(patch.get_or_insert_with(|| json!({})), more);
        }
        patch.map(|patch| with_preconditions(job, patch))
    };
    let joint = whole(desired.patch(last.as_ref(), spec), rescaling.as_ref());
    let mut single = Vec::new();
    if let Some(last) = &last {
        // The number of indexes takes parallelism with it.
        let alone = |field: &Field| rescaling.is_none() || *field != Field::Parallelism;
        let step = |field: Field| desired.step(last, field).patch(Some(last), spec);
        let fields = desired.differing(last).filter(alone);
        single.extend(fields.filter_map(|field| Some((field.name(), whole(step(field), None)?))));
        let indexes = rescaling.as_ref().and_then(|more| whole(step(Field::Parallelism), Some(more)));
        single.extend(indexes.map(|patch| (COMPLETIONS, patch)));
    }
    InPlacePatches { joint, single, exceeded }
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
        field: None,
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
    desired
        .patch(Some(&last), &JobRequestSpec::default())
        .map(|patch| with_preconditions(job, Value::Object(patch)))
}

/// Rule 1: for this very Job as it was judged. A late patch would separate the record from the fields.
fn with_preconditions(job: &JobView, mut patch: Value) -> Value {
    let version = json!({"metadata": {"uid": job.uid(), "resourceVersion": job.resource_version()}});
    json_patch::merge(&mut patch, &version);
    patch
}

/// The operator itself has suspended the live `job`, by the record which the Job carries: nobody else had before.
pub(super) fn is_suspended_by_us(job: &JobView) -> bool {
    last_written(job).is_some_and(|last| last.suspend && !last.queued)
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
    use crate::compile::digest::digest;
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
                json!({"backoffLimit": 2}),
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
            let InPlacePatches { joint: patch, exceeded: blocked, .. } =
                in_place_patches(&job, &run, &spec, &now);
            let fields = patch.as_ref().map(|patch| patch["spec"].clone()).unwrap_or_default();
            assert_eq!(fields, patched, "{what}");
            let message = blocked.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(message.contains(said) && message.is_empty() == said.is_empty(), "{what}: {message}");
            // Once it is patched, the rest is still due, and nothing else is.
            if let Some(record) = patch.and_then(|patch| {
                patch["metadata"]["annotations"][labels::IN_PLACE].as_str().map(ToOwned::to_owned)
            }) {
                job.metadata.annotations.get_or_insert_default().insert(labels::IN_PLACE.to_owned(), record);
                let again = in_place_patches(&job, &run, &spec, &now);
                assert_eq!((again.joint, again.exceeded), (None, blocked), "{what}");
            }
        }
    }

    /// The Job once a patch is stored.
    fn stored(job: &JobView, patch: &Value) -> JobView {
        let mut value = json!(job);
        json_patch::merge(&mut value, patch);
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_someone_else_suspended_is_theirs_to_resume() {
        let (job, _) = live(1);
        let by_them = |job: &JobView, suspend: bool| stored(job, &json!({"spec": {"suspend": suspend}}));
        let is_suspended = |job: &JobView| job.spec.suspend == Some(true);
        // Our own suspension, and its end.
        let ours = stored(&job, &suspend_patch(&job, true).unwrap());
        assert!(is_suspended(&ours) && suspend_patch(&ours, true).is_none());
        assert!(!is_suspended(&stored(&ours, &suspend_patch(&ours, false).unwrap())));
        // A queue that undoes it is not fought.
        assert_eq!(suspend_patch(&by_them(&ours, false), true), None);
        // Theirs stays, whatever the spec says meanwhile.
        let queued = by_them(&job, true);
        let both = stored(&queued, &suspend_patch(&queued, true).unwrap());
        assert!(last_written(&both).unwrap().queued && suspend_patch(&both, true).is_none());
        let theirs = stored(&both, &suspend_patch(&both, false).unwrap());
        assert!(is_suspended(&theirs) && !last_written(&theirs).unwrap().suspend);
        // Once they resume it, what the spec says counts.
        let resumed = by_them(&both, false);
        let ours = stored(&resumed, &suspend_patch(&resumed, true).unwrap());
        assert!(is_suspended(&ours) && !last_written(&ours).unwrap().queued);
        assert_eq!(suspend_patch(&ours, true), None);
    }

    #[test]
    fn indexes_are_rescaled_with_what_the_job_is_from_then_on() {
        let indexed = |more: Value| {
            let mut settings = json!({"completionMode": "Indexed"});
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            request(&json!({"settings": settings}))
        };
        let before = indexed(json!({"completions": 2, "parallelism": 2}));
        let compiled = |spec: &JobRequestSpec| compiled(spec, "1", "100", 1);
        let job: JobView = serde_json::from_value(json!(compiled(&before).job)).unwrap();
        let run = json!({
            "number": 1, "jobName": "a-1", "jobUid": "u", "trigger": "Created", "digest": digest(&before),
            "generation": 1, "templates": compiled(&before).templates,
        });
        let mut run: Run = serde_json::from_value(run).unwrap();
        let four = json!({"completions": 4, "parallelism": 4});
        for (what, spec, fields) in [
            ("up", indexed(four.clone()), json!({"completions": 4, "parallelism": 4})),
            (
                "down",
                indexed(json!({"completions": 1, "parallelism": 1})),
                json!({"completions": 1, "parallelism": 1}),
            ),
            (
                "with another field",
                indexed(json!({"completions": 4, "parallelism": 4, "backoffLimit": 1})),
                json!({"completions": 4, "parallelism": 4, "backoffLimit": 1}),
            ),
            (
                "fewer at once",
                indexed(json!({"completions": 4, "parallelism": 3})),
                json!({"parallelism": 3}),
            ),
            (
                "no more than before",
                indexed(json!({"completions": 2, "parallelism": 1})),
                json!({"parallelism": 1}),
            ),
            ("not indexed", request(&json!({"settings": four})), json!({"parallelism": 4})),
        ] {
            let patches = in_place_patches(&job, &run, &spec, &compiled(&spec));
            assert_eq!(patches.joint.unwrap()["spec"], fields, "{what}");
        }
        let spec = indexed(json!({"completions": 4, "parallelism": 4}));
        let patches = in_place_patches(&job, &run, &spec, &compiled(&spec));
        assert_eq!(patches.single.iter().map(|(field, _)| *field).collect::<Vec<_>>(), ["completions"]);
        let generation = json!({"metadata": {"annotations": {labels::GENERATION: "2"}}});
        let live = stored(&stored(&job, &patches.joint.unwrap()), &generation);
        assert_eq!(live.annotation(labels::DIGEST), Some(digest(&spec).as_str()));
        let again = in_place_patches(&live, &run, &spec, &compiled(&spec));
        assert!(again.joint.is_none() && again.single.is_empty());
        // What the Job is by now becomes the record of its run.
        let view = spec.clone().into();
        assert!(rescale::reaches(&live, &view));
        rescale::record(&mut run, &live, &view);
        assert_eq!((run.digest, run.generation), (digest(&spec), 2));
    }

    #[test]
    fn what_is_patched_together_can_be_patched_one_by_one() {
        let (job, run) = live(3);
        let more = json!({"settings": {"parallelism": 2, "backoffLimit": 1, "activeDeadlineSeconds": 60}, "alias": "a"});
        let spec = request(&more);
        let now = compiled(&spec, "4", "100", 1);
        let patches = in_place_patches(&job, &run, &spec, &now);
        let fields = |patch: &Value| patch["spec"].clone();
        let joint = patches.joint.unwrap();
        assert_eq!(fields(&joint), json!({"parallelism": 2, "backoffLimit": 1, "activeDeadlineSeconds": 60}));
        let single: Vec<Value> = patches.single.iter().map(|(_, patch)| fields(patch)).collect();
        let one_by_one =
            [json!({"parallelism": 2}), json!({"backoffLimit": 1}), json!({"activeDeadlineSeconds": 60})];
        assert_eq!(single, one_by_one);
        // In whatever order, they come to the same.
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let mut live = job.clone();
            for place in order {
                let name = patches.single[place].0;
                let due = in_place_patches(&live, &run, &spec, &now);
                let patch = due.single.iter().find(|(field, _)| *field == name).map(|(_, patch)| patch);
                live = stored(&live, patch.or(due.joint.as_ref()).unwrap());
            }
            let last = in_place_patches(&live, &run, &spec, &now);
            let live = last.joint.map_or(live.clone(), |patch| stored(&live, &patch));
            assert_eq!(last_written(&live), last_written(&stored(&job, &joint)));
            assert!(in_place_patches(&live, &run, &spec, &now).joint.is_none());
        }
    }

    #[test]
    fn pods_that_are_not_known_have_no_limit() {
        let (mut job, run) = live(1);
        job.spec.amounts = crate::compile::policy::PodAmounts::default();
        let spec = request(&json!({"settings": {"parallelism": 2}}));
        let patches = in_place_patches(&job, &run, &spec, &compiled(&spec, "10m", "8", 2));
        assert_eq!(patches.joint, None);
        let message = patches.exceeded.unwrap().to_string();
        assert!(
            message.contains("spec.settings.parallelism: the pods of the live Job have no limit of cpu"),
            "{message}"
        );
    }
}
