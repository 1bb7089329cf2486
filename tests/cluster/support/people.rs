//! Users of a test: takes who they are and what they may, returns a client that acts as them.

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::{Cluster, DEADLINE, eventually};

/// Where a user asks what they may.
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A client that acts as `user`, who may do what `rules` say: in a namespace, or everywhere.
pub(crate) async fn person(cx: &Cluster, user: &str, namespace: Option<&str>, rules: &Value) -> Client {
    let (kind, binding) = match namespace {
        Some(_) => ("Role", "RoleBinding"),
        None => ("ClusterRole", "ClusterRoleBinding"),
    };
    let metadata = json!({"name": user, "namespace": namespace});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": binding, "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    let admin = cx.client().await;
    for object in [role, binding] {
        let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
        let collection = match namespace {
            Some(namespace) => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{plural}"),
            None => format!("/apis/rbac.authorization.k8s.io/v1/{plural}"),
        };
        send(&admin, Method::POST, &collection, &object).await.expect("grant rights");
    }
    let mut config = cx.config().await;
    config.auth_info.impersonate = Some(user.to_owned());
    let client = Client::try_from(config).expect("a client");
    for rule in rules.as_array().expect("a list of rules") {
        let [group, resource, verb] =
            ["apiGroups", "resources", "verbs"].map(|field| rule[field][0].as_str().unwrap_or("*"));
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = json!({
            "namespace": namespace.unwrap_or_default(), "group": group, "resource": resource,
            "subresource": subresource, "verb": verb,
        });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        });
        // The authorizer learns of a binding a moment after it is stored.
        eventually(DEADLINE, "the granted rights are in force", async || {
            let answer = send(&client, Method::POST, REVIEWS, &review).await?;
            if answer["status"]["allowed"] == true { Ok(()) } else { Err(answer["status"].to_string()) }
        })
        .await;
    }
    client
}

/// Sends a request; a PATCH is a merge patch. The answer, or the API server's words.
pub(crate) async fn send(client: &Client, method: Method, path: &str, body: &Value) -> Result<Value, String> {
    let content = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", content)
        .body(serde_json::to_vec(body).expect("JSON"))
        .expect("a request");
    match client.request::<Value>(request).await {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => Err(error.to_string()),
    }
}

/// One of our objects.
pub(crate) fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Where the objects of a kind are.
pub(crate) fn collection(namespace: &str, plural: &str) -> String {
    format!("/apis/jobrequest.dev/v1alpha1/namespaces/{namespace}/{plural}")
}

/// The write was refused, and `words` is how the refusal ends.
pub(crate) fn is_refused(answer: Result<Value, String>, words: &str) {
    match answer {
        Ok(object) => panic!("it passed: {object}"),
        Err(message) => assert!(message.ends_with(words), "{message}"),
    }
}

/// A policy is in force a moment after it is there: waits until `client` is refused a dry run.
pub(crate) async fn in_force(client: &Client, collection: &str, object: &Value) {
    let dry_run = format!("{collection}?dryRun=All");
    eventually(DEADLINE, "the admission policy is in force", async || {
        send(client, Method::POST, &dry_run, object).await.err()
    })
    .await;
}

/// Whether a user may; `what` as in `kubectl auth can-i`, a part of it after a slash.
pub(crate) fn can(cx: &Cluster, user: &str, namespace: Option<&str>, verb: &str, what: &str) -> bool {
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
