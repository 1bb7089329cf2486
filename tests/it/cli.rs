//! Golden cases of the command line: folders with a `command` and its input; `stdout`, `stderr` and `code` come out. A
//! command runs in its folder, or in the `folder` that the case names, from the root of the repository.
//!
//! `BLESS=1 cargo test --test it cli::` writes what comes out; read the difference before you commit it. Hostile inputs
//! too long to keep in files are made here, and run with little memory and few seconds of a processor.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use jobrequest::api::JobRequest;
use jobrequest::api::template_ref::TemplateRef;
use jobrequest::compile::{Builtin, Identity, Template, compile, select};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::{golden, root};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jobrequest");

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![
        hostile_inputs_end_in_a_message,
        render_is_compile,
        documented_sessions_are_current,
        documented_examples_are_the_files,
        a_closed_pipe_is_no_failure,
    ];
    all.extend(golden::trials(module_path!(), "cli", "command", comes_out_as_committed));
    all
}

/// The arguments of a case; the line before them says what it holds.
fn command(case: &Path) -> String {
    let text = fs::read_to_string(case.join("command")).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

fn run(case: &Path) -> Output {
    let command = command(case);
    let stdin = File::open(case.join("stdin")).map_or_else(|_| Stdio::null(), Stdio::from);
    let folder = fs::read_to_string(case.join("folder"));
    let folder = folder.map_or_else(|_| case.to_owned(), |folder| root().join(folder.trim()));
    Command::new(PROGRAM).args(command.split_whitespace()).current_dir(folder).stdin(stdin).output().unwrap()
}

fn comes_out_as_committed(case: &Path) -> Vec<Option<String>> {
    let output = run(case);
    let code = output.status.code().expect("an exit code");
    vec![
        golden::compare(&case.join("stdout"), &String::from_utf8(output.stdout).expect("UTF-8")),
        golden::compare(&case.join("stderr"), &String::from_utf8(output.stderr).expect("UTF-8")),
        golden::compare(&case.join("code"), &format!("{code}\n")),
    ]
}

/// The sessions in the documentation are real: every page shows the commands of its cases and what came out of them.
fn documented_sessions_are_current() {
    for (page, case, files) in [
        ("cli/README", "documented-create", ["stdout"].as_slice()),
        ("command-line", "documented-render", &["pi.yaml", "stdout"]),
        ("command-line", "documented-validate", &["pi-broken.yaml", "stderr", "stdout"]),
        ("command-line", "documented-explain", &["stdout"]),
        ("moving-a-job", "documented-convert", &["job.yaml", "stdout", "stderr"]),
        ("layers", "documented-layers", &["templates.yaml", "pi.yaml", "stdout"]),
        ("layers", "documented-layers-of-a-refused-request", &["stdout", "stderr"]),
        ("platform-teams", "documented-teams-validate", &["stdout"]),
        ("platform-teams", "documented-teams-reports", &["stdout"]),
        ("platform-teams", "documented-teams-training", &["stdout"]),
        ("platform-teams", "documented-teams-refused", &["stdin", "stderr", "stdout"]),
        ("platform-teams", "documented-audit", &["stdin", "stdout", "stderr"]),
    ] {
        let text = fs::read_to_string(root().join(format!("docs/{page}.md"))).unwrap();
        let folder = root().join("tests/cli").join(case);
        let mut shown = vec![("command", format!("$ jobrequest {}", command(&folder)))];
        shown.extend(files.iter().map(|file| (*file, fs::read_to_string(folder.join(file)).unwrap())));
        for (file, now) in shown {
            assert!(text.contains(&now), "docs/{page}.md does not show {case}/{file} as it is now:\n{now}");
        }
    }
}

/// Every example that a page shows is the file itself.
fn documented_examples_are_the_files() {
    let page = fs::read_to_string(root().join("docs/platform-teams.md")).unwrap();
    for file in [
        "platform.yaml",
        "reports/template.yaml",
        "reports/monthly.yaml",
        "training/templates.yaml",
        "training/model.yaml",
    ] {
        let text = fs::read_to_string(root().join("examples/platform-teams").join(file)).unwrap();
        assert!(page.contains(&text), "docs/platform-teams.md does not show {file} as it is now");
    }
}

/// Templates as they are known offline: without uid and generation.
fn templates(file: &Path) -> Vec<Arc<Template>> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let template = |document: Value| Template {
        uid: String::new(),
        reference: TemplateRef {
            kind: serde_json::from_value(document["kind"].clone()).unwrap(),
            name: document["metadata"]["name"].as_str().unwrap().to_owned(),
        },
        generation: 0,
        created: document["metadata"]["creationTimestamp"].as_str().map(|text| text.parse().unwrap()),
        is_terminating: document["metadata"]["deletionTimestamp"].is_string(),
        spec: jobrequest::compile::read_spec(&serde_json::from_value(document["spec"].clone()).unwrap()),
    };
    documents.into_iter().map(|document| Arc::new(template(document))).collect()
}

/// `render` shows byte for byte what compile makes, which is what the controller creates.
fn render_is_compile() {
    let mut count = 0;
    for case in golden::cases("compile") {
        let file = case.join("request.yaml");
        let request: JobRequest = serde_saphyr::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let name = request.metadata.name.clone().unwrap();
        let identity =
            Identity { name: &name, namespace: Some("team"), uid: None, generation: None, handled: None };
        let beside = file.with_file_name("templates.yaml");
        let layers = select(Builtin::default(), &request.spec, &templates(&beside));
        let Ok(compiled) = compile(&identity, &request.spec, &layers, 3) else { continue };
        let render = |format: &str| {
            let mut render = Command::new(PROGRAM);
            render.args(["render", "--run", "3", "-n", "team", "-o", format]).arg(&file);
            if beside.exists() {
                render.arg("--templates").arg(&beside);
            }
            let output = render.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let wanted = serde_saphyr::to_string(&compiled.job).unwrap();
        similar_asserts::assert_eq!(wanted, render("yaml"), "{}", file.display());
        let wanted = serde_json::to_string_pretty(&compiled.job).unwrap() + "\n";
        similar_asserts::assert_eq!(wanted, render("json"), "{}", file.display());
        count += 1;
    }
    assert!(count > 15, "only {count} Jobs were compared");
}

const HEAD: &str = "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata: {name: a}\nspec:\n";

/// Each is refused with a place and words, in little memory, and never by a panic.
fn hostile_inputs_end_in_a_message() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let text = "y".repeat(2_000_000);
    let nested = |levels: usize| {
        (1..=levels).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<Vec<_>>().concat()
    };
    let keys = (0..150_000).map(|i| format!("    k{i}: v\n")).collect::<Vec<_>>().concat();
    let deeper = |i: usize| format!("a{}: &a{} {}*a{i}{}\n", i + 1, i + 1, "[".repeat(40), "]".repeat(40));
    let inputs: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a text of 10 MB",
            format!("{HEAD}  alias: {}\n", "x".repeat(10_000_000)).into(),
            "API server accepts no object",
        ),
        (
            "a million values",
            format!("{HEAD}  x: [{}]\n", "1,".repeat(1_000_000)).into(),
            "more than 200000 values",
        ),
        ("many keys", format!("{HEAD}  labels:\n{keys}").into(), "more than 200000 values"),
        ("deep flow", format!("{HEAD}  x: {}\n", "[".repeat(100_000)).into(), "recursion limit"),
        ("deep JSON", "{\"a\":".repeat(100_000).into(), "recursion limit"),
        ("deep blocks", format!("{HEAD}{}", nested(400)).into(), "recursion limit"),
        (
            "deep by aliases",
            format!("a0: &a0 x\n{}{HEAD}", (0..5).map(deeper).collect::<String>()).into(),
            "nested deeper than 128",
        ),
        (
            "long by aliases",
            format!("s: &s {text}\nl: [{}]\n{HEAD}", "*s, ".repeat(1000)).into(),
            "bytes of text",
        ),
        ("an alias in itself", format!("x: &x [*x]\n{HEAD}").into(), "inside the value that it refers to"),
        ("a long key", format!("{HEAD}  {}: x\n", "k".repeat(200_000)).into(), "not YAML"),
        ("all bytes", (0..=255).collect(), "not UTF-8"),
        ("UTF-16", HEAD.encode_utf16().flat_map(u16::to_le_bytes).collect(), "error: "),
        (
            "a wide file of objects",
            format!("{HEAD}  containers: [{{name: main, image: x, imag: y}}]\n---\n").repeat(2000).into(),
            "unknown field",
        ),
    ];
    let is_refused = |what: &str, bytes: Vec<u8>, words: &str| {
        let file = folder.join(format!("hostile-{}.yaml", what.replace(' ', "-")));
        fs::write(&file, bytes).unwrap();
        let limited = format!("ulimit -v 400000; ulimit -t 10; exec {PROGRAM} validate {}", file.display());
        let output = Command::new("sh").args(["-c", &limited]).env("RUST_BACKTRACE", "0").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let first: String = stderr.lines().next().unwrap_or_default().chars().take(300).collect();
        assert_eq!(output.status.code(), Some(1), "{what}: {first}");
        let place =
            first.strip_prefix(&file.display().to_string()).unwrap_or_else(|| panic!("{what}: {first}"));
        let mut numbers = place.split(':').skip(1).take(2);
        assert!(
            numbers.all(|number| number.parse::<u32>().is_ok_and(|number| number > 0)),
            "{what}: {first}"
        );
        assert!(first.contains(words), "{what}: does not say '{words}': {first}");
    };
    // Each is a program of its own, and some take long.
    std::thread::scope(|scope| {
        for (what, bytes, words) in inputs {
            scope.spawn(move || is_refused(what, bytes, words));
        }
    });
}

fn a_closed_pipe_is_no_failure() {
    let example = root().join("examples/everything.yaml");
    let piped = format!("{PROGRAM} render {} {PROGRAM_ALREADY_SEEN}", example.display());
    let output = Command::new("bash").args(["-c", &piped]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr).matches("could not").count(), 0);
    assert!(output.status.success());
}

const PROGRAM_ALREADY_SEEN: &str = "| true; exit ${PIPESTATUS[0]}";
