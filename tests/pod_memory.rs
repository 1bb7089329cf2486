//! What a cached pod costs: resident memory of many projections, read from the wire as the watch does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests are edges

use jobrequest::reconcile::PodView;
use serde_json::{Value, json};

/// Bytes that are resident, as Linux counts them.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// A pod with everything an API server stores for it.
fn pod(number: usize) -> Value {
    let name = format!("nightly-report-12-{number:05}");
    let condition = |type_: &str, status: &str| {
        json!({"type": type_, "status": status, "lastProbeTime": null, "reason": "PodCompleted",
            "lastTransitionTime": "2026-11-23T22:11:43Z", "observedGeneration": 1})
    };
    json!({
        "metadata": {
            "name": name, "namespace": "team-a", "uid": format!("274dc303-9395-4efb-99b8-{number:012}"),
            "resourceVersion": "190412", "generation": 1, "generateName": "nightly-report-12-",
            "creationTimestamp": "2026-11-23T22:11:43Z", "finalizers": ["batch.kubernetes.io/job-tracking"],
            "labels": {"app.kubernetes.io/managed-by": "jobrequest", "jobrequest.dev/request": "nightly-report",
                "jobrequest.dev/run": "12", "batch.kubernetes.io/job-name": "nightly-report-12", "team": "a"},
            "annotations": {"example.com/note": "x".repeat(500)},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "nightly-report-12",
                "uid": "cc458e23-cb95-4f3a-a444-786ce5d447c0", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:conditions": {}}}}],
        },
        "spec": {"nodeName": "node-7", "containers": [{"name": "main", "image": "perl:5.24.4"}]},
        "status": {
            "phase": "Succeeded", "startTime": "2026-11-23T22:11:43Z", "podIP": "10.0.0.7",
            "conditions": [condition("PodReadyToStartContainers", "False"), condition("Initialized", "True"),
                condition("Ready", "False"), condition("ContainersReady", "False"), condition("PodScheduled", "True")],
            "containerStatuses": [{"name": "main", "image": "docker.io/library/perl:5.24.4", "restartCount": 0,
                "imageID": format!("docker.io/library/perl@sha256:{}", "d".repeat(64)), "lastState": {},
                "state": {"terminated": {"exitCode": 0, "reason": "Completed",
                    "containerID": format!("containerd://{}", "c".repeat(64)),
                    "startedAt": "2026-11-23T22:11:45Z", "finishedAt": "2026-11-23T22:12:45Z"}}}],
        },
    })
}

#[test]
fn a_cached_pod_takes_some_hundred_bytes() {
    const PODS: usize = 50_000;
    let wire = serde_json::to_vec(&pod(12_345)).unwrap().len();
    let read = |number| {
        let mut read: PodView = serde_json::from_value(pod(number)).unwrap();
        // The cache takes the label as its key.
        read.metadata.labels = None;
        read
    };
    // What parsing needs for itself is there before it is counted.
    let warm: Vec<PodView> = (0..1000).map(read).collect();
    drop(warm);
    let before = resident();
    let mut pods = Vec::with_capacity(PODS);
    pods.extend((0..PODS).map(read));
    let each = resident().saturating_sub(before) / pods.len();
    println!(
        "figure: a cached pod takes {each} bytes (below 1500), {} of them inline; {wire} on the wire",
        size_of::<PodView>()
    );
    assert!(each < 1500, "{each} bytes a pod");
    assert!(pods.iter().all(|pod| pod.job_uid.is_some()));
}
