//! What every reconcile shares: the client, the caches, the clock, and what the process remembers.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::{Stream, StreamExt, stream};
use k8s_openapi::jiff::Timestamp;
use kube::core::NamespaceResourceScope;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::cache::Cache;
use super::compact::CompactRequest;
use super::event_lists::EventLists;
use super::lease::{Election, Leadership};
use super::metrics::Metrics;
use super::rollouts::RerunTurns;
use super::templates::Templates;
use super::trigger::{Key, Trigger};
use crate::api::labels;
use crate::reconcile::{Answers, Clock, JobView, Memory, Observed, PodView, StoredRequest};

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The only namespace to watch; `None`: all.
    pub namespace: Option<String>,
    /// How many JobRequests are reconciled at once.
    pub concurrency: u16,
    /// How many runs may follow the edits of one template at once.
    pub template_reruns: u16,
    /// How replicas agree on who leads; `None`: this process is the only one, and leads.
    pub election: Option<Election>,
}

impl Settings {
    /// An API of the watched namespaces.
    pub(super) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        }
    }
}

/// Shortest and longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often what is remembered of deleted requests is dropped.
const FORGET: Duration = Duration::from_secs(600);

/// How many KiB of requests that are not kept in memory are worked on at once: two of the longest, and more of shorter
/// ones.
const ROOM: u32 = 4 * 1024;

/// What the process remembers of one request, and since when its passes fail.
#[derive(Debug, Default)]
struct Remembered {
    memory: Memory,
    failing_since: Option<Instant>,
}

/// Shared by all reconciles.
pub(super) struct Context {
    pub(super) client: Client,
    /// For creates of Jobs: it sends each of them once, so that it is known how many may still arrive.
    pub(super) create_client: Client,
    pub(super) recorder: Recorder,
    pub(super) jobs: Cache<JobView>,
    pub(super) pods: Cache<PodView>,
    pub(super) templates: Templates,
    pub(super) turns: RerunTurns,
    pub(super) leadership: Leadership,
    pub(super) metrics: Metrics,
    /// For lists of Jobs that anybody may have labelled: one page at a time.
    pub(super) lists: Semaphore,
    pub(super) events: EventLists,
    room: Semaphore,
    started: Instant,
    remembered: Mutex<HashMap<String, Remembered>>,
}

impl Context {
    /// A context with empty caches, and the stream of what their changes touch.
    pub(super) fn new(
        client: Client,
        create_client: Client,
        leadership: Leadership,
        metrics: Metrics,
        template_reruns: u16,
        requests: Arc<OnceLock<Store<CompactRequest>>>,
    ) -> (Arc<Self>, impl Stream<Item = Trigger> + Send + use<>) {
        let (changed, touched) = mpsc::unbounded::<ObjectRef<CompactRequest>>();
        let (edits, edited) = mpsc::unbounded();
        let reporter = Reporter { controller: labels::FIELD_MANAGER.to_owned(), instance: None };
        let context = Self {
            recorder: Recorder::new(client.clone(), reporter),
            client,
            create_client,
            jobs: Cache::new(changed.clone()),
            pods: Cache::new(changed.clone()),
            turns: RerunTurns::new(template_reruns, requests, leadership.clone(), changed),
            templates: Templates::new(edits),
            leadership,
            metrics,
            lists: Semaphore::new(1),
            events: EventLists::default(),
            room: Semaphore::new(ROOM as usize),
            started: Instant::now(),
            remembered: Mutex::default(),
        };
        (Arc::new(context), stream::select(touched.map(Trigger::from), edited))
    }

    pub(super) fn clock(&self) -> Clock {
        Clock { now: Timestamp::now(), uptime: self.started.elapsed() }
    }

    /// Room to work on what is not kept of `request`, for as long as the permit is held; `None`: not now.
    pub(super) fn room_for(&self, request: &CompactRequest) -> Option<SemaphorePermit<'_>> {
        let needed = u32::try_from(request.left_out().div_ceil(1024)).unwrap_or(ROOM).min(ROOM);
        self.room.try_acquire_many(needed).ok()
    }

    /// Everything that caches and memory show of `request`.
    pub(super) fn observe(&self, request: &StoredRequest) -> Observed {
        let memory = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(request.uid())
            .map(|remembered| remembered.memory.clone())
            .unwrap_or_default();
        Observed {
            jobs: self.jobs.of(request.namespace(), request.name()),
            pods: self.pods.of(request.namespace(), request.name()),
            request: Some(request.clone()),
            answers: Answers::default(),
            memory,
            sole_since: self.leadership.sole_since().map(|at| at.saturating_duration_since(self.started)),
        }
    }

    /// Keeps `memory` for the next pass.
    pub(super) fn remember(&self, uid: &str, memory: Memory, succeeded: bool) {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = all.entry(uid.to_owned()).or_default();
        // A DELETE may have been seen while the pass was under way.
        let mut last_words = std::mem::take(&mut remembered.memory.last_words);
        remembered.memory = memory;
        last_words.extend(std::mem::take(&mut remembered.memory.last_words));
        remembered.memory.last_words = last_words;
        if succeeded {
            remembered.failing_since = None;
        }
    }

    /// Keeps the last state of a deleted Job that had ended.
    pub(super) fn remember_last_words(&self, job: JobView) {
        let Some(request) = job.annotation(labels::REQUEST_UID).map(ToOwned::to_owned) else {
            return;
        };
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(request).or_default().memory.last_words.insert(job.uid().to_owned(), job);
    }

    /// The pause after one more failure.
    pub(super) fn pause_after_failure(&self, uid: &str) -> Duration {
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let since = all.entry(uid.to_owned()).or_default().failing_since.get_or_insert_with(Instant::now);
        pause_of(since.elapsed())
    }

    /// Returns when all caches have been listed once.
    pub(super) async fn caches_are_filled(&self) {
        tokio::join!(self.jobs.is_filled(), self.pods.is_filled(), self.templates.are_filled());
    }

    /// Drops, now and then, what is remembered of requests that are gone, and their turns; never returns.
    pub(super) async fn forget_deleted(&self, requests: &Store<CompactRequest>) {
        loop {
            tokio::time::sleep(FORGET).await;
            let existing = requests.state();
            self.turns.retain(&existing.iter().map(|request| Key::of(request)).collect());
            let known: HashSet<String> = existing.iter().map(|request| request.uid().to_owned()).collect();
            let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            // A standby reconciles nothing, so it cannot know which final Job states are still needed.
            let leads = self.leadership.leads();
            all.retain(|uid, _| leads && known.contains(uid));
        }
    }
}

/// The pause before the next try of what has failed for this long: as long again, so that the pauses double, while any number
/// of changes in a short time, each of which is a try, make them no longer.
fn pause_of(failing_for: Duration) -> Duration {
    let (shortest, longest) = PAUSE;
    failing_for.clamp(shortest, longest)
}

impl Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_after_failures_double_however_many_changes_are_tried_meanwhile() {
        let mut at = Duration::ZERO;
        let tries = [(); 8].map(|()| {
            let pause = pause_of(at);
            at += pause;
            pause.as_secs()
        });
        assert_eq!(tries, [1, 1, 2, 4, 8, 16, 32, 60]);
        // Fifty tries in five seconds.
        let last = (0..=50).map(|tenth| pause_of(Duration::from_millis(100 * tenth))).max();
        assert_eq!(last, Some(Duration::from_secs(5)));
    }
}
