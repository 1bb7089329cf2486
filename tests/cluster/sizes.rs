//! Objects near what the API server stores: each says so, and what to do.

use std::sync::Arc;

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::{Templates, message};

pub(crate) fn tests() -> Vec<Test> {
    tests![specs_and_jobs_that_do_not_fit_say_so, a_request_without_room_for_a_status_gets_an_event]
}

/// A container with long variables.
fn containers(prefix: &str, count: usize, length: usize) -> Value {
    let all = (0..count).map(|n| json!({"name": format!("{prefix}{n}"), "value": "x".repeat(length)}));
    json!([{"name": "main", "image": "perl:5.24.4", "env": all.collect::<Vec<_>>()}])
}

async fn specs_and_jobs_that_do_not_fit_say_so(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "sizes").await;
    let templates = Templates::in_namespace_of(&at);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("long", json!({"base": {"containers": containers("T", 7, 32_000)}})).await;
    templates.until("long", "is valid", |status| condition(status, "Ready") == "True Valid").await;
    let long = containers("V", 42, 32_000);
    for (name, request, said) in [
        ("spec", json!({"containers": containers("V", 47, 32_000)}), "spec: has 1505"),
        ("job", json!({"templateRef": {"name": "long"}, "containers": long}), "spec: makes a Job of 1570"),
    ] {
        at.create(name, request).await;
        let status = at.until(name, "is rejected", |status| status["phase"] == "Rejected").await;
        let why = message(&status, "Accepted");
        assert!(why.contains(said) && why.contains("refer to it by configRef"), "{name}: {why}");
        eventually(DEADLINE, "an event says so", async || {
            let events = at.events(name).await;
            if events.iter().any(|(reason, _)| reason == "Rejected") { Ok(()) } else { Err(events) }
        })
        .await;
    }
    at.create("fits", json!({"containers": long})).await;
    at.until_phase("fits", 1, "Completed").await;
    assert_eq!(at.job_names().await, ["fits-1"]);
}

async fn a_request_without_room_for_a_status_gets_an_event(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "full").await;
    // The longest that is stored leaves some hundred bytes.
    let mut length = 32_770;
    loop {
        let object = json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
            "metadata": {"name": "full"}, "spec": {"containers": containers("V", 48, length)}});
        let object = serde_json::from_value(object).unwrap();
        match at.api().create(&PostParams::default(), &object).await {
            Ok(_) => break,
            Err(_) => length -= 5,
        }
        assert!(length > 32_000, "none is stored");
    }
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let told = eventually(DEADLINE, "an event says that there is no room", async || {
        let events = at.events("full").await;
        let told = events.iter().find(|(reason, _)| reason == "StatusTooLarge").map(|(_, note)| note.clone());
        told.ok_or(events)
    })
    .await;
    assert!(told.contains("no status can be stored with it") && told.contains("configRef"), "{told}");
    // Others are served, and it is not tried again and again.
    at.create("other", json!({"containers": containers("V", 1, 1)})).await;
    at.until_phase("other", 1, "Completed").await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let tried = calls.matching(|call| call.subresource == "status" && call.name == "full").count();
    assert!((1..=3).contains(&tried), "{tried} writes: {calls:?}");
    assert_eq!(at.job_names().await, ["other-1"]);
    // Once it is smaller, it runs.
    at.change("full", json!({"containers": containers("V", 1, 1)})).await;
    at.until_phase("full", 1, "Completed").await;
}
