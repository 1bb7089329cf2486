//! Templates: their cache, and the writes of their own status.
//!
//! A change of a template touches every request in scope; what that means for each is decided by its plan.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::stream::{self, Stream, StreamExt};
use kube::api::PostParams;
use kube::runtime::reflector::Store;
use kube::runtime::watcher::Event;
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::context::Context;
use super::error::chain;
use super::packed::PackedRequest;
use crate::api::labels;
use crate::api::template::TemplateStatus;
use crate::api::template_ref::TemplateKind;
use crate::compile::{Builtin, Layers, check_template, select};
use crate::reconcile::StoredRequest;
use crate::reconcile::template_status::{
    ClusterJobTemplateView, JobTemplateView, StoredTemplate, TemplateKey, describe, is_due, usage,
};

/// How often the numbers of requests are counted, when no template changes.
const COUNT: Duration = Duration::from_secs(60);
/// How long to wait for more changes before the status of templates is looked at.
const SETTLE: Duration = Duration::from_secs(1);
/// Deadline of a status write.
const DEADLINE: Duration = Duration::from_secs(10);

/// Templates of one kind, by key.
type ByKey = BTreeMap<TemplateKey, StoredTemplate>;

/// The cache of both kinds. `version` counts what changes for requests.
pub(super) struct Templates {
    known: RwLock<BTreeMap<TemplateKind, ByKey>>,
    listing: RwLock<BTreeMap<TemplateKind, ByKey>>,
    filled: watch::Sender<[bool; 2]>,
    version: watch::Sender<u64>,
}

impl Templates {
    pub(super) fn new() -> Self {
        Self {
            known: RwLock::default(),
            listing: RwLock::default(),
            filled: watch::Sender::new([false; 2]),
            version: watch::Sender::new(0),
        }
    }

    /// Takes in one watch event.
    pub(super) fn take<V: Into<StoredTemplate>>(&self, kind: TemplateKind, event: Event<V>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut listing = self.listing.write().unwrap_or_else(PoisonError::into_inner);
        let of_kind = known.entry(kind).or_default();
        let before: Vec<_> = of_kind.values().map(|stored| Arc::clone(&stored.template)).collect();
        match event {
            Event::Apply(view) => {
                let stored: StoredTemplate = view.into();
                of_kind.insert(stored.key(), stored);
            }
            Event::Delete(view) => {
                of_kind.remove(&view.into().key());
            }
            Event::Init => drop(listing.insert(kind, ByKey::new())),
            Event::InitApply(view) => {
                let stored: StoredTemplate = view.into();
                listing.entry(kind).or_default().insert(stored.key(), stored);
            }
            Event::InitDone => {
                *of_kind = listing.remove(&kind).unwrap_or_default();
                let of_kind = usize::from(kind == TemplateKind::ClusterJobTemplate);
                self.filled.send_modify(|filled| {
                    if let Some(filled) = filled.get_mut(of_kind) {
                        *filled = true;
                    }
                });
            }
        }
        // A status write of ours changes nothing for requests.
        let is_same = known.get(&kind).is_some_and(|now| {
            now.len() == before.len()
                && now.values().zip(&before).all(|(now, before)| {
                    now.template.uid == before.uid && now.template.generation == before.generation
                })
        });
        drop(known);
        if !is_same {
            self.version.send_modify(|version| *version = version.wrapping_add(1));
        }
    }

    /// Returns when both kinds have been listed once.
    pub(super) async fn are_filled(&self) {
        // The sender lives as long as the cache, so the wait ends only when both are.
        let _ = self.filled.subscribe().wait_for(|filled| filled.iter().all(|filled| *filled)).await;
    }

    /// Counts what changes for requests.
    fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// An item for every change that touches requests.
    pub(super) fn changed(&self) -> impl Stream<Item = ()> + Send + use<> {
        // The sender lives as long as the context; without it there is nothing left to tell.
        stream::unfold(self.changes(), |mut changes| async {
            changes.changed().await.ok().map(|()| ((), changes))
        })
    }

    /// The layers below `request`.
    pub(super) fn layers_of(&self, request: &StoredRequest) -> Layers {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let in_scope: Vec<_> = known
            .values()
            .flat_map(BTreeMap::values)
            .filter(|stored| stored.is_in_scope(request.namespace()))
            .map(|stored| Arc::clone(&stored.template))
            .collect();
        drop(known);
        // A spec that cannot be read names no template that could be found; the plan says so.
        let spec = request.spec.0.clone().unwrap_or_default();
        select(Builtin::default(), &spec, &in_scope)
    }

    fn all(&self) -> Vec<StoredTemplate> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().flat_map(BTreeMap::values).cloned().collect()
    }
}

/// Keeps the status of templates up to date, for ever. `counts_all`: the requests of all namespaces are known; one who
/// knows a part of them leaves ClusterJobTemplates alone.
pub(super) async fn keep_statuses(context: Arc<Context>, requests: Store<PackedRequest>, counts_all: bool) {
    let mut changes = context.templates.changes();
    let mut beginnings = std::pin::pin!(context.leadership.beginnings());
    let mut written: HashMap<String, Instant> = HashMap::new();
    loop {
        let templates = context.templates.all();
        let requests = requests.state();
        let usage =
            usage(&templates, requests.iter().map(|request| (request.namespace(), request.template_ref())));
        for stored in templates.iter().filter(|stored| counts_all || stored.namespace.is_some()) {
            let problems = check_template(&stored.template);
            let count = usage.get(&stored.key()).copied().unwrap_or_default();
            let described = describe(stored, &templates, &problems, count, context.clock().now);
            let since = written.get(&stored.template.uid).map(Instant::elapsed);
            if is_due(&stored.status, &described, since) && context.leadership.leads() {
                written.insert(stored.template.uid.clone(), Instant::now());
                write(&context.client, stored, &described).await;
            }
        }
        written.retain(|uid, _| templates.iter().any(|stored| stored.template.uid == *uid));
        // The sender lives as long as the context.
        tokio::select! {
            _ = changes.changed() => {}
            Some(()) = beginnings.next() => {}
            () = tokio::time::sleep(COUNT) => {}
        }
        tokio::time::sleep(SETTLE).await;
        changes.mark_unchanged();
    }
}

/// Writes a status. What fails is tried again with the next look.
async fn write(client: &Client, stored: &StoredTemplate, status: &TemplateStatus) {
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
        Ok(()) => debug!(template = %reference, "wrote the status of the template"),
        Err(error) => warn!(template = %reference, %error, "could not write the status of the template"),
    }
}

async fn put<V>(api: &Api<V>, name: &str, body: &serde_json::Value) -> Result<(), String>
where
    V: Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params =
        PostParams { field_manager: Some(labels::FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match tokio::time::timeout(DEADLINE, api.replace_subresource("status", name, &params, body)).await {
        Ok(Ok(_)) => Ok(()),
        // It has changed or gone: its next version is looked at when the watch brings it.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}
