//! Golden cases of compile: folders with `request.yaml` in, and `job.yaml` or `problems.txt` out, one idea each. With a
//! `templates.yaml` beside it, `origins.txt` tells where each value comes from.
//!
//! `BLESS=1 cargo test --test compile` writes what comes out; read the difference before you commit it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jobrequest::api::JobRequest;
use jobrequest::api::template::TemplateRef;
use jobrequest::compile::{Builtin, Compiled, Identity, Provenance, Template, compile, select};
use serde_json::Value;

/// All cases, by name.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
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
        spec: serde_path_to_error::deserialize(&document["spec"]).map_err(|error| error.to_string()),
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

#[test]
fn every_case_comes_out_as_committed() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases were found", cases.len());
    for case in &cases {
        let now = outcome(case);
        if std::env::var_os("BLESS").is_some() {
            for file in ["job.yaml", "problems.txt", "origins.txt"] {
                let _ = fs::remove_file(case.join(file));
            }
            for (file, text) in &now {
                fs::write(case.join(file), text).unwrap();
            }
        }
        let committed: BTreeMap<_, _> = fs::read_dir(case)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
            })
            .filter(|(file, _)| file != "request.yaml" && file != "templates.yaml")
            .collect();
        let now: BTreeMap<String, String> =
            now.into_iter().map(|(file, text)| (file.to_owned(), text)).collect();
        similar_asserts::assert_eq!(
            committed,
            now,
            "{case:?}; if this is meant: BLESS=1 cargo test --test compile"
        );
    }
    println!("{} cases", cases.len());
}

#[test]
fn a_job_reads_back_as_it_was_written() {
    for case in cases() {
        if let Some(text) = outcome(&case).get("job.yaml") {
            let job: k8s_openapi::api::batch::v1::Job = serde_saphyr::from_str(text).unwrap();
            similar_asserts::assert_eq!(serde_saphyr::to_string(&job).unwrap(), *text, "{}", case.display());
        }
    }
}
