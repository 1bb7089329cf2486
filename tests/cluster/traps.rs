//! Traps: what people and other controllers do to a run behind the operator's back, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::{Witness, has_ended};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::Templates;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        job_that_ends_and_is_deleted_unseen_is_lost,
        a_terminating_job_of_another_is_waited_for,
        run_number_is_taken_by_a_job_of_another_request,
        job_without_labels_is_not_lost,
        job_without_labels_and_owner_is_observed_to_its_end,
        no_retry_storm_in_a_terminating_namespace,
        deleting_a_template_in_use_stops_no_run,
        recreated_request_waits_for_the_terminating_job,
        recreated_request_waits_for_an_orphaned_job,
        status_wiped_while_suspended,
        status_wiped_while_replacing,
        status_wiped_with_pending_rerun_tokens,
    ]
}

/// Long enough for an operator that would do more.
const SETTLE: Duration = Duration::from_secs(2);

fn uid(job: &Job) -> &str {
    job.metadata.uid.as_deref().expect("a uid")
}

/// A Job which is not made from a JobRequest. It runs never, and does not go while it has a finalizer.
async fn foreign(at: &Requests, name: &str, finalizers: &[&str]) -> Job {
    let job = json!({"metadata": {"name": name, "finalizers": finalizers}, "spec": {"suspend": true, "template": {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "perl:5.40"}]}}}});
    let job = serde_json::from_value(job).expect("a Job");
    at.jobs().create(&PostParams::default(), &job).await.expect("create a Job")
}

async fn merge_into_job(at: &Requests, name: &str, change: Value) {
    at.jobs().patch(name, &PatchParams::default(), &Patch::Merge(change)).await.expect("change the Job");
}

async fn job_that_ends_and_is_deleted_unseen_is_lost(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "unseen").await;
    let witness = Witness::of(&at).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("unseen", spec(&json!({"run-seconds": "2"}), &json!({}))).await;
    at.until_phase("unseen", 1, "Running").await;
    operator.kill();
    witness.sees("unseen-1", has_ended).await;
    at.jobs().delete("unseen-1", &DeleteParams::background()).await.unwrap();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let status = at.until_phase("unseen", 1, "Failed").await;
    assert_eq!(status["runs"][0]["result"], "Lost");
    assert_eq!(condition(&status, "Ready"), "False Lost");
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly(["unseen-1".to_owned()]);
    // A user who wants it run again says so.
    at.change("unseen", json!({"rerun": "after all"})).await;
    at.until_phase("unseen", 2, "Completed").await;
}

async fn a_terminating_job_of_another_is_waited_for(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "going").await;
    let other = foreign(&at, "waits-1", &["example.com/hold"]).await;
    at.jobs().delete("waits-1", &DeleteParams::background()).await.unwrap();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("waits", spec(&json!({}), &json!({}))).await;
    let status = at.until_phase("waits", 1, "Waiting").await;
    assert_eq!(condition(&status, "Ready"), "False PredecessorTerminating");
    let ready = status["conditions"].as_array().unwrap().iter().find(|it| it["type"] == "Ready").unwrap();
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("waits-1") && !message.contains("JobRequest"), "it was nobody's: {message}");
    merge_into_job(&at, "waits-1", json!({"metadata": {"finalizers": null}})).await;
    let status = at.until_phase("waits", 1, "Completed").await;
    assert_ne!(status["runs"][0]["jobUid"].as_str(), other.metadata.uid.as_deref());
    assert_eq!(at.job_names().await, ["waits-1"]);
}

async fn run_number_is_taken_by_a_job_of_another_request(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "number").await;
    let other = foreign(&at, "taken-1", &[]).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("taken", spec(&json!({}), &json!({}))).await;
    let status = at.until_phase("taken", 2, "Completed").await;
    assert_eq!(status["runs"].as_array().unwrap().len(), 1, "run 1 never was: {status:#}");
    assert_eq!(uid(&at.jobs().get("taken-1").await.unwrap()), uid(&other));
    let event = eventually(DEADLINE, "an event says so", async || {
        let events = at.events("taken").await;
        events.iter().find(|(reason, _)| reason == "NameTaken").cloned().ok_or(events)
    })
    .await;
    assert!(event.1.contains("taken-1") && event.1.contains("run 2"), "{event:?}");
}

/// A user who strips our labels takes the Job out of every cache, not out of the API server.
async fn job_without_labels_is_not_lost(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "labels").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("bare", spec(&json!({"run-seconds": "15"}), &json!({}))).await;
    at.until_phase("bare", 1, "Running").await;
    merge_into_job(&at, "bare-1", json!({"metadata": {"labels": null}})).await;
    let status = at.until_phase("bare", 1, "Completed").await;
    assert_eq!(status["runs"][0]["result"], "Succeeded");
    witness.saw_exactly(["bare-1".to_owned()]);
    assert!(at.jobs().get("bare-1").await.unwrap().metadata.owner_references.is_some());
}

async fn job_without_labels_and_owner_is_observed_to_its_end(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "stripped").await;
    let witness = Witness::of(&at).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let more = json!({"settings": {"backoffLimit": 0}});
    at.create("bare", spec(&json!({"run-seconds": "5", "exit-code": "3"}), &more)).await;
    at.until_phase("bare", 1, "Running").await;
    let strip = json!({"metadata": {"labels": null, "ownerReferences": null}});
    merge_into_job(&at, "bare-1", strip).await;
    // Nor does one who has never seen it otherwise take it for lost.
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    // What is not ours any more is not patched, either.
    at.change("bare", json!({"suspend": true})).await;
    let status = at.until("bare", "the run ends", |status| status["runs"][0]["result"].is_string()).await;
    assert_eq!(status["runs"][0]["result"], "Failed", "{status:#}");
    witness.saw_exactly(["bare-1".to_owned()]);
    let job = at.jobs().get("bare-1").await.unwrap();
    assert!(job.metadata.owner_references.is_none(), "never re-adopted");
    assert_ne!(job.spec.unwrap().suspend, Some(true), "never patched");
}

async fn no_retry_storm_in_a_terminating_namespace(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let (going, staying) = (Requests::new(&cx, "going").await, Requests::new(&cx, "staying").await);
    let mut operator = Operator::start_for_all(&cx, &[]);
    going.create("late", spec(&json!({}), &json!({"suspend": true}))).await;
    going.until("late", "is suspended", |status| status["phase"] == "Suspended").await;
    // Nobody empties the namespace for now, so it stays as it is.
    let controllers = cx.control_plane().pause_controllers();
    let namespaces: Api<Namespace> = Api::all(going.client.clone());
    namespaces.delete(going.namespace.name(), &DeleteParams::default()).await.unwrap();
    going.change("late", json!({"suspend": false})).await;
    let status = going.until_phase("late", 1, "Waiting").await;
    assert_eq!(condition(&status, "Ready"), "False JobForbidden");
    assert!(status["conditions"].to_string().contains("being terminated"), "{status:#}");
    // The others have their runs meanwhile.
    let witness = Witness::of(&staying).await;
    staying.create("other", spec(&json!({}), &json!({}))).await;
    witness.sees("other-1", |_| true).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let log = operator.log();
    let complaints: Vec<&str> =
        log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
    assert!(complaints.len() <= 2, "said, but not forever: {complaints:#?}");
    drop(controllers);
    staying.until_phase("other", 1, "Completed").await;
    eventually(DEADLINE, "the namespace is gone", async || {
        let namespace = namespaces.get_opt(going.namespace.name()).await.unwrap();
        namespace.map_or(Ok(()), |namespace| Err(namespace.status))
    })
    .await;
    assert!(operator.is_running(), "{}", operator.log());
}

async fn deleting_a_template_in_use_stops_no_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "used").await;
    let templates = Templates::in_namespace_of(&at);
    let base = json!({"containerDefaults": {"image": "perl:5.24.4"}});
    templates.apply("base", base.clone()).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let annotations = json!({"sim.jobrequest.dev/run-seconds": "5"});
    let spec = json!({
        "templateRef": {"name": "base"}, "containers": [{"name": "main"}], "annotations": annotations
    });
    at.create("uses", spec).await;
    at.until_phase("uses", 1, "Running").await;
    templates.delete("base").await;
    // Neither who saw it go nor who never knew it rejects what was accepted with it.
    at.until_phase("uses", 1, "Running").await;
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let status = at.until_phase("uses", 1, "Completed").await;
    assert_eq!(condition(&status, "Ready"), "True Completed");
    assert_eq!(condition(&status, "Accepted").split(' ').next(), Some("True"));
    // What comes next needs it again, and says so.
    at.change("uses", json!({"rerun": "once more"})).await;
    let status = at.until("uses", "is rejected", |status| status["phase"] == "Rejected").await;
    assert!(status["conditions"].to_string().contains("base"), "{status:#}");
    assert_eq!(at.job_names().await, ["uses-1"]);
    templates.apply("base", base).await;
    at.until_phase("uses", 2, "Completed").await;
}

async fn recreated_request_waits_for_the_terminating_job(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "again").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    for (name, parameters) in
        [("background", DeleteParams::background()), ("foreground", DeleteParams::foreground())]
    {
        at.create(name, spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
        at.until_phase(name, 1, "Running").await;
        let job_name = format!("{name}-1");
        let old = at.jobs().get(&job_name).await.unwrap();
        // Somebody keeps it, as Kueue does until it has counted it.
        let finalizers = json!({"metadata": {"finalizers": ["example.com/hold"]}});
        merge_into_job(&at, &job_name, finalizers).await;
        at.delete(name, &parameters).await;
        if name == "foreground" {
            // It is there until its Job is not, and nothing is written to it.
            eventually(DEADLINE, "the Job is terminating", async || {
                let job = at.jobs().get(&job_name).await.unwrap();
                job.metadata.deletion_timestamp.is_some().then_some(())
            })
            .await;
            let before = at.get(name).await;
            tokio::time::sleep(SETTLE).await;
            assert_eq!(at.get(name).await, before);
            merge_into_job(&at, &job_name, json!({"metadata": {"finalizers": null}})).await;
        }
        eventually(DEADLINE, "the request is gone", async || (!at.exists(name).await).then_some(())).await;
        at.create(name, spec(&json!({}), &json!({}))).await;
        if name == "background" {
            let status = at.until_phase(name, 1, "Waiting").await;
            assert_eq!(condition(&status, "Ready"), "False PredecessorTerminating");
            merge_into_job(&at, &job_name, json!({"metadata": {"finalizers": null}})).await;
        }
        let status = at.until_phase(name, 1, "Completed").await;
        assert_ne!(status["runs"][0]["jobUid"].as_str(), old.metadata.uid.as_deref());
        assert_eq!(status["runs"].as_array().unwrap().len(), 1, "{status:#}");
    }
    let names = witness.names();
    assert_eq!(names.into_values().collect::<Vec<_>>(), [2, 2], "the old one and the new one each");
}

async fn recreated_request_waits_for_an_orphaned_job(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "orphan").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    // The orphan is run 1, whose name the first run needs, or run 2, which has a name of its own.
    for (name, orphan) in [("first", 1), ("second", 2)] {
        at.create(name, spec(&json!({"run-seconds": "forever"}), &json!({"suspend": false}))).await;
        at.until_phase(name, 1, "Running").await;
        if orphan == 2 {
            at.jobs().delete(&format!("{name}-1"), &DeleteParams::background()).await.unwrap();
            at.until(name, "run 1 is lost", |status| status["runs"][0]["result"] == "Lost").await;
            at.change(name, json!({"rerun": "again"})).await;
            at.until_phase(name, 2, "Running").await;
        }
        at.delete(name, &DeleteParams::orphan()).await;
        eventually(DEADLINE, "the request is gone", async || (!at.exists(name).await).then_some(())).await;
        at.create(name, spec(&json!({}), &json!({}))).await;
        let status = at.until_phase(name, 1, "Waiting").await;
        assert_eq!(condition(&status, "Ready"), "False PredecessorActive");
        let orphan = format!("{name}-{orphan}");
        assert!(status["conditions"].to_string().contains(&orphan), "{status:#}");
        tokio::time::sleep(SETTLE).await;
        assert_eq!(at.job_names().await.iter().filter(|job| job.starts_with(name)).count(), 1);
        // It belongs to nobody now: it continues until somebody ends it.
        let job = at.jobs().get(&orphan).await.unwrap();
        assert!(job.metadata.owner_references.is_none(), "never re-adopted");
        merge_into_job(&at, &orphan, json!({"spec": {"activeDeadlineSeconds": 1}})).await;
        witness.sees(&orphan, has_ended).await;
        let status = at.until(name, "runs at last", |status| status["phase"] == "Completed").await;
        assert_eq!(status["runs"].as_array().unwrap().len(), 1, "{status:#}");
        assert_eq!(uid(&at.jobs().get(&orphan).await.unwrap()), uid(&job), "it stays");
    }
}

async fn status_wiped_while_suspended(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wiped-held").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    // Its Job is suspended.
    at.create("live", spec(&json!({"run-seconds": "15"}), &json!({}))).await;
    at.until_phase("live", 1, "Running").await;
    at.change("live", json!({"suspend": true})).await;
    let before = at
        .until("live", "its Job is suspended", |status| {
            condition(status, "Suspended") == "True JobSuspended" && status["phase"] == "Suspended"
        })
        .await;
    at.wipe_status("live").await;
    let after = at.until_phase("live", 1, "Suspended").await;
    assert_eq!(after["runs"][0]["jobUid"], before["runs"][0]["jobUid"]);
    // It has none yet.
    at.create("held", spec(&json!({}), &json!({"suspend": true}))).await;
    at.until("held", "is suspended", |status| status["phase"] == "Suspended").await;
    at.wipe_status("held").await;
    at.until("held", "is suspended again", |status| status["phase"] == "Suspended").await;
    witness.saw_exactly(["live-1".to_owned()]);
    for name in ["live", "held"] {
        at.change(name, json!({"suspend": false})).await;
        at.until_phase(name, 1, "Completed").await;
    }
    witness.saw_exactly(["held-1", "live-1"].map(str::to_owned));
}

async fn status_wiped_while_replacing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wiped-swap").await;
    let witness = Witness::of(&at).await;
    let lease = format!("--leader-elect-resource-namespace={}", at.namespace.name());
    let _operator = Operator::start(&cx, &at.namespace, &["--leader-elect", &lease]);
    let slow = json!({"run-seconds": "forever", "terminate-seconds": "4"});
    at.create("slow", spec(&slow, &json!({"runPolicy": {"whileActive": "Replace"}}))).await;
    at.until_phase("slow", 1, "Running").await;
    at.change("slow", json!({"annotations": {"sim.jobrequest.dev/run-seconds": "1"}})).await;
    witness.sees("slow-1", |job| job.metadata.deletion_timestamp.is_some()).await;
    at.wipe_status("slow").await;
    let status = at.until_phase("slow", 2, "Completed").await;
    let (first, second) = (&status["runs"][1], &status["runs"][0]);
    // Who stopped it was in the status only: it counts as if somebody had deleted the Job.
    assert_eq!((&first["number"], &first["result"]), (&json!(1), &json!("Lost")), "{status:#}");
    assert!(first["endTime"].as_str() <= second["startTime"].as_str(), "one after the other: {status:#}");
    witness.saw_exactly(["slow-1", "slow-2"].map(str::to_owned));
}

async fn status_wiped_with_pending_rerun_tokens(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wiped-tokens").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("tokens", spec(&json!({}), &json!({"rerun": "a"}))).await;
    at.until_phase("tokens", 1, "Completed").await;
    at.annotate("tokens", "jobrequest.dev/rerun", "now").await;
    let before = at.until_phase("tokens", 2, "Completed").await;
    at.wipe_status("tokens").await;
    let after = at.until_phase("tokens", 2, "Completed").await;
    assert_eq!(after["lastHandledRerun"], before["lastHandledRerun"]);
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly(["tokens-1", "tokens-2"].map(str::to_owned));
    at.change("tokens", json!({"rerun": "b"})).await;
    at.until_phase("tokens", 3, "Completed").await;
}
