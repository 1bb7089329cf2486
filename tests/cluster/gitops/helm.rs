//! Helm 4 waits for a JobRequest: a release that holds one is deployed when the run has completed, and fails with it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::tool;
use crate::support::requests::{Requests, condition, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        helm_4_waits_until_the_run_has_completed: waits,
        helm_4_fails_with_the_run: fails,
        helm_waits_for_no_hook_that_is_a_job_request: hook,
    ]
}

/// Writes a chart that holds one JobRequest.
fn chart(cx: &Cluster, spec: &Value) -> PathBuf {
    let chart = cx.log("chart");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: nightly\nversion: 0.1.0\n").unwrap();
    let object = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {"name": "nightly"}, "spec": spec
    });
    fs::write(chart.join("templates/nightly.yaml"), object.to_string()).unwrap();
    chart
}

/// Runs Helm 4; returns its output, in an `Err` if it failed.
async fn helm(cx: &Cluster, at: &Requests, arguments: &[&str]) -> Result<String, String> {
    helm_of(cx, "helm4", at, arguments).await
}

/// The same of either version.
async fn helm_of(cx: &Cluster, version: &str, at: &Requests, arguments: &[&str]) -> Result<String, String> {
    let mut command = tool(cx, version);
    command.args(["--kubeconfig", &cx.kubeconfig().display().to_string(), "-n", at.namespace.name()]);
    for (name, folder) in
        [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
    {
        command.env(name, cx.log("helm").join(folder));
    }
    let output = command.args(arguments).output().await.expect("run helm");
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat();
    if output.status.success() { Ok(text) } else { Err(text) }
}

async fn waits(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "helm").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let mut wanted = spec(&json!({"run-seconds": "4"}), &json!({}));
    let path = chart(&cx, &wanted).display().to_string();
    let install = ["install", "nightly", &path, "--wait", "--timeout", "2m"];
    helm(&cx, &at, &install).await.unwrap_or_else(|problem| panic!("{problem}"));
    let status = at.get("nightly").await["status"].clone();
    assert_eq!((&status["phase"], &status["run"]), (&json!("Completed"), &json!(1)), "{status:#}");

    // A new image is a new run, and `upgrade` waits for that one, not for the old result.
    wanted["containers"][0]["image"] = json!("perl:5.40");
    chart(&cx, &wanted);
    let upgrade = ["upgrade", "nightly", &path, "--wait", "--timeout", "2m"];
    helm(&cx, &at, &upgrade).await.unwrap_or_else(|problem| panic!("{problem}"));
    let status = at.get("nightly").await["status"].clone();
    assert_eq!((&status["phase"], &status["run"]), (&json!("Completed"), &json!(2)), "{status:#}");

    // The same again is no run.
    helm(&cx, &at, &upgrade).await.unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(at.get("nightly").await["status"], status);
    assert_eq!(at.job_names().await, ["nightly-1", "nightly-2"]);

    helm(&cx, &at, &["uninstall", "nightly", "--wait", "--timeout", "2m"])
        .await
        .unwrap_or_else(|problem| panic!("{problem}"));
    assert!(!at.exists("nightly").await);
    eventually(DEADLINE, "the Jobs go with it", async || {
        let names = at.job_names().await;
        if names.is_empty() { Ok(()) } else { Err(names) }
    })
    .await;
}

async fn fails(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "helm-fails").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let simulated = json!({"exit-code": "3", "run-seconds": "2"});
    let path = chart(&cx, &spec(&simulated, &json!({"settings": {"backoffLimit": 0}}))).display().to_string();
    // Longer than the test may take: Helm must end because the run has failed, not because time is up.
    let problem = helm(&cx, &at, &["install", "nightly", &path, "--wait", "--timeout", "1h"])
        .await
        .expect_err("the run fails");
    let status = at.get("nightly").await["status"].clone();
    assert_eq!(status["phase"], "Failed");
    println!("figure: Helm 4 on a failed run: {}", problem.trim());
    assert!(problem.contains("JobRequest") && problem.contains("Failed"), "{problem}");
    let message =
        status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Stalled").unwrap()["message"]
            .as_str()
            .unwrap();
    assert!(problem.contains(message), "Helm shows the operator's words, {message}: {problem}");

    // `--rollback-on-failure` and repairs alike: an upgrade with a sound spec waits for its run.
    chart(&cx, &spec(&json!({}), &json!({})));
    helm(&cx, &at, &["upgrade", "nightly", &path, "--wait", "--timeout", "2m"])
        .await
        .unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(at.get("nightly").await["status"]["phase"], "Completed");
}

/// A hook is a false success: the operator says so. A hook that is a Job holds the release back.
async fn hook(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "helm-hook").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    for version in ["helm3", "helm4"] {
        let chart = cx.log(version);
        fs::create_dir_all(chart.join("templates")).unwrap();
        fs::write(chart.join("Chart.yaml"), format!("apiVersion: v2\nname: {version}\nversion: 0.1.0\n"))
            .unwrap();
        let hook = |weight: &str| {
            json!({
                "helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-weight": weight,
                "helm.sh/hook-delete-policy": "before-hook-creation"
            })
        };
        let request = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
            "metadata": {"name": version, "annotations": hook("0")},
            "spec": spec(&json!({"exit-code": "3"}), &json!({"settings": {"backoffLimit": 0}}))
        });
        fs::write(chart.join("templates/hook.yaml"), request.to_string()).unwrap();
        let path = chart.display().to_string();
        let install = ["upgrade", "--install", version, &path, "--wait", "--timeout", "2m"];
        helm_of(&cx, version, &at, &install).await.unwrap_or_else(|problem| panic!("{problem}"));
        let status = at.until_phase(version, 1, "Failed").await;
        assert_eq!(condition(&status, "NotAwaited"), "True HelmHook", "{status:#}");
        let events = at.events(version).await;
        let warned = events.iter().filter(|(reason, _)| reason == "NotAwaited").count();
        assert_eq!(warned, 1, "{events:?}");

        // As docs/gitops.md says: a Job that waits, after it. This one fails as `jobrequest wait` does.
        let pod = json!({"restartPolicy": "Never", "containers": [{"name": "wait", "image": "jobrequest:0.1.0", "args": ["wait", version]}]});
        let waits = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": format!("await-{version}"), "annotations": hook("1")},
            "spec": {"backoffLimit": 0, "template": {
                "metadata": {"annotations": {"sim.jobrequest.dev/exit-code": "1"}}, "spec": pod
            }}
        });
        fs::write(chart.join("templates/wait.yaml"), waits.to_string()).unwrap();
        let problem =
            helm_of(&cx, version, &at, &install).await.expect_err("the release fails with its hook");
        assert!(problem.contains("failed"), "{problem}");
    }
}
