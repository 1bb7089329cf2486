//! What kstatus makes of an object of a kind that it does not know: the generic rules of sigs.k8s.io/cli-utils.
//!
//! Flux, kpt, Argo CD's sync waves and `kubectl`-like tools decide by them whether an apply has succeeded. Conditions
//! are read in the order of the list, as the real one does.

use libtest_mimic::Trial;
use serde_json::Value;

pub(crate) fn tests() -> Vec<Trial> {
    tests![kstatus_reads_conditions_in_their_order]
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kstatus {
    Terminating,
    InProgress,
    Failed,
    Current,
}

/// Judges `object`.
pub fn compute(object: &Value) -> Kstatus {
    if object["metadata"]["deletionTimestamp"].as_str().is_some_and(|at| !at.is_empty()) {
        return Kstatus::Terminating;
    }
    let generation = object["metadata"]["generation"].as_i64();
    let observed = object["status"]["observedGeneration"].as_i64();
    if generation.zip(observed).is_some_and(|(generation, observed)| generation != observed) {
        return Kstatus::InProgress;
    }
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    for condition in conditions {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Reconciling"), Some("True")) => return Kstatus::InProgress,
            (Some("Stalled"), Some("True")) => return Kstatus::Failed,
            _ => {}
        }
    }
    // No rules of its own: a Ready condition decides, if there is one.
    match conditions.iter().find(|condition| condition["type"] == "Ready") {
        Some(ready) if ready["status"] != "True" => Kstatus::InProgress,
        _ => Kstatus::Current,
    }
}

fn kstatus_reads_conditions_in_their_order() {
    let object = |conditions: Value| {
        serde_json::json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 2,
            "conditions": conditions}})
    };
    let condition = |type_: &str, status: &str| serde_json::json!({"type": type_, "status": status});
    let (stalled, reconciling) = (condition("Stalled", "True"), condition("Reconciling", "True"));
    let both = |a: &Value, b: &Value| compute(&object(serde_json::json!([a, b])));
    assert_eq!(both(&stalled, &reconciling), Kstatus::Failed);
    assert_eq!(both(&reconciling, &stalled), Kstatus::InProgress);
    assert_eq!(both(&condition("Ready", "False"), &stalled), Kstatus::Failed);
    assert_eq!(both(&condition("Ready", "False"), &condition("Stalled", "False")), Kstatus::InProgress);
    assert_eq!(both(&condition("Ready", "True"), &condition("Other", "True")), Kstatus::Current);
    let stale = serde_json::json!({"metadata": {"generation": 2}, "status": {"observedGeneration": -1}});
    assert_eq!(compute(&stale), Kstatus::InProgress);
    let going = serde_json::json!({"metadata": {"deletionTimestamp": "2026-11-24T00:00:00Z"}});
    assert_eq!(compute(&going), Kstatus::Terminating);
}
