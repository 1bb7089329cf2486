//! Crashes: whenever the operator is killed, its successor leaves each run with one Job and the right end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::{Witness, has_ended};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        killed_at_any_moment_of_a_start,
        killed_as_soon_as_the_job_is_there,
        killed_while_the_run_is_active,
        killed_before_the_result_is_recorded,
    ]
}

/// A start takes some twenty milliseconds: the kills are spread over it, from before it to after it.
async fn killed_at_any_moment_of_a_start(cx: Arc<Cluster>) {
    const KILLS: u64 = 16;
    let at = Requests::new(&cx, "crash-start").await;
    let witness = Witness::of(&at).await;
    for kill in 0..KILLS {
        let operator = Operator::start(&cx, &at.namespace, &[]);
        // It is ready when it has done something.
        at.create(&format!("ready-{kill}"), spec(&json!({}), &json!({}))).await;
        witness.sees(&format!("ready-{kill}-1"), |_| true).await;
        at.create(&format!("cut-{kill}"), spec(&json!({}), &json!({}))).await;
        tokio::time::sleep(Duration::from_millis(kill * 2)).await;
        operator.kill();
    }
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let names: Vec<String> =
        (0..KILLS).flat_map(|kill| [format!("ready-{kill}"), format!("cut-{kill}")]).collect();
    for name in &names {
        at.until_phase(name, 1, "Completed").await;
    }
    witness.saw_exactly(names.iter().map(|name| format!("{name}-1")));
}

async fn killed_as_soon_as_the_job_is_there(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "crash-created").await;
    let witness = Witness::of(&at).await;
    for name in ["one", "two", "three", "four"] {
        let operator = Operator::start(&cx, &at.namespace, &[]);
        at.create(name, spec(&json!({}), &json!({}))).await;
        witness.sees(&format!("{name}-1"), |_| true).await;
        operator.kill();
    }
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    for name in ["one", "two", "three", "four"] {
        at.until_phase(name, 1, "Completed").await;
    }
    witness.saw_exactly(["one-1", "two-1", "three-1", "four-1"].map(str::to_owned));
}

async fn killed_while_the_run_is_active(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "crash-active").await;
    let witness = Witness::of(&at).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("quiet", spec(&json!({"run-seconds": "4"}), &json!({}))).await;
    at.create("edited", spec(&json!({"run-seconds": "4"}), &json!({}))).await;
    at.until_phase("quiet", 1, "Running").await;
    at.until_phase("edited", 1, "Running").await;
    operator.kill();
    // What changes while nobody looks is one run after the active one.
    at.change("edited", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.until_phase("quiet", 1, "Completed").await;
    let status = at.until_phase("edited", 2, "Completed").await;
    assert_eq!(status["runs"][1]["result"], "Succeeded");
    witness.saw_exactly(["quiet-1", "edited-1", "edited-2"].map(str::to_owned));
}

async fn killed_before_the_result_is_recorded(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "crash-ended").await;
    let witness = Witness::of(&at).await;
    let names = [("good-1", "0"), ("bad-1", "3"), ("good-2", "0"), ("bad-2", "3")];
    for (name, code) in names {
        let operator = Operator::start(&cx, &at.namespace, &[]);
        let settings = json!({"settings": {"backoffLimit": 0}});
        at.create(name, spec(&json!({"exit-code": code}), &settings)).await;
        witness.sees(&format!("{name}-1"), has_ended).await;
        operator.kill();
    }
    // The last one certainly ends without one of our witnesses.
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("unseen", spec(&json!({"run-seconds": "2"}), &json!({}))).await;
    at.until_phase("unseen", 1, "Running").await;
    operator.kill();
    witness.sees("unseen-1", has_ended).await;
    assert!(at.get("unseen").await["status"]["runs"][0]["result"].is_null());

    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.until_phase("unseen", 1, "Completed").await;
    for (name, code) in names {
        let (phase, reason) = if code == "0" {
            ("Completed", "True Completed")
        } else {
            ("Failed", "False BackoffLimitExceeded")
        };
        let status = at.until_phase(name, 1, phase).await;
        assert_eq!(condition(&status, "Ready"), reason);
    }
    let all = names.iter().map(|(name, _)| *name).chain(["unseen"]);
    witness.saw_exactly(all.map(|name| format!("{name}-1")));
}
