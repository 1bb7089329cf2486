//! Least privilege, proven: what the chart grants the operator is what it uses, from the API server's audit log.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, OPERATOR, Operator, RELEASE_NAMESPACE, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![what_is_granted_is_used, owner_references_need_the_finalizers_right,]
}

/// Asked for by OwnerReferencesPermissionEnforcement only, never called; the second test shows that it is needed.
const NEVER_CALLED: &str = "update jobrequests.jobrequest.dev/finalizers";

/// `verb resource` of every right, as the audit log names them.
fn rights(rules: &[PolicyRule]) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let (resource, part) = resource
                    .split_once('/')
                    .map_or((resource.as_str(), String::new()), |(resource, part)| {
                        (resource, format!("/{part}"))
                    });
                let group = if group.is_empty() { String::new() } else { format!(".{group}") };
                rights.extend(rule.verbs.iter().map(|verb| format!("{verb} {resource}{group}{part}")));
            }
        }
    }
    rights
}

/// What the release's roles grant.
async fn granted(client: &Client) -> BTreeSet<String> {
    let everywhere: Api<ClusterRole> = Api::all(client.clone());
    let everywhere = everywhere.get(&format!("{RELEASE_NAMESPACE}.jobrequest")).await.unwrap();
    let own: Api<Role> = Api::namespaced(client.clone(), RELEASE_NAMESPACE);
    let own = own.get("jobrequest-leader").await.unwrap();
    let mut granted = rights(&everywhere.rules.unwrap());
    granted.extend(rights(&own.rules.unwrap()));
    granted
}

/// Takes the operator through everything that it does, and compares.
async fn what_is_granted_is_used(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "rights").await;
    let audit = cx.audit().await;
    let mark = audit.mark().await;
    let operator = Operator::start_for_all(&cx, &["--leader-elect"]);
    everything(&cx, &at).await;
    operator.stop().await;

    let calls = audit.since(mark).await.user(OPERATOR);
    let used: BTreeSet<String> =
        calls.iter().map(|call| format!("{} {}", call.verb, call.object())).collect();
    let granted = granted(&at.client).await;
    println!("figure: rights of the operator: {} granted, {} used", granted.len(), used.len());
    for right in &granted {
        let count = calls.iter().filter(|call| format!("{} {}", call.verb, call.object()) == *right).count();
        println!("figure:   {right:<55} {count}");
    }
    let refused = calls.matching(|call| call.is_unauthorized);
    assert_eq!(refused.count(), 0, "nothing is refused for want of a right: {refused}");
    let unused: Vec<_> = granted.difference(&used).map(String::as_str).collect();
    assert_eq!(unused, [NEVER_CALLED], "rights that are granted and never used");
    let beyond: Vec<_> = used.difference(&granted).collect();
    assert_eq!(beyond, Vec::<&String>::new(), "used, and not granted by a role of the chart");
}

async fn everything(cx: &Cluster, at: &Requests) {
    // Templates, whose statuses are written.
    for (kind, name) in [("ClusterJobTemplate", "all"), ("JobTemplate", "own")] {
        let manifest = cx.log(&format!("{name}.json"));
        let template = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": {"default": true, "base": {"settings": {"backoffLimit": 1}}}
        });
        std::fs::write(&manifest, template.to_string()).unwrap();
        cx.kubectl(&["create", "-n", at.namespace.name(), "-f", &manifest.display().to_string()]);
    }
    for (kind, name) in [("clusterjobtemplate", "all"), ("jobtemplate", "own")] {
        let effective = "--for=condition=Effective";
        cx.kubectl(&["wait", "-n", at.namespace.name(), effective, kind, name, "--timeout=60s"]);
    }

    // Templates that are made anew: whether they really are is asked before a run is made of it.
    let follows = json!({"runPolicy": {"onTemplateChange": "Rerun"}});
    at.create("follows", spec(&json!({}), &follows)).await;
    at.until_phase("follows", 1, "Completed").await;
    for (run, kind, name) in [(2, "clusterjobtemplate", "all"), (3, "jobtemplate", "own")] {
        let manifest = cx.log(&format!("{name}.json"));
        cx.kubectl(&["replace", "--force", "-n", at.namespace.name(), "-f", &manifest.display().to_string()]);
        eventually(DEADLINE, &format!("a run with the new {kind}"), async || {
            let status = at.get("follows").await["status"].clone();
            let is_there = status["run"].as_i64() >= Some(run) && status["phase"] == "Completed";
            if is_there { Ok(()) } else { Err(status) }
        })
        .await;
    }

    // A run, and what a change patches into its Job.
    at.create("patched", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("patched", 1, "Running").await;
    at.change("patched", json!({"suspend": true})).await;
    at.until_phase("patched", 1, "Suspended").await;

    // A Job that somebody takes away: it is looked for.
    at.create("lost", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("lost", 1, "Running").await;
    at.jobs().delete("lost-1", &DeleteParams::background()).await.unwrap();
    let lost = at.until_phase("lost", 1, "Failed").await;
    assert_eq!(condition(&lost, "Ready"), "False Lost");

    // A run that is forbidden for a while: the request is looked at before the Job is tried again.
    let quotas = at.limit("full", json!({"count/jobs.batch": "0"})).await;
    at.create("forbidden", spec(&json!({}), &json!({}))).await;
    at.until("forbidden", "waits", |status| status["phase"] == "Waiting").await;
    quotas.delete("full", &DeleteParams::default()).await.unwrap();
    at.until_phase("forbidden", 1, "Completed").await;

    // A Job that may not make pods: its events tell why.
    at.limit("no-pods", json!({"pods": "0"})).await;
    at.create("podless", spec(&json!({}), &json!({}))).await;
    at.until("podless", "says what refuses its pods", |status| {
        condition(status, "Ready") == "False PodsForbidden"
    })
    .await;
    quotas.delete("no-pods", &DeleteParams::default()).await.unwrap();

    // A wiped status: the Jobs are listed. A Job that is no run: it is deleted.
    at.wipe_status("forbidden").await;
    at.until_phase("forbidden", 1, "Completed").await;
    stray(at, "forbidden").await;

    // The same news twice are one event, patched.
    at.create("same", spec(&json!({}), &json!({"suspend": true}))).await;
    for _ in 0..2 {
        at.change("same", json!({"settings": {"maxFailedIndexes": 1}})).await;
        at.until("same", "is rejected", |status| status["phase"] == "Rejected").await;
        at.change("same", json!({"settings": null})).await;
        at.until("same", "is suspended", |status| status["phase"] == "Suspended").await;
    }
}

/// A Job of this request's own, under the number of a run that has another one.
async fn stray(at: &Requests, name: &str) {
    let jobs = at.jobs();
    let job = serde_json::to_value(jobs.get(&format!("{name}-1")).await.unwrap()).unwrap();
    let metadata = &job["metadata"];
    let stray: Value = json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": format!("{name}-stray"),
            "labels": {
                "app.kubernetes.io/managed-by": "jobrequest",
                "jobrequest.dev/request": name,
                "jobrequest.dev/run": "1"
            },
            "annotations": metadata["annotations"],
            "ownerReferences": metadata["ownerReferences"],
        },
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}}}
    });
    jobs.create(&PostParams::default(), &serde_json::from_value(stray).unwrap()).await.unwrap();
    eventually(DEADLINE, "the stray Job is gone", async || {
        jobs.get_opt(&format!("{name}-stray")).await.unwrap().is_none().then_some(())
    })
    .await;
}

/// Without the one right that is never called, OwnerReferencesPermissionEnforcement forbids the Jobs.
async fn owner_references_need_the_finalizers_right(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let at = Requests::new(&cx, "finalizers").await;
    let roles: Api<ClusterRole> = Api::all(at.client.clone());
    let name = format!("{RELEASE_NAMESPACE}.jobrequest");
    let whole = roles.get(&name).await.unwrap();
    let mut less = whole.clone();
    let all = less.rules.as_mut().unwrap();
    let count = all.len();
    all.retain(|rule| rule.resources.as_deref() != Some(&["jobrequests/finalizers".to_owned()]));
    assert_eq!(all.len(), count - 1);
    roles.replace(&name, &PostParams::default(), &less).await.unwrap();

    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("a", spec(&json!({}), &json!({}))).await;
    let status = at.until("a", "waits", |status| status["phase"] == "Waiting").await;
    let words = status["conditions"].to_string();
    assert!(words.contains("cannot set blockOwnerDeletion"), "{words}");
    let mut again = roles.get(&name).await.unwrap();
    again.rules = whole.rules;
    roles.replace(&name, &PostParams::default(), &again).await.unwrap();
    at.until_phase("a", 1, "Completed").await;
}
