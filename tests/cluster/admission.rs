//! What the chart's admission policies and roles let pass, on a real API server: nobody gains rights through the
//! operator, and nobody who only keeps house is hindered.

use std::sync::Arc;

use http::Method;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, PropagationPolicy};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::people::{can, collection, in_force, is_refused, object, person, send};
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        who_may_not_create_jobs_creates_no_request,
        who_may_not_create_jobs_changes_no_run,
        who_may_not_create_jobs_everywhere_shapes_no_cluster,
        who_may_not_create_jobs_deletes_no_template,
        a_template_goes_with_its_owner,
        a_namespace_with_templates_goes,
        every_kind_of_delete_ends,
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
        "verbs": ["get", "list", "create", "update", "patch", "delete", "deletecollection"]
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

/// A template that would put somebody else's account into every run.
fn template() -> Value {
    json!({"default": true, "base": {"serviceAccountName": "admin", "containers": [{"name": "main", "image": "evil:1"}]}})
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
        // A GitOps tool that applies the spec as it is, with a new label.
        let mut applied = object(kind, "a", &spec);
        applied["metadata"]["labels"] = json!({"revision": "2"});
        patch(&writer, applied).await.unwrap();
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
        let replace = async |client: &Client| {
            let mut stored = send(client, Method::GET, &one, &json!(null)).await.unwrap();
            stored["spec"]["base"] = json!({"serviceAccountName": "root"});
            stored["spec"]["serviceAccountName"] = json!("root");
            send(client, Method::PUT, &one, &stored).await
        };
        is_refused(replace(&writer).await, &words);
        // Being deleted, it is no easier prey; but the holder of a finalizer may take it off.
        let deleted = send(&runner, Method::DELETE, &one, &json!({})).await.unwrap();
        assert!(deleted["metadata"]["deletionTimestamp"].is_string(), "{deleted}");
        let change = if kind == "JobRequest" { json!({"alias": "c"}) } else { json!({"description": "c"}) };
        is_refused(patch(&writer, json!({"spec": change})).await, &words);
        is_refused(replace(&writer).await, &words);
        if kind == "JobRequest" {
            is_refused(patch(&writer, annotate(json!("3"))).await, &words);
        }
        patch(&writer, json!({"metadata": {"labels": {"team": "c"}}})).await.unwrap();
        patch(&writer, json!({"metadata": {"finalizers": null}})).await.unwrap();
        assert!(send(&runner, Method::GET, &one, &json!(null)).await.is_err(), "{kind}: it is gone");
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

    // To take it away is to shape what runs, too.
    is_refused(send(&writer, Method::DELETE, &one, &json!({})).await, words);
    is_refused(send(&writer, Method::DELETE, all, &json!({})).await, words);
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    send(&writer, Method::PATCH, &one, &hold).await.unwrap();
    send(&platform, Method::DELETE, &one, &json!({})).await.unwrap();
    let change = json!({"spec": {"base": {"overrides": {"template": {"spec": {"hostNetwork": true}}}}}});
    is_refused(send(&writer, Method::PATCH, &one, &change).await, words);
    send(&writer, Method::PATCH, &one, &json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert!(send(&platform, Method::GET, &one, &json!(null)).await.is_err(), "it is gone");

    // The garbage collector takes it with its owner; only the platform team gives it one.
    let owner = owner_of(&cx, "clusterrole", "writer", None);
    send(&platform, Method::POST, all, &template).await.unwrap();
    is_refused(send(&writer, Method::PATCH, &one, &owned_by(&owner)).await, words);
    send(&platform, Method::PATCH, &one, &owned_by(&owner)).await.unwrap();
    cx.kubectl(&["delete", "clusterrole", "writer"]);
    is_gone(&platform, &one).await;
}

/// A metadata change that gives an object an owner.
fn owned_by(owner: &Value) -> Value {
    json!({"metadata": {"ownerReferences": [owner]}})
}

/// A reference to an object that is there.
fn owner_of(cx: &Cluster, kind: &str, name: &str, namespace: Option<&str>) -> Value {
    let object = cx.kubectl(&["get", kind, name, "-n", namespace.unwrap_or_default(), "-o", "json"]);
    let object: Value = serde_json::from_str(&object).unwrap();
    json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"],
        "name": name, "uid": object["metadata"]["uid"],
    })
}

async fn is_gone(client: &Client, one: &str) {
    eventually(DEADLINE, &format!("{one} is gone"), async || {
        send(client, Method::GET, one, &json!(null)).await.err()
    })
    .await;
}

/// What a template no longer says shapes a run as much as what it says: deleting one takes the right to create Jobs,
/// whichever verb does it.
async fn who_may_not_create_jobs_deletes_no_template(cx: Arc<Cluster>) {
    let namespace = cx.namespace("admission").await;
    let namespace = namespace.name();
    let writer = person(&cx, &format!("writer-{namespace}"), Some(namespace), &writes_ours()).await;
    let runner = person(&cx, &format!("runner-{namespace}"), Some(namespace), &creates_jobs_too()).await;
    let words = format!("writer-{namespace} may not create jobs.batch in namespace {namespace}");
    let all = collection(namespace, "jobtemplates");
    in_force(&writer, &all, &object("JobTemplate", "a", &template())).await;
    for name in ["a", "b"] {
        send(&runner, Method::POST, &all, &object("JobTemplate", name, &template())).await.unwrap();
    }
    for one in [format!("{all}/a"), all.clone()] {
        is_refused(send(&writer, Method::DELETE, &one, &json!({})).await, &words);
        for policy in ["Background", "Foreground", "Orphan"] {
            let how = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
            is_refused(send(&writer, Method::DELETE, &one, &how).await, &words);
        }
    }
    // Not even a controller that may delete everything, while the namespace lives.
    let mut config = cx.config().await;
    config.auth_info.impersonate = Some("system:serviceaccount:kube-system:namespace-controller".to_owned());
    let controller = Client::try_from(config).unwrap();
    let refusal = send(&controller, Method::DELETE, &format!("{all}/a"), &json!({})).await.unwrap_err();
    assert!(refusal.contains("namespace-controller may not create jobs.batch"), "{refusal}");

    // Nor does the garbage collector do it for the writer: a template whose owner is absent goes.
    let ghost = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "ghost", "uid": "00000000-0000-4000-8000-000000000000"});
    is_refused(send(&writer, Method::PATCH, &format!("{all}/a"), &owned_by(&ghost)).await, &words);

    let kinds = ["Background", "Foreground", "Orphan"];
    for name in kinds.map(str::to_lowercase) {
        send(&runner, Method::POST, &all, &object("JobTemplate", &name, &template())).await.unwrap();
    }
    for policy in kinds {
        let one = format!("{all}/{}", policy.to_lowercase());
        let how = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": policy});
        send(&runner, Method::DELETE, &one, &how).await.unwrap();
        is_gone(&runner, &one).await;
    }
    send(&runner, Method::DELETE, &all, &json!({})).await.unwrap();
    is_gone(&runner, &format!("{all}/b")).await;

    // JobRequests are their owners' to delete: that starts nothing.
    let requests = collection(namespace, "jobrequests");
    let request = object("JobRequest", "a", &spec(&json!({}), &json!({})));
    send(&runner, Method::POST, &requests, &request).await.unwrap();
    send(&writer, Method::DELETE, &format!("{requests}/a"), &json!({})).await.unwrap();
}

/// The garbage collector may delete templates and hold no right to create Jobs; it may also change whose they are.
async fn a_template_goes_with_its_owner(cx: Arc<Cluster>) {
    let namespace = cx.namespace("admission").await;
    let namespace = namespace.name();
    let writer = person(&cx, &format!("writer-{namespace}"), Some(namespace), &writes_ours()).await;
    let runner = person(&cx, &format!("runner-{namespace}"), Some(namespace), &creates_jobs_too()).await;
    let all = collection(namespace, "jobtemplates");
    in_force(&writer, &all, &object("JobTemplate", "a", &template())).await;
    let owner = |name: &str| {
        cx.kubectl(&["create", "configmap", name, "-n", namespace]);
        owner_of(&cx, "configmap", name, Some(namespace))
    };
    let (going, orphaning) = (owner("going"), owner("orphaning"));
    for (name, owner) in [("going", &going), ("orphaning", &orphaning)] {
        send(&runner, Method::POST, &all, &object("JobTemplate", name, &template())).await.unwrap();
        let one = format!("{all}/{name}");
        send(&runner, Method::PATCH, &one, &owned_by(owner)).await.unwrap();
        // As it is, or gone, an owner takes nothing away that was not given away before.
        send(&writer, Method::PATCH, &one, &owned_by(owner)).await.unwrap();
    }
    cx.kubectl(&["delete", "configmap", "going", "-n", namespace, "--cascade=foreground"]);
    is_gone(&runner, &format!("{all}/going")).await;
    cx.kubectl(&["delete", "configmap", "orphaning", "-n", namespace, "--cascade=orphan"]);
    eventually(DEADLINE, "the orphan has no owner", async || {
        let orphan = send(&runner, Method::GET, &format!("{all}/orphaning"), &json!(null)).await.unwrap();
        orphan["metadata"]["ownerReferences"].is_null().then_some(())
    })
    .await;
}

/// The namespace controller may create no Jobs either; in a namespace that is going nobody can.
async fn a_namespace_with_templates_goes(cx: Arc<Cluster>) {
    let namespace = cx.namespace("going").await;
    let name = namespace.name();
    let writer = person(&cx, &format!("writer-{name}"), Some(name), &writes_ours()).await;
    let runner = person(&cx, &format!("runner-{name}"), Some(name), &creates_jobs_too()).await;
    let all = collection(name, "jobtemplates");
    in_force(&writer, &all, &object("JobTemplate", "a", &template())).await;
    for template_name in ["a", "b", "held"] {
        send(&runner, Method::POST, &all, &object("JobTemplate", template_name, &template())).await.unwrap();
    }
    let request = object("JobRequest", "a", &spec(&json!({}), &json!({"suspend": true})));
    send(&runner, Method::POST, &collection(name, "jobrequests"), &request).await.unwrap();
    let one = format!("{all}/held");
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    send(&writer, Method::PATCH, &one, &hold).await.unwrap();
    cx.kubectl(&["delete", "namespace", name, "--wait=false"]);
    let admin = cx.client().await;
    is_gone(&admin, &format!("{all}/a")).await;
    send(&admin, Method::PATCH, &one, &json!({"metadata": {"finalizers": null}})).await.unwrap();
    is_gone(&admin, &format!("/api/v1/namespaces/{name}")).await;
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
