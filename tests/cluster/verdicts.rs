//! `validate` says what the API server and the operator say: the same verdict on every document of a corpus.
//!
//! The corpus: the tables of the schema tests, a table of whole objects, and every change of one value or key of the
//! example that has everything. The API server judges each as a dry run with strict validation.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use jobrequest::api::JobRequest;
use jobrequest::api::template_ref::TemplateRef;
use jobrequest::compile::{Identity, Layers, Template, check_template, compile};
use jobrequest::manifest::read_documents;
use kube::Client;
use serde_json::{Value, json};

use crate::schema;
use crate::support::requests::{stored, try_create};
use crate::support::{Cluster, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        tables_get_the_verdict_of_the_server,
        changed_examples_get_the_verdict_of_the_server,
        changed_templates_get_the_verdict_of_the_server,
    ]
}

fn object(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": name}, "spec": spec
    })
}

/// The Job that the operator would make of it; none of a template that it has nothing against.
fn compiles(object: &Value) -> Result<Option<Value>, String> {
    if object["kind"] != "JobRequest" {
        let template = Template {
            reference: TemplateRef {
                kind: serde_json::from_value(object["kind"].clone()).unwrap(),
                name: "a".to_owned(),
            },
            uid: String::new(),
            generation: 1,
            created: None,
            is_terminating: false,
            spec: jobrequest::compile::read_spec(&serde_json::from_value(object["spec"].clone()).unwrap()),
        };
        return match check_template(&template).as_slice() {
            [] => Ok(None),
            problems => Err(format!("{problems:?}")),
        };
    }
    let request: JobRequest = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    let identity = Identity {
        name: request.metadata.name.as_deref().unwrap_or_default(),
        namespace: None,
        uid: None,
        generation: None,
        handled: None,
    };
    compile(&identity, &request.spec, &Layers::default(), 1)
        .map(|compiled| Some(json!(compiled.job)))
        .map_err(|problems| problems.to_string())
}

/// What the API server says of an object, then the operator, then the API server of the Job that comes of it.
async fn there(client: &Client, collection: &str, jobs: &str, object: &Value) -> Result<(), String> {
    let stored = stored(client, collection, object).await;
    let job = compiles(&stored.map_err(|message| format!("API server: {message}"))?)
        .map_err(|message| format!("operator: {message}"))?;
    let Some(job) = job else { return Ok(()) };
    try_create(client, jobs, &job).await.map_err(|message| format!("Kubernetes: {message}"))
}

/// How `validate` reports a second document of the same kind, namespace and name.
const TWICE: &str = " is written twice, ";

/// What `validate` says of each by itself: the server sees them one at a time, so that two may have one name.
fn here(file: &Path, objects: &[Value]) -> Vec<Result<(), String>> {
    let lines: Vec<_> = objects.iter().map(|object| format!("{object}\n")).collect();
    fs::write(file, lines.concat()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_jobrequest"))
        .args(["validate", "-o", "json"])
        .arg(file)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let documents = report["documents"].as_array().unwrap();
    assert_eq!(documents.len(), objects.len(), "{:?}", report["problems"][0]);
    let problems = report["problems"].as_array().unwrap();
    documents
        .iter()
        .map(|document| {
            let of_it: Vec<_> = problems
                .iter()
                .filter(|problem| problem["line"] == document["line"])
                .map(|problem| format!("{}: {}", problem["field"], problem["message"]))
                .collect();
            assert_eq!(document["valid"] == true, of_it.is_empty(), "{document}: {of_it:?}");
            let alone: Vec<_> = of_it.into_iter().filter(|problem| !problem.contains(TWICE)).collect();
            if alone.is_empty() { Ok(()) } else { Err(alone.join("; ")) }
        })
        .collect()
}

async fn compare(cx: &Cluster, objects: &[Value], at_least: usize) {
    assert!(objects.len() >= at_least, "only {} documents", objects.len());
    let namespace = cx.namespace("verdicts").await;
    let client = cx.client().await;
    let collection = |object: &Value| {
        let of_group = "/apis/jobrequest.dev/v1alpha1";
        match object["kind"].as_str().unwrap() {
            "ClusterJobTemplate" => format!("{of_group}/clusterjobtemplates"),
            kind => format!("{of_group}/namespaces/{}/{}s", namespace.name(), kind.to_lowercase()),
        }
    };
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", namespace.name());
    let here = here(&cx.log("corpus.json"), objects);
    let mut differences = Vec::new();
    let mut refused = 0;
    for (object, here) in objects.iter().zip(here) {
        let there = there(&client, &collection(object), &jobs, object).await;
        refused += usize::from(there.is_err());
        if there.is_ok() != here.is_ok() {
            let object: String = object.to_string().chars().take(1500).collect();
            differences.push(format!("{object}\n  there: {there:?}\n  here: {here:?}"));
        }
    }
    let count = differences.len();
    differences.truncate(20);
    assert!(count == 0, "{count} of {} differ:\n{}", objects.len(), differences.join("\n"));
    assert!(refused > objects.len() / 4, "only {refused} of {} were refused", objects.len());
}

/// Objects that differ in more than their spec, and what the tables leave out.
#[allow(clippy::too_many_lines)] // a table
fn objects() -> Vec<Value> {
    let spec = json!({"containers": [{"name": "main", "image": "x"}]});
    let with = |metadata: Value| json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": metadata, "spec": spec});
    let owner = |more: Value| {
        let mut owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"});
        for (key, value) in more.as_object().unwrap() {
            owner[key] = value.clone();
        }
        with(json!({"name": "a", "ownerReferences": [owner]}))
    };
    let resources = |resources: Value| {
        object("a", &json!({"containers": [{"name": "main", "image": "x", "resources": resources}]}))
    };
    let setting = |settings: Value| {
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "settings": settings}))
    };
    let template = |kind: &str, metadata: Value, spec: Value| json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    let named = |kind: &str, name: &str| template(kind, json!({"name": name}), json!({}));
    let generated = |name: &str| template("JobTemplate", json!({"generateName": name}), json!({}));
    let cpu = |cpu: Value| {
        let policy = json!({"policy": {"resources": {"runMax": {"cpu": cpu}}}});
        template("ClusterJobTemplate", json!({"name": "a"}), policy)
    };
    let deadline = |seconds: Value| {
        let spec = json!({"terminationGracePeriodSeconds": seconds});
        object(
            "a",
            &json!({"containers": [{"name": "a", "image": "x"}], "overrides": {"template": {"spec": spec}}}),
        )
    };
    let mut objects = vec![
        named("JobTemplate", "a.b"),
        named("JobTemplate", "A"),
        named("JobTemplate", "a_b"),
        named("JobTemplate", "a..b"),
        named("ClusterJobTemplate", "-a"),
        named("ClusterJobTemplate", "a."),
        named("ClusterJobTemplate", &"a".repeat(253)),
        named("ClusterJobTemplate", &"a".repeat(254)),
        generated("a-"),
        generated("a"),
        generated("A-"),
        generated("a."),
        generated("a--"),
        generated(&"a".repeat(100)),
        cpu(json!(9_223_372_036_854_775_807_i64)),
        cpu(json!(9_223_372_036_854_775_808_u64)),
        cpu(json!(18_446_744_073_709_551_615_u64)),
        cpu(json!(1e30)),
        cpu(json!("1e30")),
        deadline(json!(9_223_372_036_854_775_807_i64)),
        deadline(json!(9_223_372_036_854_775_808_u64)),
        setting(json!({"activeDeadlineSeconds": 9_223_372_036_854_775_808_u64})),
        with(json!({"name": "a"})),
        with(json!({"name": "a".repeat(52)})),
        with(json!({"name": "a".repeat(53)})),
        with(json!({"name": "A"})),
        with(json!({"name": "a.b"})),
        with(json!({"name": "-a"})),
        with(json!({"name": ""})),
        with(json!({"name": 7})),
        with(json!({})),
        with(json!({"generateName": "a-"})),
        with(json!({"generateName": "A-"})),
        with(json!({"generateName": "a".repeat(47)})),
        with(json!({"generateName": "a".repeat(48)})),
        with(json!({"name": "a", "labels": {"a": "b", "example.com/a": ""}})),
        with(json!({"name": "a", "labels": {"a": 1}})),
        with(json!({"name": "a", "labels": {"a": null}})),
        with(json!({"name": "a", "labels": null})),
        with(json!({"name": "a", "labels": []})),
        with(json!({"name": "a", "labels": {"a b": "c"}})),
        with(json!({"name": "a", "labels": {"a": "b c"}})),
        with(json!({"name": "a", "labels": {"a": "b".repeat(63)}})),
        with(json!({"name": "a", "labels": {"a": "b".repeat(64)}})),
        with(json!({"name": "a", "labels": {"/a": "b"}})),
        with(json!({"name": "a", "labels": {"A.b/c": "b"}})),
        with(json!({"name": "a", "labels": {"a/b/c": "b"}})),
        with(json!({"name": "a", "annotations": {"A.b/c": "any !"}})),
        with(json!({"name": "a", "annotations": {"a b": "c"}})),
        with(json!({"name": "a", "annotations": {"a": "x".repeat(256 * 1024 - 1)}})),
        with(json!({"name": "a", "annotations": {"a": "x".repeat(256 * 1024)}})),
        with(json!({"name": "a", "annotations": {"a": true}})),
        with(json!({"name": "a", "annotations": {"jobrequest.dev/rerun": "x"}})),
        with(json!({"name": "a", "lables": {}})),
        with(json!({"name": "a", "creationTimestamp": null})),
        with(json!({"name": "a", "finalizers": ["example.com/a"]})),
        with(json!({"name": "a", "finalizers": ["a"]})),
        with(json!({"name": "a", "finalizers": ["orphan"]})),
        with(json!({"name": "a", "finalizers": ["orphan", "foregroundDeletion"]})),
        with(json!({"name": "a", "finalizers": "x"})),
        with(json!({"name": "a", "generation": -1})),
        owner(json!({})),
        owner(json!({"uid": ""})),
        owner(json!({"name": null})),
        owner(json!({"controller": true})),
        owner(json!({"controller": "yes"})),
        owner(json!({"extra": 1})),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}, "spec": null}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "spec": {}}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}, "spec": spec, "extra": 1}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}, "spec": spec, "status": {}}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}, "spec": spec, "status": {"phase": "x", "run": 1}}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}, "spec": spec, "status": {"fase": "x"}}),
        json!({"apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"}, "spec": []}),
        setting(json!({"backoffLimit": 2_147_483_647_i64})),
        setting(json!({"backoffLimit": 2_147_483_648_i64})),
        setting(json!({"backoffLimit": 3.0})),
        setting(json!({"backoffLimit": 3.5})),
        setting(json!({"backoffLimit": "3"})),
        setting(json!({"backoffLimit": null})),
        setting(json!({"activeDeadlineSeconds": 1e30})),
        setting(json!({"maxFailedIndexes": 1})),
        setting(json!({"completionMode": "Indexed", "backoffLimitPerIndex": 1, "maxFailedIndexes": 1})),
        setting(json!({"podFailurePolicy": {"rules": []}})),
        setting(
            json!({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}}),
        ),
        setting(
            json!({"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 1]}}]}}),
        ),
        setting(
            json!({"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}}),
        ),
        setting(json!({"podFailurePolicy": {"rules": [null]}})),
        object("a", &json!({"containers": [null]})),
        object("a", &json!({"containers": ["x"]})),
        object("a", &json!({"containers": []})),
        object("a", &json!({"containers": [{"name": "main", "image": "x", "command": [null]}]})),
        object("a", &json!({"containers": [{"name": "main", "image": "x", "command": [7]}]})),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x", "env": [{"name": "A", "value": "圆".repeat(32_768)}]}]}),
        ),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x", "env": [{"name": "A", "value": "圆".repeat(32_769)}]}]}),
        ),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x", "env": [{"name": "圆", "value": ""}]}]}),
        ),
        object("a", &json!({"containers": [{"name": "main", "image": "x\u{a0}y"}]})),
        object("a", &json!({"containers": [{"name": "main", "image": "x\u{b}y"}]})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "😀".repeat(63)})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "😀".repeat(64)})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "e\u{301}".repeat(32)})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "\u{a0}"})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "\u{3000}"})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "\u{200b}"})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "\u{85}"})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "alias": "\u{180e}"})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "labels": {"a\n": "x"}})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "labels": {"a": "x\n"}})),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x"}], "labels": {format!("{}/a", "b".repeat(253)): "x"}}),
        ),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x"}], "labels": {format!("{}/a", "b".repeat(254)): "x"}}),
        ),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "imagePullSecrets": [null]})),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "overrides": {"suspend": null}})),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x"}], "overrides": {"template": {"spec": {"x": null}}}}),
        ),
        object(
            "a",
            &json!({"containers": [{"name": "main", "image": "x"}], "overrides": {"template": {"metadata": {"labels": {"a": 7}}}}}),
        ),
        object("a", &json!({"containers": [{"name": "main", "image": "x"}], "overrides": null})),
    ];
    for (request, limit) in [
        ("1", "1"),
        ("1000m", "1"),
        ("1001m", "1"),
        ("1Ki", "1k"),
        ("1k", "1Ki"),
        ("1e3", "1k"),
        ("1E", "1e18"),
        ("1Ei", "1e18"),
        ("1n", "0.0000000001"),
        ("2n", "0.0000000001"),
        ("0.0000000001", "1n"),
        ("9e99", "1"),
        ("1", "9e99"),
        ("99e99", "98e99"),
        ("100E", "99E"),
        ("10E", "9.5E"),
        ("10E", "10000000000000000000"),
        ("0.1234567891", "0.123456789"),
        ("0", "0"),
        ("+1", "1"),
        (".5", "500m"),
        ("5.", "5"),
        ("1.5Gi", "1536Mi"),
        ("1.0000000001Gi", "1Gi"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345677"),
        ("1e-9", "1n"),
        ("9223372036854775808", "9223372036854775807"),
        ("1e-99", "0"),
        ("1e-99", "1n"),
        ("-1", "1"),
        ("1e100", "1"),
        ("1", "1e999"),
        ("1mi", "1"),
        ("1", ""),
        (" 1", "1"),
        ("1E3", "1k"),
        ("1e+3", "1k"),
    ] {
        objects.push(resources(json!({"requests": {"cpu": request}, "limits": {"cpu": limit}})));
    }
    for amount in [
        json!(0),
        json!(-1),
        json!(7),
        json!(1.5),
        json!(null),
        json!(true),
        json!("1".repeat(65)),
        json!(i64::MAX),
    ] {
        objects.push(resources(json!({"limits": {"cpu": amount}})));
    }
    objects
}

async fn tables_get_the_verdict_of_the_server(cx: Arc<Cluster>) {
    let mut objects = objects();
    for (_, taken, refused, _) in schema::rules() {
        for spec in [taken, refused] {
            // Rules are judged in specs that compile, too.
            let mut whole = spec.clone();
            if whole.is_object() && whole.get("containers").is_none() {
                whole["containers"] = json!([{"name": "main", "image": "x"}]);
                objects.push(object("rule", &whole));
            }
            objects.push(object("rule", &spec));
        }
    }
    for (_, bound, make) in schema::bounds() {
        objects.push(object("bound", &make(bound)));
        objects.push(object("bound", &make(bound + 1)));
    }
    compare(&cx, &objects, 250).await;
}

/// Every object that comes of `value` by one change of one value or key.
fn changes(value: &Value, replace: &mut dyn FnMut(Value)) {
    let others =
        [json!(null), json!(""), json!("x y"), json!(-1), json!(1.5), json!(true), json!([]), json!({})];
    for other in others {
        if other != *value {
            replace(other);
        }
    }
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let mut without = map.clone();
                without.remove(key);
                replace(Value::Object(without.clone()));
                without.insert(format!("{key}x"), child.clone());
                replace(Value::Object(without));
                changes(child, &mut |changed| {
                    let mut map = map.clone();
                    map.insert(key.clone(), changed);
                    replace(Value::Object(map));
                });
            }
        }
        Value::Array(items) => {
            for (index, child) in items.iter().enumerate() {
                let mut twice = items.clone();
                twice.push(child.clone());
                replace(Value::Array(twice));
                changes(child, &mut |changed| {
                    let mut items = items.clone();
                    items[index] = changed;
                    replace(Value::Array(items));
                });
            }
        }
        _ => {}
    }
}

async fn changed_examples_get_the_verdict_of_the_server(cx: Arc<Cluster>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/everything.yaml");
    let example = read_documents(&fs::read_to_string(file).unwrap()).unwrap().remove(0);
    let mut objects = vec![example.clone()];
    for part in ["spec", "metadata"] {
        changes(&example[part], &mut |changed| {
            let mut object = example.clone();
            object[part] = changed;
            objects.push(object);
        });
    }
    compare(&cx, &objects, 500).await;
}

async fn changed_templates_get_the_verdict_of_the_server(cx: Arc<Cluster>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/platform-teams");
    let mut objects = Vec::new();
    for file in ["platform.yaml", "reports/template.yaml", "training/templates.yaml"] {
        for mut template in read_documents(&fs::read_to_string(folder.join(file)).unwrap()).unwrap() {
            // It is sent to a namespace of this test.
            template["metadata"].as_object_mut().unwrap().remove("namespace");
            objects.push(template.clone());
            changes(&template["spec"], &mut |changed| {
                let mut object = template.clone();
                object["spec"] = changed;
                objects.push(object);
            });
        }
    }
    compare(&cx, &objects, 900).await;
}
