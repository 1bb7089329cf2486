//! The chart on a real API server: installed, tested, upgraded and uninstalled with Helm 3 and Helm 4, and every
//! rendered case against the API server's own schemas.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use crate::support::people::send;
use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        lives_with_helm_3: |cx| lives_with(cx, "helm3"),
        lives_with_helm_4: |cx| lives_with(cx, "helm4"),
        self_test_reports_what_is_wrong,
        renders_pass_the_schemas_of_the_api_server,
        watches_several_namespaces_with_roles,
    ]
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> String {
    root().join("charts/jobrequest").display().to_string()
}

/// A release beside the harness's, with the CRDs: install, run, add a template, test, uninstall; and the objects stay.
async fn lives_with(cx: Arc<Cluster>, version: &'static str) {
    let cx = cx.own().await;
    let helm = |arguments: &[&str]| {
        let into = ["--namespace", "batch"];
        cx.control_plane()
            .helm(version, &[arguments, into.as_slice()].concat())
            .unwrap_or_else(|e| panic!("{e}"))
    };
    let chart = chart();
    // Simulated nodes run the pods, so that Helm has something to wait for.
    let forever = "podAnnotations.sim\\.jobrequest\\.dev/run-seconds=forever";
    let ready = ["--set-string", forever, "--wait", "--timeout=120s"];
    let said = helm(&[&["install", "batch", &chart, "--create-namespace"], ready.as_slice()].concat());
    assert!(said.contains("helm test batch --namespace batch --logs"), "{said}");
    let pods = cx.kubectl(&["get", "pods", "-n", "batch", "-o=name"]);
    assert_eq!(pods.lines().count(), 2, "{pods}");

    let at = Requests::new(&cx, "release").await;
    // For all namespaces, so that it writes the status of the template which Helm 4 waits for.
    let _operator = Operator::start_as_with(&cx, &[], "batch", "batch-jobrequest");
    at.create("before", spec(&json!({}), &json!({}))).await;
    at.until_phase("before", 1, "Completed").await;

    // Defaults come with an upgrade: the kind is known by now.
    let quota =
        "quotas.small.limits.cpu=500m,containerDefaults.quota=small,policy.settings.backoffLimit.max=3";
    helm(&[&["upgrade", "batch", &chart, "--set", quota], ready.as_slice()].concat());
    at.create("after", spec(&json!({}), &json!({"settings": {"backoffLimit": 1}}))).await;
    at.until_phase("after", 1, "Completed").await;
    let job = at.jobs().get("after-1").await.unwrap();
    let container = job.spec.unwrap().template.spec.unwrap().containers.remove(0);
    let limits = container.resources.unwrap().limits.unwrap();
    assert_eq!(limits["cpu"].0, "500m");
    at.create("beyond", spec(&json!({}), &json!({"settings": {"backoffLimit": 4}}))).await;
    at.until("beyond", "is rejected", |status| status["phase"] == "Rejected").await;
    // Gone from the values, gone from the cluster.
    helm(&[&["upgrade", "batch", &chart, "--reset-values"], ready.as_slice()].concat());
    assert_eq!(cx.kubectl(&["get", "clusterjobtemplates", "-o=name"]), "");

    // The simulated pod succeeds at once; what it would do is done by the test below. Its rights are real.
    helm(&["test", "batch", "--timeout=60s"]);

    at.create("going-on", spec(&json!({"run-seconds": "forever"}), &json!({}))).await;
    at.until_phase("going-on", 1, "Running").await;
    helm(&["uninstall", "batch", "--wait"]);
    let left = cx.kubectl(&[
        "get",
        "all,serviceaccounts,roles,rolebindings,poddisruptionbudgets",
        "-n",
        "batch",
        "-o=name",
    ]);
    let left: Vec<_> = left.lines().filter(|line| line.contains("jobrequest")).collect();
    assert_eq!(left, Vec::<&str>::new(), "of the release nothing is left");
    assert!(at.exists("before").await, "the CRDs stay, and so do the records");
    let job = at.jobs().get("going-on-1").await.unwrap();
    assert_eq!(job.status.unwrap().active, Some(1), "running Jobs stay alone");
    // And it can come back, over the CRDs that it left.
    helm(&[&["install", "batch", &chart], ready.as_slice()].concat());
}

/// The program of `helm test`, with the rights that the chart gives it: it shows a run, and says what is wrong.
async fn self_test_reports_what_is_wrong(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "self-test").await;
    let values = format!("selfTest.namespace={},replicas=0,crds.enabled=false", at.namespace.name());
    let rendered = cx
        .control_plane()
        .helm(
            "helm4",
            &[
                "template",
                "jobrequest",
                &chart(),
                "--set",
                &values,
                "--namespace=jobrequest-system",
                "--show-only=templates/tests/self-test.yaml",
            ],
        )
        .unwrap();
    let manifest = cx.log("self-test.yaml");
    // The rights alone: a simulated pod would run nothing.
    let rights: Vec<_> =
        rendered.split("\n---\n").filter(|document| !document.contains("kind: Pod")).collect();
    fs::write(&manifest, rights.join("\n---\n")).unwrap();
    cx.kubectl(&["apply", "-f", &manifest.display().to_string()]);
    let kubeconfig = cx.log("self-test.kubeconfig");
    fs::write(
        &kubeconfig,
        cx.control_plane().kubeconfig_of("jobrequest-system", "jobrequest-self-test").unwrap(),
    )
    .unwrap();
    let self_test = async |timeout: &'static str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_jobrequest"));
        command.args(["self-test", "--image=jobrequest:test", "--timeout", timeout]);
        command.args(["--namespace", at.namespace.name()]).env("KUBECONFIG", &kubeconfig);
        let output = command.output().await.expect("run the self-test");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };

    let (code, text) = self_test("2s").await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("no status yet") && text.contains("is the operator running?"), "{text}");

    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let (code, text) = self_test("60s").await;
    assert_eq!(code, Some(0), "{text}");
    for words in ["created in namespace", "Completed", "Ready                True", "deleted"] {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }

    // A policy that forbids it is named.
    let policy = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobTemplate", "metadata": {"name": "limits"},
        "spec": {"default": true, "policy": {"images": {"allow": ["registry.example.com/**"]}}}
    });
    let collection = format!("/apis/jobrequest.dev/v1alpha1/namespaces/{}/jobtemplates", at.namespace.name());
    send(&at.client, Method::POST, &collection, &policy).await.unwrap();
    let (code, text) = self_test("60s").await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("Rejected") && text.contains("registry.example.com/**"), "{text}");

    // It leaves nothing behind.
    assert_eq!(cx.kubectl(&["get", "jobrequests", "-n", at.namespace.name(), "-o=name"]), "");
}

/// kubeconform, with the schemas of this very API server: the usual ones are in the network.
async fn renders_pass_the_schemas_of_the_api_server(cx: Arc<Cluster>) {
    let folder = cx.log("schemas");
    fs::create_dir_all(&folder).unwrap();
    let client = cx.client().await;
    let kinds = export_schemas(&client, &folder).await;
    assert!(kinds > 50, "only {kinds} kinds were found");
    let mut files: Vec<PathBuf> = Vec::new();
    for case in fs::read_dir(root().join("tests/chart/render")).unwrap() {
        let case = case.unwrap().path();
        // The CRDs are cut short in the committed file.
        let rendered = fs::read_to_string(case.join("rendered.yaml")).unwrap();
        let whole: Vec<_> =
            rendered.split("---\n").filter(|text| !text.contains("# spec: the one of")).collect();
        let file = cx.log(&format!("{}.yaml", case.file_name().unwrap().to_str().unwrap()));
        fs::write(&file, whole.join("---\n")).unwrap();
        files.push(file);
    }
    files.extend(fs::read_dir(root().join("crds")).unwrap().map(|entry| entry.unwrap().path()));
    let kubeconform = |files: &[PathBuf]| {
        let output = Command::new(cx.control_plane().program("kubeconform"))
            .args(["-strict", "-summary", "-output=text", "-schema-location"])
            .arg(format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", folder.display()))
            // Kinds of the Prometheus operator, which this cluster does not have.
            .args(["-skip", "ServiceMonitor,PrometheusRule"])
            .args(files)
            .output()
            .expect("run kubeconform");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    let (passed, text) = kubeconform(&files);
    assert!(passed, "{text}");
    println!("figure: kubeconform: {}", text.lines().last().unwrap_or_default());
    // It would have found something.
    let wrong = cx.log("wrong.yaml");
    let text = fs::read_to_string(&files[0]).unwrap().replacen("replicas:", "replica:", 1);
    fs::write(&wrong, text).unwrap();
    let (passed, text) = kubeconform(&[wrong]);
    assert!(!passed && text.contains("replica"), "{text}");
}

/// Writes the schema of each kind as kubeconform looks for it; returns how many there are.
async fn export_schemas(client: &kube::Client, folder: &Path) -> usize {
    let request =
        http::Request::get("/openapi/v2").header("Accept", "application/json").body(Vec::new()).unwrap();
    let openapi: Value = serde_json::from_str(&client.request_text(request).await.unwrap()).unwrap();
    let mut definitions: Map<String, Value> = openapi["definitions"].as_object().unwrap().clone();
    definitions.values_mut().for_each(|definition| {
        // No room for unknown fields.
        if definition["properties"].is_object() && definition["additionalProperties"].is_null() {
            definition["additionalProperties"] = json!(false);
        }
    });
    // Numbers stand for quantities and ports, too.
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = json!({"type": ["string", "number"]});
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = json!({"type": ["string", "integer"]});
    // A schema of schemas: unlimited.
    definitions["io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"] =
        json!({"type": "object"});
    let mut count = 0;
    for (name, definition) in &definitions {
        for kind in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let (group, version) = (kind["group"].as_str().unwrap(), kind["version"].as_str().unwrap());
            let group = group.split('.').next().filter(|group| !group.is_empty());
            let group = group.map(|group| format!("{group}-")).unwrap_or_default();
            let kind = kind["kind"].as_str().unwrap().to_lowercase();
            let schema = json!({"$ref": format!("definitions.json#/definitions/{name}")});
            fs::write(folder.join(format!("{kind}-{group}{version}.json")), schema.to_string()).unwrap();
            count += 1;
        }
    }
    fs::write(folder.join("definitions.json"), json!({"definitions": definitions}).to_string()).unwrap();
    count
}

/// Roles in two namespaces, an operator for each, and nothing that sees a third.
async fn watches_several_namespaces_with_roles(cx: Arc<Cluster>) {
    let (one, two, other) =
        (Requests::new(&cx, "one").await, Requests::new(&cx, "two").await, Requests::new(&cx, "other").await);
    let (first, second) = (one.namespace.name(), two.namespace.name());
    let values = format!("watchNamespaces={{{first},{second}}},replicas=0,crds.enabled=false");
    let into = ["--namespace", "few", "--create-namespace"];
    let install = ["install", "few", &chart(), "--set", &values];
    cx.control_plane().helm("helm4", &[install.as_slice(), into.as_slice()].concat()).unwrap();
    let deployments = cx.kubectl(&["get", "deployments", "-n", "few", "-o=name"]);
    assert_eq!(deployments.lines().count(), 2, "{deployments}");

    let mut operators =
        [&one, &two].map(|at| Operator::start_as(&cx, &at.namespace, "few", "few-jobrequest"));
    let mut beyond = Operator::start_as(&cx, &other.namespace, "few", "few-jobrequest");
    for at in [&one, &two, &other] {
        at.create("a", spec(&json!({}), &json!({}))).await;
    }
    one.until_phase("a", 1, "Completed").await;
    two.until_phase("a", 1, "Completed").await;
    for operator in &mut operators {
        assert!(operator.is_running());
        let log = operator.log();
        assert!(!log.contains("forbidden"), "{log}");
    }
    // The account has no right in the third namespace; it says so, and waits.
    eventually(DEADLINE, "the operator of the third namespace says what is missing", async || {
        let log = beyond.log();
        if log.contains("may not be listed; grant the operator's account its role") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    assert!(beyond.is_running());
    assert_eq!(other.job_names().await, Vec::<String>::new());
}
