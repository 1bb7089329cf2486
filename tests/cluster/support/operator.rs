//! The operator as a process of its own, with the rights that the chart gives it. Killed when dropped.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::control_plane::send;
use super::{Cluster, ControlPlane, DEADLINE, Namespace, eventually};

/// A running `jobrequest controller`.
pub(crate) struct Operator {
    child: Child,
    log: PathBuf,
    control_plane: Arc<ControlPlane>,
}

impl Operator {
    /// Starts one for a namespace, with further arguments. Each start has a log of its own.
    pub(crate) fn start(cx: &Cluster, namespace: &Namespace, arguments: &[&str]) -> Self {
        Self::start_with(cx, namespace, arguments, &[])
    }

    /// The same, with environment variables.
    pub(crate) fn start_with(
        cx: &Cluster,
        namespace: &Namespace,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let only = ["--namespace", namespace.name()];
        Self::spawn(cx, &[only.as_slice(), arguments].concat(), environment)
    }

    /// Starts one for all namespaces: only on a cluster of the test's own, or it meddles with other tests.
    pub(crate) fn start_for_all(cx: &Cluster, arguments: &[&str]) -> Self {
        Self::spawn(cx, arguments, &[])
    }

    /// The same, with environment variables.
    pub(crate) fn start_for_all_with(cx: &Cluster, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn(cx, arguments, environment)
    }

    /// Starts one for a namespace, with the account of another release than the harness's.
    pub(crate) fn start_as(cx: &Cluster, namespace: &Namespace, release: &str, account: &str) -> Self {
        Self::start_as_with(cx, &["--namespace", namespace.name()], release, account)
    }

    /// The same, with arguments. `release` is the namespace of the account.
    pub(crate) fn start_as_with(cx: &Cluster, arguments: &[&str], release: &str, account: &str) -> Self {
        let kubeconfig = cx.control_plane().kubeconfig_of(release, account).unwrap_or_else(|e| panic!("{e}"));
        let path = cx.log(&format!("{account}.kubeconfig"));
        fs::write(&path, kubeconfig).expect("write a kubeconfig");
        Self::spawn(cx, arguments, &[("KUBECONFIG", &path.display().to_string())])
    }

    fn spawn(cx: &Cluster, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let control_plane = Arc::clone(cx.control_plane());
        let log = cx.log(&format!("operator-{}.log", control_plane.unique()));
        let output = File::create(&log).expect("create the operator's log");
        let mut command = Command::new(Self::program());
        command.arg("controller").args(arguments);
        // Nothing of this machine's settings decides how the operator reaches the API server.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name);
        }
        command.env("KUBECONFIG", cx.operator_kubeconfig()).envs(environment.iter().copied());
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().expect("share the log")).stderr(output);
        let child = command.spawn().expect("start the operator");
        control_plane.note(child.id());
        Self { child, log, control_plane }
    }

    /// The program under test; JOBREQUEST_PROGRAM names another one, such as an optimised build.
    pub(crate) fn program() -> PathBuf {
        std::env::var_os("JOBREQUEST_PROGRAM")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_jobrequest")), PathBuf::from)
    }

    /// What it wrote to stdout and stderr so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("read the operator's log")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, as `kill -s` names it.
    pub(crate) fn signal(&self, name: &str) {
        send(name, &self.child.id().to_string());
    }

    /// Status code and body of its answer to a GET of a probe or of the metrics.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let address = self.address(if path == "/metrics" { "metrics" } else { "probes" }).await;
        let mut connection = TcpStream::connect(&address).await.expect("connect to the operator");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.expect("send a request");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.expect("read the answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
        (code, body.to_owned())
    }

    /// Where it serves `what`: probes or metrics.
    pub(crate) async fn address(&self, what: &str) -> String {
        eventually(DEADLINE, "the log says where it listens", async || {
            let log = self.log();
            let rest = log.split(&format!("serving {what} at http://")).nth(1)?;
            Some(rest.lines().next()?.trim().trim_end_matches(['"', '}', ',']).to_owned())
        })
        .await
    }

    /// Its caches are filled.
    pub(crate) async fn is_ready(&self) {
        eventually(DEADLINE, "the operator is ready", async || match self.get("/readyz").await {
            (200, _) => Ok(()),
            other => Err(other),
        })
        .await;
    }

    /// The value of a metric without labels, from a scrape.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// Its resident memory now, in bytes.
    pub(crate) fn resident(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most that ever was resident, in bytes.
    pub(crate) fn peak(&self) -> f64 {
        self.memory("VmHWM:")
    }

    /// A line of `/proc/PID/status`, in bytes.
    fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its memory");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
        line.split_whitespace().next().expect("a number").parse::<f64>().expect("a number") * 1024.0
    }

    /// Waits until it has looked at so many requests, and looks at none.
    pub(crate) async fn has_looked_at(&self, requests: f64, patience: Duration) {
        eventually(patience, "all requests are looked at", async || {
            let (_, text) = self.get("/metrics").await;
            let value = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|value| value.parse::<f64>().ok())
            };
            let looks = value("jobrequest_reconcile_duration_seconds_count ").unwrap_or_default();
            let active = value("jobrequest_reconciles_active ").unwrap_or_default();
            if looks >= requests && active == 0.0 { Ok(()) } else { Err((looks, active)) }
        })
        .await;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("look at the operator").is_none()
    }

    /// Ends it as a crash does: SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Ends it as a rollout does: SIGTERM, and it goes by itself.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        send("TERM", &self.child.id().to_string());
        self.exited().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn exited(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually(DEADLINE, "the operator exits", async || {
            child.try_wait().expect("look at the operator")
        })
        .await;
        self.control_plane.forget(self.child.id());
        status
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.control_plane.forget(self.child.id());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.end();
    }
}
