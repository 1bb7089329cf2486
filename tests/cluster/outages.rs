//! Outages: without the API server, or without the CRDs, the operator waits, says so, and catches up.

use std::sync::Arc;

use serde_json::json;

use crate::support::requests::{Requests, spec};
use crate::support::{Audit, Cluster, DEADLINE, Mark, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![api_server_goes_and_comes_back, missing_crds_are_waited_for,]
}

/// What the operator says to somebody who has not installed the CRDs.
const WHAT_TO_DO: &str = "jobrequest crds | kubectl apply --server-side -f -";

async fn api_server_goes_and_comes_back(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "outage").await;
    let mut operator = Operator::start(&cx, &at.namespace, &[]);
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    at.create("active", spec(&json!({"run-seconds": "5"}), &json!({}))).await;
    at.until_phase("active", 1, "Running").await;
    // This one is cut off wherever it just is.
    at.create("cut", spec(&json!({}), &json!({}))).await;
    let outage = cx.control_plane().outage().await;
    for what in ["JobRequests", "Jobs", "pods"] {
        log_says(&operator, &format!("the watch of {what} was interrupted")).await;
    }
    assert!(operator.is_running(), "{}", operator.log());

    outage.end().await;
    at.create("later", spec(&json!({}), &json!({}))).await;
    for name in ["active", "cut", "later"] {
        at.until_phase(name, 1, "Completed").await;
    }
    assert!(operator.is_running(), "{}", operator.log());
    assert_eq!(at.job_names().await, ["active-1", "cut-1", "later-1"]);
    // An API server that is killed after the create and before its answer leaves a Job, and no line in the audit log.
    let answered = jobs_created(&audit, mark).await;
    assert!(
        answered == ["active-1", "cut-1", "later-1"] || answered == ["active-1", "later-1"],
        "each is created once: {answered:?}"
    );
}

async fn missing_crds_are_waited_for(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    let at = Requests::new(&cx, "crds").await;
    let mut operator = Operator::start(&cx, &at.namespace, &[]);
    log_says(&operator, WHAT_TO_DO).await;
    let informed = Operator::start(&cx, &at.namespace, &[]);
    log_says(&informed, WHAT_TO_DO).await;
    assert!(informed.stop().await.success(), "SIGTERM is heard while it waits");

    cx.control_plane().install_crds().unwrap();
    at.create("first", spec(&json!({}), &json!({}))).await;
    at.until_phase("first", 1, "Completed").await;
    assert!(operator.is_running());
    assert_eq!(operator.log().matches(WHAT_TO_DO).count(), 1, "said once: {}", operator.log());

    // They may go again, with all requests, under a running operator.
    cx.kubectl(&["delete", "crd", "jobrequests.jobrequest.dev"]);
    log_says(&operator, "the watch of JobRequests was interrupted").await;
    cx.control_plane().install_crds().unwrap();
    at.create("second", spec(&json!({}), &json!({}))).await;
    at.until_phase("second", 1, "Completed").await;
    assert!(operator.is_running(), "{}", operator.log());
}

async fn log_says(operator: &Operator, words: &str) {
    eventually(DEADLINE, &format!("the operator's log says: {words}"), async || {
        let log = operator.log();
        if log.contains(words) { Ok(()) } else { Err(log) }
    })
    .await;
}

/// The Jobs that the operator created, by name, sorted; one that was created twice is there twice.
async fn jobs_created(audit: &Audit, mark: Mark) -> Vec<String> {
    let calls = audit.since(mark).await.user_agent("jobrequest/").resource("jobs.batch").verb("create");
    let mut names: Vec<_> =
        calls.iter().filter(|call| call.code == 201).map(|call| call.name.clone()).collect();
    names.sort();
    names
}
