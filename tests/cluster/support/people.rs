//! Users of a test: takes who they are and what they may, returns a client that acts as them.

use http::Method;
use kube::Client;
use serde_json::{Value, json};

use super::Cluster;

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
    Client::try_from(config).expect("a client")
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
