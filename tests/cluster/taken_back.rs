//! Runs that are reserved and never got a Job: what becomes of them when the change is taken back, fixed, or asked for again.

use std::sync::Arc;
use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::Templates;

pub(crate) fn tests() -> Vec<Test> {
    tests![
        an_invalid_change_that_is_taken_back_runs_nothing,
        a_forbidden_change_that_is_taken_back_runs_nothing,
        a_token_that_comes_with_the_fix_is_one_run,
        a_token_that_comes_while_the_job_is_forbidden_is_one_run,
        a_fix_is_tried_at_once,
        an_invalid_job_is_judged_again_when_its_template_changes,
        an_invalid_job_is_judged_again_when_a_rerun_asks,
    ]
}

/// Long enough for an operator that would do more.
const SETTLE: Duration = Duration::from_secs(2);
const RERUN: &str = "jobrequest.dev/rerun";

fn image(image: &str) -> Value {
    json!({"containers": [{"name": "main", "image": image}]})
}

/// The API server refuses it, and the operator leaves that to it: there is no such DNS policy.
fn invalid() -> Value {
    json!({"overrides": {"template": {"spec": {"dnsPolicy": "Odd"}}}})
}

/// Everything is as it was before the change, and the next change runs.
async fn is_as_before(at: &Requests, name: &str, before: &Value, witness: &Witness) {
    let after = at.until_phase(name, 1, "Completed").await;
    for type_ in ["Accepted", "Ready", "Finished", "Complete", "Stalled", "Reconciling"] {
        assert_eq!(condition(&after, type_), condition(before, type_), "{after:#}");
    }
    for field in ["completions", "startTime", "endTime", "duration", "jobName"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly([format!("{name}-1")]);
    at.change(name, image("perl:5.38")).await;
    let status = at.until_phase(name, 2, "Completed").await;
    let numbers: Vec<_> =
        status["runs"].as_array().unwrap().iter().map(|run| run["number"].clone()).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(status["runs"][0]["trigger"], "SpecChange");
    witness.saw_exactly([format!("{name}-1"), format!("{name}-2")]);
}

async fn an_invalid_change_that_is_taken_back_runs_nothing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "taken-back").await;
    let witness = Witness::of(&at).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("back", spec(&json!({}), &json!({}))).await;
    let before = at.until_phase("back", 1, "Completed").await;
    at.change("back", invalid()).await;
    at.until("back", "is rejected", |status| condition(status, "Accepted") == "False JobInvalid").await;
    // One that takes over knows no more than the status says.
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.change("back", json!({"overrides": null})).await;
    is_as_before(&at, "back", &before, &witness).await;
}

async fn a_forbidden_change_that_is_taken_back_runs_nothing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "taken-back-quota").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("back", spec(&json!({}), &json!({}))).await;
    let before = at.until_phase("back", 1, "Completed").await;
    let quotas = at.limit("no-more-jobs", json!({"count/jobs.batch": "1"})).await;
    at.change("back", image("perl:5.36")).await;
    at.until("back", "waits", |status| condition(status, "Ready") == "False JobForbidden").await;
    at.change("back", image("perl:5.24.4")).await;
    at.until_phase("back", 1, "Completed").await;
    quotas.delete("no-more-jobs", &DeleteParams::default()).await.unwrap();
    is_as_before(&at, "back", &before, &witness).await;
}

async fn a_token_that_comes_with_the_fix_is_one_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "fix-token").await;
    let witness = Witness::of(&at).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("fix", spec(&json!({}), &invalid())).await;
    at.until("fix", "is rejected", |status| condition(status, "Accepted") == "False JobInvalid").await;
    at.change("fix", json!({"overrides": null, "rerun": "x"})).await;
    let status = at.until_phase("fix", 1, "Completed").await;
    assert_eq!(status["lastHandledRerun"]["spec"], "x");
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly(["fix-1".to_owned()]);
}

async fn a_token_that_comes_while_the_job_is_forbidden_is_one_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "waits-token").await;
    let witness = Witness::of(&at).await;
    let quotas = at.limit("no-jobs", json!({"count/jobs.batch": "0"})).await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("waits", spec(&json!({}), &json!({}))).await;
    at.until("waits", "waits", |status| condition(status, "Ready") == "False JobForbidden").await;
    at.annotate("waits", RERUN, "1").await;
    at.until("waits", "has taken the token in", |status| status["lastHandledRerun"]["annotation"] == "1")
        .await;
    quotas.delete("no-jobs", &DeleteParams::default()).await.unwrap();
    let status = at.until_phase("waits", 1, "Completed").await;
    assert_eq!(status["lastHandledRerun"]["annotation"], "1");
    tokio::time::sleep(SETTLE).await;
    witness.saw_exactly(["waits-1".to_owned()]);
}

/// However long the pause has grown by then.
async fn a_fix_is_tried_at_once(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "fix-at-once").await;
    at.limit("small", json!({"count/jobs.batch": "0"})).await;
    let audit = cx.audit().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("fix", spec(&json!({}), &json!({}))).await;
    at.until("fix", "waits", |status| condition(status, "Ready") == "False JobForbidden").await;
    for run in 0..8 {
        let mark = audit.mark().await;
        at.change("fix", image(&format!("perl:5.{run}"))).await;
        eventually(DEADLINE, "the new Job is tried", async || {
            let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
            (calls.resource("jobs.batch").verb("create").count() > 0).then_some(())
        })
        .await;
    }
}

async fn an_invalid_job_is_judged_again_when_its_template_changes(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "invalid-template").await;
    let templates = Templates::in_namespace_of(&at);
    templates.apply("base", json!({"base": invalid()})).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("uses", spec(&json!({}), &json!({"templateRef": {"name": "base"}}))).await;
    at.until("uses", "is rejected", |status| condition(status, "Accepted") == "False JobInvalid").await;
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("base", json!({"description": "corrected"})).await;
    let status = at.until_phase("uses", 1, "Completed").await;
    assert_eq!(condition(&status, "Accepted"), "True Valid");
    assert_eq!(status["runs"][0]["templates"][0]["generation"], 2);
}

async fn an_invalid_job_is_judged_again_when_a_rerun_asks(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "invalid-token").await;
    let audit = cx.audit().await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("asks", spec(&json!({}), &invalid())).await;
    at.until("asks", "is rejected", |status| condition(status, "Accepted") == "False JobInvalid").await;
    for token in ["1", "2"] {
        let mark = audit.mark().await;
        at.annotate("asks", RERUN, token).await;
        at.until("asks", "has judged it again", |status| {
            status["lastHandledRerun"]["annotation"] == token
                && condition(status, "Accepted") == "False JobInvalid"
        })
        .await;
        tokio::time::sleep(SETTLE).await;
        let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
        assert_eq!(calls.resource("jobs.batch").verb("create").count(), 1, "once for each token");
    }
}
