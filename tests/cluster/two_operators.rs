//! Two operators at once, as in a rollout: each run has one Job, and they do not fight.

use std::sync::Arc;

use serde_json::json;

use crate::support::requests::{Requests, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![one_job_per_run_and_no_storm,]
}

const REQUESTS: usize = 10;

async fn one_job_per_run_and_no_storm(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "two").await;
    let witness = Witness::of(&at).await;
    let audit = cx.audit().await;
    let mut operators = [Operator::start(&cx, &at.namespace, &[]), Operator::start(&cx, &at.namespace, &[])];
    // Both are at work.
    for operator in &operators {
        crate::support::eventually(crate::support::DEADLINE, "both operators reconcile", async || {
            let log = operator.log();
            if log.contains("caches are filled") { Ok(()) } else { Err(log) }
        })
        .await;
    }
    let mark = audit.mark().await;
    let names: Vec<String> = (0..REQUESTS).map(|number| format!("shared-{number}")).collect();
    for name in &names {
        at.create(name, spec(&json!({"run-seconds": "20"}), &json!({}))).await;
    }
    let image = |image: &str| json!({"containers": [{"name": "main", "image": image}]});
    for name in &names {
        at.until_phase(name, 1, "Running").await;
        at.change(name, image("perl:5.36")).await;
        at.change(name, json!({"alias": "再来一次", "settings": {"backoffLimit": 2}})).await;
        at.change(name, image("perl:5.40")).await;
    }
    let mut runs = Vec::new();
    for name in &names {
        let status = at.until_phase(name, 2, "Completed").await;
        let records = status["runs"].as_array().unwrap();
        assert!(records.iter().all(|run| run["result"] == "Succeeded"), "{status:#}");
        runs.extend(records.iter().map(|run| run["jobName"].as_str().unwrap().to_owned()));
        let job = at.jobs().get(&format!("{name}-2")).await.unwrap();
        let image = job.spec.unwrap().template.spec.unwrap().containers[0].image.clone();
        assert_eq!(image.as_deref(), Some("perl:5.40"), "of the newest spec only");
    }
    assert_eq!(runs.len(), 2 * REQUESTS);
    witness.saw_exactly(runs);

    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let refused = calls.matching(|call| call.code >= 400);
    println!(
        "figure: two operators, {} runs: {} calls, {} of them refused",
        2 * REQUESTS,
        calls.count(),
        refused.count()
    );
    // Each lets the other win and looks again: some refusals a transition, not a turning wheel.
    assert!(refused.count() <= 2 * REQUESTS * 10, "{refused}");
    assert_eq!(calls.matching(|call| call.code >= 500).count(), 0, "{calls}");
    for operator in &mut operators {
        assert!(operator.is_running());
        let log = operator.log();
        let complaints: Vec<&str> =
            log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
