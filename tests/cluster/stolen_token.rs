//! What a thief of the operator's token can do, on a real API server: Jobs of JobRequests that exist, and nothing that
//! outlives the garbage collector's next look otherwise.

use std::sync::Arc;
use std::time::Instant;

use http::Method;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::support::people::{can, in_force, is_refused, send};
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, OPERATOR, Operator, RELEASE_NAMESPACE, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        creates_only_jobs_that_say_whose_they_are,
        changes_only_jobs_of_requests,
        leaves_no_pods_behind,
        invented_owners_keep_nothing,
        writes_events_about_our_kinds_only,
        is_kept_out_of_namespaces,
        reads_no_secrets,
    ]
}

const NOT_OURS: &str = "the operator may write only Jobs whose controller is a JobRequest";
const KEPT: &str = "the operator may create only Jobs with one owner and without finalizers";
const NAMED: &str = "the operator may create only Jobs whose name, labels, annotations and owner name the same JobRequest and run";
const CHANGED: &str = "the operator may not change whose a Job is, nor what keeps it";
const WITH_PODS: &str = "the operator may delete Jobs only with their pods";

/// The Job of run `run` of a JobRequest, as the operator itself makes it but for what its pods do: anything.
fn job(request: &str, uid: &str, run: i32) -> Value {
    let run = run.to_string();
    let labels = json!({
        "app.kubernetes.io/managed-by": "jobrequest", "jobrequest.dev/request": request, "jobrequest.dev/run": run,
    });
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {
            "name": format!("{request}-{run}"),
            "labels": labels,
            "annotations": {"jobrequest.dev/request-uid": uid, "jobrequest.dev/run": run},
            "ownerReferences": [{
                "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "name": request, "uid": uid,
                "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "spec": {"template": {
            "metadata": {"labels": labels, "annotations": {"sim.jobrequest.dev/run-seconds": "forever"}},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "evil:1"}]},
        }},
    })
}

fn jobs_in(namespace: &str) -> String {
    format!("/apis/batch/v1/namespaces/{namespace}/jobs")
}

/// A JobRequest that has no run, and its uid.
async fn victim(at: &Requests, name: &str) -> String {
    at.create(name, spec(&json!({}), &json!({"suspend": true}))).await;
    at.get(name).await["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// One thing that is wrong with a Job.
type Flaw = fn(&mut Value);

#[allow(clippy::too_many_lines)] // a table
async fn creates_only_jobs_that_say_whose_they_are(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "token").await;
    let stolen = cx.operator_client().await;
    let jobs = jobs_in(at.namespace.name());
    let uid = victim(&at, "a").await;
    let good = job("a", &uid, 7);
    let dry_run = format!("{jobs}?dryRun=All");
    let mut foreign = good.clone();
    foreign["metadata"]["ownerReferences"] = json!(null);
    in_force(&stolen, &jobs, &foreign).await;
    send(&stolen, Method::POST, &dry_run, &good).await.unwrap();

    let flaws: [(&str, &str, Flaw); 27] = [
        ("no owner", NOT_OURS, |job| job["metadata"]["ownerReferences"] = json!(null)),
        ("an empty list of owners", NOT_OURS, |job| job["metadata"]["ownerReferences"] = json!([])),
        ("no controller", NOT_OURS, |job| job["metadata"]["ownerReferences"][0]["controller"] = json!(null)),
        ("not the controller", NOT_OURS, |job| {
            job["metadata"]["ownerReferences"][0]["controller"] = json!(false);
        }),
        ("a version there is not", NOT_OURS, |job| {
            job["metadata"]["ownerReferences"][0]["apiVersion"] = json!("jobrequest.dev/zzz");
        }),
        ("a group alike", NOT_OURS, |job| {
            job["metadata"]["ownerReferences"][0]["apiVersion"] =
                json!("jobrequest.dev.example.com/v1alpha1");
        }),
        ("another kind", NOT_OURS, |job| {
            job["metadata"]["ownerReferences"][0]["kind"] = json!("JobTemplate");
        }),
        ("a second owner that exists", KEPT, |job| {
            let mut second = job["metadata"]["ownerReferences"][0].clone();
            second["kind"] = json!("JobTemplate");
            second["controller"] = json!(false);
            second["uid"] = json!("11111111-1111-4111-8111-111111111111");
            job["metadata"]["ownerReferences"].as_array_mut().unwrap().push(second);
        }),
        ("a finalizer", KEPT, |job| job["metadata"]["finalizers"] = json!(["example.com/stay"])),
        ("the finalizer of orphans", KEPT, |job| job["metadata"]["finalizers"] = json!(["orphan"])),
        ("a uid that is none", KEPT, |job| {
            job["metadata"]["ownerReferences"][0]["uid"] = json!("zzz");
            job["metadata"]["annotations"]["jobrequest.dev/request-uid"] = json!("zzz");
        }),
        ("another uid in the annotation", NAMED, |job| {
            job["metadata"]["annotations"]["jobrequest.dev/request-uid"] =
                json!("11111111-1111-4111-8111-111111111111");
        }),
        ("no uid in the annotation", NAMED, |job| {
            job["metadata"]["annotations"]["jobrequest.dev/request-uid"] = json!(null);
        }),
        ("no annotations", NAMED, |job| job["metadata"]["annotations"] = json!(null)),
        ("no labels", NAMED, |job| {
            job["metadata"]["labels"] = json!(null);
            job["spec"]["template"]["metadata"]["labels"] = json!(null);
        }),
        ("another name of the owner", NAMED, |job| {
            job["metadata"]["ownerReferences"][0]["name"] = json!("b");
        }),
        ("another request in the label", NAMED, |job| {
            job["metadata"]["labels"]["jobrequest.dev/request"] = json!("b");
        }),
        ("another run in the label", NAMED, |job| {
            job["metadata"]["labels"]["jobrequest.dev/run"] = json!("8");
        }),
        ("another run in the annotation", NAMED, |job| {
            job["metadata"]["annotations"]["jobrequest.dev/run"] = json!("8");
        }),
        ("a run that is no number", NAMED, |job| {
            job["metadata"]["name"] = json!("a-x");
            job["metadata"]["labels"]["jobrequest.dev/run"] = json!("x");
            job["metadata"]["annotations"]["jobrequest.dev/run"] = json!("x");
            job["spec"]["template"]["metadata"]["labels"]["jobrequest.dev/run"] = json!("x");
        }),
        ("another name", NAMED, |job| job["metadata"]["name"] = json!("innocent")),
        ("a generated name", NAMED, |job| {
            job["metadata"]["name"] = json!(null);
            job["metadata"]["generateName"] = json!("a-7");
        }),
        ("managed by somebody else", NAMED, |job| {
            job["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("x");
            job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("x");
        }),
        ("pods of another request", NAMED, |job| {
            job["spec"]["template"]["metadata"]["labels"]["jobrequest.dev/request"] = json!("b");
        }),
        ("pods without a run", NAMED, |job| {
            job["spec"]["template"]["metadata"]["labels"]["jobrequest.dev/run"] = json!(null);
        }),
        ("pods that the operator does not see", NAMED, |job| {
            job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!(null);
        }),
        ("pods without labels", NAMED, |job| job["spec"]["template"]["metadata"] = json!(null)),
    ];
    for (what, words, flaw) in flaws {
        let mut bad = good.clone();
        // Else OwnerReferencesPermissionEnforcement, which few clusters have, comes first.
        bad["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = json!(null);
        flaw(&mut bad);
        match send(&stolen, Method::POST, &dry_run, &bad).await {
            Ok(job) => panic!("{what}: it passed: {job}"),
            Err(message) => assert!(message.ends_with(words), "{what}: {message}"),
        }
    }
}

async fn changes_only_jobs_of_requests(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "token").await;
    let namespace = at.namespace.name();
    let stolen = cx.operator_client().await;
    let admin = cx.client().await;
    let jobs = jobs_in(namespace);
    let uid = victim(&at, "a").await;
    let own = job("a", &uid, 7);
    let mut foreign = own.clone();
    foreign["metadata"]["ownerReferences"] = json!(null);
    foreign["metadata"]["name"] = json!("foreign");
    in_force(&stolen, &jobs, &foreign).await;

    // What is there is no prey; nor can it be made one.
    send(&admin, Method::POST, &jobs, &foreign).await.unwrap();
    let one = format!("{jobs}/foreign");
    let background = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    is_refused(send(&stolen, Method::DELETE, &one, &background).await, NOT_OURS);
    is_refused(send(&stolen, Method::PATCH, &one, &json!({"spec": {"suspend": true}})).await, NOT_OURS);
    let adopt = json!({"metadata": {"ownerReferences": own["metadata"]["ownerReferences"]}});
    is_refused(send(&stolen, Method::PATCH, &one, &adopt).await, NOT_OURS);

    // What is the operator's stays what it is.
    send(&stolen, Method::POST, &jobs, &own).await.unwrap();
    let one = format!("{jobs}/a-7");
    let mut owners = own["metadata"]["ownerReferences"].as_array().unwrap().clone();
    owners.push(json!({"apiVersion": "v1", "kind": "ServiceAccount", "name": "default", "uid": uid}));
    for (what, metadata) in [
        ("a finalizer", json!({"finalizers": ["example.com/stay"]})),
        ("a second owner", json!({"ownerReferences": owners})),
        ("no owner", json!({"ownerReferences": null})),
        ("another request", json!({"labels": {"jobrequest.dev/request": "b"}})),
        ("another run", json!({"annotations": {"jobrequest.dev/run": "8"}})),
        ("another uid", json!({"annotations": {"jobrequest.dev/request-uid": null}})),
        ("nobody's", json!({"labels": {"app.kubernetes.io/managed-by": null}})),
    ] {
        let refusal = send(&stolen, Method::PATCH, &one, &json!({"metadata": metadata})).await.unwrap_err();
        assert!(refusal.ends_with(CHANGED), "{what}: {refusal}");
    }
    let note = json!({"metadata": {"annotations": {"jobrequest.dev/alias": "b"}}, "spec": {"suspend": true}});
    send(&stolen, Method::PATCH, &one, &note).await.unwrap();

    // It is deleted with its pods: without a word of that they would stay, and so they would in so many words.
    for policy in [json!(null), json!("Orphan")] {
        let how = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
        is_refused(send(&stolen, Method::DELETE, &one, &how).await, WITH_PODS);
    }
    let orphans = json!({"kind": "DeleteOptions", "apiVersion": "v1", "orphanDependents": true});
    is_refused(send(&stolen, Method::DELETE, &one, &orphans).await, WITH_PODS);
    // In the foreground it waits for its pods with a finalizer, which is left alone, too.
    let foreground = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"});
    send(&stolen, Method::DELETE, &one, &foreground).await.unwrap();
    eventually(DEADLINE, "the Job is gone", async || {
        send(&admin, Method::GET, &one, &json!(null)).await.err()
    })
    .await;
}

/// Pods whose Job is deleted without them run on, owned by nobody.
async fn leaves_no_pods_behind(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "token").await;
    let namespace = at.namespace.name();
    let stolen = cx.operator_client().await;
    let jobs = jobs_in(namespace);
    let uid = victim(&at, "a").await;
    let mut foreign = job("a", &uid, 7);
    foreign["metadata"]["ownerReferences"] = json!(null);
    in_force(&stolen, &jobs, &foreign).await;
    send(&stolen, Method::POST, &jobs, &job("a", &uid, 7)).await.unwrap();
    let pods = async || cx.kubectl(&["get", "pods", "-n", namespace, "-o=name"]);
    eventually(DEADLINE, "the Job has a pod", async || {
        let pods = pods().await;
        (!pods.is_empty()).then_some(())
    })
    .await;
    let one = format!("{jobs}/a-7");
    is_refused(send(&stolen, Method::DELETE, &one, &json!({})).await, WITH_PODS);
    let background = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    send(&stolen, Method::DELETE, &one, &background).await.unwrap();
    eventually(DEADLINE, "its pod is gone", async || {
        let pods = pods().await;
        if pods.is_empty() { Ok(()) } else { Err(pods) }
    })
    .await;
}

/// A Job that names a JobRequest which is not there, in each way that can be written, goes, and its pods with it. What
/// is there it cannot name: another namespace's, another kind's.
async fn invented_owners_keep_nothing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "token").await;
    let elsewhere = Requests::new(&cx, "elsewhere").await;
    let namespace = at.namespace.name();
    let stolen = cx.operator_client().await;
    let admin = cx.client().await;
    let jobs = jobs_in(namespace);
    let mut foreign = job("a", "11111111-1111-4111-8111-111111111111", 7);
    foreign["metadata"]["ownerReferences"] = json!(null);
    in_force(&stolen, &jobs, &foreign).await;

    // The garbage collector learns of new kinds every half minute.
    send(&stolen, Method::POST, &jobs, &job("first", "11111111-1111-4111-8111-111111111111", 7))
        .await
        .unwrap();
    let first = format!("{jobs}/first-7");
    eventually(DEADLINE, "the garbage collector knows JobRequests", async || {
        send(&admin, Method::GET, &first, &json!(null)).await.err()
    })
    .await;

    victim(&at, "there").await;
    let of_another_namespace = victim(&elsewhere, "elsewhere").await;
    let account =
        cx.kubectl(&["get", "serviceaccount", "default", "-n", namespace, "-o=jsonpath={.metadata.uid}"]);
    for (what, name, uid) in [
        ("a uid that nothing has", "ghost", "11111111-1111-4111-8111-111111111111"),
        ("the name of a request, with another uid", "there", "22222222-2222-4222-8222-222222222222"),
        ("the uid of another namespace's request", "elsewhere", of_another_namespace.as_str()),
        ("the uid of an object of another kind", "default", account.as_str()),
    ] {
        let began = Instant::now();
        send(&stolen, Method::POST, &jobs, &job(name, uid, 7)).await.unwrap();
        let one = format!("{jobs}/{name}-7");
        eventually(DEADLINE, &format!("{what}: the Job is gone"), async || {
            send(&admin, Method::GET, &one, &json!(null)).await.err()
        })
        .await;
        let took = began.elapsed();
        let selector = format!("--selector=jobrequest.dev/request={name}");
        eventually(DEADLINE, &format!("{what}: its pods are gone"), async || {
            let pods = cx.kubectl(&["get", "pods", "-n", namespace, &selector, "-o=name"]);
            if pods.is_empty() { Ok(()) } else { Err(pods) }
        })
        .await;
        println!("figure: {what}: the Job of a stolen token was gone after {} ms", took.as_millis());
    }
}

/// Events about pods, nodes or anything else are not the operator's to write.
async fn writes_events_about_our_kinds_only(cx: Arc<Cluster>) {
    let namespace = cx.namespace("token").await;
    let namespace = namespace.name();
    let stolen = cx.operator_client().await;
    let events = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let event = |name: &str, controller: &str, api_version: &str, kind: &str| {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": name},
            "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Warning", "reason": "Evil", "action": "Lie",
            "note": "an event", "reportingController": controller, "reportingInstance": "thief",
            "regarding": {"apiVersion": api_version, "kind": kind, "name": "a", "namespace": namespace},
        })
    };
    let words = "the operator may write only events of its own about JobRequests and templates";
    in_force(&stolen, &events, &event("a", "kubelet", "v1", "Pod")).await;
    for wrong in [
        event("a", "kubelet", "v1", "Pod"),
        event("a", "jobrequest", "v1", "Pod"),
        event("a", "jobrequest", "batch/v1", "Job"),
        event("a", "kubelet", "jobrequest.dev/v1alpha1", "JobRequest"),
    ] {
        is_refused(send(&stolen, Method::POST, &events, &wrong).await, words);
    }
    send(
        &stolen,
        Method::POST,
        &events,
        &event("own", "jobrequest", "jobrequest.dev/v1alpha1", "JobRequest"),
    )
    .await
    .unwrap();
    // Nor are those of others his to change.
    let admin = cx.client().await;
    send(&admin, Method::POST, &events, &event("others", "kubelet", "v1", "Pod")).await.unwrap();
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}});
    is_refused(send(&stolen, Method::PATCH, &format!("{events}/others"), &series).await, words);
    send(&stolen, Method::PATCH, &format!("{events}/own"), &series).await.unwrap();
}

async fn is_kept_out_of_namespaces(cx: Arc<Cluster>) {
    let unowned = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}}}
    });
    in_force(&cx.operator_client().await, "/apis/batch/v1/namespaces/default/jobs", &unowned).await;
    for namespace in ["kube-system", RELEASE_NAMESPACE] {
        let at = Requests::in_namespace(&cx, namespace).await;
        let operator = Operator::start(&cx, &at.namespace, &[]);
        at.create("intruder", spec(&json!({}), &json!({}))).await;
        let status = at.until("intruder", "waits", |status| status["phase"] == "Waiting").await;
        assert_eq!(condition(&status, "Ready"), "False JobForbidden");
        let message = status["conditions"].to_string();
        assert!(message.contains(&format!("no JobRequest runs in namespace {namespace}")), "{message}");
        operator.kill();
        at.delete("intruder", &DeleteParams::default()).await;
        assert_eq!(at.jobs().list(&ListParams::default()).await.unwrap().items.len(), 0);
    }
}

async fn reads_no_secrets(cx: Arc<Cluster>) {
    let may = |verb: &str, what: &str| can(&cx, OPERATOR, None, verb, what);
    assert!(may("create", "jobs.batch"), "the question is asked in the right way");
    for what in [
        "secrets",
        "configmaps",
        "pods/exec",
        "pods/log",
        "pods/ephemeralcontainers",
        "nodes",
        "namespaces",
        "serviceaccounts/token",
        "jobs.batch/status",
        "roles.rbac.authorization.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
    ] {
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete"] {
            assert!(!may(verb, what), "the operator may {verb} {what}");
        }
    }
    for (verb, what) in [
        ("impersonate", "users"),
        ("escalate", "clusterroles.rbac.authorization.k8s.io"),
        ("bind", "clusterroles.rbac.authorization.k8s.io"),
        ("create", "pods"),
        ("delete", "pods"),
        ("update", "jobs.batch"),
        ("deletecollection", "jobs.batch"),
        ("update", "jobrequests.jobrequest.dev"),
        ("patch", "jobrequests.jobrequest.dev"),
        ("update", "clusterjobtemplates.jobrequest.dev"),
        ("get", "leases.coordination.k8s.io"),
    ] {
        assert!(!may(verb, what), "the operator may {verb} {what}");
    }
}
