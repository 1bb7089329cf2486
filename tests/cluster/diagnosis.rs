//! A failure says why: on a real API server, scheduler, Job controller and admission, with simulated pods.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, Namespace as CoreNamespace, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::History;
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        pods_refused_by_a_quota,
        pods_refused_by_pod_security,
        pods_refused_for_a_missing_service_account,
        stuck_runs_say_why,
        pods_that_are_not_set_up_say_why,
        what_holds_up_a_run_is_shown_at_any_time,
        attempts_that_fail_are_counted_while_the_run_continues,
        pods_stopped_by_a_suspension_are_no_failure,
        failed_pods_say_why,
        deadlines_say_what_they_interrupted,
        start_deadlines_end_what_does_not_start,
        rules_and_indexes_say_which,
        deleted_job_is_explained_as_lost,
        templates_switch_the_capture_off,
        calls_of_a_failed_run,
    ]
}

const AGENT: &str = "jobrequest/";

/// Waits until the run has failed, and shows what it says. For the docs: `cargo test --test cluster -- diagnosis:: --nocapture`.
async fn failed(at: &Requests, name: &str) -> Value {
    let status = at.until_phase(name, 1, "Failed").await;
    let (failure, run) = (&status["failure"], &status["runs"][0]);
    assert_eq!(failure, &run["failure"], "{name}");
    println!(
        "{name}: {}: {}\n{failure:#}",
        run["reason"].as_str().unwrap(),
        run["message"].as_str().unwrap()
    );
    let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
    let (reason, message) = (run["reason"].as_str().unwrap(), run["message"].as_str().unwrap());
    if run["result"] == "Failed" {
        assert_eq!(ready["message"], format!("run 1 has failed: {reason}: {message}"), "{name}");
    }
    assert!(failure["hint"].is_string(), "{name}: {failure:#}");
    status
}

/// Waits until a run that continues shows this category.
async fn stuck(at: &Requests, name: &str, category: &str) -> Value {
    let status = at
        .until(name, &format!("shows {category}"), |status| status["failure"]["category"] == category)
        .await;
    let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
    println!("{name}: {} {}\n{:#}", status["phase"], ready["message"], status["failure"]);
    status
}

fn says(status: &Value, words: &str) {
    let message = status["failure"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(words), "{message:?} says nothing of {words:?}");
}

async fn pods_refused_by_a_quota(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "quota").await;
    let quotas = at.limit("no-pods", json!({"pods": "0"})).await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("refused", spec(&json!({}), &json!({}))).await;
    let status = stuck(&at, "refused", "PodsForbidden").await;
    assert_eq!(status["phase"], "Waiting");
    assert_eq!(condition(&status, "Ready"), "False PodsForbidden");
    assert_eq!(condition(&status, "Stalled"), "True PodsForbidden", "it has no pods at all to give");
    says(&status, "exceeded quota: no-pods, requested: pods=1");
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent(AGENT);
    let asked = calls.resource("events").verb("list").count();
    assert!((1..=3).contains(&asked), "{asked} questions: {calls:?}");

    quotas.delete("no-pods", &DeleteParams::default()).await.unwrap();
    let status = at.until_phase("refused", 1, "Completed").await;
    assert!(status["failure"].is_null() && status["runs"][0]["failure"].is_null(), "{status:#}");
}

async fn pods_refused_by_pod_security(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "security").await;
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    Api::<CoreNamespace>::all(at.client.clone())
        .patch(at.namespace.name(), &PatchParams::default(), &Patch::Merge(label))
        .await
        .unwrap();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("refused", spec(&json!({}), &json!({"settings": {"activeDeadlineSeconds": 15}}))).await;
    let status = stuck(&at, "refused", "PodsForbidden").await;
    assert_eq!(status["phase"], "Waiting");
    says(&status, "violates PodSecurity \"restricted:latest\"");
    // There is no pod to ask: what was reported before says what the deadline interrupted.
    let status = failed(&at, "refused").await;
    assert_eq!(status["failure"]["category"], "Deadline");
    says(&status, "violates PodSecurity \"restricted:latest\"");
}

async fn pods_refused_for_a_missing_service_account(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "account").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("refused", spec(&json!({}), &json!({"serviceAccountName": "batch"}))).await;
    let status = stuck(&at, "refused", "ConfigMissing").await;
    assert_eq!(condition(&status, "Ready"), "False PodsForbidden");
    says(&status, "serviceaccount \"batch\" not found");
}

async fn stuck_runs_say_why(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "stuck").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let claim = json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]});
    let cases = [
        ("pull", json!({"pull": "never"}), json!({}), "ImagePull", "ImagePullFailed", "not found"),
        ("name", json!({"pull": "badname"}), json!({}), "ImagePull", "ImagePullFailed", "invalid reference"),
        (
            "config",
            json!({"config": "missing"}),
            json!({}),
            "ConfigMissing",
            "ContainerConfigError",
            "not found",
        ),
        (
            "claim",
            json!({}),
            claim,
            "ConfigMissing",
            "Unschedulable",
            "persistentvolumeclaim \"data\" not found",
        ),
        (
            "nodes",
            json!({}),
            json!({"nodeSelector": {"disk": "none"}}),
            "Unschedulable",
            "Unschedulable",
            "nodes are available",
        ),
    ];
    for (name, simulated, more, ..) in &cases {
        at.create(name, spec(simulated, more)).await;
    }
    for (name, _, _, category, reason, words) in &cases {
        let status = stuck(&at, name, category).await;
        assert_eq!(status["phase"], "Updating", "{name}");
        assert_eq!(condition(&status, "Ready"), format!("False {reason}"), "{name}");
        says(&status, words);
        assert!(status["runs"][0]["failure"].is_null(), "{name}: nothing is recorded while it continues");
    }
    // ErrImagePull and ImagePullBackOff alternate; neither that nor time is worth a write.
    let version = async |name: &str| at.get(name).await["metadata"]["resourceVersion"].clone();
    let before = version("pull").await;
    tokio::time::sleep(std::time::Duration::from_secs(25)).await;
    assert_eq!(before, version("pull").await, "words that alternate are written");
}

async fn pods_that_are_not_set_up_say_why(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "volumes").await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    // This one is set up, and waits for its image for as long: nobody asks about it.
    at.create("pulls", spec(&json!({"pull": "hang"}), &json!({}))).await;
    at.create("mounts", spec(&json!({"mount": "never"}), &json!({}))).await;
    let pods: Api<Pod> = at.namespace.api(&at.client);
    let of_mounts = ListParams::default().labels("jobrequest.dev/request=mounts");
    let pod = eventually(DEADLINE, "there is a pod", async || {
        let listed = pods.list(&of_mounts).await.unwrap().items;
        listed.into_iter().next().and_then(|pod| pod.metadata.name)
    })
    .await;
    let message = "MountVolume.SetUp failed for volume \"settings\" : configmap \"settings\" not found";
    // In the words and the form of a kubelet.
    let event = json!({
        "metadata": {"name": format!("{pod}.187"), "namespace": at.namespace.name()},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": at.namespace.name()},
        "type": "Warning", "reason": "FailedMount", "message": message, "source": {"component": "kubelet"},
        "firstTimestamp": "2026-11-23T22:11:43Z", "lastTimestamp": "2026-11-23T22:11:47Z", "count": 4,
    });
    let events: Api<Event> = at.namespace.api(&at.client);
    events.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();

    let status = stuck(&at, "mounts", "ConfigMissing").await;
    assert_eq!(status["phase"], "Updating");
    assert_eq!(condition(&status, "Ready"), "False ContainerCreateFailed");
    assert_eq!(status["failure"]["message"], message);
    assert_eq!(status["failure"]["pod"], pod.as_str());
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent(AGENT);
    let asked = calls.resource("events").verb("list");
    let about = |pod: &str| asked.matching(|request| request.uri.contains(pod)).count();
    let (mounts, pulls) = (about(&pod), about("pulls-1-"));
    assert!((1..=3).contains(&mounts) && pulls == 0, "{mounts} and {pulls} questions: {asked:?}");

    let mounted = json!({"metadata": {"annotations": {"sim.jobrequest.dev/mount": null}}});
    pods.patch(&pod, &PatchParams::default(), &Patch::Merge(mounted)).await.unwrap();
    let status = at.until_phase("mounts", 1, "Completed").await;
    assert!(status["failure"].is_null() && status["runs"][0]["failure"].is_null(), "{status:#}");
}

/// The first container that starts switches nothing off.
async fn what_holds_up_a_run_is_shown_at_any_time(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "held-up").await;
    let tight = Requests::new(&cx, "held-up-quota").await;
    tight.limit("one-pod", json!({"pods": "1"})).await;
    let _operators = [&at, &tight].map(|at| Operator::start(&cx, &at.namespace, &[]));
    let init = json!({"initContainers": [{"name": "wait", "image": "busybox"}]});
    let sidecar = json!({"initContainers": [{"name": "proxy", "image": "busybox", "sidecar": true}]});
    let two =
        json!({"containers": [{"name": "main", "image": "perl"}, {"name": "other", "image": "curl:8"}]});
    let pods = json!({"settings": {"completions": 3, "parallelism": 3}});
    let pull = json!({"pull": "never", "run-seconds": "forever"});
    let of_other = json!({"pull": "never", "container": "other", "run-seconds": "forever"});
    let config = json!({"config": "missing"});
    let work = json!({"run-seconds": "forever"});
    let cases = [
        (&at, "init", &pull, &init, "Updating", "ImagePull", "ImagePullFailed"),
        (&at, "sidecar", &config, &sidecar, "Updating", "ConfigMissing", "ContainerConfigError"),
        (&at, "second", &of_other, &two, "Running", "ImagePull", "ImagePullFailed"),
        (&tight, "quota", &work, &pods, "Running", "PodsForbidden", "PodsForbidden"),
    ];
    for (at, name, simulated, more, ..) in &cases {
        at.create(name, spec(simulated, more)).await;
    }
    for (at, name, _, _, phase, category, reason) in &cases {
        let what = format!("is {phase} and shows {category}");
        let status = at
            .until(name, &what, |status| {
                status["phase"] == *phase && status["failure"]["category"] == *category
            })
            .await;
        assert_eq!(condition(&status, "Ready"), format!("False {reason}"), "{name}");
        assert_eq!(condition(&status, "Reconciling"), format!("True {reason}"), "{name}");
        assert!(status["failure"]["hint"].is_string(), "{name}: {status:#}");
    }
    // An init container that has ended is no start, neither for a deadline nor in what that says.
    for (name, settings, reason) in [
        ("late", json!({"startDeadlineSeconds": 6}), "StartDeadlineExceeded"),
        ("too-late", json!({"activeDeadlineSeconds": 6}), "DeadlineExceeded"),
    ] {
        let more = json!({"settings": settings, "initContainers": init["initContainers"]});
        at.create(name, spec(&pull, &more)).await;
        let status = failed(&at, name).await;
        assert_eq!(status["runs"][0]["reason"], reason);
        says(&status, "ErrImagePull");
    }
}

async fn attempts_that_fail_are_counted_while_the_run_continues(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "attempts").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("fails", spec(&json!({"exit-code": "3", "termination-message": "no disk"}), &json!({}))).await;
    at.create("start", spec(&json!({"start": "error"}), &json!({}))).await;
    let status = stuck(&at, "start", "AppError").await;
    assert_eq!(status["phase"], "Updating", "its program has never run: {status:#}");
    let message = |status: &Value| {
        let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
        ready["message"].as_str().unwrap().to_owned()
    };
    let status = at.until("fails", "counts", |status| message(status).contains("attempts")).await;
    let said = message(&status);
    // Counts are written every half minute.
    let counts = ["1 of 7 attempts has failed", "2 of 7 attempts have failed"];
    let starts =
        |count| said.starts_with(&format!("run 1 is running; {count}, the last: container main of pod"));
    assert!(counts.into_iter().any(starts), "{said}");
    assert!(said.ends_with("exited with 3: no disk"), "{said}");
    assert_eq!(
        (&status["phase"], &condition(&status, "Ready")),
        (&json!("Running"), &"False Running".to_owned())
    );
}

async fn pods_stopped_by_a_suspension_are_no_failure(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "suspensions").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let work = json!({"run-seconds": "forever", "terminate-seconds": "4"});
    at.create("pause", spec(&work, &json!({}))).await;
    at.until_phase("pause", 1, "Running").await;
    let history = History::of(&at, "pause").await;
    at.change("pause", json!({"suspend": true})).await;
    at.until_phase("pause", 1, "Suspended").await;
    at.change("pause", json!({"suspend": false})).await;
    at.until_phase("pause", 1, "Running").await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    for version in history.seen() {
        assert!(version["status"]["failure"].is_null(), "{version:#}");
    }
}

async fn failed_pods_say_why(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "failed").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let once = json!({"settings": {"backoffLimit": 0}});
    let twice = json!({"settings": {"backoffLimit": 1}});
    let init =
        json!({"settings": {"backoffLimit": 0}, "initContainers": [{"name": "fetch", "image": "curl:8"}]});
    let in_place = json!({"settings": {"backoffLimit": 1}, "restartPolicy": "OnFailure"});
    let words = "Can't locate object method \"bpi\"";
    let cases = [
        ("exit", json!({"exit-code": "3", "termination-message": words}), &twice, "AppError", 3),
        ("oom", json!({"oom": "true"}), &once, "OOMKilled", 137),
        ("start", json!({"start": "error"}), &once, "AppError", 128),
        ("evicted", json!({"evict": "true"}), &once, "Evicted", 137),
        ("init", json!({"exit-code": "7", "container": "fetch"}), &init, "AppError", 7),
        ("in-place", json!({"exit-code": "3", "termination-message": words}), &in_place, "AppError", 3),
    ];
    for (name, simulated, more, ..) in &cases {
        at.create(name, spec(simulated, more)).await;
    }
    for (name, _, _, category, code) in &cases {
        let status = failed(&at, name).await;
        let failure = &status["failure"];
        assert_eq!(failure["category"], **category, "{name}: {failure:#}");
        assert_eq!(failure["exitCode"], *code, "{name}: {failure:#}");
        assert_eq!(condition(&status, "Failed"), "True BackoffLimitExceeded", "{name}");
        assert!(failure["pod"].as_str().unwrap().starts_with(&format!("{name}-1-")), "{name}: {failure:#}");
        assert!(failure["node"].is_string(), "{name}: {failure:#}");
        assert_eq!(failure["isInit"] == true, *name == "init");
        let container = if *name == "init" { "fetch" } else { "main" };
        assert_eq!(failure["container"], container, "{name}");
    }
    let status = at.get("exit").await["status"].clone();
    says(&status, words);
    assert_eq!(status["failure"]["attempts"], 2);
    let said = status["runs"][0]["message"].as_str().unwrap();
    assert!(said.ends_with(&format!("exited with 3: {words} (attempts: 2)")), "{said}");
    let events: Api<Event> = at.namespace.api(&at.client);
    let about =
        ListParams::default().fields("involvedObject.kind=JobRequest,involvedObject.name=exit,reason=Failed");
    let note = eventually(DEADLINE, "the event", async || {
        events.list(&about).await.unwrap().items.into_iter().find_map(|event| event.message)
    })
    .await;
    assert!(note.contains("BackoffLimitExceeded: container main of pod exit-1-"), "{note}");
}

async fn deadlines_say_what_they_interrupted(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "deadlines").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let late = json!({"settings": {"activeDeadlineSeconds": 5}});
    let later = json!({"settings": {"activeDeadlineSeconds": 5}, "nodeSelector": {"disk": "none"}});
    let cases = [
        ("pull", json!({"pull": "never"}), &late, "on pod pull-1-"),
        ("slowly", json!({"pull": "never", "terminate-seconds": "3"}), &late, "on pod slowly-1-"),
        ("hang", json!({"pull": "hang", "terminate-seconds": "3"}), &late, "ContainerCreating for "),
        ("work", json!({"run-seconds": "forever", "terminate-seconds": "3"}), &late, "had been running for "),
        ("nodes", json!({}), &later, "Unschedulable for "),
    ];
    for (name, simulated, more, _) in &cases {
        at.create(name, spec(simulated, more)).await;
    }
    for (name, _, _, words) in &cases {
        let status = failed(&at, name).await;
        assert_eq!(status["failure"]["category"], "Deadline", "{name}");
        assert_eq!(status["runs"][0]["reason"], "DeadlineExceeded", "{name}");
        says(&status, words);
    }
}

async fn start_deadlines_end_what_does_not_start(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "start-deadlines").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let late = json!({"settings": {"startDeadlineSeconds": 5}});
    at.create("works", spec(&json!({"run-seconds": "forever"}), &late)).await;
    at.create("pull", spec(&json!({"pull": "never"}), &late)).await;
    at.create("config", spec(&json!({"config": "missing"}), &late)).await;
    for (name, words) in [("pull", "ErrImagePull"), ("config", "CreateContainerConfigError for ")] {
        let status = failed(&at, name).await;
        let run = &status["runs"][0];
        assert_eq!(
            (&status["failure"]["category"], &run["reason"]),
            (&json!("StartDeadline"), &json!("StartDeadlineExceeded"))
        );
        assert_eq!(condition(&status, "Ready"), "False StartDeadlineExceeded");
        assert_eq!(condition(&status, "Failed"), "True DeadlineExceeded");
        says(&status, words);
        let said = run["message"].as_str().unwrap();
        assert!(said.starts_with("no main container had started 5 s after the start of the Job: "), "{said}");
    }
    let status = at.until_phase("works", 1, "Running").await;
    assert!(status["failure"].is_null(), "{status:#}");
}

async fn rules_and_indexes_say_which(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "rules").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let rule = json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}});
    let policy = json!({"settings": {"backoffLimit": 6, "podFailurePolicy": {"rules": [rule]}}});
    let indexed = |more: Value| {
        let mut settings = json!({"completionMode": "Indexed", "completions": 4, "parallelism": 4});
        for (key, value) in more.as_object().unwrap() {
            settings[key] = value.clone();
        }
        json!({"settings": settings})
    };
    at.create("rule", spec(&json!({"exit-code": "42", "termination-message": "bad checksum"}), &policy))
        .await;
    let fails = json!({"exit-code": "3", "fail-indexes": "1,3"});
    at.create("indexes", spec(&fails, &indexed(json!({"backoffLimitPerIndex": 0})))).await;
    let enough = json!({"successPolicy": {"rules": [{"succeededIndexes": "0,2"}]}});
    at.create("enough", spec(&json!({"exit-code": "3", "fail-indexes": "1,3"}), &indexed(enough))).await;

    let status = failed(&at, "rule").await;
    assert_eq!(status["failure"]["category"], "PolicyRule");
    assert_eq!(
        (&status["failure"]["exitCode"], &status["failure"]["container"]),
        (&json!(42), &json!("main"))
    );
    says(&status, "failed with exit code 42 matching FailJob rule at index 0: bad checksum");

    let status = failed(&at, "indexes").await;
    assert_eq!(status["runs"][0]["reason"], "FailedIndexes");
    let said = status["runs"][0]["message"].as_str().unwrap();
    assert!(said.starts_with("failed indexes: 1,3; container main of pod indexes-1-"), "{said}");
    assert_eq!(status["failure"]["exitCode"], 3);

    let status = at.until_phase("enough", 1, "Completed").await;
    let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
    assert_eq!(ready["message"], "run 1 has completed: SuccessPolicy: Matched rules at index 0");
    assert!(status["failure"].is_null(), "{status:#}");
}

async fn deleted_job_is_explained_as_lost(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "lost").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("gone", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("gone", 1, "Running").await;
    at.jobs().delete("gone-1", &DeleteParams::background()).await.unwrap();
    let status = failed(&at, "gone").await;
    assert_eq!(
        (&status["failure"]["category"], &status["runs"][0]["result"]),
        (&json!("Lost"), &json!("Lost"))
    );
    says(&status, "Job gone-1 was deleted before its result was seen");
}

async fn templates_switch_the_capture_off(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "capture").await;
    let manifest = cx.log("template.json");
    let template = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobTemplate",
        "metadata": {"name": "secrets", "namespace": at.namespace.name()}, "spec": {"captureMessages": false}
    });
    std::fs::write(&manifest, template.to_string()).unwrap();
    cx.kubectl(&["apply", "-f", &manifest.display().to_string()]);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("quiet", spec(&json!({}), &json!({"templateRef": {"name": "secrets"}}))).await;
    at.create("usual", spec(&json!({}), &json!({}))).await;
    for (name, policy) in [("quiet", "File"), ("usual", "FallbackToLogsOnError")] {
        at.until_phase(name, 1, "Completed").await;
        let job = at.jobs().get(&format!("{name}-1")).await.unwrap();
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.containers[0].termination_message_policy.as_deref(), Some(policy));
    }
}

async fn calls_of_a_failed_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "failed-calls").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("warm-up", spec(&json!({}), &json!({}))).await;
    at.until_phase("warm-up", 1, "Completed").await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    at.create("counted", spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 1}}))).await;
    at.until_phase("counted", 1, "Failed").await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent(AGENT);
    let calls = calls.matching(|call| call.verb != "watch");
    let statuses = calls.resource("jobrequests.jobrequest.dev/status").count();
    let reads = calls.count() - calls.writes().count();
    println!(
        "figure: calls of a run whose two pods fail: {statuses} status writes (at most 6), {reads} reads (0)"
    );
    assert!(statuses <= 6 && reads == 0, "{calls:?}");
}
