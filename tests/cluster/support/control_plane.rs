//! The control plane of a test run: started before the first test, stopped after the last, however that ends.
//!
//! A test which must break a control plane takes one of its own, in a folder below this one's; it stops with the test,
//! and whatever stops this one stops those too.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use super::{DEADLINE, eventually};

/// The programs of the cluster, as `make cluster-bin` leaves them.
const PROGRAMS: [&str; 8] = [
    "etcd",
    "helm4",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
    "kwokctl",
];

/// Where the harness installs the chart: the operator of a test has the account, and so the rights, of this release.
pub(crate) const RELEASE_NAMESPACE: &str = "jobrequest-system";
/// That account, as the API server names it.
pub(crate) const OPERATOR: &str = "system:serviceaccount:jobrequest-system:jobrequest";

/// A ClusterRole that lets the operator of a test hold a Lease in the test's namespace, too.
pub(super) const LEASES_OF_TESTS: &str = "leases-of-tests";

/// Few at a time: each takes half a gigabyte, and two cores serve them all.
static OWN: Semaphore = Semaphore::const_new(3);

/// Held by who looks for free ports, or lets go of one that it wants back: two would find the same.
static PORTS: Mutex<()> = Mutex::const_new(());

/// Paths and processes of this run. Its folder is apart from the one of `make cluster-up`.
pub(crate) struct ControlPlane {
    root: PathBuf,
    folder: PathBuf,
    namespaces: AtomicUsize,
    lock: std::sync::Mutex<Option<File>>,
}

impl ControlPlane {
    /// Knows where everything is to be; starts nothing.
    pub(crate) fn new() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join(".cluster/test");
        Self::at(&root, folder)
    }

    fn at(root: &Path, folder: PathBuf) -> Self {
        Self {
            root: root.to_owned(),
            folder,
            namespaces: AtomicUsize::new(0),
            lock: std::sync::Mutex::new(None),
        }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// With the token of the chart's account, once the chart is installed.
    pub(crate) fn operator_kubeconfig(&self) -> PathBuf {
        self.folder.join("operator.kubeconfig")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.root.join(".cluster/bin").join(name)
    }

    /// Another one for the test of this name, without CRDs. It is started, and stops when dropped.
    pub(crate) async fn own(&self, test: &str) -> OwnControlPlane {
        let turn = OWN.acquire().await.expect("it is never closed");
        let folder = self.folder.join("own").join(test.replace("::", "."));
        let control_plane = Self::at(&self.root, folder);
        fs::create_dir_all(control_plane.pids()).expect("create the folder of a control plane");
        let ports = PORTS.lock().await;
        let up = control_plane.script("up", &["--nodes", "1", "--enforce-owner-references"]);
        drop(ports);
        up.and_then(|()| control_plane.install_chart())
            .unwrap_or_else(|problem| panic!("a control plane of its own: {problem}"));
        OwnControlPlane { control_plane: Arc::new(control_plane), _turn: turn }
    }

    /// Where a test keeps its logs.
    pub(crate) fn logs(&self, test: &str) -> PathBuf {
        self.folder.join("logs").join(test.replace("::", "."))
    }

    /// A number that no other caller of this run gets.
    pub(crate) fn unique(&self) -> usize {
        self.namespaces.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Starts it and installs the CRDs; says what to do when that is not possible.
    pub(crate) fn start(&self) -> Result<(), String> {
        let missing: Vec<&str> = PROGRAMS.into_iter().filter(|name| !self.program(name).is_file()).collect();
        if !missing.is_empty() {
            return Err(format!(".cluster/bin lacks {}: run `make cluster-bin`", missing.join(", ")));
        }
        fs::create_dir_all(self.root.join(".cluster")).map_err(|e| format!("create .cluster: {e}"))?;
        let lock =
            File::create(self.root.join(".cluster/test.lock")).map_err(|e| format!("create lock: {e}"))?;
        if lock.try_lock().is_err() {
            eprintln!("cluster tests: another run is under way; waiting for its end");
            lock.lock().map_err(|e| format!("lock .cluster/test.lock: {e}"))?;
        }
        *self.lock.lock().unwrap() = Some(lock);

        // What a killed run left behind.
        self.stop_all(&[])?;
        let _ = fs::remove_dir_all(&self.folder);
        fs::create_dir_all(self.pids()).map_err(|e| format!("create {}: {e}", self.folder.display()))?;

        self.stop_on_signals();
        let up = self
            .script("up", &["--enforce-owner-references"])
            .and_then(|()| self.install_crds())
            .and_then(|()| self.install_chart());
        if up.is_err() {
            self.stop(true);
        }
        up
    }

    /// Stops every process of this run; keeps the folder with all logs if something failed.
    pub(crate) fn stop(&self, failed: bool) {
        if let Err(problem) = self.stop_all(if failed { &["--keep"] } else { &[] }) {
            eprintln!("cluster tests: {problem}");
        }
        if failed {
            eprintln!("cluster tests: the logs are in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    /// Notes a process to be stopped by the next run, should this one be killed.
    pub(crate) fn note(&self, pid: u32) {
        fs::write(self.pids().join(pid.to_string()), "").unwrap();
    }

    pub(crate) fn forget(&self, pid: u32) {
        let _ = fs::remove_file(self.pids().join(pid.to_string()));
    }

    fn pids(&self) -> PathBuf {
        self.folder.join("pids")
    }

    /// Stops the processes of this one, and of those below it.
    fn stop_all(&self, options: &[&str]) -> Result<(), String> {
        let own = fs::read_dir(self.folder.join("own")).into_iter().flatten().flatten();
        for folder in own.map(|entry| entry.path()) {
            Self::at(&self.root, folder).stop_all(options)?;
        }
        self.stop_operators();
        self.script("down", options)
    }

    /// The API server ends at once, as in a crash, until the outage is ended.
    pub(crate) async fn outage(&self) -> Outage<'_> {
        let kubeconfig = fs::read_to_string(self.kubeconfig()).expect("read the kubeconfig");
        let address = kubeconfig.split("server: https://").nth(1).and_then(|rest| rest.lines().next());
        let ports = PORTS.lock().await;
        self.script("api-down", &[]).unwrap_or_else(|problem| panic!("{problem}"));
        // Another cluster on this machine would take the free port, and this one could not come back.
        let address = address.expect("an address");
        let listener =
            eventually(DEADLINE, "the port is free, and held", async || TcpListener::bind(address).await)
                .await;
        drop(ports);
        let refuse = tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        Outage { control_plane: self, refuse }
    }

    /// The controllers of Kubernetes itself stand still, until the pause is dropped.
    pub(crate) fn pause_controllers(&self) -> Pause {
        let pids = self.folder.join("state/kwok/clusters/jobrequest/pids");
        let pid = fs::read_to_string(pids.join("kube-controller-manager.pid")).expect("read a process id");
        let pause = Pause { pid: pid.trim().to_owned() };
        send("STOP", &pause.pid);
        pause
    }

    fn stop_operators(&self) {
        let noted = fs::read_dir(self.pids()).into_iter().flatten().flatten();
        for pid in noted.filter_map(|entry| entry.file_name().into_string().ok()) {
            // The number may belong to somebody else by now.
            let command = Command::new("ps").args(["-ww", "-o", "command=", "-p", &pid]).output();
            // An operator, wherever its program lies, or a tool.
            let ours = ["jobrequest controller".to_owned(), self.program("").display().to_string()];
            if command.is_ok_and(|ps| {
                let command = String::from_utf8_lossy(&ps.stdout);
                ours.iter().any(|program| command.contains(program))
            }) {
                send("KILL", &pid);
            }
            let _ = fs::remove_file(self.pids().join(pid));
        }
    }

    fn script(&self, command: &str, options: &[&str]) -> Result<(), String> {
        let output = Command::new("bash")
            .arg(self.root.join("tests/cluster/cluster.sh"))
            .arg(command)
            .arg("--dir")
            .arg(&self.folder)
            .arg("--bin")
            .arg(self.root.join(".cluster/bin"))
            .args(options)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("run cluster.sh {command}: {e}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("cluster.sh {command} failed:\n{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Installs the CRDs of this version, over whatever is there.
    pub(crate) fn install_crds(&self) -> Result<(), String> {
        let crds = self.root.join("crds");
        let any = fs::read_dir(&crds).into_iter().flatten().flatten().any(|f| is_yaml(&f.path()));
        if !any {
            return Ok(());
        }
        let folder = crds.display().to_string();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &folder])?;
        // kubectl refuses to wait for an object which has no condition at all yet.
        let wait = || self.kubectl(&["wait", "--for=condition=Established", "-f", &folder, "--timeout=60s"]);
        let mut established = wait();
        for _ in 0..50 {
            if established.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
            established = wait();
        }
        established.map(drop)
    }

    /// Installs the chart, but no CRDs and no pods, and gets its account's token: operators run outside the cluster,
    /// with exactly the rights that they would have in it.
    fn install_chart(&self) -> Result<(), String> {
        let chart = self.root.join("charts/jobrequest").display().to_string();
        let into = ["--namespace", RELEASE_NAMESPACE, "--create-namespace"];
        let without = ["--set", "replicas=0,crds.enabled=false"];
        self.helm(
            "helm4",
            &[&["install", "jobrequest", &chart], into.as_slice(), without.as_slice()].concat(),
        )?;
        let leases = ["--verb=get,create,update", "--resource=leases.coordination.k8s.io"];
        self.kubectl(&[["create", "clusterrole", LEASES_OF_TESTS].as_slice(), &leases].concat())?;
        let kubeconfig = self.kubeconfig_of(RELEASE_NAMESPACE, "jobrequest")?;
        fs::write(self.operator_kubeconfig(), kubeconfig).map_err(|e| format!("write the kubeconfig: {e}"))
    }

    /// A kubeconfig with a token of a service account.
    pub(crate) fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<String, String> {
        let token =
            self.kubectl(&["create", "token", account, "--namespace", namespace, "--duration=24h"])?;
        let text = self.kubectl(&["config", "view", "--raw", "--minify", "--output=json"])?;
        let mut kubeconfig: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        kubeconfig["users"][0]["user"] = serde_json::json!({"token": token.trim()});
        kubeconfig["contexts"][0]["context"]["namespace"] = serde_json::json!(namespace);
        Ok(kubeconfig.to_string())
    }

    /// The output of `helm3` or `helm4`, as the cluster's administrator.
    pub(crate) fn helm(&self, version: &str, arguments: &[&str]) -> Result<String, String> {
        let home = self.folder.join(version);
        let output = Command::new(self.program(version))
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .stdin(Stdio::null())
            .output()
            .map_err(|e| format!("run {version}: {e}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("{version} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// The output of `kubectl`, as the cluster's administrator.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(self.program("kubectl"))
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .output()
            .map_err(|e| format!("run kubectl: {e}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }

    /// A signal ends the run at once, but not before everything is stopped.
    fn stop_on_signals(&self) {
        let this = Self::at(&self.root, self.folder.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let number = runtime.block_on(async {
                let mut interrupt = signal(SignalKind::interrupt()).unwrap();
                let mut terminate = signal(SignalKind::terminate()).unwrap();
                tokio::select! { _ = interrupt.recv() => 2, _ = terminate.recv() => 15 }
            });
            eprintln!("cluster tests: stopping on signal {number}");
            this.stop(true);
            std::process::exit(128 + number);
        });
    }
}

/// A control plane of one test.
pub(crate) struct OwnControlPlane {
    control_plane: Arc<ControlPlane>,
    _turn: SemaphorePermit<'static>,
}

impl OwnControlPlane {
    pub(crate) fn control_plane(&self) -> &Arc<ControlPlane> {
        &self.control_plane
    }
}

/// The API server is away; what would connect to it is cut off.
pub(crate) struct Outage<'a> {
    control_plane: &'a ControlPlane,
    refuse: JoinHandle<()>,
}

impl Outage<'_> {
    /// The API server is there again, with all that it had stored.
    pub(crate) async fn end(self) {
        let _ports = PORTS.lock().await;
        self.refuse.abort();
        let _ = self.refuse.await;
        self.control_plane.script("api-up", &[]).unwrap_or_else(|problem| panic!("{problem}"));
    }
}

/// See [`ControlPlane::pause_controllers`].
pub(crate) struct Pause {
    pid: String,
}

impl Drop for Pause {
    fn drop(&mut self) {
        send("CONT", &self.pid);
    }
}

impl Drop for OwnControlPlane {
    fn drop(&mut self) {
        let options: &[&str] = if std::thread::panicking() { &["--keep"] } else { &[] };
        if let Err(problem) = self.control_plane.stop_all(options) {
            eprintln!("cluster tests: {problem}");
        }
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

/// Sends a signal; the shell's `kill`, because the crate forbids the unsafe code that a call of its own needs.
pub(crate) fn send(signal: &str, pid: &str) {
    let _ =
        Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, pid]).stderr(Stdio::null()).status();
}
