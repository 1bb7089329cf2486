//! The Argo CD integration, judged as Argo CD's own tests judge it: its test files are run with its interpreter, and
//! its actions are sent to a real API server the way it sends them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::{argo_health, judge, samples, states};
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        argo_cd_health_tests_pass_and_cover_every_state: health,
        argo_cd_action_tests_pass: actions,
        argo_cd_actions_work_on_the_cluster,
        argo_cd_config_map_holds_these_scripts,
    ]
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is text"))
}

async fn health(cx: Arc<Cluster>) {
    for kind in ["JobRequest", "JobTemplate"] {
        let folder = samples::folder(kind);
        let mut covered = BTreeSet::new();
        for test in yaml(&folder.join("health_test.yaml"))["tests"].as_array().expect("tests") {
            let input = text(&test["inputPath"]);
            let object = yaml(&folder.join(input));
            let health = argo_health(&cx, &samples::script(kind), &[object]).await.remove(0);
            let expected = (text(&test["healthStatus"]["status"]), text(&test["healthStatus"]["message"]));
            assert_eq!((health.0.as_str(), health.1.as_str()), expected, "{kind} {input}");
            let name = input.trim_start_matches("testdata/").trim_end_matches(".yaml").to_owned();
            if kind == "JobRequest" {
                let state = states::STATES.iter().find(|state| state.name == name);
                assert_eq!(state.expect("a state of the table").argo_cd, health.0, "{name}");
            }
            covered.insert(name);
        }
        let all: BTreeSet<String> = samples::read(kind).into_keys().collect();
        assert_eq!(covered, all, "health_test.yaml of {kind} covers every sample");
    }
}

/// What a script of an action makes of an object.
async fn act(cx: &Cluster, action: &str, object: &Value) -> Value {
    let script = samples::folder("JobRequest").join("actions").join(action).join("action.lua");
    let script = script.display().to_string();
    judge(cx, "argo-lua", &["action", &script], std::slice::from_ref(object)).await.remove(0)
}

/// The menu that Argo CD offers: names of actions with how they look.
async fn offered(cx: &Cluster, object: &Value) -> Value {
    let script = samples::folder("JobRequest").join("actions/discovery.lua").display().to_string();
    judge(cx, "argo-lua", &["discover", &script], std::slice::from_ref(object)).await.remove(0)
}

async fn actions(cx: Arc<Cluster>) {
    let folder = samples::folder("JobRequest").join("actions");
    let tests = yaml(&folder.join("action_test.yaml"));
    for test in tests["discoveryTests"].as_array().expect("tests") {
        let mut expected = Map::new();
        for action in test["result"].as_array().expect("actions") {
            let mut look = action.clone();
            let name = look.as_object_mut().unwrap().remove("name").expect("a name");
            assert!(folder.join(text(&name)).join("action.lua").is_file(), "{name} has a script");
            expected.insert(text(&name).to_owned(), look);
        }
        let object = yaml(&folder.join(text(&test["inputPath"])));
        assert_eq!(offered(&cx, &object).await, Value::Object(expected), "{}", test["inputPath"]);
    }
    for test in tests["actionTests"].as_array().expect("tests") {
        let object = yaml(&folder.join(text(&test["inputPath"])));
        let output = act(&cx, text(&test["action"]), &object).await;
        let path = folder.join(text(&test["expectedOutputPath"]));
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, serde_saphyr::to_string(&output).unwrap()).unwrap();
        }
        // Lua has no integers; Argo CD does not tell 1.0 from 1 either.
        assert_eq!(merge_patch(&yaml(&path), &output), json!({}), "{}", path.display());
        let is_suspended = test["action"] == "suspend";
        assert_eq!(merge_patch(&object, &output), json!({"spec": {"suspend": is_suspended}}));
    }
}

/// The JSON merge patch from one object to another: what Argo CD sends after an action.
fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, to) in to {
        let same = |from: &Value| from == to || (from.as_f64().is_some() && from.as_f64() == to.as_f64());
        match from.get(key) {
            Some(from) if same(from) => {}
            Some(from) if from.is_object() && to.is_object() => {
                let inner = merge_patch(from, to);
                if inner != json!({}) {
                    patch.insert(key.clone(), inner);
                }
            }
            Some(Value::Array(from)) if to.as_array().is_some_and(|to| is_same_list(from, to)) => {}
            _ => drop(patch.insert(key.clone(), to.clone())),
        }
    }
    Value::Object(patch)
}

fn is_same_list(from: &[Value], to: &[Value]) -> bool {
    let wrapped = |value: &Value| json!({"item": value});
    from.len() == to.len()
        && from.iter().zip(to).all(|(from, to)| merge_patch(&wrapped(from), &wrapped(to)) == json!({}))
}

async fn argo_cd_actions_work_on_the_cluster(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "argocd").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("clicked", spec(&json!({"run-seconds": "3"}), &json!({}))).await;
    let click = async |action: &str| {
        let object = at.get("clicked").await;
        assert!(offered(&cx, &object).await[action].is_object(), "{action} is offered: {object:#}");
        let patch = merge_patch(&object, &act(&cx, action, &object).await);
        assert_eq!(patch.as_object().map(Map::len), Some(1), "{action} changes one thing: {patch}");
        at.api().patch("clicked", &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patch");
    };
    at.until_phase("clicked", 1, "Running").await;
    click("suspend").await;
    at.until("clicked", "is suspended", |status| condition(status, "Suspended") == "True JobSuspended").await;
    click("resume").await;
    at.until_phase("clicked", 1, "Completed").await;
    let generation = at.get("clicked").await["metadata"]["generation"].clone();
    click("rerun").await;
    let status = at.until_phase("clicked", 2, "Completed").await;
    assert_eq!(status["runs"][0]["trigger"], "Rerun");
    let object = at.get("clicked").await;
    assert_eq!(object["metadata"]["generation"], generation, "the spec is as Git has it: no drift");
}

async fn argo_cd_config_map_holds_these_scripts(cx: Arc<Cluster>) {
    let path = samples::folder("").join("../../argocd-cm.yaml");
    let mut expected = Map::new();
    let read =
        |kind: &str, file: &str| fs::read_to_string(samples::folder(kind).join(file)).expect("a script");
    for kind in ["JobRequest", "JobTemplate", "ClusterJobTemplate"] {
        let key = format!("resource.customizations.health.jobrequest.dev_{kind}");
        expected.insert(key, json!(read(kind, "health.lua")));
    }
    let actions = |name: &str| json!({"name": name, "action.lua": read("JobRequest", &format!("actions/{name}/action.lua"))});
    let definitions = ["rerun", "resume", "suspend"].map(actions);
    let expected_actions = json!({
        "discovery.lua": read("JobRequest", "actions/discovery.lua"),
        "definitions": definitions
    });
    let key = "resource.customizations.actions.jobrequest.dev_JobRequest";
    if std::env::var_os("BLESS").is_some() {
        let mut data = expected.clone();
        data.insert(key.to_owned(), json!(serde_saphyr::to_string(&expected_actions).unwrap()));
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": data
        });
        fs::write(&path, serde_saphyr::to_string(&object).unwrap()).unwrap();
    }
    let mut data = yaml(&path)["data"].as_object().expect("data").clone();
    let actions = data.remove(key).expect("actions");
    assert_eq!(serde_saphyr::from_str::<Value>(text(&actions)).expect("YAML"), expected_actions);
    assert_eq!(data, expected);

    // The command of the README keeps what else is set there.
    cx.kubectl(&["create", "namespace", "argocd"]);
    cx.kubectl(&[
        "-n",
        "argocd",
        "create",
        "configmap",
        "argocd-cm",
        "--from-literal=url=https://cd.invalid",
    ]);
    let file = path.display().to_string();
    cx.kubectl(&["-n", "argocd", "patch", "configmap", "argocd-cm", "--patch-file", &file]);
    let patched = cx.kubectl(&["-n", "argocd", "get", "configmap", "argocd-cm", "-o", "json"]);
    let data = serde_json::from_str::<Value>(&patched).expect("JSON")["data"].clone();
    assert_eq!(data["url"], "https://cd.invalid");
    assert_eq!(data.as_object().map(Map::len), Some(expected.len() + 2));
}
