//! JobRequests in a test's namespace: what a test applies, and what it waits for.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::{Cluster, DEADLINE, Namespace, eventually};

/// A namespace with JobRequests and their Jobs.
pub(crate) struct Requests {
    pub(crate) namespace: Namespace,
    pub(crate) client: Client,
}

impl Requests {
    /// A fresh namespace.
    pub(crate) async fn new(cx: &Cluster, hint: &str) -> Self {
        Self { namespace: cx.namespace(hint).await, client: cx.client().await }
    }

    /// A namespace that is there.
    pub(crate) async fn in_namespace(cx: &Cluster, name: &str) -> Self {
        Self { namespace: Namespace::existing(name), client: cx.client().await }
    }

    pub(crate) fn api(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("jobrequest.dev", "v1alpha1", "JobRequest");
        let resource = ApiResource::from_gvk_with_plural(&kind, "jobrequests");
        Api::namespaced_with(self.client.clone(), self.namespace.name(), &resource)
    }

    pub(crate) fn jobs(&self) -> Api<Job> {
        self.namespace.api(&self.client)
    }

    /// Limits the namespace by a ResourceQuota, and waits until it is in force.
    pub(crate) async fn limit(&self, name: &str, hard: Value) -> Api<ResourceQuota> {
        let quotas: Api<ResourceQuota> = self.namespace.api(&self.client);
        let quota = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"hard": hard}}));
        quotas.create(&PostParams::default(), &quota.expect("a quota")).await.expect("create the quota");
        eventually(DEADLINE, "the quota is in force", async || {
            quotas.get(name).await.expect("get the quota").status?.hard
        })
        .await;
        quotas
    }

    /// Creates one.
    pub(crate) async fn create(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest",
            "metadata": {"name": name}, "spec": spec
        });
        let object = serde_json::from_value(object).expect("an object");
        self.api().create(&PostParams::default(), &object).await.expect("create the JobRequest");
    }

    /// Merges a change into its spec.
    pub(crate) async fn change(&self, name: &str, spec: Value) {
        let patch = json!({"spec": spec});
        self.api()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("change the JobRequest");
    }

    /// Sets an annotation on it.
    pub(crate) async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.api()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("annotate the JobRequest");
    }

    /// Names and notes of its events, oldest first.
    pub(crate) async fn events(&self, name: &str) -> Vec<(String, String)> {
        let events: Api<k8s_openapi::api::events::v1::Event> = self.namespace.api(&self.client);
        let mut events = events.list(&ListParams::default()).await.expect("list the events").items;
        events.retain(|event| event.regarding.as_ref().is_some_and(|it| it.name.as_deref() == Some(name)));
        events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
        let events = events.into_iter();
        events.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    /// Removes its status.
    pub(crate) async fn wipe_status(&self, name: &str) {
        let patch = json!({"status": null});
        self.api()
            .patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("wipe the status");
    }

    pub(crate) async fn delete(&self, name: &str, parameters: &DeleteParams) {
        self.api().delete(name, parameters).await.expect("delete the JobRequest");
    }

    pub(crate) async fn exists(&self, name: &str) -> bool {
        self.api().get_opt(name).await.expect("look for the JobRequest").is_some()
    }

    pub(crate) async fn get(&self, name: &str) -> Value {
        let object = self.api().get(name).await.expect("get the JobRequest");
        serde_json::to_value(object).expect("a JSON value")
    }

    /// Waits until the status says so, of the newest spec.
    pub(crate) async fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(DEADLINE, &format!("{name}: {what}"), async || {
            let object = self.get(name).await;
            let status = object["status"].clone();
            let is_current = status["observedGeneration"] == object["metadata"]["generation"];
            if is_current && is(&status) { Ok(status) } else { Err(status) }
        })
        .await
    }

    /// Waits for a phase of a run.
    pub(crate) async fn until_phase(&self, name: &str, run: i64, phase: &str) -> Value {
        self.until(name, &format!("run {run} is {phase}"), |status| {
            status["phase"] == phase && status["run"] == run
        })
        .await
    }

    /// Names of all Jobs, sorted.
    pub(crate) async fn job_names(&self) -> Vec<String> {
        let jobs = self.jobs().list(&ListParams::default()).await.expect("list the Jobs");
        let mut names: Vec<_> = jobs.items.into_iter().filter_map(|job| job.metadata.name).collect();
        names.sort();
        names
    }
}

/// `True Reason` of a condition, or `-`.
pub(crate) fn condition(status: &Value, type_: &str) -> String {
    let found =
        status["conditions"].as_array().into_iter().flatten().find(|condition| condition["type"] == type_);
    found.map_or_else(
        || "-".to_owned(),
        |found| format!("{} {}", found["status"].as_str().unwrap(), found["reason"].as_str().unwrap()),
    )
}

/// A spec of one container, with annotations for the simulated node and further fields.
pub(crate) fn spec(simulated: &Value, more: &Value) -> Value {
    let annotations: serde_json::Map<String, Value> = simulated
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (format!("sim.jobrequest.dev/{key}"), value.clone()))
        .collect();
    let mut spec = json!({"containers": [{"name": "main", "image": "perl:5.24.4"}]});
    if !annotations.is_empty() {
        spec["annotations"] = Value::Object(annotations);
    }
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

/// Sends an object as a person does, as a dry run with strict validation: the API server's verdict, in its words.
pub(crate) async fn try_create(client: &Client, collection: &str, object: &Value) -> Result<(), String> {
    stored(client, collection, object).await.map(drop)
}

/// The same, with the object as the API server would store it.
pub(crate) async fn stored(client: &Client, collection: &str, object: &Value) -> Result<Value, String> {
    let request = http::Request::post(format!("{collection}?dryRun=All&fieldValidation=Strict"))
        .header("Content-Type", "application/json")
        .body(serde_json::to_vec(object).expect("JSON"))
        .expect("a request");
    match client.request::<Value>(request).await {
        Ok(object) => Ok(object),
        Err(kube::Error::Api(status)) => Err(status.message),
        Err(error) => Err(error.to_string()),
    }
}
