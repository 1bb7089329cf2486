//! Helm, on the chart and the values of a case: takes a folder with `values.yaml` and perhaps `arguments` (words on a
//! line), returns what Helm printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::CHART;

/// Both major versions that are in use.
pub(super) const HELMS: [&str; 2] = ["helm4", "helm3"];

/// One of [`HELMS`].
pub(super) struct Helm(pub(super) &'static str);

impl Helm {
    /// All manifests, hooks included.
    pub(super) fn template(&self, case: &Path) -> Result<String, String> {
        // Fixed, so that neither the library's default nor a cluster decides what is rendered.
        let fixed = ["--namespace", "jobrequest-system", "--kube-version", "1.37.2"];
        self.run(&[&["template", "jobrequest", CHART], fixed.as_slice()].concat(), case)
    }

    pub(super) fn lint(&self, case: &Path) -> Result<String, String> {
        self.run(
            &["lint", "--strict", CHART, "--namespace", "jobrequest-system", "--kube-version", "1.37.2"],
            case,
        )
    }

    fn run(&self, arguments: &[&str], case: &Path) -> Result<String, String> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cluster/bin").join(self.0);
        assert!(program.is_file(), "{} is missing: run `make cluster-bin`", program.display());
        let home: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.0);
        let more = fs::read_to_string(case.join("arguments")).unwrap_or_default();
        let lints = arguments[0] == "lint";
        // What a cluster offers is not asked when linting.
        let more = if lints { Vec::new() } else { more.split_whitespace().collect() };
        let output = Command::new(program)
            .args(arguments)
            .arg("--values")
            .arg(case.join("values.yaml"))
            .args(more)
            .env("HELM_CACHE_HOME", home.join("cache"))
            .env("HELM_CONFIG_HOME", home.join("config"))
            .env("HELM_DATA_HOME", home.join("data"))
            .env("KUBECONFIG", "/dev/null")
            .stdin(Stdio::null())
            .output()
            .expect("run helm");
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout).expect("UTF-8"));
        }
        Err(format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout)))
    }
}
