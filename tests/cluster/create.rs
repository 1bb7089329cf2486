//! `jobrequest create` on a real API server: what is stored, who refuses what, and how it ends when it follows the run.

use std::sync::Arc;

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::cli::{Came, program, ran};
use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        flags_become_an_object_of_its_own_field_manager,
        a_name_that_is_taken_is_2,
        a_dry_run_stores_nothing,
        what_is_invalid_is_never_sent,
        what_the_api_server_refuses_is_3,
        templates_of_the_cluster_count,
        it_begins_with_the_spec_of_another,
        following_ends_with_the_exit_codes,
    ]
}

/// Runs `create` with these arguments in the namespace of `at`.
async fn create(cx: &Cluster, at: &Requests, arguments: &[&str]) -> Came {
    ran(program(cx, at, &[&["create"], arguments].concat())).await
}

const IMAGE: [&str; 2] = ["--image", "perl:5.24.4"];

async fn flags_become_an_object_of_its_own_field_manager(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-one").await;
    let came = create(
        &cx,
        &at,
        &[&["pi", "--alias", "计算", "--deadline", "5m", "--cpu", "100m"], &IMAGE[..]].concat(),
    )
    .await;
    assert_eq!((came.code, came.out.as_str(), came.err.as_str()), (Some(0), "jobrequest/pi created\n", ""));
    let stored = at.get("pi").await;
    let wanted = json!({
        "alias": "计算", "settings": {"activeDeadlineSeconds": 300},
        "containers": [{"name": "main", "image": "perl:5.24.4", "resources": {"requests": {"cpu": "100m"}}}],
    });
    assert_eq!(stored["spec"], wanted);
    assert_eq!(stored["metadata"]["managedFields"][0]["manager"], "jobrequest-cli", "{stored}");
    let came = create(&cx, &at, &[&["named", "-o", "name"], &IMAGE[..]].concat()).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "jobrequest.jobrequest.dev/named\n"), "{came:?}");
    let came = create(&cx, &at, &[&["shown", "-o", "json"], &IMAGE[..]].concat()).await;
    let shown: Value = serde_json::from_str(&came.out).expect("JSON");
    assert_eq!(shown["metadata"]["uid"], at.get("shown").await["metadata"]["uid"]);
    assert_eq!(shown["metadata"].get("managedFields"), None);
}

async fn a_name_that_is_taken_is_2(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-taken").await;
    at.create("pi", spec(&json!({}), &json!({}))).await;
    let before = at.get("pi").await;
    let came = create(&cx, &at, &[&["pi"], &IMAGE[..]].concat()).await;
    assert_eq!((came.code, came.out.as_str()), (Some(2), ""), "{came:?}");
    assert!(came.err.contains("\"pi\" already exists; choose another name"), "{came:?}");
    assert_eq!(at.get("pi").await["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
}

async fn a_dry_run_stores_nothing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-dry").await;
    let came = create(&cx, &at, &[&["pi", "--dry-run=server"], &IMAGE[..]].concat()).await;
    assert_eq!(
        (came.code, came.out.as_str()),
        (Some(0), "jobrequest/pi created (server dry run)\n"),
        "{came:?}"
    );
    let came =
        create(&cx, &at, &[&["pi", "--dry-run=server", "--wait", "-o", "yaml"], &IMAGE[..]].concat()).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.contains("creationTimestamp"), "{came:?}");
    assert!(!at.exists("pi").await);
}

async fn what_is_invalid_is_never_sent(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-invalid").await;
    let came =
        create(&cx, &at, &[&["pi", "--cpu", "lots", "--restart", "Always"], &IMAGE[..]].concat()).await;
    assert_eq!((came.code, came.out.as_str()), (Some(1), ""), "{came:?}");
    assert!(came.err.contains("error: --cpu: ") && came.err.contains("error: --restart: "), "{came:?}");
    assert!(came.err.ends_with("2 problems; nothing was created\n"), "{came:?}");
    assert!(!at.exists("pi").await);
}

async fn what_the_api_server_refuses_is_3(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-refused").await;
    let came = create(&cx, &at, &[&["pi", "--as", "eve"], &IMAGE[..]].concat()).await;
    assert_eq!((came.code, came.out.as_str()), (Some(3), ""), "{came:?}");
    assert!(came.err.contains("User \"eve\""), "{came:?}");
    assert!(!at.exists("pi").await);
}

async fn templates_of_the_cluster_count(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-templates").await;
    let template = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobTemplate", "metadata": {"name": "fast"},
        "spec": {"base": {"containers": [{"name": "main", "image": "perl:5.24.4"}]}, "quotas": {"small": {"limits": {"cpu": "500m"}}}},
    });
    let kind = kube::core::GroupVersionKind::gvk("jobrequest.dev", "v1alpha1", "JobTemplate");
    let resource = kube::core::ApiResource::from_gvk_with_plural(&kind, "jobtemplates");
    let api: kube::Api<kube::api::DynamicObject> =
        kube::Api::namespaced_with(at.client.clone(), at.namespace.name(), &resource);
    let template = serde_json::from_value(template).expect("a template");
    api.create(&PostParams::default(), &template).await.expect("create the template");
    // Its image and its sizes are known.
    let came = create(&cx, &at, &["pi", "--template", "fast", "--size", "small"]).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let came = create(&cx, &at, &["huge", "--template", "fast", "--size", "huge"]).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    assert!(came.err.starts_with("error: --size: "), "{came:?}");
    let came = create(&cx, &at, &["other", "--template", "slow"]).await;
    assert_eq!(came.code, Some(1), "{came:?}");
    assert!(came.err.contains("error: --template: "), "{came:?}");
}

async fn it_begins_with_the_spec_of_another(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-from").await;
    let more = json!({"alias": "first", "rerun": "a", "suspend": true});
    at.create("first", spec(&json!({}), &more)).await;
    let came = create(&cx, &at, &["second", "--from", "jr/first", "--alias", "second", "--env", "A=1"]).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let (first, second) = (at.get("first").await, at.get("second").await);
    let mut wanted = first["spec"].clone();
    wanted.as_object_mut().unwrap().remove("rerun");
    wanted["alias"] = json!("second");
    wanted["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    assert_eq!(second["spec"], wanted);
    // It is read from the cluster also for a client dry run.
    let came = create(&cx, &at, &["third", "--from", "first", "--dry-run=client", "-o", "json"]).await;
    let shown: Value = serde_json::from_str(&came.out).expect("JSON");
    assert_eq!(shown["spec"]["alias"], "first");
    assert!(!at.exists("third").await);
    let came = create(&cx, &at, &["third", "--from", "absent"]).await;
    assert_eq!(came.code, Some(2), "{came:?}");
}

async fn following_ends_with_the_exit_codes(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "create-wait").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let came = create(&cx, &at, &[&["good", "--wait"], &IMAGE[..]].concat()).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(
        came.out.starts_with("jobrequest/good created\njobrequest/good: run 1 has completed"),
        "{came:?}"
    );
    let came = create(&cx, &at, &[&["watched", "--watch"], &IMAGE[..]].concat()).await;
    assert!(came.out.contains("jobrequest/watched: Running: "), "{came:?}");
    // For machines: the name alone on stdout.
    let came = create(&cx, &at, &[&["named", "--wait", "-o", "name"], &IMAGE[..]].concat()).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "jobrequest.jobrequest.dev/named\n"), "{came:?}");
    assert!(came.err.contains("jobrequest/named: run 1 has completed"), "{came:?}");
    let came = create(&cx, &at, &[&["suspended", "--suspend", "--wait"], &IMAGE[..]].concat()).await;
    assert_eq!(came.code, Some(5), "{came:?}");
    let fails = spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 0}}));
    let annotations = format!("annotations={}", fails["annotations"]);
    let came = create(
        &cx,
        &at,
        &[&["fails", "--backoff-limit", "0", "--set", &annotations, "--wait"], &IMAGE[..]].concat(),
    )
    .await;
    assert_eq!(came.code, Some(1), "{came:?}");
    let long = spec(&json!({"run-seconds": "forever"}), &json!({}));
    let annotations = format!("annotations={}", long["annotations"]);
    let came = create(
        &cx,
        &at,
        &[&["long", "--set", &annotations, "--wait", "--timeout", "5s", "-q"], &IMAGE[..]].concat(),
    )
    .await;
    assert_eq!(came.code, Some(4), "{came:?}");
}
