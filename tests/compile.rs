//! Golden cases of compile: folders with `request.yaml` in, and `job.yaml` or `problems.txt` out, one idea each.
//!
//! `BLESS=1 cargo test --test compile` writes what comes out; read the difference before you commit it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

use std::fs;
use std::path::{Path, PathBuf};

use jobrequest::api::JobRequest;
use jobrequest::compile::{Identity, Layers, compile};

/// All cases, by name.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile");
    let mut cases: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// The file that comes out of a case, and its content.
fn outcome(case: &Path) -> (&'static str, String) {
    let text = fs::read_to_string(case.join("request.yaml")).expect("request.yaml");
    let request: JobRequest =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    let identity = Identity {
        name: request.metadata.name.as_deref().unwrap(),
        namespace: Some("team"),
        uid: Some("8f4c2f5e-6f0e-4d0a-9a55-0d6a3c1d7b11"),
        generation: Some(1),
    };
    match compile(&identity, &request.spec, &Layers::default(), 1) {
        Ok(compiled) => ("job.yaml", serde_saphyr::to_string(&compiled.job).unwrap()),
        Err(problems) => (
            "problems.txt",
            problems
                .as_slice()
                .iter()
                .map(ToString::to_string)
                .chain([String::new()])
                .collect::<Vec<_>>()
                .join("\n"),
        ),
    }
}

#[test]
fn every_case_comes_out_as_committed() {
    let cases = cases();
    assert!(cases.len() >= 20, "only {} cases were found", cases.len());
    for case in &cases {
        let (file, now) = outcome(case);
        if std::env::var_os("BLESS").is_some() {
            let _ = fs::remove_file(case.join("job.yaml"));
            let _ = fs::remove_file(case.join("problems.txt"));
            fs::write(case.join(file), &now).unwrap();
        }
        let mut files: Vec<_> = fs::read_dir(case).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        let mut wanted = vec![file, "request.yaml"];
        wanted.sort_unstable();
        assert_eq!(files, wanted, "{} has other files than its outcome asks for", case.display());
        let committed = fs::read_to_string(case.join(file)).unwrap();
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
        if let ("job.yaml", text) = outcome(&case) {
            let job: k8s_openapi::api::batch::v1::Job = serde_saphyr::from_str(&text).unwrap();
            similar_asserts::assert_eq!(serde_saphyr::to_string(&job).unwrap(), text, "{}", case.display());
        }
    }
}
