//! Turns of runs that follow an edited template.
//!
//! Takes questions of passes and what passes leave behind; wakes the requests whose turn it is. Who has a turn is decided
//! in [`crate::reconcile::Rollouts`]. A term begins with what the cached statuses show to be under way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use futures::channel::mpsc::UnboundedSender;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::watch;

use super::compact::CompactRequest;
use super::lease::Leadership;
use super::trigger::Key;
use crate::api::condition::{Phase, Stop};
use crate::api::template::Reruns;
use crate::api::template_ref::TemplateRef;
use crate::reconcile::template_status::{TemplateKey, scoped};
use crate::reconcile::{Rollouts, StoredRequest, followed};

/// Turns of all templates.
pub(super) struct RerunTurns {
    limit: usize,
    state: Mutex<State>,
    requests: Arc<OnceLock<Store<CompactRequest>>>,
    leadership: Leadership,
    wake: UnboundedSender<ObjectRef<CompactRequest>>,
    version: watch::Sender<u64>,
}

struct State {
    /// The term for which `rollouts` holds.
    term: Option<Instant>,
    rollouts: Rollouts<Key>,
}

impl RerunTurns {
    /// At most `limit` at once for each template; `requests` is the cache, once there is one.
    pub(super) fn new(
        limit: u16,
        requests: Arc<OnceLock<Store<CompactRequest>>>,
        leadership: Leadership,
        wake: UnboundedSender<ObjectRef<CompactRequest>>,
    ) -> Self {
        let limit = usize::from(limit);
        let state = Mutex::new(State { term: None, rollouts: Rollouts::new(limit) });
        Self { limit, state, requests, leadership, wake, version: watch::Sender::new(0) }
    }

    /// Whether a run of `request` may follow `template` now; if not, the request is woken when it may.
    pub(super) fn ask(&self, request: &StoredRequest, template: &TemplateRef) -> bool {
        let key = Key::new(request.namespace(), request.name());
        let template = scoped(request.namespace(), template);
        let mut state = self.current();
        let (is_granted, begun) = state.rollouts.ask(&key, &key.namespace, &template);
        self.publish(state, begun);
        is_granted
    }

    /// Takes in what a pass over `request` left behind; `turn` is how it was answered, if it asked for one.
    pub(super) fn settle(&self, request: &StoredRequest, turn: Option<bool>) {
        let key = Key::new(request.namespace(), request.name());
        let newest = request.status.0.as_ref().ok().and_then(|status| status.runs.first());
        let is_being_replaced =
            newest.is_some_and(|newest| newest.is_open() && newest.stop.is_some_and(Stop::makes_way));
        let mut state = self.current();
        let begun = match followed(request) {
            Some(template) => {
                state.rollouts.resume(&key, &key.namespace, &template);
                Vec::new()
            }
            // It waits, or its turn began a moment ago. A run that is being replaced keeps the turn of its successor.
            None if turn == Some(false) || is_being_replaced => return,
            None => state.rollouts.end(&key),
        };
        self.publish(state, begun);
    }

    /// The request is gone.
    pub(super) fn forget(&self, key: &Key) {
        let mut state = self.current();
        let begun = state.rollouts.end(key);
        self.publish(state, begun);
    }

    /// Only these requests exist: a list may have replaced the deletes of others.
    pub(super) fn retain(&self, existing: &HashSet<Key>) {
        let mut state = self.current();
        let begun = state.rollouts.retain(|key| existing.contains(key));
        self.publish(state, begun);
    }

    /// How many runs follow `template` now, and how many wait; `None`: none.
    pub(super) fn reruns(&self, template: &TemplateKey) -> Option<Reruns> {
        self.current().rollouts.reruns(template)
    }

    /// No run follows an edit, and none waits.
    pub(super) fn is_idle(&self) -> bool {
        self.current().rollouts.is_idle()
    }

    /// Changes with what [`Self::reruns`] returns.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The state of this term.
    fn current(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let term = self.leadership.since();
        if term.is_some() && state.term != term {
            *state = State { term, rollouts: self.found() };
        }
        state
    }

    /// What the cached requests show to be under way.
    fn found(&self) -> Rollouts<Key> {
        let mut rollouts = Rollouts::new(self.limit);
        for request in self.requests.get().map(Store::state).unwrap_or_default() {
            // A status whose newest run is open is kept; the phase saves reading the others.
            if matches!(request.phase(), Some(Phase::Completed | Phase::Failed) | None) {
                continue;
            }
            if let Some(template) = request.expand().and_then(|stored| followed(&stored)) {
                let key = Key::of(&request);
                rollouts.resume(&key, &key.namespace, &template);
            }
        }
        rollouts
    }

    /// Wakes those whose turn has begun.
    fn publish(&self, state: MutexGuard<'_, State>, begun: Vec<Key>) {
        let version = state.rollouts.version();
        drop(state);
        self.version.send_if_modified(|known| std::mem::replace(known, version) != version);
        for key in begun {
            // Nobody listens any more only when the operator stops.
            let _ = self.wake.unbounded_send(key.reference());
        }
    }
}
