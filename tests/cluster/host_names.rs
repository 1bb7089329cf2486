//! Pods of an Indexed run call each other by host name, run after run.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::json;

use crate::support::requests::{Requests, spec};
use crate::support::{Cluster, DEADLINE, Operator, Test, eventually};

pub(crate) fn tests() -> Vec<Test> {
    tests![a_headless_service_names_the_pods_of_each_run]
}

/// The host names that the Service `name` has addresses for.
async fn host_names(at: &Requests, name: &str) -> BTreeSet<String> {
    let slices: Api<EndpointSlice> = Api::namespaced(at.client.clone(), at.namespace.name());
    let of_service = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let slices = slices.list(&of_service).await.expect("list EndpointSlices");
    let endpoints = slices.items.into_iter().flat_map(|slice| slice.endpoints.into_iter().flatten());
    endpoints.filter_map(|endpoint| endpoint.hostname).collect()
}

async fn a_headless_service_names_the_pods_of_each_run(cx: Arc<Cluster>) {
    let at = Requests::new(&cx, "host-names").await;
    let _operator = Operator::start(&cx, &at.namespace, &[]);
    let services: Api<Service> = Api::namespaced(at.client.clone(), at.namespace.name());
    let service = json!({
        "metadata": {"name": "workers"},
        "spec": {"clusterIP": "None", "selector": {"jobrequest.dev/request": "talk"}}
    });
    let service = serde_json::from_value(service).unwrap();
    services.create(&PostParams::default(), &service).await.expect("create the Service");
    let settings = json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2});
    let more = json!({"settings": settings, "subdomain": "workers", "runPolicy": {"whileActive": "Replace"}});
    let mut wanted = spec(&json!({"run-seconds": "forever"}), &more);
    wanted["containers"][0]["env"] =
        json!([{"name": "JOB", "fieldRef": "metadata.labels['batch.kubernetes.io/job-name']"}]);
    at.create("talk", wanted.clone()).await;
    for run in [1, 2] {
        at.until_phase("talk", run, "Running").await;
        let expected: BTreeSet<String> = (0..2).map(|index| format!("talk-{run}-{index}")).collect();
        eventually(DEADLINE, &format!("the pods of run {run} have host names"), async || {
            let names = host_names(&at, "workers").await;
            if names == expected { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await;
        wanted["containers"][0]["image"] = json!("perl:5.40");
        at.change("talk", wanted.clone()).await;
    }
}
