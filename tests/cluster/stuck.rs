//! Runs that are stuck before their work has begun: many at the same time, and the fix that unblocks one.

use std::sync::Arc;

use futures::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, Operator, Test};
use crate::templates::message;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        many_stuck_runs_share_lists_of_events,
        a_fix_replaces_a_run_that_never_started,
        a_run_whose_work_has_begun_is_waited_for,
    ]
}

/// How many runs are stuck.
const RUNS: usize = 60;

/// A quota refuses the pods of all: each says so, and few lists of events were needed.
async fn many_stuck_runs_share_lists_of_events(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "stuck").await;
    at.limit("no-pods", json!({"pods": "0"})).await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let names: Vec<String> = (0..RUNS).map(|number| format!("r-{number}")).collect();
    for name in &names {
        at.create(name, spec(&json!({}), &json!({}))).await;
    }
    let explained = stream::iter(&names).map(|name| {
        at.until(name, "says why it has no pods", |status| {
            condition(status, "Ready") == "False PodsForbidden"
                && status.to_string().contains("exceeded quota: no-pods")
        })
    });
    let explained: Vec<_> = explained.buffered(4).collect().await;
    assert_eq!(explained.len(), RUNS);
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let lists = calls.resource("events").verb("list").count();
    println!("figure: {RUNS} stuck runs were explained by {lists} lists of events (fewer than {RUNS})");
    assert!((1..RUNS).contains(&lists), "{lists} lists");
}

/// Whatever it is stuck with, and although runPolicy.whileActive is Wait. Nothing of it runs beside the fixed one.
async fn a_fix_replaces_a_run_that_never_started(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "fixes").await;
    let tight = Requests::new(&cx, "fixes-quota").await;
    tight.limit("small", json!({"requests.cpu": "1"})).await;
    let alone = |at: &Requests| format!("--leader-elect-resource-namespace={}", at.namespace.name());
    let _operators =
        [&at, &tight].map(|at| Operator::start(&cx, &at.namespace, &["--leader-elect", &alone(at)]));
    let cpu = |cpu: &str| json!({"containers": [{"name": "main", "image": "perl", "resources": {"limits": {"cpu": cpu}}}]});
    let init = json!({"initContainers": [{"name": "wait", "image": "busybox"}]});
    let nodes = json!({"nodeSelector": {"disk": "none"}});
    let pull = json!({"pull": "never"});
    let ran =
        json!({"annotations": {"sim.jobrequest.dev/pull": null, "sim.jobrequest.dev/run-seconds": "1"}});
    let configured =
        json!({"annotations": {"sim.jobrequest.dev/config": null, "sim.jobrequest.dev/run-seconds": "1"}});
    let cases = [
        (&at, "image", pull.clone(), json!({}), "ImagePullFailed", ran.clone()),
        (&at, "behind-init", pull, init, "ImagePullFailed", ran),
        (&at, "config", json!({"config": "missing"}), json!({}), "ContainerConfigError", configured),
        (&at, "node", json!({}), nodes, "Unschedulable", json!({"nodeSelector": null})),
        (&tight, "quota", json!({}), cpu("4"), "PodsForbidden", cpu("500m")),
    ];
    for (at, name, simulated, more, ..) in &cases {
        at.create(name, spec(simulated, more)).await;
    }
    let witness = Witness::of(&at).await;
    for (at, name, _, _, reason, fix) in &cases {
        let is_stuck = |status: &Value| condition(status, "Ready") == format!("False {reason}");
        at.until(name, &format!("is stuck with {reason}"), is_stuck).await;
        at.change(name, fix.clone()).await;
    }
    for (at, name, ..) in &cases {
        let status = at.until_phase(name, 2, "Completed").await;
        let old = &status["runs"][1];
        assert_eq!((&old["result"], &old["stop"]), (&json!("Replaced"), &json!("NeverStarted")), "{name}");
        let said = "it was stopped for a newer run: it was stuck before its work had begun";
        let message = old["message"].as_str().unwrap();
        assert!(message.starts_with(said), "{name}: {message}");
        // What a suspension held back was stuck on nothing else.
        assert_eq!(message.len() > said.len(), old["failure"].is_object(), "{name}: {old:#}");
    }
    assert!(witness.names().values().all(|jobs| *jobs == 1), "{:?}", witness.names());
}

async fn a_run_whose_work_has_begun_is_waited_for(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "begun").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let two =
        json!({"containers": [{"name": "main", "image": "perl"}, {"name": "other", "image": "curl:8"}]});
    let stuck = json!({"pull": "never", "container": "other", "run-seconds": "forever"});
    at.create("works", spec(&stuck, &two)).await;
    at.until("works", "is held up", |status| condition(status, "Ready") == "False ImagePullFailed").await;
    at.change("works", json!({"labels": {"newer": "yes"}})).await;
    let waits = "a newer spec waits until it has ended; runPolicy.whileActive: Replace stops it";
    let status = at.until("works", "waits", |status| message(status, "Ready").contains(waits)).await;
    assert_eq!((&status["phase"], &status["run"]), (&json!("Running"), &json!(1)));
    assert!(status["runs"][0]["stop"].is_null(), "{status:#}");
}
