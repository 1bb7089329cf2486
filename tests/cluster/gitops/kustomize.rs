//! Kustomize with the component of `integrations/kustomize`: generated names are followed, and patches merge.
//!
//! The real Kustomize, as it is in kubectl, builds the fixtures of `tests/gitops/kustomize`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::support::{Cluster, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![names_are_followed_and_patches_merge]
}

async fn names_are_followed_and_patches_merge(cx: Arc<Cluster>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops/kustomize");
    let mut differences = Vec::new();
    for name in ["base", "overlay"] {
        let built = cx.kubectl(&["kustomize", &folder.join(name).display().to_string()]);
        let expected = folder.join(format!("expected/{name}.yaml"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &built).unwrap();
        }
        if fs::read_to_string(&expected).unwrap() != built {
            differences.push(format!("{name}: {} differs:\n{built}", expected.display()));
        }
        let output =
            Command::new(env!("CARGO_BIN_EXE_jobrequest")).arg("validate").arg(&expected).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
