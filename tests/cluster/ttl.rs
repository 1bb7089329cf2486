//! Time to live: a Job goes some time after its result is recorded, the record stays, and the Job never comes back.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::requests::{Requests, spec};
use crate::support::witness::Witness;
use crate::support::{Cluster, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![deletes_the_job_and_keeps_the_record,]
}

/// Rule 6 of the run protocol makes every delete wait for two minutes: a late create may be in flight.
const BEYOND_GRACE: Duration = Duration::from_secs(240);

async fn deletes_the_job_and_keeps_the_record(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "ttl").await;
    let witness = Witness::of(&at).await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    let after_finished = json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 1});
    let after_failed = json!({"backoffLimit": 0, "ttlSecondsAfterFailed": 1});
    let failed_later =
        json!({"backoffLimit": 0, "ttlSecondsAfterFinished": 1, "ttlSecondsAfterFailed": 86400});
    let cases = [
        ("good-goes", "0", &after_finished, "Completed"),
        ("bad-goes", "3", &after_failed, "Failed"),
        ("good-stays", "0", &after_failed, "Completed"),
        ("bad-stays", "3", &failed_later, "Failed"),
        // The second one's default is the first one.
        ("bad-follows", "3", &after_finished, "Failed"),
    ];
    let mut manifests = Vec::new();
    for (name, code, settings, _) in cases {
        let manifest = cx.log(&format!("{name}.json"));
        let object = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
            "metadata": {"name": name, "namespace": at.namespace.name()},
            "spec": spec(&json!({"exit-code": code}), &json!({"settings": settings}))
        });
        fs::write(&manifest, object.to_string()).unwrap();
        manifests.push(manifest.display().to_string());
    }
    let apply = || manifests.iter().for_each(|path| drop(cx.kubectl(&["apply", "-f", path])));
    apply();
    let mut ended: Vec<Value> = Vec::new();
    for (name, _, _, phase) in cases {
        ended.push(at.until_phase(name, 1, phase).await);
    }
    eventually(BEYOND_GRACE, "the Jobs whose time is over are gone, the others are there", async || {
        let names = at.job_names().await;
        if names == ["bad-stays-1", "good-stays-1"] { Ok(()) } else { Err(names) }
    })
    .await;

    // A Job may be gone a moment before its delete is answered; after another run, that is in the log.
    at.create("settled", spec(&json!({}), &json!({}))).await;
    at.until_phase("settled", 1, "Completed").await;

    // GitOps applies the same again and again, also over a restart; there is nothing to do.
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    for _ in 0..3 {
        apply();
    }
    operator.kill();
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    apply();
    // Another run, made and finished after that, shows that the operator had its chance.
    at.create("later", spec(&json!({}), &json!({}))).await;
    at.until_phase("later", 1, "Completed").await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let about = calls.matching(|call| cases.iter().any(|(name, ..)| call.name.starts_with(name)));
    assert_eq!(about.writes().count(), 0, "{about}");
    for ((name, ..), status) in cases.iter().zip(ended) {
        assert_eq!(at.get(name).await["status"], status, "{name}: the record stays as it was");
    }
    assert_eq!(at.job_names().await, ["bad-stays-1", "good-stays-1", "later-1", "settled-1"]);
    let names = cases.iter().map(|(name, ..)| *name).chain(["later", "settled"]);
    witness.saw_exactly(names.map(|name| format!("{name}-1")));
}
