//! Nothing that a tool does with an unchanged file changes the object, and no edit without a meaning starts a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_file_applied_twice_is_unchanged,
        null_and_empty_mean_absent,
        edits_that_mean_nothing_start_no_run,
    ]
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every file of the examples and of the manifests that were moved to JobRequests.
fn files() -> Vec<PathBuf> {
    fn find(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                find(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["examples", "tests/manifests"] {
        find(&Path::new(ROOT).join(folder), &mut found);
    }
    found.retain(|file| fs::read_to_string(file).unwrap().contains("jobrequest.dev/v1alpha1"));
    found.sort();
    found
}

/// A client-side apply computes the three-way merge patch that GitOps tools compare by: it says `unchanged` exactly when
/// that patch is empty. A server-side apply that changes nothing leaves the resource version.
async fn a_file_applied_twice_is_unchanged(cx: Arc<Cluster>) {
    // Default templates would apply to every request of the cluster.
    let cx = cx.own().await;
    cx.control_plane().install_crds().unwrap();
    let files = files();
    assert!(files.len() >= 8, "{files:?}");
    let mut changed = Vec::new();
    for name in ["reports", "training"] {
        cx.kubectl(&["create", "namespace", name]);
    }
    for file in &files {
        let path = file.display().to_string();
        // Files of teams name their namespaces.
        let is_of_team = fs::read_to_string(file).unwrap().contains("\n  namespace: ");
        let namespace = cx.namespace("drift").await;
        let of = if is_of_team { vec![] } else { vec!["-n", namespace.name()] };
        let run = |verb: &[&str]| cx.kubectl(&[verb, &of, &["-f", &path]].concat());
        run(&["apply"]);
        let again = run(&["apply"]);
        let lines = again.lines().filter(|line| line.contains("jobrequest.dev"));
        changed
            .extend(lines.filter(|line| !line.ends_with(" unchanged")).map(|line| format!("{path}: {line}")));
        run(&["delete"]);

        let apply = ["apply", "--server-side", "-o", "json"];
        run(&apply);
        // The first write after the creation stores the default of the status, which the operator replaces at once.
        let first = versions(&run(&apply));
        let second = versions(&run(&apply));
        assert!(!first.is_empty(), "{path}");
        if first != second {
            changed.push(format!("{path}: {first:?} became {second:?} by a server-side apply"));
        }
        run(&["delete", "--wait=false"]);
    }
    assert!(changed.is_empty(), "changed by nothing:\n{}", changed.join("\n"));
    println!("figure: {} files applied twice, client-side and server-side: 0 changes", files.len());
}

/// The resource versions of the objects of this project in an answer of kubectl.
fn versions(answer: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let one = [answer.clone()];
    let objects = answer["items"].as_array().map_or(&one[..], Vec::as_slice);
    let of_group = objects.iter().filter(|object| object["apiVersion"] == "jobrequest.dev/v1alpha1");
    of_group.map(|object| object["metadata"]["resourceVersion"].to_string()).collect()
}

fn object(namespace: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {"name": "same", "namespace": namespace}, "spec": spec
    })
}

fn apply(cx: &Cluster, at: &Requests, spec: &Value) {
    let file = cx.log("same.json");
    fs::write(&file, object(at.namespace.name(), spec).to_string()).unwrap();
    cx.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]);
}

async fn null_and_empty_mean_absent(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "null").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let plain = spec(&json!({}), &json!({}));
    apply(&cx, &at, &plain);
    at.until_phase("same", 1, "Completed").await;
    let fields: Vec<String> = {
        let crd =
            jobrequest::api::crds().into_iter().find(|crd| crd.spec.names.kind == "JobRequest").unwrap();
        let crd = serde_json::to_value(crd).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let several = ["object", "array"].map(Value::from);
        let all = spec["properties"].as_object().unwrap().iter();
        all.filter(|(_, field)| several.contains(&field["type"])).map(|(name, _)| name.clone()).collect()
    };
    assert!(fields.len() > 12, "{fields:?}");
    let mut with_nulls = plain.clone();
    let mut emptied = plain.clone();
    for field in fields.iter().filter(|field| plain.get(*field).is_none()) {
        with_nulls[field] = Value::Null;
    }
    for field in ["settings", "labels", "nodeSelector", "securityContext", "overrides", "runPolicy"] {
        emptied[field] = json!({});
    }
    for field in ["initContainers", "volumes", "imagePullSecrets", "without"] {
        emptied[field] = json!([]);
    }
    for (what, spec) in [("null", &with_nulls), ("empty", &emptied), ("absent", &plain)] {
        apply(&cx, &at, spec);
        let generation = at.get("same").await["metadata"]["generation"].clone();
        let status = at.until("same", what, |status| status["observedGeneration"] == generation).await;
        assert_eq!(
            (&status["phase"], &status["run"]),
            (&json!("Completed"), &json!(1)),
            "{what}: {status:#}"
        );
    }
    assert_eq!(at.job_names().await, ["same-1"]);
}

async fn edits_that_mean_nothing_start_no_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "meaning").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let mut wanted = spec(
        &json!({}),
        &json!({"volumes": [
            {"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "b", "emptyDir": {}}
        ]}),
    );
    wanted["containers"][0]["resources"] = json!({"requests": {"cpu": "500m", "memory": "1Gi"}});
    wanted["containers"][0]["ports"] = json!([{"port": 80}]);
    apply(&cx, &at, &wanted);
    at.until_phase("same", 1, "Completed").await;
    let mut run = 1;
    let edits: [(&str, Value, bool); 6] = [
        ("/containers/0/resources/requests/cpu", json!("0.5"), false),
        ("/containers/0/resources/requests/memory", json!("1024Mi"), false),
        ("/containers/0/ports", json!([{"port": 80, "protocol": "TCP"}]), false),
        (
            "/volumes",
            json!([{"name": "b", "emptyDir": {}}, {"name": "a", "emptyDir": {"sizeLimit": "1024Mi"}}]),
            false,
        ),
        ("/containers/0/resources/requests/cpu", json!("501m"), true),
        ("/containers/0/resources/requests/cpu", json!("0.501"), false),
    ];
    for (path, value, is_change) in edits {
        *wanted.pointer_mut(path).unwrap() = value.clone();
        apply(&cx, &at, &wanted);
        run += i64::from(is_change);
        let generation = at.get("same").await["metadata"]["generation"].clone();
        at.until("same", "has seen it", |status| status["observedGeneration"] == generation).await;
        let status = at.until_phase("same", run, "Completed").await;
        assert_eq!(status["run"], run, "{path}: {value}");
    }
    assert_eq!(at.job_names().await, ["same-1", "same-2"]);
}
