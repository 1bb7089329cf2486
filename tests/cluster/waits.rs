//! What `kubectl wait` says, in each of its usual forms: never the result of an older spec, and never nothing at all.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_run_that_completes,
        a_run_that_fails,
        a_bad_spec_after_a_good_run,
        a_change_while_no_operator_is_there,
        a_rerun_by_annotation,
        a_change_that_is_held,
    ]
}

/// Long enough for a wait that is met at once.
const AT_ONCE: &str = "3s";
/// For a wait that is met in the end.
const AT_LAST: &str = "50s";

/// Whether the wait is met within `timeout`.
fn waits(cx: &Cluster, at: &Requests, name: &str, form: &str, timeout: &str) -> bool {
    let (name, form, timeout) =
        (format!("jobrequest/{name}"), format!("--for={form}"), format!("--timeout={timeout}"));
    let outcome = cx.try_kubectl(&["wait", "-n", at.namespace.name(), &name, &form, &timeout]);
    match outcome {
        Ok(_) => true,
        Err(problem) => {
            assert!(problem.contains("timed out"), "{problem}");
            false
        }
    }
}

/// Each form is met, or not.
fn table(cx: &Cluster, at: &Requests, name: &str, rows: &[(&str, bool)]) {
    for (form, is_met) in rows {
        assert_eq!(waits(cx, at, name, form, AT_ONCE), *is_met, "{form}");
    }
}

fn bad() -> Value {
    json!({"containers": [{"name": "main", "image": null}]})
}

async fn a_run_that_completes(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wait-completes").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("good", spec(&json!({}), &json!({}))).await;
    for form in
        ["condition=Finished", "condition=Complete", "condition=Ready", "jsonpath={.status.phase}=Completed"]
    {
        assert!(waits(&cx, &at, "good", form, AT_LAST), "{form}");
    }
    table(&cx, &at, "good", &[("condition=Failed", false), ("condition=Stalled", false)]);
    // An edit that means nothing is no newer run to wait for.
    at.change("good", json!({"alias": "still good"})).await;
    for form in ["condition=Complete", "condition=Finished", "condition=Ready"] {
        assert!(waits(&cx, &at, "good", form, AT_LAST), "{form} after a new alias");
    }
}

async fn a_run_that_fails(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wait-fails").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let once = json!({"settings": {"backoffLimit": 0}});
    at.create("poor", spec(&json!({"exit-code": "3"}), &once)).await;
    for form in ["condition=Finished", "condition=Failed", "condition=Stalled"] {
        assert!(waits(&cx, &at, "poor", form, AT_LAST), "{form}");
    }
    table(&cx, &at, "poor", &[("condition=Complete", false), ("condition=Ready", false)]);
}

async fn a_bad_spec_after_a_good_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wait-bad").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("turns", spec(&json!({}), &json!({}))).await;
    assert!(waits(&cx, &at, "turns", "condition=Complete", AT_LAST));
    at.change("turns", bad()).await;
    assert!(waits(&cx, &at, "turns", "condition=Finished", AT_LAST), "it ends");
    let rows = [
        ("condition=Complete", false),
        ("condition=Ready", false),
        ("condition=Failed", false),
        ("condition=Stalled", true),
        ("condition=Accepted=false", true),
        ("jsonpath={.status.phase}=Rejected", true),
    ];
    table(&cx, &at, "turns", &rows);
    at.change("turns", json!({"containers": [{"name": "main", "image": "perl:5.24.4"}]})).await;
    assert!(waits(&cx, &at, "turns", "condition=Complete", AT_LAST), "what has run is complete again");
}

async fn a_change_while_no_operator_is_there(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wait-away").await;
    let operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("later", spec(&json!({}), &json!({}))).await;
    assert!(waits(&cx, &at, "later", "condition=Complete", AT_LAST));
    operator.kill();
    at.change("later", json!({"rerun": "now"})).await;
    let rows = [("condition=Complete", false), ("condition=Finished", false), ("condition=Ready", false)];
    table(&cx, &at, "later", &rows);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    assert!(waits(&cx, &at, "later", "condition=Complete", AT_LAST));
    assert_eq!(at.get("later").await["status"]["run"], 2);
}

/// An annotation changes no generation: the token is waited for first.
async fn a_rerun_by_annotation(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wait-token").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("again", spec(&json!({}), &json!({}))).await;
    assert!(waits(&cx, &at, "again", "condition=Complete", AT_LAST));
    at.annotate("again", "jobrequest.dev/rerun", "once-more").await;
    let token = "jsonpath={.status.lastHandledRerun.annotation}=once-more";
    assert!(waits(&cx, &at, "again", token, AT_LAST));
    assert!(waits(&cx, &at, "again", "condition=Finished", AT_LAST));
    let status = at.get("again").await["status"].clone();
    assert_eq!((&status["run"], &status["phase"]), (&json!(2), &json!("Completed")));
}

async fn a_change_that_is_held(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "wait-held").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("held", spec(&json!({}), &json!({"runPolicy": {"onSpecChange": "Hold"}}))).await;
    assert!(waits(&cx, &at, "held", "condition=Complete", AT_LAST));
    at.change("held", json!({"containers": [{"name": "main", "image": "perl:5.40"}]})).await;
    assert!(waits(&cx, &at, "held", "condition=PendingChanges", AT_LAST));
    // Nothing of the new spec is complete; what GitOps tools wait for is.
    table(&cx, &at, "held", &[("condition=Complete", false), ("condition=Ready", true)]);
}
