//! What compile makes is what the API server takes: every golden Job, strictly, as a dry run.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::support::requests::try_create;
use crate::support::{Cluster, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![every_golden_job_is_accepted,]
}

async fn every_golden_job_is_accepted(cx: Arc<Cluster>) {
    let namespace = cx.namespace("golden").await;
    let client = cx.client().await;
    let jobs = format!("/apis/batch/v1/namespaces/{}/jobs", namespace.name());
    let mut refused = Vec::new();
    let mut count = 0;
    for case in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile")).unwrap() {
        let path = case.unwrap().path().join("job.yaml");
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let mut job: Value = serde_saphyr::from_str(&text).unwrap();
        job["metadata"]["namespace"] = namespace.name().into();
        count += 1;
        if let Err(error) = try_create(&client, &jobs, &job).await {
            refused.push(format!("{}: {error}", path.display()));
        }
    }
    assert!(count > 15, "only {count} golden Jobs were found");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
