//! Sample objects for Argo CD's own tests: takes objects that the operator really produced, keeps them in
//! `integrations/argocd` without what differs from one cluster to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::argo_health;
use crate::support::Cluster;

/// The folder of a kind, in Argo CD's own layout.
pub(super) fn folder(kind: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("integrations/argocd/resource_customizations/jobrequest.dev").join(kind)
}

/// The health script of a kind.
pub(super) fn script(kind: &str) -> PathBuf {
    folder(kind).join("health.lua")
}

/// The committed samples, by name.
pub(super) fn read(kind: &str) -> BTreeMap<String, Value> {
    let files = fs::read_dir(folder(kind).join("testdata")).into_iter().flatten().flatten();
    files
        .map(|file| {
            let text = fs::read_to_string(file.path()).expect("read a sample");
            let name = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
            (name, serde_saphyr::from_str(&text).expect("YAML"))
        })
        .collect()
}

/// The committed samples are these objects, and no others. With `BLESS=1` they become so.
pub(super) fn are_current(kind: &str, live: &BTreeMap<&'static str, Value>) {
    let produced: BTreeMap<String, Value> =
        live.iter().map(|(name, object)| ((*name).to_owned(), timeless(object.clone()))).collect();
    let testdata = folder(kind).join("testdata");
    if std::env::var_os("BLESS").is_some() {
        let _ = fs::remove_dir_all(&testdata);
        fs::create_dir_all(&testdata).expect("create the folder of samples");
        for (name, object) in &produced {
            let text = serde_saphyr::to_string(object).expect("YAML");
            fs::write(testdata.join(format!("{name}.yaml")), text).expect("write a sample");
        }
    }
    let committed = read(kind);
    let names: BTreeSet<&String> = committed.keys().chain(produced.keys()).collect();
    for name in names {
        let [committed, produced] = [&committed, &produced].map(|samples| {
            samples.get(name).map(|object| serde_json::to_string_pretty(object).expect("JSON"))
        });
        similar_asserts::assert_eq!(
            committed.unwrap_or_default(),
            produced.unwrap_or_default(),
            "sample {name} of {kind}: BLESS=1 cargo test --test cluster -- gitops::kstatus"
        );
    }
}

/// With `BLESS=1`, writes the file that Argo CD's own tests read: the healths of the table, with what the script says
/// of each sample.
pub(super) async fn bless_health_tests(cx: &Cluster, kind: &str, table: &[(&str, &str)]) {
    if std::env::var_os("BLESS").is_none() {
        return;
    }
    let samples = read(kind);
    let objects: Vec<Value> = table.iter().map(|(name, _)| samples[*name].clone()).collect();
    let health = argo_health(cx, &script(kind), &objects).await;
    let tests: Vec<Value> = (table.iter().zip(health))
        .map(|((name, health), (_, message))| {
            let health = json!({"status": health, "message": message});
            json!({"inputPath": format!("testdata/{name}.yaml"), "healthStatus": health})
        })
        .collect();
    let text = serde_saphyr::to_string(&json!({"tests": tests})).expect("YAML");
    fs::write(folder(kind).join("health_test.yaml"), text).expect("write the tests");
}

static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$").unwrap());
static UID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap());
/// The end of a pod's name, as the API server makes it.
static POD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b").unwrap());
static NAMESPACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(states|templates)(-full|-none|-alone)?-\d+\b").unwrap());
static DIGEST: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b\d+:[0-9a-f]{16}\b").unwrap());
/// The node is the scheduler's choice.
static NODE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bnode-\d+\b").unwrap());

/// Without what differs from one cluster, and from one run, to the next.
fn timeless(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    metadata.remove("managedFields");
    metadata.insert("resourceVersion".to_owned(), json!("1"));
    // What the simulated node was instructed.
    if let Some(annotations) = object["spec"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("sim.jobrequest.dev/"));
        if annotations.is_empty() {
            object["spec"].as_object_mut().expect("a spec").remove("annotations");
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        // How far the pods were when the operator last looked.
        for count in ["active", "ready"] {
            status.remove(count);
        }
    }
    walk(&mut object);
    object
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if key == "duration" {
                    *value = json!("1s");
                }
                walk(value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(walk),
        Value::String(text) => {
            let mut plain = TIME.replace_all(text, "2026-01-01T00:00:00Z").into_owned();
            for (pattern, with) in [
                (&UID, "00000000-0000-0000-0000-000000000000"),
                (&NAMESPACE, "jobs"),
                (&DIGEST, "1:0123456789abcdef"),
                (&POD, "-abcde"),
                (&NODE, "node-1"),
            ] {
                plain = pattern.replace_all(&plain, with).into_owned();
            }
            *text = plain;
        }
        _ => {}
    }
}
