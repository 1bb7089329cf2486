//! Golden cases of failures explained: folders with a Job, its pods and what was known before in, the words out; one
//! idea each. Those called `observed-` hold what a real kubelet wrote.
//!
//! `in.yaml` holds `now`, the status of the `job`, its `pods`, and where it matters: what the stored status said before
//! (`phase`, of which Running means that containers had started, `failure`, and of the `run` its `stop`, `message` and
//! `failure`), the `events` about the Job or the `podEvents`
//! about the first pod that were answered, the pod that was `asked` about a second ago, the `settings`, and `gone: true` for
//! a Job that is not there any more. `BLESS=1 cargo test --test it diagnosis::` writes what comes out; read the
//! difference before you commit it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jobrequest::api::JobRequestSpec;
use jobrequest::api::condition::{FailureCategory, Stop};
use jobrequest::compile::digest::digest;
use jobrequest::compile::{Identity, Layers, compile};
use jobrequest::reconcile::{
    Answer, Answers, Call, Clock, EventsOf, Memory, Next, Observed, Plan, QueryPause, Read, Reconciler, Step,
    plan,
};
use libtest_mimic::Trial;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::support::{golden, root};

const UID: &str = "8f4c2f5e-6f0e-4d0a-9a55-0d6a3c1d7b11";
const JOB_UID: &str = "374779f7-40ef-4b6a-ab92-662b2f536aa1";

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![
        what_was_shown_stays,
        a_failed_pod_that_is_gone_is_remembered,
        a_run_continues_without_events,
        every_category_is_explained,
    ];
    all.extend(golden::trials(module_path!(), "diagnosis", "in.yaml", comes_out_as_committed));
    all
}

fn read<V: DeserializeOwned>(value: &Value) -> V {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value:#}"))
}

fn list<V: DeserializeOwned>(value: &Value) -> Vec<V> {
    value.as_array().into_iter().flatten().map(read).collect()
}

fn with(mut object: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    object
}

/// A request with one run, whose Job is recorded.
fn observed(case: &Path) -> (Observed, Clock) {
    let text = fs::read_to_string(case.join("in.yaml")).unwrap();
    let input: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let spec = json!({"containers": [{"name": "pi", "image": "perl:5.24.4"}], "settings": input["settings"]});
    let parsed: JobRequestSpec = read(&spec);
    let identity =
        Identity { name: "pi", namespace: Some("lab"), uid: Some(UID), generation: Some(1), handled: None };
    let compiled = compile(&identity, &parsed, &Layers::default(), 1).unwrap();
    let mut job = serde_json::to_value(&compiled.job).unwrap();
    job["metadata"]["uid"] = JOB_UID.into();
    job["metadata"]["resourceVersion"] = "2012".into();
    job["status"] = input["job"].clone();

    let before = &input["before"];
    let run = json!({"number": 1, "jobName": "pi-1", "trigger": "Created", "generation": 1,
        "digest": digest(&parsed), "jobUid": JOB_UID});
    let phase = before["phase"].as_str().unwrap_or("Updating");
    let run = if phase == "Running" { with(run, &json!({"containersStarted": true})) } else { run };
    let mut status = json!({"observedGeneration": 1, "phase": phase, "run": 1, "jobName": "pi-1",
        "conditions": [], "runs": [with(run, &before["run"])]});
    if before["failure"].is_object() {
        status["failure"] = before["failure"].clone();
    }
    let request = json!({
        "metadata": {"name": "pi", "namespace": "lab", "uid": UID, "generation": 1, "resourceVersion": "2000",
            "creationTimestamp": "2026-11-23T22:11:40Z"},
        "spec": spec, "status": status,
    });
    let pods: Vec<Value> = list(&input["pods"]);
    let owned = pods.into_iter().map(|mut pod| {
        pod["metadata"]["namespace"] = "lab".into();
        pod["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "pi-1", "uid": JOB_UID, "controller": true}]);
        pod
    });
    let events = ["events", "podEvents"].into_iter().find(|kind| input[kind].is_array()).map(|kind| {
        let pod = input["pods"][0]["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let of = if kind == "events" { EventsOf::Job(JOB_UID.to_owned()) } else { EventsOf::Pod(pod) };
        (of, list(&input[kind]))
    });
    let uptime = Duration::from_secs(1000);
    let event_query = input["asked"].as_str().map(|pod| QueryPause {
        of: EventsOf::Pod(pod.to_owned()),
        count: 1,
        until: uptime + Duration::from_secs(4),
    });
    let memory = Memory { event_query, ..Memory::default() };
    let is_gone = input["gone"] == true;
    let answers = Answers { events, job: is_gone.then(|| ("pi-1".to_owned(), None)), ..Answers::default() };
    let observed = Observed {
        request: Some(read(&request)),
        jobs: if is_gone { Vec::new() } else { vec![read(&job)] },
        pods: owned.map(|pod| read(&pod)).collect(),
        answers,
        memory,
        sole_since: None,
    };
    (observed, Clock { now: read(&input["now"]), uptime })
}

/// What people read of it.
fn written(plan: &Plan) -> Value {
    let mut out = Map::new();
    if let Some(read) = &plan.read {
        let Read::Events(of) = read else { panic!("{read:?}") };
        out.insert("asks".to_owned(), format!("events with {}", of.selector()).into());
    }
    if let Some(status) = &plan.status {
        let status = serde_json::to_value(status).unwrap();
        let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
        out.insert("phase".to_owned(), status["phase"].clone());
        out.insert("ready".to_owned(), json!({"reason": ready["reason"], "message": ready["message"]}));
        let run = &status["runs"][0];
        let kept: Map<_, _> = ["result", "reason", "message", "stop", "failure"]
            .iter()
            .filter(|field| !run[**field].is_null())
            .map(|field| ((*field).to_owned(), run[*field].clone()))
            .collect();
        if !kept.is_empty() {
            out.insert("run".to_owned(), kept.into());
        }
        // The status says of a failed run what its record does.
        let shown = if run["failure"] == status["failure"] { Value::Null } else { status["failure"].clone() };
        if !shown.is_null() {
            out.insert("failure".to_owned(), shown);
        }
    }
    for event in &plan.events {
        out.insert("event".to_owned(), format!("{}: {}", event.reason, event.note).into());
    }
    if let Next::After(pause) = plan.next {
        out.insert("again".to_owned(), format!("after {pause:?}").into());
    }
    Value::Object(out)
}

fn comes_out_as_committed(case: &Path) -> Vec<Option<String>> {
    golden::has_only(case, &["in.yaml", "out.yaml"]);
    let (observed, clock) = observed(case);
    let now = serde_saphyr::to_string(&written(&plan(&observed, &Layers::default(), clock))).unwrap();
    vec![golden::compare(&case.join("out.yaml"), &now)]
}

/// The same pods are explained in the same way: nothing is written again, also when they have gone.
fn what_was_shown_stays() {
    for case in golden::cases("diagnosis") {
        let (mut observed, clock) = observed(&case);
        let Some(status) = plan(&observed, &Layers::default(), clock).status else { continue };
        observed.request.as_mut().unwrap().status.0 = Ok(*status.clone());
        let again = plan(&observed, &Layers::default(), clock);
        assert!(again.status.is_none() && again.events.is_empty(), "{}: {again:#?}", case.display());
        let is_recorded = status.runs[0].failure.is_some();
        observed.pods.clear();
        if is_recorded && let Some(later) = plan(&observed, &Layers::default(), clock).status {
            assert_eq!(later.runs[0].failure, status.runs[0].failure, "{}", case.display());
        }
    }
}

/// A pod that failed and has gone by the time its run fails is remembered.
fn a_failed_pod_that_is_gone_is_remembered() {
    let case = root().join("tests/diagnosis/observed-exit-code-without-output");
    let (mut observed, clock) = observed(&case);
    let ended = std::mem::take(&mut observed.jobs[0].status.conditions);
    let mut pass = Reconciler::new(observed.clone(), Layers::default(), clock);
    let step = pass.step(clock);
    assert!(matches!(step, Step::Call(Call::WriteStatus { .. })), "{step:?}");
    observed.memory = pass.into_memory();
    observed.pods.clear();
    observed.jobs[0].status.conditions = ended;
    let status = plan(&observed, &Layers::default(), clock).status.unwrap();
    let failure = status.failure.unwrap();
    assert_eq!((failure.category, failure.exit_code), (FailureCategory::AppError, Some(255)));
}

/// Events are optional detail: when they cannot be listed, the run is stopped as it would be with them.
fn a_run_continues_without_events() {
    let case = root().join("tests/diagnosis/volume-events-are-listed-before-a-stop");
    let (observed, clock) = observed(&case);
    let mut pass = Reconciler::new(observed, Layers::default(), clock);
    let Step::Call(asked @ Call::Read(Read::Events(_))) = pass.step(clock) else { panic!("no question") };
    pass.answer(&asked, Answer::Events(None), clock);
    let step = pass.step(clock);
    let Step::Call(Call::WriteStatus { status, .. }) = &step else { panic!("{step:?}") };
    assert_eq!(status.runs[0].stop, Some(Stop::StartDeadline));
}

/// The page about failures has a section for every category, and shows a status of it.
fn every_category_is_explained() {
    let page = fs::read_to_string(root().join("docs/why-did-it-fail.md")).unwrap();
    for category in FailureCategory::ALL {
        let heading = format!("\n## {category}\n");
        let section = page.split_once(&heading).unwrap_or_else(|| panic!("no section {category}")).1;
        let section = section.split("\n## ").next().unwrap();
        assert!(section.contains(&format!("category: {category}\n")), "no status in the section {category}");
        assert!(section.contains("**What to do**"), "the section {category} says not what to do");
    }
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let read = |case: &Path| fs::read_to_string(case.join("out.yaml")).unwrap();
    let mut outs: Vec<_> = golden::cases("diagnosis").iter().map(|case| read(case)).collect();
    // A Job that is refused, or was stored too large, has no pods to explain: its case is one of plan.
    for case in ["forbidden-create-waits-and-is-retried", "limits-exceeded-is-recorded-when-the-job-is-gone"]
    {
        let planned = read(&root().join("tests/reconcile").join(case));
        outs.push(serde_saphyr::to_string(&serde_saphyr::from_str::<Value>(&planned).unwrap()).unwrap());
    }
    for block in page.split("```yaml\nstatus:\n").skip(1) {
        let shown = lines(block.split("```").next().unwrap());
        let is_golden = outs.iter().any(|out| lines(out).windows(shown.len()).any(|part| part == shown));
        assert!(is_golden, "no golden case comes out so: {block}");
    }
    for category in FailureCategory::ALL {
        let is_shown = outs.iter().any(|out| out.contains(&format!("category: {category}\n")));
        assert!(is_shown, "no golden case of {category}");
    }
}
