//! Objects of an older schema: one that today's types cannot read says so, and holds up nobody else.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec, try_create};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

const CRD: &str = "crds/jobrequests.jobrequest.dev.yaml";

pub(crate) fn tests() -> Vec<Test> {
    tests![unreadable_specs_are_reported_once,]
}

/// Name, spec, and what the report names.
fn unreadable() -> [(&'static str, Value, &'static str); 2] {
    let words = json!({"settings": {"backoffLimit": "five"}});
    [
        ("a-field", spec(&json!({}), &words), "settings.backoffLimit"),
        ("a-list", json!({"containers": "none", "gone": true}), "containers"),
    ]
}

async fn unreadable_specs_are_reported_once(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    let at = Requests::new(&cx, "old").await;
    install_loose_crd(&cx);
    until_verdict(&at, true).await;
    for (name, spec, _) in unreadable() {
        at.create(name, spec).await;
    }
    // The rules of the CRD cannot judge it, so the API server refuses its status, too: only the log can tell of it.
    at.create("no-map", json!(7)).await;
    at.create("odd-status", spec(&json!({}), &json!({}))).await;
    let odd = r#"{"status": {"runs": "one", "observedGeneration": 1}}"#;
    let patch = ["patch", "jobrequest", "odd-status", "--subresource=status", "--type=merge", "-p", odd];
    cx.kubectl(&[&["-n", at.namespace.name()], patch.as_slice()].concat());
    cx.kubectl(&["replace", "-f", CRD]);
    cx.control_plane().install_crds().unwrap();
    until_verdict(&at, false).await;

    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let mut operator = Operator::start(&cx, &at.namespace, &[]);
    for (name, _, named) in unreadable() {
        let status = at.until(name, "is rejected", |status| status["phase"] == "Rejected").await;
        assert_eq!(condition(&status, "Accepted"), "False Unreadable");
        assert_eq!(condition(&status, "Stalled"), "True Unreadable");
        let message = status["conditions"][0]["message"].as_str().unwrap();
        assert!(message.contains(named), "{message}");
    }
    // A status that cannot be read counts as wiped.
    at.until_phase("odd-status", 1, "Completed").await;
    at.create("other", spec(&json!({}), &json!({}))).await;
    at.until_phase("other", 1, "Completed").await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    for (name, ..) in unreadable() {
        let status = calls.matching(|call| call.name == name && call.subresource == "status");
        assert_eq!(status.count(), 1, "{name} is reported once: {status}");
    }
    let calls = calls.matching(|call| call.verb != "watch");
    let refused = calls.matching(|call| call.code == 422).count();
    assert!(refused <= 12 && calls.count() - refused <= 40, "few tries at no-map, two runs: {calls}");
    eventually(DEADLINE, "the log names no-map", async || {
        let log = operator.log();
        if names(&log, "no-map") { Ok(()) } else { Err(log) }
    })
    .await;

    // Nor does a restart start it over.
    let mark = audit.mark().await;
    assert!(operator.is_running());
    operator.kill();
    let mut operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("after", spec(&json!({}), &json!({}))).await;
    at.until_phase("after", 1, "Completed").await;
    let calls = audit.since(mark).await.namespace(at.namespace.name()).user_agent("jobrequest/");
    let about = calls.matching(|call| unreadable().iter().any(|(name, ..)| call.name.starts_with(name)));
    assert_eq!(about.writes().count(), 0, "{about}");
    assert!(operator.is_running());
    let log = operator.log();
    assert!(!unreadable().iter().any(|(name, ..)| names(&log, name)), "{log}");

    at.change("a-field", json!({"settings": {"backoffLimit": 5}})).await;
    at.until_phase("a-field", 1, "Completed").await;
    assert_eq!(at.job_names().await, ["a-field-1", "after-1", "odd-status-1", "other-1"]);
}

/// The log says that this one could not be reconciled.
fn names(log: &str, name: &str) -> bool {
    let name = format!("request=\"{name}\"");
    log.lines().any(|line| line.contains("could not reconcile") && line.contains(&name))
}

/// The CRD without a schema, as an early version might have been.
fn install_loose_crd(cx: &Cluster) {
    let real = cx.kubectl(&["create", "--dry-run=client", "-o", "json", "-f", CRD]);
    let mut crd: Value = serde_json::from_str(&real).expect("one CRD");
    for version in crd["spec"]["versions"].as_array_mut().expect("versions") {
        let version = version.as_object_mut().expect("a version");
        version.remove("selectableFields");
        version.remove("additionalPrinterColumns");
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        version.insert("schema".to_owned(), json!({"openAPIV3Schema": anything}));
    }
    let loose = cx.log("loose-crd.json");
    fs::write(&loose, crd.to_string()).unwrap();
    let loose = loose.display().to_string();
    cx.kubectl(&["create", "-f", &loose]);
}

/// Waits until the API server judges by the CRD that was installed last.
async fn until_verdict(at: &Requests, takes_words: bool) {
    let object = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {"name": "probe"}, "spec": {"settings": {"backoffLimit": "five"}}
    });
    let collection = format!("/apis/jobrequest.dev/v1alpha1/namespaces/{}/jobrequests", at.namespace.name());
    eventually(DEADLINE, "the API server knows the CRD", async || {
        let verdict = try_create(&at.client, &collection, &object).await;
        if verdict.is_ok() == takes_words { Ok(()) } else { Err(verdict) }
    })
    .await;
}
