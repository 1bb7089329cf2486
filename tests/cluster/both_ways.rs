//! One corpus both ways: `render` shows the Job which the operator creates, and what `compile` refuses the operator
//! rejects in the same words. The corpus: every case of `tests/compile`, and the examples of two teams.
//!
//! Jobs are compared as the API server stores them: what `render` shows is sent to it as a dry run. What only a cluster
//! knows (uids, generations, the owner) is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use jobrequest::manifest::read_documents;
use k8s_openapi::api::batch::v1::Job;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::support::requests::{condition, stored};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};
use crate::templates::{Templates, message};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_corpus_goes_both_ways,]
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

async fn a_corpus_goes_both_ways(cx: Arc<Cluster>) {
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let client = cx.client().await;
    let _operator = Operator::start_for_all(&cx, &[]);

    let mut cases: Vec<PathBuf> = fs::read_dir(Path::new(ROOT).join("tests/compile"))
        .unwrap()
        .map(|case| case.unwrap().path())
        .collect();
    cases.sort();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        *seen.entry(one_case(&cx, &client, case).await).or_default() += 1;
    }
    println!("figure: {} cases went both ways: {seen:?}", cases.len());
    assert!(seen["the same Job"] >= 30 && seen["rejected in the same words"] >= 15, "{seen:?}");
    assert!(seen.get("suspended").is_none_or(|count| *count == 1), "{seen:?}");

    the_examples(&cx, &client).await;
}

/// What came of a case, the same on both ways.
async fn one_case(cx: &Cluster, client: &Client, case: &Path) -> &'static str {
    let namespace = cx.namespace("case").await;
    let of_cluster = Templates::of(client, None);
    let of_namespace = Templates::of(client, Some(namespace.name()));
    let mut templates = documents(&case.join("templates.yaml"));
    // Nobody can create one; `terminating::` deletes what is held.
    if templates.iter().any(|template| !template["metadata"]["deletionTimestamp"].is_null()) {
        return "with a template that is being deleted";
    }
    templates
        .sort_by_key(|template| template["metadata"]["creationTimestamp"].as_str().map(ToOwned::to_owned));
    let mut last = None;
    for template in &templates {
        let created = template["metadata"]["creationTimestamp"].as_str();
        if last.replace(created).is_some_and(|last| last != created) {
            crate::templates::a_second_later().await;
        }
        let name = template["metadata"]["name"].as_str().unwrap();
        let of = if template["kind"] == "JobTemplate" { &of_namespace } else { &of_cluster };
        of.apply(name, template["spec"].clone()).await;
        of.until(name, "is looked at", |status| condition(status, "Ready") != "-").await;
    }

    let request = documents(&case.join("request.yaml")).remove(0);
    let collection = format!("/apis/jobrequest.dev/v1alpha1/namespaces/{}/jobrequests", namespace.name());
    let mut arguments = vec!["render", "-o", "json", "-n", namespace.name(), "request.yaml"];
    if !templates.is_empty() {
        arguments.extend(["--templates", "templates.yaml"]);
    }
    let rendered = jobrequest(case, &arguments);
    let outcome = if let Err(words) = stored(client, &collection, &request).await {
        assert_eq!(rendered.status.code(), Some(1), "{}: refused there: {words}", case.display());
        "refused by the API server"
    } else {
        create(client, &collection, &request).await;
        let name = request["metadata"]["name"].as_str().unwrap();
        if request["spec"]["suspend"] == true {
            "suspended"
        } else if rendered.status.success() {
            let job = serde_json::from_slice(&rendered.stdout).unwrap();
            let (live, shown) = both(client, namespace.name(), &format!("{name}-1"), &job).await;
            similar_asserts::assert_eq!(live, shown, "{}", case.display());
            "the same Job"
        } else {
            let problems = fs::read_to_string(case.join("problems.txt")).unwrap();
            let words = problems.trim_end().replace('\n', "; ");
            let said = eventually(DEADLINE, &format!("{} is rejected", case.display()), async || {
                let request: Value = get(client, &format!("{collection}/{name}")).await;
                let status = request["status"].clone();
                if status["phase"] == "Rejected" { Ok(message(&status, "Accepted")) } else { Err(status) }
            })
            .await;
            assert_eq!(said, words, "{}", case.display());
            "rejected in the same words"
        }
    };
    for template in templates.iter().filter(|template| template["kind"] == "ClusterJobTemplate") {
        of_cluster.delete(template["metadata"]["name"].as_str().unwrap()).await;
    }
    outcome
}

/// The examples of the page for platform teams, applied as the page says.
async fn the_examples(cx: &Cluster, client: &Client) {
    let folder = Path::new(ROOT).join("examples/platform-teams");
    let path = |file: &str| folder.join(file).display().to_string();
    for namespace in ["reports", "training"] {
        cx.kubectl(&["create", "namespace", namespace]);
    }
    cx.kubectl(&["apply", "-f", &path("platform.yaml")]);
    cx.kubectl(&["apply", "-f", &path("reports/template.yaml"), "-f", &path("training/templates.yaml")]);
    for (namespace, name) in [(None, "platform"), (Some("reports"), "reports"), (Some("training"), "gpu")] {
        let templates = Templates::of(client, namespace);
        templates.until(name, "is valid", |status| condition(status, "Ready") == "True Valid").await;
    }
    cx.kubectl(&["apply", "-f", &path("reports/monthly.yaml"), "-f", &path("training/model.yaml")]);
    for (namespace, name) in [("reports", "monthly"), ("training", "model")] {
        let files = ["-f", namespace, "--templates", "platform.yaml", "-o", "json"];
        let rendered = jobrequest(&folder, &[["render"].as_slice(), &files].concat());
        let job: Value = serde_json::from_slice(&rendered.stdout).unwrap();
        let (live, shown) = both(client, namespace, &format!("{name}-1"), &job).await;
        similar_asserts::assert_eq!(live, shown, "{name}");

        // explain says the same of the files and of the cluster, but for the places.
        let of_files = explained(&jobrequest(&folder, &[["explain"].as_slice(), &files].concat()));
        let kubeconfig = cx.kubeconfig().display().to_string();
        let of_cluster = jobrequest(
            &folder,
            &["explain", "--kubeconfig", &kubeconfig, "-n", namespace, name, "-o", "json"],
        );
        similar_asserts::assert_eq!(of_files, explained(&of_cluster), "{name}");
    }

    // What the pages tell people to look at.
    let all = cx.kubectl(&["get", "clusterjobtemplates,jobtemplates", "-A"]);
    for line in [
        "clusterjobtemplate.jobrequest.dev/platform   true      True    Valid",
        "jobtemplate.jobrequest.dev/gpu",
    ] {
        assert!(all.contains(line), "{all}");
    }
    let defaulted =
        cx.kubectl(&["get", "-n", "reports", "jobrequest", "monthly", "-o", "jsonpath={.status.defaulted}"]);
    assert!(
        defaulted.contains(r#"{"origin":"policy of JobTemplate/reports","path":"settings.parallelism"}"#),
        "{defaulted}"
    );
}

fn explained(output: &Output) -> Value {
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let request = &mut report["requests"][0];
    for field in request["fields"].as_array_mut().unwrap() {
        field.as_object_mut().unwrap().retain(|key, _| key != "file" && key != "line");
    }
    json!([request["object"], request["fields"], request["clamped"], request["warned"], request["valid"]])
}

/// The Job of this name and the one that `render` shows, both as the API server has them.
async fn both(client: &Client, namespace: &str, name: &str, rendered: &Value) -> (Value, Value) {
    let api: Api<Job> = Api::namespaced(client.clone(), namespace);
    let live = eventually(DEADLINE, &format!("Job {name} is there"), async || {
        api.get_opt(name).await.expect("get the Job")
    })
    .await;
    let collection = format!("/apis/batch/v1/namespaces/{namespace}/jobs");
    let mut rendered = rendered.clone();
    // The name is taken by now.
    rendered["metadata"]["name"] = json!(format!("{name}-x"));
    let mut shown =
        stored(client, &collection, &rendered).await.expect("the API server takes what render shows");
    shown["metadata"]["name"] = json!(name);
    (comparable(serde_json::to_value(live).unwrap()), comparable(shown))
}

/// Without what only a cluster knows.
fn comparable(mut job: Value) -> Value {
    let object = job.as_object_mut().unwrap();
    object.retain(|key, _| key == "metadata" || key == "spec");
    let metadata = job["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    let of_cluster =
        ["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"];
    for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
        if let Some(labels) = job.pointer_mut(labels).and_then(Value::as_object_mut) {
            labels.retain(|key, _| !of_cluster.contains(&key.as_str()));
        }
    }
    if let Some(annotations) = job.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations
            .retain(|key, _| key != "jobrequest.dev/request-uid" && key != "jobrequest.dev/generation");
        if let Some(pins) = annotations.get_mut("jobrequest.dev/templates") {
            let mut parsed: Value = serde_json::from_str(pins.as_str().unwrap()).unwrap();
            for pin in parsed.as_array_mut().unwrap() {
                (pin["uid"], pin["generation"]) = (json!(""), json!(0));
            }
            *pins = parsed;
        }
    }
    let spec = job["spec"].as_object_mut().unwrap();
    spec.remove("selector");
    if let Some(metadata) = job.pointer_mut("/spec/template/metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    job
}

fn documents(file: &Path) -> Vec<Value> {
    fs::read_to_string(file).map(|text| read_documents(&text).unwrap()).unwrap_or_default()
}

fn jobrequest(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobrequest")).args(arguments).current_dir(folder).output().unwrap()
}

async fn create(client: &Client, collection: &str, object: &Value) {
    let request = http::Request::post(collection).header("Content-Type", "application/json");
    let request = request.body(serde_json::to_vec(object).unwrap()).unwrap();
    client.request::<Value>(request).await.expect("create the JobRequest");
}

async fn get(client: &Client, path: &str) -> Value {
    client.request(http::Request::get(path).body(Vec::new()).unwrap()).await.expect("get the JobRequest")
}
