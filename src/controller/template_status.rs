//! Keeps the status of templates up to date.
//!
//! Takes the cached templates and requests; writes a status when [`is_due`] says so. What it says is decided in
//! [`crate::reconcile::template_status`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource};
use serde_json::json;
use tracing::{debug, warn};

use super::apply::publish;
use super::calls::{post_params, within};
use super::compact::CompactRequest;
use super::context::Context;
use super::error::{Error, chain};
use super::violations::ViolationCounter;
use crate::api::labels;
use crate::api::template::TemplateStatus;
use crate::compile::{Template, check_template};
use crate::reconcile::template_status::{
    ClusterJobTemplateView, JobTemplateView, StoredTemplate, Usage, describe, events, is_due, usage,
};

/// How often the numbers of requests are counted, when no template changes.
const COUNT: Duration = Duration::from_secs(60);
/// The same while runs follow an edit.
const COUNT_RERUNS: Duration = Duration::from_secs(5);
/// How long to wait for more changes before the status of templates is looked at.
const SETTLE: Duration = Duration::from_secs(1);

/// Keeps the status of templates up to date, forever. `counts_all`: the requests of all namespaces are known; an operator
/// which knows a part of them leaves ClusterJobTemplates alone.
pub(super) async fn keep(context: &Context, requests: &Store<CompactRequest>, counts_all: bool) {
    let mut changes = context.templates.changes();
    let mut turns = context.turns.changes();
    let mut beginnings = std::pin::pin!(context.leadership.beginnings());
    let mut written: HashMap<String, Instant> = HashMap::new();
    let mut counter = ViolationCounter::default();
    loop {
        if context.leadership.leads() {
            let version = *changes.borrow();
            write_due(context, requests, counts_all, &mut written, (&mut counter, version)).await;
        }
        // The sender lives as long as the context.
        tokio::select! {
            _ = changes.changed() => {}
            _ = turns.changed() => {}
            Some(()) = beginnings.next() => {}
            () = tokio::time::sleep(if context.turns.is_idle() { COUNT } else { COUNT_RERUNS }) => {}
        }
        tokio::time::sleep(SETTLE).await;
        changes.mark_unchanged();
        turns.mark_unchanged();
    }
}

/// Writes each status that is due.
async fn write_due(
    context: &Context,
    requests: &Store<CompactRequest>,
    counts_all: bool,
    written: &mut HashMap<String, Instant>,
    (counter, version): (&mut ViolationCounter, u64),
) {
    let templates = context.templates.all();
    let requests = requests.state();
    let mut violations = counter.count(&templates, &context.templates, version, &requests).await;
    let problems: Vec<_> = templates.iter().map(|stored| check_template(&stored.template)).collect();
    context.metrics.show_templates(&templates, &problems, violations.of_namespaces);
    let usage =
        usage(&templates, requests.iter().map(|request| (request.namespace(), request.template_ref())));
    let judged = templates.iter().zip(&problems);
    for (stored, problems) in judged.filter(|(stored, _)| counts_all || stored.namespace.is_some()) {
        let count = usage.get(&stored.key()).copied().unwrap_or_default();
        let usage = Usage {
            requests: count,
            reruns: context.turns.reruns(&stored.key()),
            violations: violations.of_templates.remove(&stored.key()).unwrap_or_default(),
        };
        let described = describe(stored, &templates, problems, &usage, context.clock().now);
        let since = written.get(&stored.template.uid).map(Instant::elapsed);
        if is_due(&stored.status, &described, since) && context.leadership.leads() {
            written.insert(stored.template.uid.clone(), Instant::now());
            let is_written = write(&context.client, stored, &described).await;
            for event in events(&stored.status, &described).into_iter().filter(|_| is_written) {
                publish(context, &regarding(stored), &event).await;
            }
        }
    }
    written.retain(|uid, _| templates.iter().any(|stored| stored.template.uid == *uid));
}

/// What an event about a template names.
fn regarding(stored: &StoredTemplate) -> ObjectReference {
    let Template { reference, uid, .. } = stored.template.as_ref();
    ObjectReference {
        api_version: Some(labels::API_VERSION.to_owned()),
        kind: Some(reference.kind.to_string()),
        namespace: stored.namespace.clone(),
        name: Some(reference.name.clone()),
        uid: Some(uid.clone()),
        ..ObjectReference::default()
    }
}

/// Writes a status; true when it was written. What fails is tried again with the next look.
async fn write(client: &Client, stored: &StoredTemplate, status: &TemplateStatus) -> bool {
    let reference = &stored.template.reference;
    let body = json!({
        "apiVersion": labels::API_VERSION,
        "kind": reference.kind,
        "metadata": {
            "name": reference.name,
            "namespace": stored.namespace,
            "uid": stored.template.uid,
            "resourceVersion": stored.resource_version,
        },
        "spec": {},
        "status": status,
    });
    let outcome = match &stored.namespace {
        Some(namespace) => {
            put::<JobTemplateView>(&Api::namespaced(client.clone(), namespace), &reference.name, &body).await
        }
        None => put::<ClusterJobTemplateView>(&Api::all(client.clone()), &reference.name, &body).await,
    };
    match outcome {
        Ok(is_written) => {
            debug!(template = %reference, is_written, "wrote the status of the template");
            is_written
        }
        Err(error) => {
            warn!(template = %reference, error = %chain(&error), "the status is written later");
            false
        }
    }
}

async fn put<V>(api: &Api<V>, name: &str, body: &serde_json::Value) -> Result<bool, Error>
where
    V: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let what = "write the status of the template";
    match within(what, api.replace_subresource("status", name, &post_params(), body)).await? {
        Ok(_) => Ok(true),
        // It has changed or is gone: its next version is looked at when the watch brings it.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
        Err(source) => Err(Error::Api { what, source: Box::new(source) }),
    }
}
