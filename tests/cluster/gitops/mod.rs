//! GitOps tools understand a JobRequest: what kstatus, Helm, Flux and Argo CD make of one that the operator runs.
//!
//! The tools are the real ones, built by `tests/cluster/tools/build.sh`; Argo CD is here by its Lua interpreter only.

mod argocd;
mod drift;
mod flux;
mod git;
mod helm;
mod kustomize;
mod samples;
mod states;
mod tracking;

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::support::{Cluster, Test};

pub(crate) fn tests() -> Vec<Test> {
    // The longest first.
    [
        flux::tests(),
        drift::tests(),
        states::tests(),
        helm::tests(),
        tracking::tests(),
        argocd::tests(),
        kustomize::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A program of `.cluster/bin` that `tools/build.sh` makes, with nothing of this machine's settings.
fn tool(cx: &Cluster, name: &str) -> Command {
    let program = cx.control_plane().program(name);
    assert!(program.is_file(), ".cluster/bin lacks {name}: run `make cluster-bin`");
    let mut command = Command::new(program);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    command.kill_on_drop(true);
    command
}

/// What a tool answers about each of `objects`: a line of JSON for each.
async fn judge(cx: &Cluster, name: &str, arguments: &[&str], objects: &[Value]) -> Vec<Value> {
    let mut command = tool(cx, name);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start the tool");
    let mut input = child.stdin.take().expect("stdin");
    let text = objects.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let feed = tokio::spawn(async move { input.write_all(text.as_bytes()).await });
    let output = child.wait_with_output().await.expect("the tool ends");
    assert!(output.status.success(), "{name} failed: {}", String::from_utf8_lossy(&output.stderr));
    feed.await.expect("the feed ends").expect("the tool reads all objects");
    let answers: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("lines of JSON");
    assert_eq!(answers.len(), objects.len(), "{name} answers for each object");
    answers
}

/// The status that tools which read kstatus see: `Current`, `InProgress`, `Failed`, `Terminating`.
async fn kstatus(cx: &Cluster, objects: &[Value]) -> Vec<String> {
    let answers = judge(cx, "kstatus", &[], objects).await;
    answers.iter().map(|answer| answer["status"].as_str().expect("a status").to_owned()).collect()
}

/// The health that Argo CD shows with the script of this repository, and its message.
async fn argo_health(cx: &Cluster, script: &Path, objects: &[Value]) -> Vec<(String, String)> {
    let script = script.display().to_string();
    let answers = judge(cx, "argo-lua", &["health", &script], objects).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    answers.iter().map(|answer| (text(&answer["status"]), text(&answer["message"]))).collect()
}
