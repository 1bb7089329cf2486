//! The limits of policies hold for what the API server stores, and for Jobs that are live.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, Operator, Test};
use crate::templates::{Templates, message};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_live_job_is_judged_by_its_own_pods]
}

fn preset(cpu: &str) -> Value {
    json!({
        "quotas": {"mine": {"limits": {"cpu": cpu}}},
        "policy": {"resources": {"runMax": {"cpu": "8"}}},
    })
}

/// The preset of a large Job is made small, and then the Job is widened: its pods stay as large as they are.
async fn a_live_job_is_judged_by_its_own_pods(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "widened").await;
    let templates = Templates::in_namespace_of(&at);
    let operator = Operator::start(&cx, &at.namespace, &[]);
    templates.apply("mine", preset("4")).await;
    templates.until("mine", "is valid", |status| condition(status, "Ready") == "True Valid").await;
    let large = json!({
        "templateRef": {"name": "mine"},
        "containers": [{"name": "main", "image": "perl:5.24.4", "quota": "mine"}],
        "settings": {"completions": 30},
    });
    at.create("large", spec(&json!({"run-seconds": "forever"}), &large)).await;
    at.until_phase("large", 1, "Running").await;

    templates.apply("mine", preset("10m")).await;
    templates.until("mine", "is small", |status| status["observedGeneration"] == 2).await;
    at.change("large", json!({"settings": {"parallelism": 30, "backoffLimit": 2}})).await;
    let is_refused = |status: &Value| condition(status, "ChangeRefused") == "True LimitsExceeded";
    let status = at.until("large", "is not widened", is_refused).await;
    let said = message(&status, "ChangeRefused");
    assert!(
        said.contains("spec.settings.parallelism: 30 pods of the live Job may use 120 of cpu (4 each), but JobTemplate/mine allows a run at most 8 of cpu; set it to at most 2"),
        "{said}"
    );
    let live = async || at.jobs().get("large-1").await.unwrap().spec.unwrap();
    assert_eq!(
        (live().await.parallelism, live().await.backoff_limit),
        (Some(1), Some(2)),
        "the rest is patched"
    );
    let warnings = at.events("large").await.into_iter().filter(|(reason, _)| reason == "ChangeRefused");
    assert_eq!(warnings.count(), 1);

    // Whoever starts anew reads the pods of the live Job.
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.change("large", json!({"settings": {"parallelism": 3}, "suspend": true})).await;
    let status = at
        .until("large", "is suspended", |status| is_refused(status) && status["phase"] == "Suspended")
        .await;
    assert!(
        message(&status, "ChangeRefused").contains("3 pods of the live Job may use 12 of cpu"),
        "{status}"
    );
    assert_eq!((live().await.parallelism, live().await.suspend), (Some(1), Some(true)));
    at.change("large", json!({"settings": {"parallelism": 2}, "suspend": false})).await;
    at.until("large", "is widened", |status| condition(status, "ChangeRefused") == "-").await;
    assert_eq!(live().await.parallelism, Some(2));
}
