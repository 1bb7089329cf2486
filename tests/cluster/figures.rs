//! The figures that the operator holds, counted from the API server's audit log, and printed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![calls_of_a_successful_run, no_write_after_a_restart,]
}

/// Requests of the operator about single objects: lists and watches of a kind are its caches.
const AGENT: &str = "jobrequest/";

async fn calls_of_a_successful_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "figures").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    // The first one fills caches and connections; the second is counted.
    at.create("warm-up", spec(&json!({}), &json!({}))).await;
    at.until_phase("warm-up", 1, "Completed").await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let audit = cx.audit().await;
    let mark = audit.mark().await;
    at.create("counted", spec(&json!({}), &json!({"settings": {"completions": 4, "parallelism": 2}}))).await;
    at.until_phase("counted", 1, "Completed").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent(AGENT);
    let calls = calls.matching(|call| call.verb != "watch");
    let creates = calls.resource("jobs.batch").verb("create").count();
    let statuses = calls.resource("jobrequests.jobrequest.dev/status").count();
    let events = calls.resource("events.events.k8s.io").count();
    let reads = calls.count() - calls.writes().count();
    println!(
        "figure: calls of a successful run: {creates} Job create (1), {statuses} status writes (at most 4), {events} events (at most 2), {reads} reads (0)"
    );
    for call in calls.iter() {
        println!("figure:   {} {} {} {}", call.verb, call.resource, call.subresource, call.code);
    }
    assert_eq!((creates, reads), (1, 0));
    assert!(statuses <= 4 && events <= 2);
    assert_eq!(calls.count(), creates + statuses + events, "nothing else");

    let mark = audit.mark().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let resting = audit.since(mark).await.namespace(at.namespace.name()).user_agent(AGENT);
    let resting = resting.matching(|call| call.verb != "watch").count();
    println!("figure: calls at rest in 60 s: {resting} (0)");
    assert_eq!(resting, 0);
}

async fn no_write_after_a_restart(cx: Arc<Cluster>) {
    const FINISHED: usize = 200;
    let at = Requests::new(&cx, "restart").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    for number in 0..FINISHED {
        at.create(&format!("done-{number}"), spec(&json!({}), &json!({}))).await;
    }
    for number in 0..FINISHED {
        at.until_phase(&format!("done-{number}"), 1, "Completed").await;
    }
    operator.stop().await;

    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    // One more run shows that the operator has looked at all of them: they are reconciled in the order of the list.
    at.create("later", spec(&json!({}), &json!({}))).await;
    at.until_phase("later", 1, "Completed").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    operator.stop().await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent(AGENT);
    let about_finished = calls.matching(|call| call.name.starts_with("done-"));
    let (writes, reads) =
        (about_finished.writes().count(), about_finished.count() - about_finished.writes().count());
    println!(
        "figure: after a restart with {FINISHED} finished requests: {writes} writes (0), {reads} reads of one (0)"
    );
    assert_eq!((writes, reads), (0, 0));
}
