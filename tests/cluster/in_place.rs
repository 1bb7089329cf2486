//! What reaches a live Job, whatever else is refused, rejected or due: the brake works.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::JobSpec;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::runs::JobPolicy;
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::{Templates, message};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        one_refused_field_keeps_no_other_from_being_changed,
        a_rejected_request_is_suspended_and_resumed,
        what_a_queue_suspended_stays_suspended,
        a_queue_that_undoes_a_suspension_is_reported,
        the_live_job_is_changed_while_a_newer_spec_waits,
        an_elastic_indexed_job_is_scaled_in_place,
    ]
}

/// Long enough for an operator that would do more.
const SETTLE: Duration = Duration::from_secs(2);

/// Waits until the Job's spec is so.
async fn until_job(at: &Requests, name: &str, what: &str, is: impl Fn(&JobSpec) -> bool) -> JobSpec {
    eventually(DEADLINE, &format!("{name}: {what}"), async || {
        let spec = at.jobs().get(name).await.expect("get the Job").spec.expect("a spec");
        if is(&spec) { Ok(spec) } else { Err(format!("{:?} {:?}", spec.suspend, spec.parallelism)) }
    })
    .await
}

/// As a queue does.
async fn set_suspend(at: &Requests, name: &str, suspend: bool) {
    let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
    at.jobs().patch(name, &PatchParams::default(), &patch).await.expect("change the Job");
}

async fn one_refused_field_keeps_no_other_from_being_changed(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "one-refused").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let settings = json!({
        "completions": 3, "parallelism": 3, "completionMode": "Indexed", "backoffLimitPerIndex": 1,
        "maxFailedIndexes": 1
    });
    at.create("brake", spec(&json!({"run-seconds": "forever"}), &json!({"settings": settings}))).await;
    at.until_phase("brake", 1, "Running").await;
    // 7 is what shows that the policy is in force.
    let allowed = "object.spec.?maxFailedIndexes.orValue(0) != 2 && object.spec.parallelism != 7";
    let policy = JobPolicy::refuse(&cx, &at, "UPDATE", allowed, "not 2").await;
    let settings = json!({"maxFailedIndexes": 2, "parallelism": 1, "activeDeadlineSeconds": 3600});
    at.change("brake", json!({"suspend": true, "settings": settings})).await;
    let job = until_job(&at, "brake-1", "is suspended, and has what is not refused", |job| {
        job.suspend == Some(true) && job.parallelism == Some(1) && job.active_deadline_seconds == Some(3600)
    })
    .await;
    assert_eq!(job.max_failed_indexes, Some(1));
    let status = at
        .until("brake", "says what is refused", |status| {
            condition(status, "ChangeRefused") == "True PatchRefused" && status["phase"] == "Suspended"
        })
        .await;
    let refused = message(&status, "ChangeRefused");
    assert!(refused.contains("maxFailedIndexes of Job brake-1 cannot be changed"), "{refused}");
    assert!(!refused.contains("parallelism"), "{refused}");
    // A value that fits ends it.
    at.change("brake", json!({"suspend": false, "settings": {"maxFailedIndexes": 3}})).await;
    until_job(&at, "brake-1", "runs with it", |job| {
        job.suspend != Some(true) && job.max_failed_indexes == Some(3)
    })
    .await;
    at.until("brake", "nothing is refused", |status| condition(status, "ChangeRefused") == "-").await;
    policy.lift();
}

async fn a_rejected_request_is_suspended_and_resumed(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "brake-rejected").await;
    let templates = Templates::in_namespace_of(&at);
    templates.apply("base", json!({"description": "goes"})).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let more = json!({"templateRef": {"name": "base"}});
    at.create("brake", spec(&json!({"run-seconds": "forever"}), &more)).await;
    at.until_phase("brake", 1, "Running").await;
    templates.delete("base").await;
    for suspend in [true, false] {
        at.change("brake", json!({"suspend": suspend})).await;
        let status = at.until("brake", "is rejected", |status| status["phase"] == "Rejected").await;
        assert_eq!(condition(&status, "Finished"), "False NotFinished", "its run is active");
        until_job(&at, "brake-1", "follows", |job| job.suspend.unwrap_or_default() == suspend).await;
    }
}

async fn what_a_queue_suspended_stays_suspended(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "queue-holds").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("held", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("held", 1, "Running").await;
    set_suspend(&at, "held-1", true).await;
    at.until("held", "is queued", |status| condition(status, "Ready") == "False Queued").await;
    at.change("held", json!({"suspend": true})).await;
    at.until("held", "says both", |status| message(status, "Ready").contains("spec.suspend is true, too"))
        .await;
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.change("held", json!({"suspend": false})).await;
    let status = at
        .until("held", "is queued again", |status| {
            condition(status, "Ready") == "False Queued" && !message(status, "Ready").contains("too")
        })
        .await;
    assert_eq!(status["phase"], "Suspended");
    tokio::time::sleep(SETTLE).await;
    assert_eq!(
        at.jobs().get("held-1").await.unwrap().spec.unwrap().suspend,
        Some(true),
        "nobody admitted it"
    );
    set_suspend(&at, "held-1", false).await;
    at.until_phase("held", 1, "Running").await;
}

async fn a_queue_that_undoes_a_suspension_is_reported(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "queue-undoes").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("undone", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("undone", 1, "Running").await;
    at.change("undone", json!({"suspend": true})).await;
    at.until_phase("undone", 1, "Suspended").await;
    set_suspend(&at, "undone-1", false).await;
    let status = at.until_phase("undone", 1, "Running").await;
    let ready = message(&status, "Ready");
    assert!(ready.contains("spec.suspend is true, but someone else"), "{ready}");
    tokio::time::sleep(SETTLE).await;
    assert_ne!(at.jobs().get("undone-1").await.unwrap().spec.unwrap().suspend, Some(true), "not fought");
}

async fn the_live_job_is_changed_while_a_newer_spec_waits(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "brake-waits").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let settings = json!({"settings": {"completions": 4, "parallelism": 4}});
    at.create("brake", spec(&json!({"run-seconds": "forever"}), &settings)).await;
    at.until_phase("brake", 1, "Running").await;
    at.change("brake", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    at.until("brake", "a newer spec waits", |status| message(status, "Ready").contains("a newer spec waits"))
        .await;
    at.change("brake", json!({"settings": {"parallelism": 1, "backoffLimit": 2}})).await;
    until_job(&at, "brake-1", "has one pod", |job| {
        job.parallelism == Some(1) && job.backoff_limit == Some(2)
    })
    .await;
    at.change("brake", json!({"settings": {"activeDeadlineSeconds": 1}})).await;
    // The deadline ends it, and the newer spec runs.
    let status = at.until("brake", "run 2 is there", |status| status["run"] == 2).await;
    assert_eq!(status["runs"][1]["reason"], "DeadlineExceeded");
}

/// Up and down, without a second run: also not once it has ended, nor when the status is lost. Other changes wait as ever.
async fn an_elastic_indexed_job_is_scaled_in_place(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "elastic").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let number = |number: i32| json!({"completions": number, "parallelism": number});
    let indexed = json!({"settings": {"completionMode": "Indexed", "completions": 2, "parallelism": 2}});
    at.create("elastic", spec(&json!({"run-seconds": "25"}), &indexed)).await;
    at.until_phase("elastic", 1, "Running").await;
    for indexes in [4, 3] {
        at.change("elastic", json!({"settings": number(indexes)})).await;
        let job = until_job(&at, "elastic-1", "is scaled", |job| job.completions == Some(indexes)).await;
        assert_eq!(job.parallelism, Some(indexes));
        let status = at.until("elastic", "shows it", |status| status["desired"] == indexes).await;
        assert_eq!((&status["run"], &status["pendingTrigger"]), (&json!(1), &json!(null)), "{status:#}");
        assert_eq!(status["settings"]["completions"], indexes);
        assert_eq!(condition(&status, "ChangeRefused"), "-");
    }
    // Kubernetes takes no other number of completions: that is a new run, which waits.
    at.change("elastic", json!({"settings": {"completions": 5}})).await;
    let status = at.until("elastic", "waits", |status| status["pendingTrigger"] == "SpecChange").await;
    assert_eq!(status["desired"], 3);
    at.change("elastic", json!({"settings": {"completions": 3}})).await;
    let status = at.until_phase("elastic", 1, "Completed").await;
    assert_eq!(status["completions"], "3/3");
    tokio::time::sleep(SETTLE).await;
    at.wipe_status("elastic").await;
    at.until_phase("elastic", 1, "Completed").await;
    tokio::time::sleep(SETTLE).await;
    assert_eq!(at.job_names().await, ["elastic-1"], "one run in all");
}
