//! What the chart's admission policies and roles let pass, on a real API server: nobody gains rights through the
//! operator, and nobody who only keeps house is in the way.

use std::sync::Arc;

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, PropagationPolicy};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::people::{person, send};
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, OPERATOR, Operator, RELEASE_NAMESPACE, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        who_may_not_create_jobs_creates_no_request,
        who_may_not_create_jobs_changes_no_run,
        who_may_not_create_jobs_everywhere_shapes_no_cluster,
        every_kind_of_delete_ends,
        the_operator_writes_only_jobs_of_requests,
        the_operator_is_kept_out_of_namespaces,
        the_operator_reads_no_secrets,
        roles_of_people,
        pod_security_holds_for_overrides,
        a_picked_node_is_left_to_the_scheduler,
    ]
}

/// Everything about our kinds, statuses excepted, and nothing else.
fn writes_ours() -> Value {
    json!([{
        "apiGroups": ["jobrequest.dev"],
        "resources": ["jobrequests", "jobtemplates", "clusterjobtemplates"],
        "verbs": ["get", "list", "create", "update", "patch", "delete"]
    }])
}

/// The same, and the right to create Jobs.
fn creates_jobs_too() -> Value {
    let mut rules = writes_ours();
    rules
        .as_array_mut()
        .unwrap()
        .push(json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]}));
    rules
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A template that would put somebody else's account into every run.
fn template() -> Value {
    json!({"default": true, "base": {"serviceAccountName": "admin", "containers": [{"image": "evil:1"}]}})
}

fn collection(namespace: &str, plural: &str) -> String {
    format!("/apis/jobrequest.dev/v1alpha1/namespaces/{namespace}/{plural}")
}

/// `words` is how the refusal ends.
fn is_refused(answer: Result<Value, String>, words: &str) {
    match answer {
        Ok(object) => panic!("it passed: {object}"),
        Err(message) => assert!(message.ends_with(words), "{message}"),
    }
}

/// A policy is in force a moment after it is there: waits until `client` is refused a dry run.
async fn in_force(client: &Client, collection: &str, object: &Value) {
    let dry_run = format!("{collection}?dryRun=All");
    eventually(DEADLINE, "the admission policy is in force", async || {
        send(client, Method::POST, &dry_run, object).await.err()
    })
    .await;
}

async fn who_may_not_create_jobs_creates_no_request(cx: Arc<Cluster>) {
    let namespace = cx.namespace("admission").await;
    let namespace = namespace.name();
    let writer = person(&cx, &format!("writer-{namespace}"), Some(namespace), &writes_ours()).await;
    let runner = person(&cx, &format!("runner-{namespace}"), Some(namespace), &creates_jobs_too()).await;
    let words = format!("writer-{namespace} may not create jobs.batch in namespace {namespace}");
    for (plural, object) in [
        ("jobrequests", object("JobRequest", "a", &spec(&json!({}), &json!({})))),
        ("jobtemplates", object("JobTemplate", "a", &template())),
    ] {
        let collection = collection(namespace, plural);
        in_force(&writer, &collection, &object).await;
        is_refused(send(&writer, Method::POST, &collection, &object).await, &words);
        send(&runner, Method::POST, &collection, &object).await.unwrap();
    }
}

async fn who_may_not_create_jobs_changes_no_run(cx: Arc<Cluster>) {
    let namespace = cx.namespace("admission").await;
    let namespace = namespace.name();
    let writer = person(&cx, &format!("writer-{namespace}"), Some(namespace), &writes_ours()).await;
    let runner = person(&cx, &format!("runner-{namespace}"), Some(namespace), &creates_jobs_too()).await;
    let words = format!("writer-{namespace} may not create jobs.batch in namespace {namespace}");
    for (kind, plural, spec) in [
        ("JobRequest", "jobrequests", spec(&json!({}), &json!({}))),
        ("JobTemplate", "jobtemplates", template()),
    ] {
        let all = collection(namespace, plural);
        in_force(&writer, &all, &object(kind, "a", &spec)).await;
        send(&runner, Method::POST, &all, &object(kind, "a", &spec)).await.unwrap();
        let one = format!("{all}/a");
        let patch = async |client: &Client, body: Value| send(client, Method::PATCH, &one, &body).await;
        let annotate = |value: Value| json!({"metadata": {"annotations": {"jobrequest.dev/rerun": value}}});

        patch(&writer, json!({"metadata": {"labels": {"team": "a"}}})).await.unwrap();
        patch(&writer, json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "a"}}}))
            .await
            .unwrap();
        patch(&writer, json!({"metadata": {"finalizers": ["example.com/hold"]}})).await.unwrap();
        let change = if kind == "JobRequest" { json!({"alias": "b"}) } else { json!({"description": "b"}) };
        is_refused(patch(&writer, json!({"spec": change})).await, &words);
        patch(&runner, json!({"spec": change})).await.unwrap();
        if kind == "JobRequest" {
            is_refused(patch(&writer, annotate(json!("1"))).await, &words);
            patch(&runner, annotate(json!("1"))).await.unwrap();
            // As it is, or gone, it asks for nothing.
            patch(&writer, annotate(json!("1"))).await.unwrap();
            patch(&writer, json!({"metadata": {"labels": {"team": "b"}}})).await.unwrap();
            is_refused(patch(&writer, annotate(json!("2"))).await, &words);
            patch(&writer, annotate(json!(null))).await.unwrap();
            is_refused(patch(&writer, annotate(json!("1"))).await, &words);
        }
        // Nor does a whole new object under the old name get past.
        let mut stored = send(&runner, Method::GET, &one, &json!(null)).await.unwrap();
        stored["spec"]["base"] = json!({"serviceAccountName": "root"});
        stored["spec"]["serviceAccountName"] = json!("root");
        is_refused(send(&writer, Method::PUT, &one, &stored).await, &words);
        // Being deleted, it starts nothing: whoever holds a finalizer may take it off.
        send(&writer, Method::DELETE, &one, &json!({})).await.unwrap();
        patch(&writer, json!({"metadata": {"finalizers": null}})).await.unwrap();
    }
}

async fn who_may_not_create_jobs_everywhere_shapes_no_cluster(cx: Arc<Cluster>) {
    // Templates of the cluster are for everybody, so this one has a cluster of its own.
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let namespace = cx.namespace("admission").await;
    let writer = person(&cx, "writer", None, &writes_ours()).await;
    // Who may create Jobs in one namespace is still nobody elsewhere.
    person(&cx, "writer", Some(namespace.name()), &creates_jobs_too()).await;
    let platform = person(&cx, "platform", None, &creates_jobs_too()).await;
    let words = "writer may not create jobs.batch in all namespaces";
    let all = "/apis/jobrequest.dev/v1alpha1/clusterjobtemplates";
    let one = format!("{all}/a");
    let template = object("ClusterJobTemplate", "a", &template());
    in_force(&writer, all, &template).await;
    is_refused(send(&writer, Method::POST, all, &template).await, words);
    send(&platform, Method::POST, all, &template).await.unwrap();
    is_refused(send(&writer, Method::PATCH, &one, &json!({"spec": {"default": false}})).await, words);
    send(&writer, Method::PATCH, &one, &json!({"metadata": {"labels": {"team": "a"}}})).await.unwrap();
    send(&platform, Method::PATCH, &one, &json!({"spec": {"default": false}})).await.unwrap();
    send(&writer, Method::DELETE, &one, &json!({})).await.unwrap();
}

/// Under a garbage collector with its own account, which may not create Jobs.
async fn every_kind_of_delete_ends(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "delete").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let kinds = [
        ("background", PropagationPolicy::Background),
        ("foreground", PropagationPolicy::Foreground),
        ("orphan", PropagationPolicy::Orphan),
    ];
    for (name, _) in &kinds {
        at.create(name, spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
        at.until_phase(name, 1, "Running").await;
    }
    for (name, policy) in kinds {
        at.delete(name, &DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() }).await;
        eventually(DEADLINE, &format!("{name}: the JobRequest is gone"), async || {
            (!at.exists(name).await).then_some(())
        })
        .await;
    }
    eventually(DEADLINE, "the orphan's Job alone is left", async || {
        let names = at.job_names().await;
        if names == ["orphan-1"] { Ok(()) } else { Err(names) }
    })
    .await;
    let orphan = at.jobs().get("orphan-1").await.unwrap();
    assert_eq!(orphan.metadata.owner_references.unwrap_or_default(), []);
}

async fn the_operator_writes_only_jobs_of_requests(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "token").await;
    let stolen = cx.operator_client().await;
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", at.namespace.name());
    let job = |owner: Value| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "a", "ownerReferences": owner},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}}}
        })
    };
    at.create("a", spec(&json!({}), &json!({"suspend": true}))).await;
    let uid = at.get("a").await["metadata"]["uid"].clone();
    let owner = |api: &str, kind: &str, controller: Value| json!([{"apiVersion": api, "kind": kind, "name": "a", "uid": uid, "controller": controller}]);
    let words = "the operator may write only Jobs whose controller is a JobRequest";
    in_force(&stolen, &jobs, &job(json!(null))).await;
    for wrong in [
        json!(null),
        json!([]),
        owner("jobrequest.dev/v1alpha1", "JobRequest", json!(null)),
        owner("jobrequest.dev/v1alpha1", "JobRequest", json!(false)),
        owner("jobrequest.dev.example.com/v1", "JobRequest", json!(true)),
        owner("jobrequest.dev/v1alpha1", "JobTemplate", json!(true)),
    ] {
        is_refused(send(&stolen, Method::POST, &jobs, &job(wrong)).await, words);
    }
    let own = job(owner("jobrequest.dev/v1alpha1", "JobRequest", json!(true)));
    send(&stolen, Method::POST, &format!("{jobs}?dryRun=All"), &own).await.unwrap();

    // What is there is no prey, either; nor can it be made one.
    let admin = cx.client().await;
    send(&admin, Method::POST, &jobs, &job(json!(null))).await.unwrap();
    let one = format!("{jobs}/a");
    let words = "the operator may change and delete only Jobs whose controller is a JobRequest";
    is_refused(send(&stolen, Method::DELETE, &one, &json!({})).await, words);
    let adopt = json!({"metadata": {"ownerReferences": own["metadata"]["ownerReferences"]}});
    is_refused(send(&stolen, Method::PATCH, &one, &adopt).await, words);
    is_refused(
        send(&stolen, Method::PATCH, &one, &json!({"spec": {"suspend": true}})).await,
        "the operator may write only Jobs whose controller is a JobRequest",
    );
}

async fn the_operator_is_kept_out_of_namespaces(cx: Arc<Cluster>) {
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

async fn the_operator_reads_no_secrets(cx: Arc<Cluster>) {
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

async fn roles_of_people(cx: Arc<Cluster>) {
    let namespace = cx.namespace("roles").await;
    let namespace = namespace.name();
    for role in ["view", "edit", "admin"] {
        let user = format!("--user={role}-{namespace}");
        cx.kubectl(&[
            "create",
            "rolebinding",
            role,
            &format!("--clusterrole={role}"),
            &user,
            "-n",
            namespace,
        ]);
    }
    // The controller that aggregates has its own pace.
    eventually(DEADLINE, "the cluster's roles are aggregated", async || {
        can(&cx, &format!("admin-{namespace}"), Some(namespace), "create", "jobtemplates.jobrequest.dev")
            .then_some(())
    })
    .await;
    let expected = [
        ("view", "get", "jobrequests", true),
        ("view", "list", "jobtemplates", true),
        ("view", "create", "jobrequests", false),
        ("edit", "create", "jobrequests", true),
        ("edit", "patch", "jobrequests", true),
        ("edit", "delete", "jobrequests", true),
        ("edit", "get", "jobtemplates", true),
        ("edit", "create", "jobtemplates", false),
        ("edit", "update", "jobtemplates", false),
        ("admin", "create", "jobrequests", true),
        ("admin", "update", "jobtemplates", true),
        ("admin", "create", "clusterjobtemplates", false),
        ("admin", "update", "jobrequests/status", false),
        ("edit", "patch", "jobrequests/status", false),
        ("admin", "update", "jobtemplates/status", false),
        ("admin", "update", "jobrequests/finalizers", false),
    ];
    for (role, verb, what, wanted) in expected {
        let what = match what.split_once('/') {
            Some((what, part)) => format!("{what}.jobrequest.dev/{part}"),
            None => format!("{what}.jobrequest.dev"),
        };
        let may = can(&cx, &format!("{role}-{namespace}"), Some(namespace), verb, &what);
        assert_eq!(may, wanted, "{role}: {verb} {what}");
    }
}

/// Whether a user may; `what` as in `kubectl auth can-i`, a part of it after a slash.
fn can(cx: &Cluster, user: &str, namespace: Option<&str>, verb: &str, what: &str) -> bool {
    let (what, part) = what.split_once('/').unwrap_or((what, ""));
    let part = format!("--subresource={part}");
    let mut arguments = vec!["auth", "can-i", verb, what, &part, "--as", user];
    match namespace {
        Some(namespace) => arguments.extend(["-n", namespace]),
        None => arguments.push("--all-namespaces"),
    }
    // `no` ends with an exit code, and so does a question that cannot be asked.
    match cx.try_kubectl(&arguments) {
        Ok(answer) => answer.trim() == "yes",
        Err(problem) => {
            assert!(!problem.contains("error:") && !problem.contains("doesn't have a resource"), "{problem}");
            false
        }
    }
}

/// A pod that the namespace's Pod Security Standard forbids is not made, whatever way it was asked for.
async fn pod_security_holds_for_overrides(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "standard").await;
    let namespace = at.namespace.name();
    cx.kubectl(&["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline"]);
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let host = json!({"overrides": {"template": {"spec": {"hostNetwork": true, "hostPID": true}}}});
    at.create("host", spec(&json!({}), &host)).await;
    eventually(DEADLINE, "the Job says why it has no pod", async || {
        let events = cx.kubectl(&[
            "get",
            "events",
            "-n",
            namespace,
            "--field-selector=reason=FailedCreate",
            "-o=json",
        ]);
        let has = events.contains("violates PodSecurity") && events.contains("host-1");
        if has { Ok(()) } else { Err(events) }
    })
    .await;
    let pods = cx.kubectl(&["get", "pods", "-n", namespace, "-o=name"]);
    assert_eq!(pods, "");
    let jobs: Api<Job> = at.jobs();
    assert!(jobs.get("host-1").await.unwrap().status.unwrap().active.is_none_or(|active| active == 0));
}

/// A pod that is bound to a node from the start would pass by taints and requests; a picked node is a node affinity.
async fn a_picked_node_is_left_to_the_scheduler(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "node").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let mut too_much = spec(&json!({}), &json!({"nodeName": "node-1"}));
    too_much["containers"][0]["resources"] = json!({"requests": {"cpu": "1000"}});
    at.create("big", too_much).await;
    let status = at
        .until("big", "cannot be scheduled", |status| condition(status, "Ready").contains("Unschedulable"))
        .await;
    assert_eq!(status["phase"], "Updating");
    let pod =
        cx.kubectl(&["get", "pods", "-n", at.namespace.name(), "-o=jsonpath={.items[*].spec.nodeName}"]);
    assert_eq!(pod, "", "no node was bound");
    at.create("small", spec(&json!({}), &json!({"nodeName": "node-1"}))).await;
    at.until_phase("small", 1, "Completed").await;
}
