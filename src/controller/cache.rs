//! A cache of views, by the request that they belong to.
//!
//! Takes watch events; keeps what the API server last said; tells which requests are touched by a change, after the
//! cache shows it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use crate::reconcile::{OfRequest, StoredRequest};

/// Namespace and name of a request.
type Key = (String, String);
/// Views by request, then by name.
type Views<V> = HashMap<Key, BTreeMap<String, V>>;

/// See the module.
pub(super) struct Cache<V> {
    views: RwLock<Views<V>>,
    /// What a list that is under way has brought so far.
    listing: RwLock<Views<V>>,
    changed: UnboundedSender<ObjectRef<StoredRequest>>,
    filled: watch::Sender<bool>,
}

impl<V> Cache<V>
where
    V: Resource<DynamicType = ()> + OfRequest + Clone + PartialEq,
{
    /// An empty cache which tells changes to `changed`.
    pub(super) fn new(changed: UnboundedSender<ObjectRef<StoredRequest>>) -> Self {
        Self {
            views: RwLock::default(),
            listing: RwLock::default(),
            changed,
            filled: watch::Sender::new(false),
        }
    }

    /// The views that carry the name of this request.
    pub(super) fn of(&self, namespace: &str, request: &str) -> Vec<V> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), request.to_owned());
        views.get(&key).map(|views| views.values().cloned().collect()).unwrap_or_default()
    }

    /// Returns when the first list is complete.
    pub(super) async fn is_filled(&self) {
        // The sender lives as long as the cache, so the wait ends only when the value is true.
        let _ = self.filled.subscribe().wait_for(|filled| *filled).await;
    }

    /// Takes in one watch event.
    pub(super) fn take(&self, event: Event<V>) {
        match event {
            Event::Apply(view) => {
                if let Some(key) = key(&view) {
                    let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
                    views.entry(key.clone()).or_default().insert(view.name_any(), view);
                    drop(views);
                    self.tell(&key);
                }
            }
            Event::Delete(view) => {
                if let Some(key) = key(&view) {
                    let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(of_request) = views.get_mut(&key) {
                        of_request.remove(&view.name_any());
                        if of_request.is_empty() {
                            views.remove(&key);
                        }
                    }
                    drop(views);
                    self.tell(&key);
                }
            }
            Event::Init => *self.listing.write().unwrap_or_else(PoisonError::into_inner) = Views::default(),
            Event::InitApply(view) => {
                if let Some(key) = key(&view) {
                    let mut listing = self.listing.write().unwrap_or_else(PoisonError::into_inner);
                    listing.entry(key).or_default().insert(view.name_any(), view);
                }
            }
            Event::InitDone => self.replace(),
        }
    }

    /// The list is complete: it replaces all, and every request whose views differ is touched.
    fn replace(&self) {
        let listed = std::mem::take(&mut *self.listing.write().unwrap_or_else(PoisonError::into_inner));
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        let keys: HashSet<&Key> = views.keys().chain(listed.keys()).collect();
        let differing: Vec<Key> =
            keys.into_iter().filter(|key| views.get(*key) != listed.get(*key)).cloned().collect();
        *views = listed;
        drop(views);
        for key in &differing {
            self.tell(key);
        }
        self.filled.send_replace(true);
    }

    fn tell(&self, (namespace, name): &Key) {
        // Nobody listens any more only when the operator stops.
        let _ = self.changed.unbounded_send(ObjectRef::new(name).within(namespace));
    }
}

/// The request which an object carries as a label.
fn key<V: Resource + OfRequest>(view: &V) -> Option<Key> {
    Some((view.namespace()?, view.request_name()?.to_owned()))
}
