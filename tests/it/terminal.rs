//! Nothing invisible leaves the program: not from objects, names of files, arguments, or what libraries say of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jobrequest::printable::is_invisible;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::root;

pub(crate) fn tests() -> Vec<Trial> {
    tests![no_command_prints_what_is_invisible, json_and_yaml_keep_the_values, output_is_written_in_one_place]
}

/// Directions, zero widths, line separators, C0 and C1 controls, escapes, tags, fillers.
const HOSTILE: &str = "a\u{202e}b\u{2066}c\u{200b}d\u{200d}\u{feff}\u{2060}e\u{2028}\u{2029}f\u{7}\u{1b}[2J\u{9b}31m\u{85}\u{e0041}\u{115f}\u{ad}g";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_jobrequest")).args(arguments).env_remove("KUBECONFIG").output().unwrap()
}

/// A folder that is removed with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jobrequest-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A JobRequest with hostile text wherever the schema takes any.
fn valid() -> Value {
    json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "pi"},
        "spec": {
            "alias": HOSTILE.chars().take(40).collect::<String>(),
            "description": HOSTILE,
            "annotations": {"example.com/note": HOSTILE},
            "containers": [{
                "name": "main", "image": "perl:5", "args": [HOSTILE], "workingDir": HOSTILE,
                "env": [{"name": "TEXT", "value": HOSTILE}],
            }],
        },
    })
}

fn escape(code: u32) -> String {
    format!("\\u{code:04x}")
}

/// JSON in which kubectl can read all of it.
fn text(object: &Value) -> String {
    let mut text = String::new();
    for character in object.to_string().chars() {
        match u32::from(character) {
            code @ ..=0xffff if is_invisible(character) => text += &escape(code),
            _ => text.push(character),
        }
    }
    text
}

/// The same where it is wrong: names, images, enums, keys, unknown fields.
fn invalid() -> Value {
    json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": HOSTILE},
        "spec": {
            HOSTILE: HOSTILE,
            "restartPolicy": HOSTILE,
            "labels": {HOSTILE: HOSTILE},
            "templateRef": {"kind": HOSTILE, "name": HOSTILE},
            "containers": [{"name": HOSTILE, "image": HOSTILE, "quota": HOSTILE}],
            "overrides": {"template": {"spec": {"dnsPolicy": HOSTILE, HOSTILE: 1}}},
        },
    })
}

/// Everything is run on the same files: what each command makes of them differs.
fn no_command_prints_what_is_invisible() {
    let folder = Folder::new("invisible");
    // A name of a file holds everything but a slash.
    let good = folder.file(&format!("{HOSTILE}.json"), &text(&valid()));
    let bad = folder.file(&format!("bad-{HOSTILE}.json"), &text(&invalid()));
    let broken = folder.file(
        "broken.yaml",
        &format!("apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\n{HOSTILE}: [\n"),
    );
    let absent = format!("{HOSTILE}/absent.yaml");
    let option = format!("--{HOSTILE}");
    let mut printed = 0;
    for arguments in [
        vec!["validate", &good],
        vec!["validate", &good, "-o", "json"],
        vec!["validate", &bad],
        vec!["validate", &bad, "-o", "json"],
        vec!["validate", &broken],
        vec!["validate", &broken, "-o", "json"],
        vec!["validate", &bad, "-o", "github"],
        vec!["validate", &bad, "-o", "sarif"],
        vec!["validate", &bad, &broken, "-o", "junit"],
        vec!["schema", "--kind", HOSTILE],
        vec!["validate", &absent],
        vec!["render", &good],
        vec!["render", &good, "-o", "json"],
        vec!["render", &bad],
        vec!["explain", &good],
        vec!["explain", &good, "-o", "json"],
        vec!["explain", &bad],
        vec!["explain", &bad, "-o", "json"],
        vec!["explain", HOSTILE],
        vec!["validate", &option],
        vec![HOSTILE],
        vec!["controller", "--context", HOSTILE],
        vec!["controller", "--log-level", HOSTILE],
    ] {
        let output = run(&arguments);
        for (what, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = std::str::from_utf8(bytes).unwrap();
            let invisible: Vec<_> = text.chars().filter(|it| is_invisible(*it) && *it != '\n').collect();
            assert!(invisible.is_empty(), "{arguments:?}: {what} has {invisible:?}: {text:?}");
            printed += usize::from(!text.is_empty());
        }
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{arguments:?} says nothing");
    }
    assert!(printed >= 23, "{printed}");
}

fn json_and_yaml_keep_the_values() {
    let folder = Folder::new("values");
    let good = folder.file("good.json", &text(&valid()));
    let rendered = |format: &str| {
        let output = run(&["render", &good, "-o", format]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&rendered("json")).unwrap();
    assert_eq!(json["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"], HOSTILE);
    let yaml: Value = serde_saphyr::from_str(&rendered("yaml")).unwrap();
    assert_eq!(yaml, json);
    // A file is named in JSON as it is called.
    let named = folder.file(&format!("{HOSTILE}.json"), &text(&valid()));
    let report: Value = serde_json::from_slice(&run(&["validate", &named, "-o", "json"]).stdout).unwrap();
    assert_eq!(report["documents"][0]["file"], named);
}

/// So that no caller can forget it.
fn output_is_written_in_one_place() {
    fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { sources(&path, all) } else { all.push(path) }
        }
    }
    let mut all = Vec::new();
    sources(&root().join("src"), &mut all);
    let mut writers = Vec::new();
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        let calls = ["io::stdout", "io::stderr", "println!", "print!(", "dbg!"];
        if code.into_iter().any(|line| calls.iter().any(|call| line.contains(call))) {
            writers.push(path.strip_prefix(root()).unwrap().display().to_string());
        }
    }
    assert_eq!(writers, ["src/cli/output.rs"]);
}
