//! Golden cases of plan: folders with what is observed in, and what is planned out, one idea each.
//!
//! `in.yaml` holds `now`, the `request` with its stored status, its `jobs` and `pods`, and, where one was answered, the
//! `creation` and the `events`; `recordedFor`: for how many seconds the process has seen the recorded Jobs. Digests
//! are written as `same` (of the request's spec) or `other`. `out.yaml` holds what one reconcile comes to; its `status` is
//! the difference from the stored one, as a JSON merge patch in which conditions are keyed by type and runs by number.
//! `BLESS=1 cargo test --test it reconcile::` writes what comes out; read the difference before you commit it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jobrequest::api::JobRequestSpec;
use jobrequest::api::template_ref::{TemplateKind, TemplateRef};
use jobrequest::compile::digest::digest;
use jobrequest::compile::{Builtin, Layers, Template, select};
use jobrequest::reconcile::observed::{Lenient, SpecView};
use jobrequest::reconcile::{
    Answer, Answers, Call, Change, ChangeKey, Clock, Creation, EventView, EventsOf, JobView, Memory, Next,
    Observed, Plan, Read, Reconciler, Refusal, Refused, Step, StoredRequest, plan,
};
use libtest_mimic::Trial;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::support::difference::{difference, keyed, patched, yaml};
use crate::support::{golden, root};

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![
        a_long_spec_is_asked_for_only_when_it_is_compiled,
        a_refused_change_is_shown_once_and_tried_again,
        a_stored_job_that_exceeds_limits_is_stopped_and_not_tried_again,
        a_status_that_cannot_be_written_is_tried_again_after_growing_pauses,
        a_status_without_room_is_told_once,
        an_unreadable_spec_suspends_and_resumes_its_run,
    ];
    all.extend(golden::trials(module_path!(), "reconcile", "in.yaml", comes_out_as_committed));
    all
}

fn read<V: DeserializeOwned>(value: &Value) -> V {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value:#}"))
}

fn list<V: DeserializeOwned>(value: &Value) -> Vec<V> {
    value.as_array().into_iter().flatten().map(read).collect()
}

/// Puts the digest of the spec where a case says `same`.
fn with_digests(value: &mut Value, same: &str) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if name.ends_with("digest") && *field == "same" {
                    *field = same.into();
                } else if name.ends_with("digest") && *field == "other" {
                    *field = "1:0123456789abcdef".into();
                }
                with_digests(field, same);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| with_digests(item, same)),
        _ => {}
    }
}

/// What a case shows, and when.
fn observed(case: &Path) -> (Observed, Clock) {
    let text = fs::read_to_string(case.join("in.yaml")).unwrap();
    let mut input: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let spec = serde_json::from_value::<JobRequestSpec>(input["request"]["spec"].clone());
    with_digests(&mut input, &spec.map(|spec| digest(&spec)).unwrap_or_default());
    let clock = Clock { now: read(&input["now"]), uptime: Duration::from_secs(1000) };
    let request: StoredRequest = read(&input["request"]);
    let newest = request.known_status().runs.first().map(|run| run.job_name.clone()).unwrap_or_default();
    let creation = input["creation"].as_object().and_then(|answer| answer.iter().next()).map(|(kind, of)| {
        let message = of.as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "forbidden" => Creation::Refused(Refusal::new(403, "Forbidden", &message)),
            "invalid" => {
                Creation::Refused(Refusal { names_fields: true, ..Refusal::new(422, "Invalid", &message) })
            }
            "deniedByPolicy" => Creation::Refused(Refusal::new(422, "Invalid", &message)),
            "deniedByWebhook" => Creation::Refused(Refusal::new(400, "", &message)),
            "nameTaken" => Creation::NameTaken,
            other => panic!("{other} is no answer of a create"),
        }
    });
    let found: Option<Vec<JobView>> = input["found"].is_array().then(|| list(&input["found"]));
    let events: Option<Vec<EventView>> = input["events"].is_array().then(|| list(&input["events"]));
    let uid = input["jobs"][0]["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let answers = Answers {
        job: found.map(|jobs| (newest.clone(), jobs.into_iter().next())),
        creation: creation.map(|creation| (newest, creation)),
        events: events.map(|events| (EventsOf::Job(uid), events)),
        ..Answers::default()
    };
    // How long ago this process first saw the recorded Jobs, in seconds of its 1000.
    let seen = input["recordedFor"].as_u64().map(|ago| Duration::from_secs(1000 - ago));
    let uids = request.known_status().runs.into_iter().filter_map(|run| run.job_uid);
    let recorded_since = seen.map(|seen| uids.map(|uid| (uid, seen)).collect()).unwrap_or_default();
    // What was refused a moment ago is not tried again at once.
    let refused = match &answers.creation {
        Some((name, Creation::Refused(refusal))) if !refusal.is_invalid() => {
            let until = clock.uptime + Duration::from_secs(2);
            let refused = Refused { refusal: refusal.clone(), count: 1, until };
            [(ChangeKey::Create(name.clone()), refused)].into()
        }
        _ => BTreeMap::new(),
    };
    let memory = Memory { recorded_since, refused, ..Memory::default() };
    let (jobs, pods) = (list(&input["jobs"]), list(&input["pods"]));
    (Observed { request: Some(request), jobs, pods, answers, memory, sole_since: None }, clock)
}

/// A plan as people read it: of its status, what differs from the `stored` one.
fn written(plan: &Plan, stored: &Value) -> Value {
    let mut out = Map::new();
    if let Some(read) = &plan.read {
        let read = match read {
            Read::Request => "GET the JobRequest".to_owned(),
            Read::Job(name) => format!("GET Job {name}"),
            Read::Jobs => "LIST the Jobs".to_owned(),
            Read::Events(of) => format!("LIST events with {}", of.selector()),
            Read::Template(template) => format!("GET {template}"),
            Read::Turn(template) => format!("ask for a turn of {template}"),
        };
        out.insert("read".to_owned(), read.into());
    }
    let changes = plan.changes.iter().map(|change| match change {
        Change::Create { job, .. } => json!({"create": job.metadata.name}),
        Change::Patch { name, patch } => json!({"patch": name, "with": patch}),
        Change::Delete { name, uid, resource_version, propagation } => {
            json!({"delete": name, "uid": uid, "resourceVersion": resource_version, "propagation": format!("{propagation:?}")})
        }
    });
    out.insert("changes".to_owned(), changes.collect());
    if let Some(status) = &plan.status {
        out.insert("status".to_owned(), status_difference(stored, &serde_json::to_value(status).unwrap()));
    }
    let events = plan.events.iter().map(|event| {
        let type_ = if event.is_warning() { "Warning" } else { "Normal" };
        json!(format!("{type_} {}: {}", event.reason.as_str(), event.note))
    });
    out.insert("events".to_owned(), events.collect());
    let next = match plan.next {
        Next::Again => "again".to_owned(),
        Next::After(pause) => format!("after {pause:?}"),
        Next::AwaitChange => "on a change".to_owned(),
    };
    out.insert("next".to_owned(), next.into());
    Value::Object(out)
}

/// In the order in which conditions are written.
const CONDITIONS: [&str; 14] = [
    "Accepted",
    "Ready",
    "Reconciling",
    "Stalled",
    "Finished",
    "Suspended",
    "SuccessCriteriaMet",
    "FailureTarget",
    "Complete",
    "Failed",
    "TemplateOutdated",
    "PendingChanges",
    "ChangeRefused",
    "NotAwaited",
];

/// What a write changes. Nothing that changes is missing: put over the stored status, it gives the planned one.
fn status_difference(stored: &Value, planned: &Value) -> Value {
    let (before, after) = (keyed(stored), keyed(planned));
    let difference = difference(&before, &after).expect("a write that changes nothing");
    let read: Value = serde_saphyr::from_str(&yaml(&difference, &BLOCKS)).unwrap();
    assert_eq!(patched(before, &read), after, "the difference is not complete");
    // The order of lists is not in it.
    let place = |condition: &Value| CONDITIONS.iter().position(|type_| condition["type"] == *type_).unwrap();
    assert!(planned["conditions"].as_array().unwrap().is_sorted_by_key(place), "{planned:#}");
    let runs = planned["runs"].as_array().into_iter().flatten();
    assert!(runs.is_sorted_by_key(|run| -run["number"].as_i64().unwrap()), "{planned:#}");
    difference
}

/// What is written over several lines.
const BLOCKS: [&str; 5] = ["changes", "status", "conditions", "runs", "events"];

fn comes_out_as_committed(case: &Path) -> Vec<Option<String>> {
    golden::has_only(case, &["in.yaml", "out.yaml"]);
    let (observed, clock) = observed(case);
    let stored = serde_json::to_value(observed.request.as_ref().unwrap().known_status()).unwrap();
    let now = yaml(&written(&plan(&observed, &Layers::default(), clock), &stored), &BLOCKS);
    vec![golden::compare(&case.join("out.yaml"), &now)]
}

/// A policy of the cluster refuses a change of a Job: the status is written nevertheless, and says so; one Warning event
/// does, too. It is tried again after pauses that grow, and nothing is written until it succeeds.
fn a_refused_change_is_shown_once_and_tried_again() {
    for (name, reason) in [
        ("history-limit-deletes-the-job", "DeleteRefused"),
        ("suspend-is-patched", "PatchRefused"),
        ("start-deadline-lowers-the-deadline-of-the-job", "PatchRefused"),
    ] {
        let (mut observed, mut clock) = observed(&root().join("tests/reconcile").join(name));
        let refused = || Answer::Refused(Refusal::new(422, "Invalid", "Jobs are kept for the auditors"));
        let mut written = None;
        for pause in [2, 4, 8] {
            let mut pass = Reconciler::new(observed.clone(), Layers::default(), clock);
            let mut events = Vec::new();
            let mut changes = 0;
            let next = loop {
                match pass.step(clock) {
                    Step::Rest(next) => break next,
                    Step::Call(call @ Call::Change(_)) => {
                        changes += 1;
                        pass.answer(&call, refused(), clock);
                    }
                    Step::Call(call @ Call::WriteStatus { .. }) => {
                        let Call::WriteStatus { status, .. } = &call else { unreachable!() };
                        let mut request = observed.request.clone().unwrap();
                        request.status.0 = Ok(*status.clone());
                        assert!(written.replace(request.clone()).is_none(), "{name}: it is written twice");
                        pass.answer(&call, Answer::Written(Box::new(request)), clock);
                    }
                    Step::Call(Call::Publish(event)) => events.push(event),
                    Step::Call(call) => panic!("{name}: {call:?}"),
                }
            };
            assert_eq!((changes, next), (1, Next::After(Duration::from_secs(pause))), "{name}");
            let request = written.clone().unwrap();
            let status = request.known_status();
            assert_eq!(status.observed_generation, request.generation());
            let condition =
                status.conditions.iter().find(|condition| condition.type_ == "ChangeRefused").unwrap();
            assert_eq!((&*condition.status, &*condition.reason), ("True", reason));
            assert!(condition.message.ends_with(": Jobs are kept for the auditors"), "{}", condition.message);
            let warnings =
                events.iter().filter(|event| event.is_warning() && event.reason.as_str() == "ChangeRefused");
            assert_eq!(warnings.count(), usize::from(pause == 2), "{name}: {events:?}");
            observed.request = Some(request);
            observed.memory = pass.into_memory();
            clock.uptime += Duration::from_secs(pause);
            clock.now += Duration::from_secs(pause);
        }
    }
}

/// What else the spec holds keeps nobody from stopping the run.
fn an_unreadable_spec_suspends_and_resumes_its_run() {
    let (observed, clock) = observed(&root().join("tests/reconcile/suspend-is-patched"));
    let deep = format!("{}0{}", "[".repeat(200), "]".repeat(200));
    for unreadable in [r#""containers": 7"#.to_owned(), format!(r#""overrides": {{"a": {deep}}}"#)] {
        let mut observed = observed.clone();
        for suspend in [true, false] {
            let text = format!(r#"{{"metadata": {{}}, "spec": {{"suspend": {suspend}, {unreadable}}}}}"#);
            let read: StoredRequest = serde_json::from_str(&text).unwrap();
            assert!(read.spec.0.is_err() && read.is_suspended() == suspend, "{text}");
            observed.request.as_mut().unwrap().spec = read.spec;
            let changes = plan(&observed, &Layers::default(), clock).changes;
            let [Change::Patch { patch, .. }] = changes.as_slice() else { panic!("{text}: {changes:?}") };
            assert_eq!(patch["spec"], json!({"suspend": suspend}), "{text}");
            let mut job = serde_json::to_value(&observed.jobs[0]).unwrap();
            json_patch::merge(&mut job, patch);
            observed.jobs = vec![serde_json::from_value(job).unwrap()];
            assert_eq!(plan(&observed, &Layers::default(), clock).changes, [], "{text}");
        }
    }
}

/// A spec that is too long to be kept is known by a brief: at rest that is enough, whatever asks for a run needs more.
fn a_long_spec_is_asked_for_only_when_it_is_compiled() {
    let (mut observed, clock) = observed(&crate::support::root().join("tests/reconcile/run-completes"));
    let planned = |observed: &Observed| plan(observed, &Layers::default(), clock);
    let ended = planned(&observed).status.expect("the end is recorded");
    let request = observed.request.as_mut().unwrap();
    let spec = Box::new(request.whole_spec().unwrap().clone());
    request.status = Lenient(Ok(*ended));
    request.spec = Lenient(Ok(SpecView::Whole { spec, length: 1_000_000 }.to_keep()));
    assert!(matches!(request.spec.0, Ok(SpecView::Brief(_))));
    assert_eq!(planned(&observed), Plan::rest());

    let mut again = observed.clone();
    let metadata = &mut again.request.as_mut().unwrap().metadata;
    metadata.annotations = Some([("jobrequest.dev/rerun".to_owned(), "again".to_owned())].into());
    assert_eq!(planned(&again).read, Some(Read::Request));

    let mut changed = observed;
    let request = changed.request.as_mut().unwrap();
    request.metadata.generation = Some(2);
    if let Ok(SpecView::Brief(brief)) = &mut request.spec.0 {
        brief.digest = digest(&JobRequestSpec::default());
    }
    assert_eq!(planned(&changed).read, Some(Read::Request));
}

/// The namespace's default, which allows a run 8 cpu and a container 8 cpu.
fn limits(spec: &JobRequestSpec, generation: i64) -> Layers {
    let template = json!({
        "default": true,
        "policy": {"resources": {"runMax": {"cpu": "8"}, "containerMax": {"cpu": "8"}}}
    });
    let template = Template {
        reference: TemplateRef { kind: TemplateKind::JobTemplate, name: "limits".to_owned() },
        uid: "limits".to_owned(),
        generation,
        created: None,
        is_terminating: false,
        spec: Ok(serde_json::from_value(template).unwrap()),
    };
    select(Builtin::default(), spec, &[Arc::new(template)])
}

/// One request, and a server that changes each Job as it stores it.
struct Changing {
    observed: Observed,
    /// What is merged into the pods' spec.
    change: Value,
    creates: usize,
    events: Vec<String>,
}

impl Changing {
    fn new(change: Value) -> Self {
        let request = json!({
            "metadata": {"name": "a", "namespace": "ns", "uid": "a", "generation": 1, "resourceVersion": "1",
                "creationTimestamp": "2026-11-23T22:11:40Z"},
            "spec": {"containers": [{"name": "main", "image": "perl", "resources": {"limits": {"cpu": "1"}}}]},
            "status": {"observedGeneration": -1},
        });
        let observed = Observed {
            request: Some(read(&request)),
            jobs: Vec::new(),
            pods: Vec::new(),
            answers: Answers::default(),
            memory: Memory::default(),
            sole_since: Some(Duration::ZERO),
        };
        Self { observed, change, creates: 0, events: Vec::new() }
    }

    /// Passes until nothing is done any more.
    fn settle(&mut self, generation: i64) {
        let clock = Clock { now: read(&json!("2026-11-23T22:11:42Z")), uptime: Duration::from_secs(1000) };
        for _ in 0..4 {
            let spec = self.observed.request.as_ref().unwrap().whole_spec().unwrap().clone();
            let terminating = self.observed.jobs.iter().filter(|job| job.is_terminating());
            let was_terminating: Vec<_> = terminating.map(|job| job.uid().to_owned()).collect();
            let mut pass = Reconciler::new(self.observed.clone(), limits(&spec, generation), clock);
            while let Step::Call(call) = pass.step(clock) {
                let answer = self.answer(&call);
                pass.answer(&call, answer, clock);
            }
            self.observed.memory = pass.into_memory();
            // The cache has shown that it is terminating; then it is gone.
            self.observed.jobs.retain(|job| !was_terminating.contains(&job.uid().to_owned()));
        }
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let request = self.observed.request.as_mut().unwrap();
        match call {
            Call::Read(Read::Request) => Answer::Request(Some(Box::new(request.clone()))),
            Call::Read(Read::Job(_)) => Answer::Job(self.observed.jobs.first().cloned().map(Box::new)),
            Call::Read(Read::Jobs) => Answer::Jobs(self.observed.jobs.clone()),
            Call::Read(Read::Events(_)) => Answer::Events(Some(Vec::new())),
            Call::Read(Read::Turn(_)) => Answer::Turn(true),
            Call::WriteStatus { status, .. } => {
                request.status.0 = Ok(*status.clone());
                let version = request.metadata.resource_version.clone().unwrap() + "1";
                request.metadata.resource_version = Some(version);
                Answer::Written(Box::new(request.clone()))
            }
            Call::Change(Change::Create { job, .. }) => {
                self.creates += 1;
                let mut stored = serde_json::to_value(job).unwrap();
                stored["metadata"]["uid"] = format!("job-{}", self.creates).into();
                stored["metadata"]["resourceVersion"] = "7".into();
                let pod = &mut stored["spec"]["template"]["spec"];
                *pod = patched(pod.take(), &self.change);
                let stored: JobView = read(&stored);
                self.observed.jobs = vec![stored.clone()];
                Answer::Created(Box::new(stored))
            }
            Call::Change(Change::Delete { propagation, .. }) => {
                assert_eq!(format!("{propagation:?}"), "Foreground");
                for job in &mut self.observed.jobs {
                    job.metadata.deletion_timestamp = read(&json!("2026-11-23T22:11:42Z"));
                }
                Answer::Done
            }
            Call::Publish(event) => {
                self.events.push(format!("{} {}", event.reason.as_str(), event.is_warning()));
                Answer::Done
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A webhook enlarges the Job, or the API server does not know a field: the uid and the decision to stop the run are one
/// write. It is not tried again until the templates change.
fn a_stored_job_that_exceeds_limits_is_stopped_and_not_tried_again() {
    let limits = |limits: Value| json!({"containers": [{"name": "main", "resources": {"limits": limits}}]});
    for (change, said) in [
        (
            limits(json!({"cpu": "9"})),
            "the run may use 9 of cpu (1 pods at once, 9 each), but JobTemplate/limits",
        ),
        (limits(json!({"memory": "1Gi"})), "spec.containers[*].resources.limits.cpu: is not set"),
        (
            limits(json!({"cpu": "8001m"})),
            "a container has 8001m, but JobTemplate/limits allows a container at most 8",
        ),
    ] {
        let mut server = Changing::new(change);
        server.settle(1);
        let status = server.observed.request.as_ref().unwrap().known_status();
        let run = status.runs.first().unwrap();
        assert_eq!(
            json!([run.result, run.reason, run.stop]),
            json!(["Failed", "LimitsExceeded", "LimitsExceeded"])
        );
        assert_eq!(run.job_uid.as_deref(), Some("job-1"));
        let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").unwrap();
        assert_eq!((&*ready.status, &*ready.reason), ("False", "LimitsExceeded"));
        assert!(ready.message.contains(said), "{}", ready.message);
        let failure = status.failure.as_ref().unwrap();
        assert_eq!(failure.category.as_str(), "LimitsExceeded");
        assert!(failure.hint.is_some() && failure.message.as_ref().unwrap().contains(said), "{failure:?}");
        assert_eq!(server.events, ["RunCreated false", "Failed true"]);
        assert_eq!(server.creates, 1);
        server.settle(1);
        assert_eq!((server.creates, server.observed.jobs.len()), (1, 0), "not tried again");
        server.change = json!({});
        server.settle(2);
        let status = server.observed.request.as_ref().unwrap().known_status();
        let runs: Vec<_> =
            status.runs.iter().map(|run| (run.number, run.trigger.as_str(), run.stop)).collect();
        assert_eq!(runs[0], (2, "TemplateChange", None), "{runs:?}");
        assert_eq!((server.creates, server.observed.jobs.len()), (2, 1));
    }
}

/// One pass, in which each status write gets this answer: the events, how many writes there were, and when to look again.
fn pass_in_vain(observed: &mut Observed, clock: Clock, answer: &Answer) -> (Vec<String>, usize, Next) {
    let mut pass = Reconciler::new(observed.clone(), Layers::default(), clock);
    let (mut events, mut writes) = (Vec::new(), 0);
    let next = loop {
        match pass.step(clock) {
            Step::Rest(next) => break next,
            Step::Call(Call::Publish(event)) => {
                events.push(format!("{} {}", event.reason.as_str(), event.is_warning()));
            }
            Step::Call(call @ Call::WriteStatus { .. }) => {
                writes += 1;
                pass.answer(&call, answer.clone(), clock);
            }
            Step::Call(call @ Call::Read(Read::Jobs)) => {
                pass.answer(&call, Answer::Jobs(Vec::new()), clock);
            }
            Step::Call(call @ Call::Read(Read::Request)) => {
                let request = observed.request.clone().map(Box::new);
                pass.answer(&call, Answer::Request(request), clock);
            }
            Step::Call(call) => panic!("{call:?}"),
        }
    };
    observed.memory = pass.into_memory();
    (events, writes, next)
}

/// Somebody else writes in between each time, or there is no room: the first conflict needs the newest version only, after
/// that the pauses double, until a write succeeds.
fn a_status_that_cannot_be_written_is_tried_again_after_growing_pauses() {
    for (answer, writes, pauses) in [
        (Answer::Conflict, [2, 1, 1, 1, 1, 1, 1, 1], [1, 2, 4, 8, 16, 32, 60, 60]),
        (Answer::TooLarge, [1; 8], [2, 4, 8, 16, 32, 64, 128, 256]),
    ] {
        let (fresh, clock) = observed(&root().join("tests/reconcile/new-request-gets-run-1-reserved"));
        let mut observed = fresh.clone();
        let seen = pauses.map(|_| {
            let (_, writes, next) = pass_in_vain(&mut observed, clock, &answer);
            (writes, next)
        });
        let wanted: Vec<_> =
            writes.into_iter().zip(pauses.map(|pause| Next::After(Duration::from_secs(pause)))).collect();
        assert_eq!(seen.to_vec(), wanted, "{answer:?}");
        assert!(observed.memory.writes_in_vain > 0);
    }
}

/// No status can be stored: one event says so for each generation, and nothing else is done.
fn a_status_without_room_is_told_once() {
    let (mut observed, clock) = observed(&root().join("tests/reconcile/new-request-gets-run-1-reserved"));
    for (generation, told) in [(1, 1), (1, 0), (2, 1), (2, 0)] {
        observed.request.as_mut().unwrap().metadata.generation = Some(generation);
        let (events, writes, _) = pass_in_vain(&mut observed, clock, &Answer::TooLarge);
        assert_eq!((events, writes), (vec!["StatusTooLarge true".to_owned(); told], 1));
    }
}
