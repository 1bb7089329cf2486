//! A cache of views, by the request that they belong to.
//!
//! Takes watch events; keeps what the API server last said; sends which requests are touched by a change, after the
//! cache shows it. Pods are kept as they are, Jobs, of which there are many that have ended, as text.

use std::collections::{HashMap, HashSet};
use std::sync::{PoisonError, RwLock};

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use super::compact::{CompactJob, CompactRequest};
use crate::api::labels;
use crate::reconcile::{JobView, PodView};

/// Namespace and name of a request.
type Key = (String, String);
/// Views by request, each with its name, in order of names. A list, because most requests have one Job: a map's first
/// node has room for eleven.
type Views<K> = HashMap<Key, Vec<(Box<str>, K)>>;

/// How a view is kept.
pub(super) trait Keep: Resource<DynamicType = ()> {
    /// What is kept.
    type Kept: Clone + PartialEq;

    /// To be kept.
    fn keep(self) -> Self::Kept;

    /// To be read.
    fn show(kept: &Self::Kept) -> Self;
}

impl Keep for PodView {
    type Kept = Self;

    fn keep(self) -> Self {
        self
    }

    fn show(kept: &Self) -> Self {
        kept.clone()
    }
}

impl Keep for JobView {
    type Kept = CompactJob;

    fn keep(self) -> CompactJob {
        CompactJob::of(self)
    }

    fn show(kept: &CompactJob) -> Self {
        kept.expand()
    }
}

/// See the module.
pub(super) struct Cache<V: Keep> {
    views: RwLock<Views<V::Kept>>,
    /// What a list that is under way has brought so far.
    listing: RwLock<Views<V::Kept>>,
    changed: UnboundedSender<ObjectRef<CompactRequest>>,
    filled: watch::Sender<bool>,
}

impl<V: Keep> Cache<V> {
    /// An empty cache which sends changes to `changed`.
    pub(super) fn new(changed: UnboundedSender<ObjectRef<CompactRequest>>) -> Self {
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
        let of_request = views.get(&key).into_iter().flatten();
        of_request.map(|(_, kept)| V::show(kept)).collect()
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
                    put(views.entry(key.clone()).or_default(), view);
                    drop(views);
                    self.tell(&key);
                }
            }
            Event::Delete(view) => {
                if let Some(key) = key(&view) {
                    let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
                    if let Some(of_request) = views.get_mut(&key) {
                        of_request.retain(|(name, _)| **name != *view.name_any());
                        if of_request.is_empty() {
                            views.remove(&key);
                        }
                    }
                    drop(views);
                    self.tell(&key);
                }
            }
            Event::Init => {
                *self.listing.write().unwrap_or_else(PoisonError::into_inner) = Views::default();
            }
            Event::InitApply(view) => {
                if let Some(key) = key(&view) {
                    let mut listing = self.listing.write().unwrap_or_else(PoisonError::into_inner);
                    put(listing.entry(key).or_default(), view);
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

/// Puts a view in its place. Its labels have said whose it is, and no rule reads them.
fn put<V: Keep>(views: &mut Vec<(Box<str>, V::Kept)>, mut view: V) {
    view.meta_mut().labels = None;
    let name = view.name_any().into_boxed_str();
    match views.binary_search_by(|(other, _)| other.cmp(&name)) {
        Ok(place) => {
            if let Some((_, other)) = views.get_mut(place) {
                *other = view.keep();
            }
        }
        Err(place) => {
            views.reserve_exact(1);
            views.insert(place, (name, view.keep()));
        }
    }
}

/// The request which an object carries as a label.
fn key<V: Resource>(view: &V) -> Option<Key> {
    Some((view.namespace()?, view.labels().get(labels::REQUEST)?.clone()))
}
