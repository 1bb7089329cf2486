//! Jobs of well-known projects, said as JobRequests: each compiles to the pods of its Job.

use std::fs;
use std::path::Path;

use jobrequest::api::JobRequest;
use jobrequest::compile::{Identity, Layers, compile};
use k8s_openapi::api::batch::v1::Job;
use libtest_mimic::Trial;
use serde_json::json;

use crate::support::alike::alike;
use crate::support::golden;

pub(crate) fn tests() -> Vec<Trial> {
    tests![a_job_request_makes_the_pods_of_its_job]
}

fn a_job_request_makes_the_pods_of_its_job() {
    let cases = golden::cases("manifests");
    assert!(cases.len() >= 8, "{}", cases.len());
    let mut with_overrides = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let (job, overridden) = of_request(&case.join("request.yaml"));
        let native: Job =
            serde_saphyr::from_str(&fs::read_to_string(case.join("job.yaml")).unwrap()).unwrap();
        similar_asserts::assert_eq!(alike(&json!(native)), alike(&json!(job)), "{}", name);
        if overridden {
            with_overrides.push(name);
        }
    }
    println!(
        "figure: {} of {} known Jobs need overrides: {}",
        with_overrides.len(),
        cases.len(),
        with_overrides.join(", ")
    );
    assert!(with_overrides.len() * 2 <= cases.len(), "{with_overrides:?}");
}

/// The Job of a request, and whether it needs overrides.
fn of_request(file: &Path) -> (Job, bool) {
    let request: JobRequest = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let name = request.metadata.name.as_deref().unwrap();
    let identity = Identity { name, namespace: None, uid: None, generation: None, handled: None };
    let compiled = compile(&identity, &request.spec, &Layers::default(), 1);
    let compiled = compiled.unwrap_or_else(|problems| panic!("{}: {problems}", file.display()));
    (compiled.job, request.spec.overrides.is_some())
}
