//! The marks of GitOps tools stay on the JobRequest: on a Job or a pod they would make the tool believe that it owns
//! those, and prune or report them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, ObjectMeta};
use serde_json::json;

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, Operator, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![marks_of_tools_stay_on_the_request,]
}

const LABELS: [(&str, &str); 6] = [
    // Argo CD in label mode, and Helm charts by convention.
    ("app.kubernetes.io/instance", "nightly"),
    ("argocd.argoproj.io/instance", "nightly"),
    ("app.kubernetes.io/part-of", "reports"),
    ("helm.sh/chart", "nightly-0.1.0"),
    ("kustomize.toolkit.fluxcd.io/name", "jobs"),
    ("kustomize.toolkit.fluxcd.io/namespace", "flux-system"),
];

const ANNOTATIONS: [(&str, &str); 9] = [
    ("argocd.argoproj.io/tracking-id", "nightly:jobrequest.dev/JobRequest:jobs/marked"),
    ("argocd.argoproj.io/installation-id", "main"),
    ("argocd.argoproj.io/sync-wave", "2"),
    ("argocd.argoproj.io/hook", "PreSync"),
    ("kustomize.toolkit.fluxcd.io/checksum", "0"),
    ("helm.toolkit.fluxcd.io/driftDetection", "enabled"),
    ("meta.helm.sh/release-name", "nightly"),
    ("meta.helm.sh/release-namespace", "jobs"),
    ("config.kubernetes.io/owning-inventory", "jobs"),
];

async fn marks_of_tools_stay_on_the_request(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "tracking").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let more = json!({"labels": {"team": "reports"}});
    let object = json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
        "metadata": {
            "name": "marked", "namespace": at.namespace.name(),
            "labels": BTreeMap::from(LABELS), "annotations": BTreeMap::from(ANNOTATIONS)
        },
        "spec": spec(&json!({"run-seconds": "forever"}), &more)
    });
    let manifest = cx.log("marked.json");
    fs::write(&manifest, object.to_string()).unwrap();
    // Client-side, so that kubectl leaves its mark as well.
    cx.kubectl(&["apply", "-f", &manifest.display().to_string()]);
    at.until_phase("marked", 1, "Running").await;

    let marked = at.get("marked").await;
    let last_applied = "kubectl.kubernetes.io/last-applied-configuration";
    assert!(marked["metadata"]["annotations"][last_applied].is_string(), "{marked:#}");
    let job = at.jobs().get("marked-1").await.unwrap();
    let template = job.spec.as_ref().unwrap().template.metadata.clone().unwrap();
    let pods: Api<Pod> = at.namespace.api(&at.client);
    let pods = pods.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(pods.len(), 1);
    let metadata = [("Job", job.metadata), ("template", template), ("pod", pods[0].metadata.clone())];
    for (what, metadata) in metadata {
        let ObjectMeta { labels, annotations, .. } = metadata;
        let (labels, annotations) = (labels.unwrap_or_default(), annotations.unwrap_or_default());
        assert_eq!(labels["team"], "reports", "{what}: labels of the spec do reach it");
        for key in LABELS.iter().chain(&ANNOTATIONS).map(|(key, _)| *key).chain([last_applied]) {
            assert!(!labels.contains_key(key) && !annotations.contains_key(key), "{what} has {key}");
        }
        // Whatever the tools of tomorrow write: nothing but the spec's and ours is there.
        for key in labels.keys().chain(annotations.keys()) {
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            // Of the spec and of the operator; of the Job controller, the scheduler and the simulated node.
            let known = ["", "sim.jobrequest.dev", "jobrequest.dev", "app.kubernetes.io"];
            let native = ["batch.kubernetes.io", "topology.kubernetes.io"];
            let is_known = known.contains(&domain) || native.contains(&domain);
            assert!(is_known || domain.ends_with("kwok.x-k8s.io"), "{what} has {key}");
        }
    }
}
