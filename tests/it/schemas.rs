//! The JSON Schemas: committed ones are current, kubeconform takes them for what is valid, and the examples name them.
//!
//! Needs kubeconform of tests/cluster/tools/build.sh. `BLESS=1 cargo test --test it schemas::` writes schemas/.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{golden, root};

pub(crate) fn tests() -> Vec<Trial> {
    tests![
        committed_schemas_are_current,
        out_writes_the_committed_files,
        valid_documents_conform,
        invalid_documents_do_not_conform,
        each_example_names_its_schema,
    ]
}

fn committed_schemas_are_current() {
    let files = jobrequest::api::schema_files();
    let differences = files.iter().map(|(file, schema)| {
        let text = serde_json::to_string_pretty(schema).unwrap() + "\n";
        golden::compare(&root().join("schemas").join(file), &text)
    });
    let differences: Vec<_> = differences.flatten().collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let count = fs::read_dir(root().join("schemas/jobrequest.dev")).unwrap().count();
    assert_eq!(count, files.len(), "a file in schemas/ is of no kind");
}

fn program(arguments: &[&str], folder: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobrequest"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn out_writes_the_committed_files() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema-out");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let written = program(&["schema", "--out", "here"], &folder);
    for (file, schema) in jobrequest::api::schema_files() {
        assert!(written.contains(&format!("here/{file}\n")), "{written}");
        let text = fs::read_to_string(folder.join("here").join(&file)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), schema);
    }
    let all: Value = serde_json::from_str(&program(&["schema"], &folder)).unwrap();
    assert_eq!(all, jobrequest::api::group_schema());
    let one: Value = serde_json::from_str(&program(&["schema", "--kind", "jobtemplate"], &folder)).unwrap();
    assert_eq!(one["title"], "JobTemplate");
}

/// What kubeconform says of each object in `files`: the file, the object's name, its status and message. Objects of other
/// API groups are left out.
fn kubeconform(files: &[PathBuf], location: &str) -> Vec<(String, String, String)> {
    let program = root().join(".cluster/bin/kubeconform");
    assert!(program.is_file(), "{} is missing: run `make chart-bin`", program.display());
    let output = Command::new(program)
        .args(["-strict", "-verbose", "-output", "json", "-ignore-missing-schemas"])
        .arg("-schema-location")
        .arg(root().join("schemas").join(location))
        .args(files)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = answer["resources"].as_array().unwrap().iter();
    rows.filter(|row| row["status"] != "statusSkipped")
        .map(|row| {
            let about = format!("{} {}/{}", text(&row["filename"]), text(&row["kind"]), text(&row["name"]));
            (about, text(&row["status"]), text(&row["msg"]))
        })
        .collect()
}

const EACH_KIND: &str = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json";
/// A schema for every object: others pass.
const ALL_KINDS: &str = "jobrequest.dev/all.json";

fn files_in(folder: &str, take: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|it| it == "yaml") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.retain(|file| take(file.to_str().unwrap()));
    files.sort();
    files
}

fn valid_documents_conform() {
    let mut files = files_in("examples", |_| true);
    files.extend(files_in("tests/compile", |file| {
        !file.contains("/problem-") && (file.ends_with("/request.yaml") || file.ends_with("/templates.yaml"))
    }));
    files.extend(files_in("tests/manifests", |file| file.ends_with("/request.yaml")));
    files.extend(files_in("tests/cli", |file| {
        // kubeconform knows no merge keys.
        ["/validate-valid/", "/render-", "/documented-render/", "/documented-layers/"]
            .iter()
            .any(|case| file.contains(case))
            && !["invalid", "merge-keys", "repository"].iter().any(|other| file.contains(other))
    }));
    for location in [EACH_KIND, ALL_KINDS] {
        let rows = kubeconform(&files, location);
        let wrong: Vec<_> = rows.iter().filter(|(_, status, _)| status != "statusValid").collect();
        assert!(wrong.is_empty(), "{location}: {wrong:#?}");
        assert!(rows.len() > 80, "only {} objects", rows.len());
        println!("figure: {} objects conform to {location}", rows.len());
    }
}

const HEAD: &str = "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata: {name: a}\n";

fn invalid_documents_do_not_conform() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema-invalid");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, text, words) in [
        ("unknown", format!("{HEAD}spec: {{tolerance: []}}\n"), "tolerance"),
        (
            "unknown-in-a-list",
            format!("{HEAD}spec: {{containers: [{{name: a, image: a, imag: b}}]}}\n"),
            "imag",
        ),
        ("unknown-at-the-root", format!("{HEAD}spec: {{}}\nspecs: {{}}\n"), "specs"),
        (
            "unknown-metadata",
            format!("{}spec: {{}}\n", HEAD.replace("name: a", "name: a, label: {}")),
            "label",
        ),
        ("type", format!("{HEAD}spec: {{settings: {{backoffLimit: '3'}}}}\n"), "backoffLimit"),
        ("enum", format!("{HEAD}spec: {{restartPolicy: never}}\n"), "restartPolicy"),
        ("maximum", format!("{HEAD}spec: {{settings: {{parallelism: -1}}}}\n"), "parallelism"),
        (
            "fraction",
            format!(
                "{HEAD}spec: {{containers: [{{name: a, image: a, resources: {{limits: {{cpu: 0.5}}}}}}]}}\n"
            ),
            "cpu",
        ),
        ("label", format!("{}spec: {{}}\n", HEAD.replace("name: a", "name: a, labels: {a: 1}")), "labels"),
        ("no-spec", HEAD.to_owned(), "spec"),
        (
            "no-metadata",
            "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nspec: {}\n".to_owned(),
            "metadata",
        ),
    ] {
        let file = folder.join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        let rows = kubeconform(std::slice::from_ref(&file), EACH_KIND);
        let [(_, status, message)] = rows.as_slice() else { panic!("{name}: {rows:?}") };
        assert!(status == "statusInvalid" && message.contains(words), "{name}: {status}: {message}");
        let rows = kubeconform(&[file], ALL_KINDS);
        assert_eq!(rows[0].1, "statusInvalid", "{name}: {rows:?}");
    }
    // What the schema lets through is what an API server drops or takes.
    for (name, text) in [
        ("null-map", format!("{HEAD}spec: {{labels: null, volumes: null}}\n")),
        ("null-metadata", format!("{}spec: {{}}\n", HEAD.replace("name: a", "name: a, labels: null"))),
        (
            "quantities",
            format!(
                "{HEAD}spec: {{containers: [{{name: a, image: a, resources: {{limits: {{cpu: 1, memory: 1Gi}}}}}}]}}\n"
            ),
        ),
        ("overrides", format!("{HEAD}spec: {{overrides: {{template: {{spec: {{anything: 1}}}}}}}}\n")),
    ] {
        let file = folder.join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        for location in [EACH_KIND, ALL_KINDS] {
            let rows = kubeconform(std::slice::from_ref(&file), location);
            assert_eq!(rows[0].1, "statusValid", "{name}: {rows:?}");
        }
    }
}

/// Editors with yaml-language-server read the schema from the first line of a file.
fn each_example_names_its_schema() {
    let files = files_in("examples", |_| true);
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        let named = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{}: {first}", file.display()));
        let schema = file
            .parent()
            .unwrap()
            .join(named)
            .canonicalize()
            .unwrap_or_else(|error| panic!("{named}: {error}"));
        let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
        let is_one_kind = kinds.iter().all(|kind| *kind == kinds[0]);
        let wanted = if is_one_kind {
            format!("{}_v1alpha1.json", kinds[0].to_lowercase())
        } else {
            "all.json".to_owned()
        };
        assert_eq!(schema.file_name().unwrap().to_str().unwrap(), wanted, "{}", file.display());
    }
}
