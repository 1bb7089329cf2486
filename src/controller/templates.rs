//! The cache of templates.
//!
//! Takes watch events; keeps what the API server last said; sends whose requests an edit touches, after the cache shows
//! it. What an edit means for each request is decided by its plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::trigger::Trigger;
use crate::api::JobRequestSpec;
use crate::api::template_ref::{TemplateKind, TemplateRef};
use crate::compile::{Builtin, Layers, select};
use crate::reconcile::StoredRequest;
use crate::reconcile::template_status::{StoredTemplate, TemplateKey};

/// Templates of one kind, by key.
type ByKey = BTreeMap<TemplateKey, StoredTemplate>;

/// The cache of both kinds.
pub(super) struct Templates {
    known: RwLock<BTreeMap<TemplateKind, ByKey>>,
    listing: RwLock<BTreeMap<TemplateKind, ByKey>>,
    filled: watch::Sender<[bool; 2]>,
    /// Counts edits.
    version: watch::Sender<u64>,
    edits: UnboundedSender<Trigger>,
}

impl Templates {
    /// An empty cache which sends to `edits` whose requests an edit touches.
    pub(super) fn new(edits: UnboundedSender<Trigger>) -> Self {
        Self {
            known: RwLock::default(),
            listing: RwLock::default(),
            filled: watch::Sender::new([false; 2]),
            version: watch::Sender::new(0),
            edits,
        }
    }

    /// Takes in one watch event.
    pub(super) fn take<V: Into<StoredTemplate>>(&self, kind: TemplateKind, event: Event<V>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut listing = self.listing.write().unwrap_or_else(PoisonError::into_inner);
        let of_kind = known.entry(kind).or_default();
        let mut edited = BTreeSet::new();
        match event {
            Event::Apply(view) => {
                let stored: StoredTemplate = view.into();
                let before = of_kind.insert(stored.key(), stored.clone());
                if differ(before.as_ref(), Some(&stored)) {
                    edited.insert(stored.namespace);
                }
            }
            Event::Delete(view) => {
                let stored: StoredTemplate = view.into();
                if of_kind.remove(&stored.key()).is_some() {
                    edited.insert(stored.namespace);
                }
            }
            Event::Init => drop(listing.insert(kind, ByKey::new())),
            Event::InitApply(view) => {
                let stored: StoredTemplate = view.into();
                listing.entry(kind).or_default().insert(stored.key(), stored);
            }
            Event::InitDone => {
                let before = std::mem::replace(of_kind, listing.remove(&kind).unwrap_or_default());
                let keys = before.keys().chain(of_kind.keys());
                let differing = keys.filter(|key| differ(before.get(*key), of_kind.get(*key)));
                edited.extend(differing.map(|(namespace, _)| namespace.clone()));
                let of_kind = usize::from(kind == TemplateKind::ClusterJobTemplate);
                self.filled.send_modify(|filled| {
                    if let Some(filled) = filled.get_mut(of_kind) {
                        *filled = true;
                    }
                });
            }
        }
        drop(known);
        if !edited.is_empty() {
            self.version.send_modify(|version| *version = version.wrapping_add(1));
        }
        for namespace in edited {
            // Nobody listens any more only when the operator stops.
            let _ = self.edits.unbounded_send(namespace.map_or(Trigger::All, Trigger::Namespace));
        }
    }

    /// Returns when both kinds have been listed once.
    pub(super) async fn are_filled(&self) {
        // The sender lives as long as the cache, so the wait ends only when both are.
        let _ = self.filled.subscribe().wait_for(|filled| filled.iter().all(|filled| *filled)).await;
    }

    /// Counts edits.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The layers below `request`.
    pub(super) fn layers_of(&self, request: &StoredRequest) -> Layers {
        // A spec that cannot be read names no template that could be found; the plan says so.
        let template_ref = request.spec.0.as_ref().ok().and_then(|spec| spec.template_ref().cloned());
        self.layers_in(request.namespace(), template_ref)
    }

    /// The layers below a request in `namespace` which names this template.
    pub(super) fn layers_in(&self, namespace: &str, template_ref: Option<TemplateRef>) -> Layers {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let in_scope: Vec<_> = known
            .values()
            .flat_map(BTreeMap::values)
            .filter(|stored| stored.is_in_scope(namespace))
            .map(|stored| Arc::clone(&stored.template))
            .collect();
        drop(known);
        let spec = JobRequestSpec { template_ref, ..JobRequestSpec::default() };
        select(Builtin::default(), &spec, &in_scope)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<StoredTemplate> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().flat_map(BTreeMap::values).cloned().collect()
    }
}

/// The two are different to requests; a write of the status is not.
fn differ(before: Option<&StoredTemplate>, now: Option<&StoredTemplate>) -> bool {
    let seen = |stored: &StoredTemplate| (stored.template.uid.clone(), stored.template.generation);
    before.map(seen) != now.map(seen)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::channel::mpsc;
    use serde_json::json;

    use super::*;
    use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView};

    fn template(namespace: &str, generation: i64, version: &str) -> JobTemplateView {
        serde_json::from_value(json!({
            "metadata": {
                "name": "t", "namespace": namespace, "uid": namespace, "generation": generation,
                "resourceVersion": version
            },
            "spec": {}
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn an_edit_touches_the_requests_in_its_scope_only() {
        let (edits, mut touched) = mpsc::unbounded();
        let cache = Templates::new(edits);
        let namespaced = TemplateKind::JobTemplate;
        cache.take(namespaced, Event::Apply(template("a", 1, "1")));
        assert_eq!(touched.next().await, Some(Trigger::Namespace("a".to_owned())));
        cache.take(namespaced, Event::Apply(template("b", 1, "2")));
        assert_eq!(touched.next().await, Some(Trigger::Namespace("b".to_owned())));
        // Its own status was written: nothing changes for requests.
        cache.take(namespaced, Event::Apply(template("a", 1, "3")));
        let of_cluster: ClusterJobTemplateView =
            serde_json::from_value(json!({"metadata": {"name": "c", "uid": "c"}, "spec": {}})).unwrap();
        cache.take(TemplateKind::ClusterJobTemplate, Event::Apply(of_cluster));
        assert_eq!(touched.next().await, Some(Trigger::All));
        // A new list: one is edited, one is the same, one is gone.
        cache.take(namespaced, Event::Apply(template("c", 1, "4")));
        assert_eq!(touched.next().await, Some(Trigger::Namespace("c".to_owned())));
        cache.take(namespaced, Event::<JobTemplateView>::Init);
        cache.take(namespaced, Event::InitApply(template("a", 1, "3")));
        cache.take(namespaced, Event::InitApply(template("b", 2, "5")));
        cache.take(namespaced, Event::<JobTemplateView>::InitDone);
        assert_eq!(touched.next().await, Some(Trigger::Namespace("b".to_owned())));
        assert_eq!(touched.next().await, Some(Trigger::Namespace("c".to_owned())));
        cache.take(namespaced, Event::Delete(template("b", 3, "6")));
        assert_eq!(touched.next().await, Some(Trigger::Namespace("b".to_owned())));
        drop(cache);
        assert_eq!(touched.next().await, None);
    }
}
