//! Golden cases of compile: folders with `request.yaml` in, and `job.yaml` or `problems.txt` out, one idea each. With a
//! `templates.yaml` beside it, `origins.txt` shows where each value comes from.
//!
//! `BLESS=1 cargo test --test it compile::` writes what comes out; read the difference before you commit it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jobrequest::api::JobRequest;
use jobrequest::api::template_ref::TemplateRef;
use jobrequest::compile::{Builtin, Compiled, Identity, Provenance, Template, compile, select};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::support::golden;

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![a_job_reads_back_as_it_was_written];
    all.extend(golden::trials(module_path!(), "compile", "request.yaml", comes_out_as_committed));
    all
}

/// Templates of a case, equally old, each at its generation 1.
fn templates(case: &Path) -> Vec<Arc<Template>> {
    let text = fs::read_to_string(case.join("templates.yaml")).unwrap_or_default();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    documents.into_iter().map(|document| Arc::new(template(&document))).collect()
}

fn template(document: &Value) -> Template {
    let name = document["metadata"]["name"].as_str().unwrap().to_owned();
    let created = document["metadata"]["creationTimestamp"].as_str().map(|text| text.parse().unwrap());
    Template {
        uid: format!("uid-of-{name}"),
        reference: TemplateRef { kind: serde_json::from_value(document["kind"].clone()).unwrap(), name },
        generation: 1,
        created,
        is_terminating: document["metadata"]["deletionTimestamp"].is_string(),
        spec: jobrequest::compile::read_spec(&serde_json::from_value(document["spec"].clone()).unwrap()),
    }
}

/// The files that come out of a case, and their contents.
fn outcome(case: &Path) -> BTreeMap<&'static str, String> {
    let text = fs::read_to_string(case.join("request.yaml")).expect("request.yaml");
    let request: JobRequest =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let identity = Identity {
        name: request.metadata.name.as_deref().unwrap(),
        namespace: Some("team"),
        uid: Some("8f4c2f5e-6f0e-4d0a-9a55-0d6a3c1d7b11"),
        generation: Some(1),
        handled: None,
    };
    let templates = templates(case);
    let layers = select(Builtin::default(), &request.spec, &templates);
    match compile(&identity, &request.spec, &layers, 1) {
        Ok(compiled) => {
            let job = serde_saphyr::to_string(&compiled.job).unwrap();
            let mut files = BTreeMap::from([("job.yaml", job)]);
            if !templates.is_empty() {
                files.insert("origins.txt", origins(&compiled));
            }
            files
        }
        Err(problems) => {
            let lines: Vec<_> = problems.as_slice().iter().map(|problem| format!("{problem}\n")).collect();
            BTreeMap::from([("problems.txt", lines.concat())])
        }
    }
}

fn origins(compiled: &Compiled) -> String {
    let lines = compiled.provenance().into_iter().map(|Provenance { path, decided }| {
        let overrode: Vec<_> =
            decided.overrode.iter().map(|(origin, value)| format!("; not {value} of {origin}")).collect();
        let overrode = overrode.concat();
        format!("{path} = {} from {}{overrode}\n", decided.value, decided.origin)
    });
    let cuts = compiled
        .clamped
        .iter()
        .map(|cut| format!("cut: {} from {:?} to {} by {}\n", cut.path, cut.from, cut.to, cut.by));
    let warnings = compiled.warned.iter().map(|problem| format!("warning: {problem}\n"));
    lines.chain(cuts).chain(warnings).collect()
}

fn comes_out_as_committed(case: &Path) -> Vec<Option<String>> {
    golden::has_only(case, &["request.yaml", "templates.yaml", "job.yaml", "origins.txt", "problems.txt"]);
    let now = outcome(case);
    let files = ["job.yaml", "origins.txt", "problems.txt"];
    files.map(|file| golden::compare(&case.join(file), now.get(file).map_or("", String::as_str))).into()
}

fn a_job_reads_back_as_it_was_written() {
    for case in golden::cases("compile") {
        if let Some(text) = outcome(&case).get("job.yaml") {
            let job: k8s_openapi::api::batch::v1::Job = serde_saphyr::from_str(text).unwrap();
            similar_asserts::assert_eq!(serde_saphyr::to_string(&job).unwrap(), *text, "{}", case.display());
        }
    }
}
