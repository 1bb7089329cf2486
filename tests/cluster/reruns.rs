//! What starts a run beside the first one, what happens to the active one, and how many Jobs stay.

use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::{History, Witness};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::Templates;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        spec_and_annotation_each_request_a_rerun,
        created_with_a_token_is_one_run,
        rerun_waits_for_the_active_run,
        rerun_of_a_suspended_request_waits,
        held_changes_wait_for_a_rerun,
        change_replaces_the_active_run,
        replaced_run_is_gone_before_the_next_starts,
        template_edit_reruns_only_requests_that_opted_in,
        history_keeps_the_newest_jobs,
        the_end_of_a_run_is_not_that_of_a_newer_spec,
    ]
}

const RERUN: &str = "jobrequest.dev/rerun";

/// Flags of an operator which knows that it is alone: its deletes need not wait for creates of others.
fn alone(at: &Requests) -> [String; 3] {
    let namespace = at.namespace.name();
    [
        "--leader-elect".to_owned(),
        format!("--leader-elect-resource-namespace={namespace}"),
        "--leader-elect-resource-name=alone".to_owned(),
    ]
}

fn start(cx: &Cluster, at: &Requests) -> Operator {
    let flags = alone(at);
    Operator::start(cx, &at.namespace, &flags.each_ref().map(String::as_str))
}

async fn spec_and_annotation_each_request_a_rerun(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "tokens").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("again", spec(&json!({}), &json!({}))).await;
    at.until_phase("again", 1, "Completed").await;
    at.change("again", json!({"rerun": "2026-11-24-a"})).await;
    let status = at.until_phase("again", 2, "Completed").await;
    assert_eq!(status["runs"][0]["trigger"], "Rerun");
    assert_eq!(status["runs"][0]["token"], "2026-11-24-a");
    at.annotate("again", RERUN, "now").await;
    let status = at.until_phase("again", 3, "Completed").await;
    assert_eq!(status["lastHandledRerun"], json!({"spec": "2026-11-24-a", "annotation": "now"}));

    // Emptied sources ask for nothing, nor does what they held before; a Git revert to another value does.
    at.change("again", json!({"rerun": null})).await;
    at.change("again", json!({"rerun": "2026-11-24-a", "alias": "seen"})).await;
    at.until("again", "the alias is seen", |status| status["run"] == 3).await;
    at.change("again", json!({"rerun": "2026-11-23"})).await;
    let status = at.until_phase("again", 4, "Completed").await;
    assert_eq!(status["runs"].as_array().unwrap().len(), 4, "{status:#}");
}

async fn created_with_a_token_is_one_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "token").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("once", spec(&json!({}), &json!({"rerun": "a"}))).await;
    at.until_phase("once", 1, "Completed").await;
    // An edit and a token in one update are one run, too.
    let image = json!([{"name": "main", "image": "perl:5.40"}]);
    at.change("once", json!({"rerun": "b", "containers": image})).await;
    let status = at.until_phase("once", 2, "Completed").await;
    assert_eq!(status["runs"][0]["token"], "b");
    tokio::time::sleep(Duration::from_secs(3)).await;
    witness.saw_exactly(["once-1", "once-2"].map(str::to_owned));
}

async fn rerun_waits_for_the_active_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "rerun-active").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("busy", spec(&json!({"run-seconds": "4"}), &json!({}))).await;
    at.until_phase("busy", 1, "Running").await;
    at.annotate("busy", RERUN, "1").await;
    at.until("busy", "says that the rerun waits", |status| {
        status["conditions"].to_string().contains("a rerun was asked for and waits")
    })
    .await;
    at.annotate("busy", RERUN, "2").await;
    let status = at.until_phase("busy", 2, "Completed").await;
    assert_eq!(status["lastHandledRerun"]["annotation"], "2");
    tokio::time::sleep(Duration::from_secs(2)).await;
    witness.saw_exactly(["busy-1", "busy-2"].map(str::to_owned));
    let reasons: Vec<String> = at.events("busy").await.into_iter().map(|(reason, _)| reason).collect();
    assert_eq!(reasons, ["RunCreated", "RerunRequested", "Completed", "RunCreated", "Completed"]);
}

async fn rerun_of_a_suspended_request_waits(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "rerun-held").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("held", spec(&json!({}), &json!({}))).await;
    at.until_phase("held", 1, "Completed").await;
    // Suspended at rest: what has completed stays so.
    at.change("held", json!({"suspend": true})).await;
    at.until_phase("held", 1, "Completed").await;
    at.change("held", json!({"rerun": "a"})).await;
    let status = at.until_phase("held", 1, "Suspended").await;
    assert_eq!(condition(&status, "Ready"), "True Suspended");
    assert_eq!(at.job_names().await, ["held-1"]);
    at.change("held", json!({"suspend": false})).await;
    at.until_phase("held", 2, "Completed").await;
}

async fn held_changes_wait_for_a_rerun(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "hold").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("hold", spec(&json!({}), &json!({"runPolicy": {"onSpecChange": "Hold"}}))).await;
    at.until_phase("hold", 1, "Completed").await;
    at.change("hold", json!({"containers": [{"name": "main", "image": "perl:5.36"}]})).await;
    let status = at
        .until("hold", "changes are pending", |status| condition(status, "PendingChanges") == "True Held")
        .await;
    assert_eq!((condition(&status, "Ready").as_str(), &status["run"]), ("True Completed", &json!(1)));
    assert_eq!(at.job_names().await, ["hold-1"]);
    at.annotate("hold", RERUN, "go").await;
    let status = at.until_phase("hold", 2, "Completed").await;
    assert_eq!(condition(&status, "PendingChanges"), "-");
}

async fn change_replaces_the_active_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "replace").await;
    let _operator = start(&cx, &at);
    let policy = json!({"runPolicy": {"whileActive": "Replace"}});
    at.create("swap", spec(&json!({"run-seconds": "forever"}), &policy)).await;
    at.until_phase("swap", 1, "Running").await;
    let annotations = json!({"sim.jobrequest.dev/run-seconds": "1"});
    at.change("swap", json!({"annotations": annotations})).await;
    let status = at.until_phase("swap", 2, "Completed").await;
    let replaced = &status["runs"][1];
    assert_eq!((&replaced["result"], &replaced["stop"]), (&json!("Replaced"), &json!("Replace")));
    assert!(replaced["endTime"].is_string(), "{status:#}");
    assert_eq!(at.job_names().await, ["swap-2"]);
}

/// Pods take their time to end: the next run waits for them, and an edit that returns does not bring the run back.
async fn replaced_run_is_gone_before_the_next_starts(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "replace-slow").await;
    let witness = Witness::of(&at).await;
    let _operator = start(&cx, &at);
    let policy = json!({"runPolicy": {"whileActive": "Replace"}});
    let slow = json!({"run-seconds": "forever", "terminate-seconds": "4"});
    at.create("slow", spec(&slow, &policy)).await;
    at.until_phase("slow", 1, "Running").await;
    let image = |version: &str| json!({"containers": [{"name": "main", "image": format!("perl:{version}")}]});
    at.change("slow", image("5.40")).await;
    eventually(DEADLINE, "the Job is being deleted", async || {
        let job = at.jobs().get("slow-1").await.unwrap();
        job.metadata.deletion_timestamp.is_some().then_some(())
    })
    .await;
    assert_eq!(condition(&at.get("slow").await["status"], "Ready"), "False Replacing");
    at.change("slow", image("5.24.4")).await;
    witness.sees("slow-2", |_| true).await;
    let pods: Api<k8s_openapi::api::core::v1::Pod> = at.namespace.api(&at.client);
    let pods = pods.list(&kube::api::ListParams::default().labels("jobrequest.dev/run=1")).await.unwrap();
    assert!(pods.items.is_empty(), "pods of the replaced run are left");
    at.change("slow", json!({"suspend": true})).await;
    at.until_phase("slow", 2, "Suspended").await;
    witness.saw_exactly(["slow-1", "slow-2"].map(str::to_owned));
}

async fn template_edit_reruns_only_requests_that_opted_in(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "follow").await;
    let templates = Templates::in_namespace_of(&at);
    let of_image = |image: &str| json!({"containerDefaults": {"image": image}});
    templates.apply("base", of_image("perl:5.24.4")).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let of = |policy: Value| json!({"templateRef": {"name": "base"}, "containers": [{"name": "main"}], "runPolicy": policy});
    at.create("follows", of(json!({"onTemplateChange": "Rerun"}))).await;
    at.create("ignores", of(json!({}))).await;
    at.until_phase("follows", 1, "Completed").await;
    at.until_phase("ignores", 1, "Completed").await;
    templates.apply("base", of_image("perl:5.40")).await;
    let status = at.until_phase("follows", 2, "Completed").await;
    assert_eq!(status["runs"][0]["trigger"], "TemplateChange");
    // Deleted and made again: another uid, known only by asking.
    templates.delete("base").await;
    templates.apply("base", of_image("perl:5.36")).await;
    let status = eventually(DEADLINE, "a run with the new template", async || {
        let status = at.get("follows").await["status"].clone();
        if status["phase"] == "Completed" && status["run"].as_i64() >= Some(3) {
            Ok(status)
        } else {
            Err(status)
        }
    })
    .await;
    assert_eq!(status["runs"][0]["trigger"], "TemplateChange");
    assert_eq!(at.get("ignores").await["status"]["run"], 1);
}

async fn history_keeps_the_newest_jobs(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "history").await;
    let _operator = start(&cx, &at);
    let policy = json!({"successfulRunsHistoryLimit": 2, "failedRunsHistoryLimit": 1});
    let more = json!({"runPolicy": policy, "settings": {"backoffLimit": 0}});
    at.create("kept", spec(&json!({"exit-code": "1"}), &more)).await;
    at.until_phase("kept", 1, "Failed").await;
    at.change("kept", json!({"rerun": "2"})).await;
    at.until_phase("kept", 2, "Failed").await;
    for run in 3..=5 {
        let annotations = json!({"sim.jobrequest.dev/exit-code": "0"});
        at.change("kept", json!({"rerun": run.to_string(), "annotations": annotations})).await;
        at.until_phase("kept", run, "Completed").await;
    }
    eventually(DEADLINE, "the newest Jobs are kept, one failed and two succeeded", async || {
        let names = at.job_names().await;
        if names == ["kept-2", "kept-4", "kept-5"] { Ok(()) } else { Err(names) }
    })
    .await;
    let status = at.get("kept").await["status"].clone();
    assert_eq!(status["runs"].as_array().unwrap().len(), 5, "every record stays: {status:#}");
    assert_eq!(condition(&status, "Ready"), "True Completed");
}

/// A watcher never sees Ready or Stalled of the old run for the new generation.
async fn the_end_of_a_run_is_not_that_of_a_newer_spec(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "no-flash").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    for (name, code) in [("good", "0"), ("bad", "3")] {
        let more = json!({"settings": {"backoffLimit": 0}});
        at.create(name, spec(&json!({"run-seconds": "3", "exit-code": code}), &more)).await;
        at.until_phase(name, 1, "Running").await;
        let history = History::of(&at, name).await;
        let annotations = json!({"sim.jobrequest.dev/exit-code": "0"});
        let containers = json!([{"name": "main", "image": "perl:5.40"}]);
        at.change(name, json!({"annotations": annotations, "containers": containers})).await;
        at.until_phase(name, 2, "Completed").await;
        for object in history.seen() {
            let status = &object["status"];
            let is_new = object["metadata"]["generation"] == 2 && status["observedGeneration"] == 2;
            let is_ended =
                condition(status, "Ready").starts_with("True") || condition(status, "Stalled") != "-";
            assert!(!is_new || !is_ended || status["run"] == 2, "{name}: {status:#}");
        }
    }
}
