use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::labels;
use crate::compile::{Builtin, compile, select};
use crate::reconcile::observed::Memory;

const NOW: &str = "2026-11-24T12:00:00Z";

/// A JobRequest as it is stored, at a generation, with or without a status.
fn stored(spec: &Value, generation: i64, status: &Value) -> Value {
    json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {
            "name": "a", "namespace": "n", "uid": "u", "generation": generation, "resourceVersion": "7",
            "creationTimestamp": "2026-11-24T11:00:00Z"
        },
        "spec": spec, "status": status,
    })
}

fn request(object: &Value) -> StoredRequest {
    serde_json::from_value(object.clone()).unwrap()
}

fn layers(request: &StoredRequest) -> Layers {
    select(Builtin::default(), &request.whole_spec().cloned().unwrap_or_default(), &[])
}

fn compiled(request: &StoredRequest, run: i32) -> Option<Job> {
    compile(&request.identity(), request.whole_spec()?, &layers(request), run)
        .ok()
        .map(|compiled| compiled.job)
}

/// The Job of run 1 as the API server stored it.
fn live_job(request: &StoredRequest) -> JobView {
    let mut job = serde_json::to_value(compiled(request, 1).unwrap()).unwrap();
    let more = json!({
        "metadata": {"uid": "j", "resourceVersion": "3"},
        "status": {"active": 1, "ready": 1, "startTime": "2026-11-24T11:00:05Z"},
    });
    json_patch::merge(&mut job, &more);
    serde_json::from_value(job).unwrap()
}

/// The status after run 1, which has a Job; `result`, if it has ended.
fn status(request: &StoredRequest, result: Option<&str>) -> Value {
    let digest = request.spec.0.as_ref().unwrap().digest();
    let accepted = json!({
        "type": "Accepted", "status": "True", "reason": "Valid", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-11-24T11:00:00Z",
    });
    json!({
        "observedGeneration": 1, "run": 1, "conditions": [accepted],
        "runs": [{
            "number": 1, "jobName": "a-1", "jobUid": "j", "trigger": "Created", "digest": digest, "generation": 1,
            "startTime": "2026-11-24T11:00:05Z", "containersStarted": true, "result": result,
            "endTime": result.map(|_| "2026-11-24T11:00:09Z"),
        }],
    })
}

fn seen(object: &Value, jobs: &[JobView]) -> Foreseen {
    let request = request(object);
    let layers = layers(&request);
    let observed = Observed {
        request: Some(request),
        jobs: jobs.to_vec(),
        pods: Vec::new(),
        answers: Answers::default(),
        memory: Memory::default(),
        sole_since: None,
    };
    foresee(observed, &Surroundings { layers, unseen: Vec::new(), now: NOW.parse::<Timestamp>().unwrap() })
}

/// What the edit from `spec` to `other` comes to, while run 1 is active or after it has ended.
fn edit(spec: &Value, other: &Value, is_active: bool) -> Edit {
    let first = request(&stored(spec, 1, &json!({})));
    let status = status(&first, (!is_active).then_some("Succeeded"));
    let (before, mut after) = (stored(spec, 1, &status), stored(other, 2, &status));
    if spec == other {
        after["metadata"]["generation"] = json!(1);
    }
    let jobs = if is_active { vec![live_job(&first)] } else { Vec::new() };
    let jobs_of = |object: &Value| compiled(&request(object), 2).and_then(|job| job.spec);
    Edit {
        before: Some(seen(&before, &jobs)),
        after: seen(&after, &jobs),
        fields: changed_fields(&before, &after),
        changes_the_job: jobs_of(&before) != jobs_of(&after),
    }
}

fn spec(more: &Value) -> Value {
    let mut spec = json!({"containers": [{"name": "main", "image": "perl:5.40"}]});
    json_patch::merge(&mut spec, more);
    spec
}

#[allow(clippy::needless_pass_by_value)] // callers write the values in place
fn with(more: Value) -> Value {
    spec(&more)
}

fn both(one: &Value, other: &Value) -> Value {
    let mut both = one.clone();
    json_patch::merge(&mut both, other);
    spec(&both)
}

fn another_image() -> Value {
    json!({"containers": [{"name": "main", "image": "perl:5.42"}]})
}

/// The stored spec, the edited one, whether run 1 is active; then the effect, whether something runs or is patched, and the
/// sentence.
type Row = (Value, Value, bool, Effect, bool, &'static str);

fn edits() -> Vec<Row> {
    let image = another_image();
    let plain = spec(&json!({}));
    vec![
        (plain.clone(), plain.clone(), false, Effect::NothingChanges, false, "nothing changes"),
        (
            plain.clone(),
            with(json!({"alias": "Pi"})),
            false,
            Effect::NothingRuns,
            false,
            "changes nothing that runs (spec.alias)",
        ),
        (
            plain.clone(),
            with(json!({"alias": "Pi"})),
            true,
            Effect::NothingRuns,
            false,
            "changes nothing that runs (spec.alias)",
        ),
        (
            plain.clone(),
            with(json!({"settings": {"backoffLimit": 4}})),
            true,
            Effect::PatchedInPlace,
            true,
            "is patched in place on the active run 1 (backoffLimit 6 -> 4)",
        ),
        (
            plain.clone(),
            with(json!({"settings": {"backoffLimit": 4}})),
            false,
            Effect::NextRun,
            false,
            "starts no run; the next run has the change (spec.settings.backoffLimit)",
        ),
        (
            plain.clone(),
            with(json!({"suspend": true})),
            true,
            Effect::PatchedInPlace,
            true,
            "is patched in place on the active run 1 (suspend false -> true)",
        ),
        (
            plain.clone(),
            with(image.clone()),
            false,
            Effect::Starts,
            true,
            "starts run 2: the spec has changed",
        ),
        (
            plain.clone(),
            with(image.clone()),
            true,
            Effect::Waits,
            true,
            "waits behind the active run 1, then starts run 2: the spec has changed",
        ),
        (
            plain.clone(),
            both(&image, &json!({"settings": {"parallelism": 0}})),
            true,
            Effect::Waits,
            true,
            "waits behind the active run 1, then starts run 2: the spec has changed; patched in place on the active run 1: parallelism 1 -> 0",
        ),
    ]
}

fn edits_under_policies() -> Vec<Row> {
    let image = another_image();
    let plain = spec(&json!({}));
    let hold = json!({"runPolicy": {"onSpecChange": "Hold"}});
    let replace = json!({"runPolicy": {"whileActive": "Replace"}});
    vec![
        (
            with(replace.clone()),
            both(&replace, &image),
            true,
            Effect::Replaces,
            true,
            "replaces the active run 1 by run 2: the spec has changed",
        ),
        (
            with(hold.clone()),
            both(&hold, &image),
            false,
            Effect::Held,
            false,
            "held until a rerun: runPolicy holds changes back",
        ),
        (
            plain.clone(),
            both(&image, &json!({"suspend": true})),
            false,
            Effect::Suspended,
            false,
            "starts run 2 when it is resumed: spec.suspend is set",
        ),
        (
            plain.clone(),
            with(json!({"rerun": "1"})),
            false,
            Effect::Starts,
            true,
            "starts run 2: a rerun is asked for",
        ),
        (
            plain.clone(),
            with(json!({"settings": {"ttlSecondsAfterFinished": 60}})),
            false,
            Effect::NothingRuns,
            false,
            "changes nothing that runs (spec.settings.ttlSecondsAfterFinished)",
        ),
    ]
}

#[test]
fn each_edit_has_its_effect() {
    for (spec, other, is_active, effect, runs, sentence) in edits().into_iter().chain(edits_under_policies())
    {
        let edit = edit(&spec, &other, is_active);
        assert_eq!(edit.effect(), effect, "{sentence}: {edit:?}");
        assert_eq!(edit.sentence(), sentence);
        let is_patched = !edit.patched().is_empty();
        assert_eq!(edit.effect().starts_something() || is_patched, runs, "{sentence}");
    }
}

#[test]
fn what_cannot_be_compiled_is_rejected_whatever_is_active() {
    for is_active in [false, true] {
        let other = spec(&json!({"templateRef": {"name": "nope"}}));
        let edit = edit(&spec(&json!({})), &other, is_active);
        assert_eq!(edit.effect(), Effect::Rejected, "{edit:?}");
        assert!(
            edit.sentence().starts_with("would be rejected: spec.templateRef: no JobTemplate is called nope")
        );
    }
}

#[test]
fn a_creation_starts_run_1_unless_something_holds_it() {
    for (more, effect, sentence) in [
        (json!({}), Effect::Starts, "is created, and starts run 1: the JobRequest is created"),
        (
            json!({"suspend": true}),
            Effect::Suspended,
            "is created, and starts run 1 when it is resumed: spec.suspend is set",
        ),
        (
            json!({"runPolicy": {"onCreate": "Hold"}}),
            Effect::Held,
            "is created, and starts nothing until its next change or a rerun: runPolicy.onCreate is Hold",
        ),
    ] {
        let object = stored(&spec(&more), 1, &Value::Null);
        let edit =
            Edit { before: None, after: seen(&object, &[]), fields: Vec::new(), changes_the_job: true };
        assert_eq!((edit.effect(), edit.sentence().as_str()), (effect, sentence), "{edit:?}");
        assert_eq!(edit.run(), Some(1));
    }
}

#[test]
fn the_job_that_starts_is_the_one_that_compiles() {
    let other = spec(&json!({"containers": [{"name": "main", "image": "perl:5.42"}]}));
    let edit = edit(&spec(&json!({})), &other, false);
    let start = edit.after.start.unwrap();
    let wanted = compiled(&request(&stored(&other, 2, &json!({}))), 2).unwrap();
    assert_eq!((start.number, start.trigger), (2, Trigger::SpecChange));
    assert_eq!((start.job.spec, start.job.metadata.name), (wanted.spec, wanted.metadata.name));
}

/// A token that was never handled, and a status that nobody has written yet, are due without the edit.
#[test]
fn what_is_due_anyway_is_no_effect_of_the_edit() {
    let plain = spec(&json!({}));
    let first = request(&stored(&plain, 1, &json!({})));
    let status = status(&first, Some("Failed"));
    let mut before = stored(&plain, 1, &status);
    before["metadata"]["annotations"] = json!({labels::RERUN: "t"});
    let mut after = before.clone();
    after["spec"]["alias"] = json!("Pi");
    after["metadata"]["generation"] = json!(2);
    let edit = Edit {
        before: Some(seen(&before, &[])),
        after: seen(&after, &[]),
        fields: changed_fields(&before, &after),
        changes_the_job: false,
    };
    assert!(edit.before.as_ref().unwrap().start.is_some());
    assert_eq!(edit.effect(), Effect::NothingRuns, "{edit:?}");
}

/// Templates that could not be read count as they were: they make no run.
#[test]
fn a_template_that_could_not_be_seen_starts_nothing() {
    let follows = spec(&json!({"runPolicy": {"onTemplateChange": "Rerun"}}));
    let first = request(&stored(&follows, 1, &json!({})));
    let mut status = status(&first, Some("Succeeded"));
    status["runPolicy"] = follows["runPolicy"].clone();
    status["runs"][0]["templates"] =
        json!([{"kind": "ClusterJobTemplate", "name": "platform", "uid": "t", "generation": 1}]);
    let object = stored(&follows, 1, &status);
    let request = request(&object);
    let of = |unseen: Vec<TemplateKind>| {
        let observed = Observed {
            request: Some(request.clone()),
            jobs: Vec::new(),
            pods: Vec::new(),
            answers: Answers::default(),
            memory: Memory::default(),
            sole_since: None,
        };
        let around =
            Surroundings { layers: layers(&request), unseen, now: NOW.parse::<Timestamp>().unwrap() };
        foresee(observed, &around).start.map(|start| start.trigger)
    };
    assert_eq!(of(vec![TemplateKind::ClusterJobTemplate]), None);
    assert_eq!(of(Vec::new()), Some(Trigger::TemplateChange));
}
