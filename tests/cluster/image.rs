//! The image: `make image` writes target/jobrequest-image.tar, and these tests take it apart and run what is in it, with
//! nothing else in reach.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, ControlPlane, Test, sha256};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        every_digest_is_right_and_the_settings_are_those_of_the_containerfile,
        runs_alone_in_its_root,
        runs_a_job_request_as_in_a_pod,
        resolves_the_name_of_an_api_server,
    ]
}

/// The most that the archive, and the binary in it, may take. The binary is the operator and the command line.
const LIMITS: [u64; 2] = [10 * 1024 * 1024, 20 * 1024 * 1024];

/// Takes the archive apart; returns the layout's folder.
fn unpacked(cx: &Cluster) -> PathBuf {
    let archive = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/jobrequest-image.tar");
    assert!(archive.is_file(), "target/jobrequest-image.tar is missing: run `make image`");
    let layout = cx.log("layout");
    untar(&archive, &layout);
    layout
}

fn untar(archive: &Path, into: &Path) {
    fs::create_dir_all(into).expect("create a folder");
    let tar = Command::new("tar").arg("-C").arg(into).arg("-xf").arg(archive).status();
    assert!(tar.is_ok_and(|status| status.success()), "tar takes {} apart", archive.display());
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("read a file")).expect("JSON")
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

/// The blob of a descriptor, after its digest and size are checked.
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let name = descriptor["digest"].as_str().expect("a digest");
    let path = layout.join("blobs/sha256").join(name.trim_start_matches("sha256:"));
    let bytes = fs::read(&path).expect("read a blob");
    assert_eq!((digest(&bytes), json!(bytes.len())), (name.to_owned(), descriptor["size"].clone()));
    path
}

/// The manifest and the configuration.
fn described(layout: &Path) -> (Value, Value) {
    assert_eq!(read(&layout.join("oci-layout")), json!({"imageLayoutVersion": "1.0.0"}));
    let index = read(&layout.join("index.json"));
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(1));
    let manifest = read(&blob(layout, &index["manifests"][0]));
    let config = read(&blob(layout, &manifest["config"]));
    (manifest, config)
}

async fn every_digest_is_right_and_the_settings_are_those_of_the_containerfile(cx: Arc<Cluster>) {
    let layout = unpacked(&cx);
    let (manifest, config) = described(&layout);
    let layers = manifest["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 1);
    let layer = blob(&layout, &layers[0]);
    let plain = Command::new("gzip").arg("-dc").arg(&layer).output().expect("run gzip").stdout;
    assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [digest(&plain)]}));
    assert_eq!(fs::read_dir(layout.join("blobs/sha256")).unwrap().count(), 3, "no blob without a use");

    let listed =
        Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(&layer).output().expect("run tar");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let files: Vec<[&str; 3]> = files.iter().map(|words| [words[0], words[1], words[5]]).collect();
    assert_eq!(files, [["-rw-r--r--", "0/0", "LICENSE"], ["-rwxr-xr-x", "0/0", "jobrequest"]]);

    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!(architecture())));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/jobrequest"]));
    let labels: BTreeMap<String, String> =
        serde_json::from_value(config["config"]["Labels"].clone()).unwrap();
    let label = |name: &str| labels[&format!("org.opencontainers.image.{name}")].as_str();
    assert_eq!((label("title"), label("licenses")), ("jobrequest", "Apache-2.0"));
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert!(label("description").starts_with("Jobs that survive GitOps"));
    // A container engine makes the same of the Containerfile: each instruction is in the configuration.
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let containerfile = fs::read_to_string(root.join(".image/Containerfile")).unwrap();
    let of =
        |word: &str| containerfile.lines().filter_map(|line| line.strip_prefix(word)).collect::<Vec<_>>();
    assert_eq!(of("FROM "), ["scratch"]);
    assert_eq!(of("USER "), ["65532:65532"]);
    assert_eq!(of("ENTRYPOINT "), [r#"["/jobrequest"]"#]);
    assert_eq!(of("LABEL ").len(), labels.len());
    for (key, value) in of("LABEL ").iter().map(|line| line.split_once('=').expect("a label")) {
        let value = value.trim_matches('"');
        assert!(labels[key] == value || value.starts_with("${"), "{key}");
    }
    let sources: Vec<&str> = of("COPY ").iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(sources, ["/jobrequest", "/LICENSE"]);
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The root that a container of the image would have.
fn root(cx: &Cluster) -> PathBuf {
    let layout = unpacked(cx);
    let (manifest, _) = described(&layout);
    let root = cx.log("root");
    untar(&blob(&layout, &manifest["layers"][0]), &root);
    root
}

/// The image's entry point, with nothing but its own root in reach, and no environment. As root of this machine: under
/// the image's user; otherwise in a user namespace.
fn entrypoint(root: &Path) -> Command {
    let id = Command::new("id").arg("-u").output().expect("run id").stdout;
    let mut command = if id.trim_ascii() == b"0" {
        let mut command = Command::new("chroot");
        command.arg("--userspec=65532:65532").arg(root);
        command
    } else {
        let mut command = Command::new("unshare");
        command.arg("--map-root-user").arg(format!("--root={}", root.display()));
        command
    };
    command.arg("/jobrequest").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

async fn runs_alone_in_its_root(cx: Arc<Cluster>) {
    let archive = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/jobrequest-image.tar");
    let root = root(&cx);
    let sizes = [archive, root.join("jobrequest")].map(|path| fs::metadata(path).expect("a file").len());
    let mib = |tenths: u64| format!("{}.{} MiB", tenths / 10, tenths % 10);
    let [image, binary] = sizes.map(|size| mib(size * 10 / (1024 * 1024)));
    println!("figure: image {image}, binary {binary} (below 10 MiB and 20 MiB)");
    assert!(sizes.iter().zip(LIMITS).all(|(size, limit)| *size < limit));

    let output = entrypoint(&root).arg("--version").output().expect("run the image");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert_eq!(said, format!("jobrequest {}\n", env!("CARGO_PKG_VERSION")));
    let license = fs::read_to_string(root.join("LICENSE")).unwrap();
    assert!(license.contains("Apache License"));
    let crds = entrypoint(&root).arg("crds").output().expect("run the image");
    assert!(String::from_utf8_lossy(&crds.stdout).contains("jobrequests.jobrequest.dev"));
}

/// A process of the image, stopped when dropped.
struct Contained {
    child: Child,
    control_plane: Arc<ControlPlane>,
}

impl Contained {
    fn start(cx: &Cluster, at: &Requests, mut command: Command) -> Self {
        let log = File::create(cx.log("controller.log")).expect("create a log");
        command.args(["controller", "--namespace", at.namespace.name()]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("share the log")).stderr(log);
        let child = command.spawn().expect("start the image");
        let control_plane = Arc::clone(cx.control_plane());
        control_plane.note(child.id());
        Self { child, control_plane }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.control_plane.forget(self.child.id());
    }
}

fn place(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
    fs::write(&path, text).expect("write a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("let everybody read it");
}

/// Where the API server listens: address and port.
fn server(kubeconfig: &str) -> (&str, &str) {
    let rest = kubeconfig.split("server: https://").nth(1).expect("an address");
    rest.lines().next().and_then(|address| address.trim().rsplit_once(':')).expect("a port")
}

async fn runs_a_job_request_as_in_a_pod(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "image").await;
    let namespace = at.namespace.name();
    let root = root(&cx);
    // What the kubelet gives a pod: the account's files and the address of the API server.
    let kubeconfig = cx.kubectl(&["config", "view", "--raw", "--flatten"]);
    let (host, port) = server(&kubeconfig);
    cx.kubectl(&["-n", namespace, "create", "serviceaccount", "operator"]);
    let account = format!("{namespace}:operator");
    let binding =
        ["create", "clusterrolebinding", namespace, "--clusterrole=cluster-admin", "--serviceaccount"];
    cx.kubectl(&[&binding[..], &[&account]].concat());
    let token = cx.kubectl(&["-n", namespace, "create", "token", "operator"]);
    let authority = cx.kubectl(&[
        "-n",
        namespace,
        "get",
        "configmap",
        "kube-root-ca.crt",
        "-o",
        r"jsonpath={.data.ca\.crt}",
    ]);
    let folder = "var/run/secrets/kubernetes.io/serviceaccount";
    place(&root, &format!("{folder}/token"), token.trim());
    place(&root, &format!("{folder}/ca.crt"), &authority);
    place(&root, &format!("{folder}/namespace"), namespace);
    let mut command = entrypoint(&root);
    command.env("KUBERNETES_SERVICE_HOST", host).env("KUBERNETES_SERVICE_PORT", port);
    let _operator = Contained::start(&cx, &at, command);
    at.create("contained", spec(&json!({}), &json!({}))).await;
    at.until_phase("contained", 1, "Completed").await;
    cx.kubectl(&["delete", "clusterrolebinding", namespace]);
}

/// Static glibc can look names up only since its resolver is built in: a pod has /etc/hosts and /etc/resolv.conf.
async fn resolves_the_name_of_an_api_server(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "image-name").await;
    let root = root(&cx);
    let kubeconfig = cx.kubectl(&["config", "view", "--raw", "--flatten"]);
    let (host, _) = server(&kubeconfig);
    place(&root, "etc/hosts", &format!("{host} kubernetes.default.svc\n"));
    let named = kubeconfig.replace(&format!("https://{host}:"), "https://kubernetes.default.svc:");
    place(&root, "kubeconfig", &named);
    let mut command = entrypoint(&root);
    command.env("KUBECONFIG", "/kubeconfig");
    let _operator = Contained::start(&cx, &at, command);
    at.create("named", spec(&json!({}), &json!({}))).await;
    at.until_phase("named", 1, "Completed").await;
}
