//! How long the pure work takes, and `validate` as a whole. `make bench` runs it and prints a line a figure.
//!
//! A plain harness: each figure is measured in samples of many rounds; the median counts, the extremes show how much to
//! trust it. Nothing is asserted about time, only that what is measured does what it should.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // an edge

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jobrequest::api::JobRequestSpec;
use jobrequest::api::template_ref::{TemplateKind, TemplateRef};
use jobrequest::compile::digest::digest;
use jobrequest::compile::{Builtin, Identity, Layers, Template, compile, select};
use jobrequest::manifest::read_documents;
use jobrequest::reconcile::observed::Lenient;
use jobrequest::reconcile::{Answers, Clock, Memory, Next, Observed, StoredRequest, plan};
use serde_json::{Value, json};

const SAMPLES: usize = 15;

/// Prints the time of one round: the median of the samples, the shortest and the longest.
fn measure(what: &str, rounds: u32, mut round: impl FnMut()) {
    round();
    let mut samples: Vec<Duration> = (0..SAMPLES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..rounds {
                round();
            }
            began.elapsed() / rounds
        })
        .collect();
    samples.sort();
    let (shortest, median, longest) = (samples[0], samples[SAMPLES / 2], samples[SAMPLES - 1]);
    println!("bench: {what}: {median:.1?} ({shortest:.1?} to {longest:.1?})");
}

fn main() {
    // What cargo passes to every benchmark, such as --bench, has no meaning here.
    validate_a_thousand_documents();
    compile_over_four_layers();
    plan_at_rest();
}

fn example(file: &str) -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
    read_documents(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The whole command: a process starts, compiles the schemas, reads, checks, compiles and writes the verdicts.
fn validate_a_thousand_documents() {
    const DOCUMENTS: usize = 1000;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("thousand.yaml");
    let mut text = String::new();
    for number in 0..DOCUMENTS {
        let mut document = example("everything.yaml").remove(0);
        document["metadata"]["name"] = json!(format!("everything-{number}"));
        let _ = write!(text, "---\n{}", serde_saphyr::to_string(&document).unwrap());
    }
    fs::write(&file, &text).unwrap();
    let what = format!("jobrequest validate, {DOCUMENTS} documents, {} KiB of YAML", text.len() / 1024);
    measure(&what, 1, || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_jobrequest")).arg("validate").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), DOCUMENTS);
    });
}

/// A request over the default of the cluster, that of its namespace, and the template it names.
fn compile_over_four_layers() {
    let mut templates = example("platform-teams/platform.yaml");
    templates.extend(example("platform-teams/training/templates.yaml"));
    let templates: Vec<Arc<Template>> = templates
        .iter()
        .map(|document| {
            let kind: TemplateKind = serde_json::from_value(document["kind"].clone()).unwrap();
            let name = document["metadata"]["name"].as_str().unwrap().to_owned();
            Arc::new(Template {
                uid: format!("uid-of-{name}"),
                reference: TemplateRef { kind, name },
                generation: 1,
                created: None,
                is_terminating: false,
                spec: Ok(serde_json::from_value(document["spec"].clone()).unwrap()),
            })
        })
        .collect();
    let request = example("platform-teams/training/model.yaml").remove(0);
    let spec: JobRequestSpec = serde_json::from_value(request["spec"].clone()).unwrap();
    let identity = Identity {
        name: "model",
        namespace: Some("training"),
        uid: Some("uid"),
        generation: Some(1),
        handled: None,
    };
    measure("compile of one request with four layers", 200, || {
        let layers = select(Builtin::default(), black_box(&spec), &templates);
        assert_eq!(layers.templates.len(), 3);
        black_box(compile(&identity, &spec, &layers, 1).expect("it compiles"));
    });
}

/// What a reconcile of a finished request costs when nothing has changed: the operator does this for all of them after
/// a start and after the edit of a template.
fn plan_at_rest() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reconcile/run-completes/in.yaml");
    let text = fs::read_to_string(file).unwrap();
    let input: Value = serde_saphyr::from_str(&text).unwrap();
    let spec: JobRequestSpec = serde_json::from_value(input["request"]["spec"].clone()).unwrap();
    let text = serde_json::to_string(&input).unwrap().replace("\"same\"", &json!(digest(&spec)).to_string());
    let input: Value = serde_json::from_str(&text).unwrap();
    let mut request: StoredRequest = serde_json::from_value(input["request"].clone()).unwrap();
    let clock = Clock {
        now: serde_json::from_value(input["now"].clone()).unwrap(),
        uptime: Duration::from_secs(1000),
    };
    let observed = |request: &StoredRequest| Observed {
        request: Some(request.clone()),
        jobs: serde_json::from_value(input["jobs"].clone()).unwrap(),
        pods: Vec::new(),
        answers: Answers::default(),
        memory: Memory::default(),
        sole_since: None,
    };
    while let Some(status) = plan(&observed(&request), &Layers::default(), clock).status {
        request.status = Lenient(Ok(*status));
    }
    let observed = observed(&request);
    measure("plan at rest of one finished request", 2000, || {
        let plan = plan(black_box(&observed), &Layers::default(), clock);
        assert!(plan.status.is_none() && plan.changes.is_empty() && plan.next == Next::AwaitChange);
    });
}
