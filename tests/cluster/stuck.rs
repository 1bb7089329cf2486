//! Many runs of one namespace that are stuck at the same time.

use std::sync::Arc;

use futures::{StreamExt, stream};
use serde_json::json;

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![many_stuck_runs_share_lists_of_events]
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
