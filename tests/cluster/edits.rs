//! The command line where it changes what is there, makes one of something else, or is somebody else's plugin: edits with a
//! rerun, native Jobs said as JobRequests, `kubectl jobrequest` and its completion by a real kubectl.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::cli::{program, ran};
use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        an_edit_and_its_rerun_are_one_run,
        an_invalid_edit_changes_nothing,
        the_editor_is_asked_until_the_spec_is_valid,
        jobs_of_the_cluster_become_job_requests,
        kubectl_runs_the_plugin_and_completes_names,
    ]
}

async fn an_edit_and_its_rerun_are_one_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "edit-one").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("a", spec(&json!({}), &json!({}))).await;
    at.until_phase("a", 1, "Completed").await;
    cx.kubectl(&["label", "jobrequest", "a", "argocd.argoproj.io/instance=apps", "-n", at.namespace.name()]);
    let edits =
        ["--set", "image=perl:5.99", "--set", "env=DAY=2026-11-28", "--set", "settings.backoffLimit=1"];
    let came = ran(program(&cx, &at, &[&["rerun", "a"], &edits[..]].concat())).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.starts_with("jobrequest/a: run 2 has completed"), "{came:?}");
    assert!(came.err.starts_with("warning: Argo CD applies jobrequest/a"), "{came:?}");
    let stored = at.get("a").await;
    let container = &stored["spec"]["containers"][0];
    assert_eq!(
        (&container["image"], &container["env"][0]["value"]),
        (&json!("perl:5.99"), &json!("2026-11-28"))
    );
    let runs = stored["status"]["runs"].as_array().unwrap();
    assert_eq!((runs.len(), &runs[0]["trigger"]), (2, &json!("Rerun")), "{stored}");
}

async fn an_invalid_edit_changes_nothing(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "edit-invalid").await;
    at.create("a", spec(&json!({}), &json!({}))).await;
    let before = at.get("a").await;
    for (set, code, words) in [
        ("settings.backofLimit=1", 2, "unknown field"),
        ("settings.backoffLimit=many", 2, "backoffLimit"),
        ("settings.maxFailedIndexes=1", 3, "requires backoffLimitPerIndex"),
        ("templateRef.name=nope", 3, "no JobTemplate is called nope"),
    ] {
        let came = ran(program(&cx, &at, &["rerun", "a", "--set", set])).await;
        assert_eq!((came.code, came.out.as_str()), (Some(code), ""), "{set}: {came:?}");
        assert!(came.err.contains(words), "{set}: {came:?}");
    }
    assert_eq!(at.get("a").await["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
}

/// A folder of the test's own.
fn folder(cx: &Cluster, name: &str) -> PathBuf {
    let folder = cx.log(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

async fn the_editor_is_asked_until_the_spec_is_valid(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "edit-editor").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    at.create("a", spec(&json!({}), &json!({}))).await;
    at.until_phase("a", 1, "Completed").await;
    // The first time it writes a mistake, the second time it takes it out; it keeps what it was shown.
    let folder = folder(&cx, "edit-editor");
    let editor = folder.join("editor");
    let script = format!(
        "#!/bin/sh\ncp \"$1\" {0}/shown-$(ls {0} | wc -l)\nif grep -q 'error: ' \"$1\"; then sed -i '/^backofLimit/d; s/image: .*/image: perl:5.98/' \"$1\"; else echo 'backofLimit: 1' >>\"$1\"; fi\n",
        folder.display()
    );
    fs::write(&editor, script).unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = program(&cx, &at, &["rerun", "a", "--edit"]);
    command.env("KUBE_EDITOR", &editor);
    let came = ran(command).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.starts_with("jobrequest/a: run 2 has completed"), "{came:?}");
    assert!(came.err.contains("error: ") && came.err.contains("backofLimit"), "{came:?}");
    assert_eq!(at.get("a").await["spec"]["containers"][0]["image"], "perl:5.98");
    let shown = fs::read_to_string(folder.join("shown-2")).unwrap();
    assert!(shown.starts_with("# The spec of a JobRequest.") && shown.contains("\n# error: "), "{shown}");
    // What stays as it is runs nothing, and an editor that fails changes nothing.
    for (editor, code) in [("true", 3), ("false", 2)] {
        let mut command = program(&cx, &at, &["rerun", "a", "--edit"]);
        command.env("KUBE_EDITOR", editor);
        let came = ran(command).await;
        assert_eq!((came.code, came.out.as_str()), (Some(code), ""), "{came:?}");
    }
    assert_eq!(at.get("a").await["status"]["runs"].as_array().map(Vec::len), Some(2));
}

async fn jobs_of_the_cluster_become_job_requests(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "edit-convert").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let pod = json!({"restartPolicy": "Never", "containers": [
        {"name": "main", "image": "perl:5.40", "env": [{"name": "A", "value": "b"}]}]});
    let job = json!({"backoffLimit": 2, "suspend": true, "template": {"spec": pod}});
    let cron = json!({"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod}}}});
    for (kind, spec) in [("Job", &job), ("CronJob", &cron)] {
        let object =
            json!({"apiVersion": "batch/v1", "kind": kind, "metadata": {"name": "native"}, "spec": spec});
        let path = cx.log(&format!("native-{kind}.json"));
        fs::write(&path, object.to_string()).unwrap();
        cx.kubectl(&["apply", "-n", at.namespace.name(), "-f", path.to_str().unwrap()]);
    }
    // Defaults, labels and the selector that the API server adds are not said again.
    let came = ran(program(&cx, &at, &["convert", "job/native", "-o", "json"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    let request: Value = serde_json::from_str(&came.out).expect("JSON");
    let container = json!({"name": "main", "image": "perl:5.40", "env": [{"name": "A", "value": "b"}]});
    let wanted = json!({"suspend": true, "settings": {"backoffLimit": 2}, "containers": [container]});
    assert_eq!(request["spec"], wanted, "{came:?}");
    let came = ran(program(&cx, &at, &["convert", "cronjob/native"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(2), ""), "{came:?}");
    assert!(came.err.contains("spec.schedule") && came.err.contains("--drop-schedule"), "{came:?}");
    let came = ran(program(&cx, &at, &["convert", "job/absent"])).await;
    assert_eq!(came.code, Some(2), "{came:?}");
    // Once, and now.
    let came = ran(program(&cx, &at, &["create", "now", "--from", "cronjob/native", "--wait"])).await;
    assert_eq!(came.code, Some(0), "{came:?}");
    assert!(came.out.contains("jobrequest/now: run 1 has completed"), "{came:?}");
    assert_eq!(at.get("now").await["spec"]["containers"], json!([container]));
    let came = ran(program(&cx, &at, &["create", "held", "--from", "job/native"])).await;
    assert_eq!((came.code, came.out.as_str()), (Some(0), "jobrequest/held created\n"), "{came:?}");
    at.until("held", "it is suspended", |status| status["phase"] == "Suspended").await;
}

async fn kubectl_runs_the_plugin_and_completes_names(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "edit-plugin").await;
    at.create("alpha", spec(&json!({}), &json!({"suspend": true}))).await;
    at.create("beta", spec(&json!({}), &json!({"suspend": true}))).await;
    let folder = folder(&cx, "edit-plugin");
    for name in ["kubectl-jobrequest", "kubectl_complete-jobrequest"] {
        symlink(Operator::program(), folder.join(name)).unwrap();
    }
    let kubectl = |arguments: &[&str]| {
        let mut command = std::process::Command::new(cx.kubectl_program());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", folder.display())).env("KUBECONFIG", cx.kubeconfig());
        let namespace = at.namespace.name().to_owned();
        command.args(arguments.iter().map(|word| word.replace("NS", &namespace)));
        command
    };
    let came = ran(kubectl(&["jobrequest", "list", "-n", "NS", "-o", "name"])).await;
    assert_eq!(came.out, "jobrequest.jobrequest.dev/alpha\njobrequest.jobrequest.dev/beta\n", "{came:?}");
    let came = ran(kubectl(&["jobrequest", "resume"])).await;
    assert!(came.code == Some(2) && came.err.contains("no JobRequest is named"), "{came:?}");
    let came = ran(kubectl(&["jobrequest", "wait", "--help"])).await;
    assert!(came.out.contains("Usage: kubectl jobrequest wait"), "{came:?}");
    // kubectl's own completion asks the program under its third name.
    for (words, wanted) in [
        (["__complete", "jobrequest", "describe", "-n", "NS", "al"].as_slice(), "alpha"),
        (&["__complete", "jobrequest", "susp"], "suspend\t"),
        (&["__complete", "jobrequest", "list", "-n", "NS"], "NS"),
    ] {
        let came = ran(kubectl(words)).await;
        let wanted = wanted.replace("NS", at.namespace.name());
        assert!(came.out.lines().any(|line| line.starts_with(&wanted)), "{words:?}: {came:?}");
        assert!(!came.out.lines().any(|line| line.starts_with("beta")), "{words:?}: {came:?}");
    }
}
