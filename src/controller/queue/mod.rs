//! The queue in front of all passes: takes triggers, runs passes, a bounded number at once and in fair order.
//!
//! It stands where kube's `Controller` would: that one keeps due work in a hash set, so that a single request of one
//! namespace waits its luck behind thousands of another, and it reconciles what a list brings before the cache shows
//! it. What is due, and who is next, is decided in [`work_queue`] and [`Turns`](crate::reconcile::Turns); this file
//! performs it.

mod work_queue;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use kube::Api;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as start_watch};
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use tracing::info;

use super::compact::CompactRequest;
use super::context::Context;
use super::pass::reconcile;
use super::trigger::{Key, Trigger};
use super::watch;
use work_queue::WorkQueue;

/// Watches JobRequests: keeps them in the store of `writer`, and returns what is due after each change, once the store
/// shows it. `is_filled` becomes true with the first list.
pub(super) fn watch_requests(
    api: Api<CompactRequest>,
    config: watcher::Config,
    writer: Writer<CompactRequest>,
    context: Arc<Context>,
    is_filled: channel::Sender<bool>,
) -> impl Stream<Item = Trigger> + Send {
    start_watch(api, config).default_backoff().reflect(writer).filter_map(move |event| {
        let trigger = match event {
            Ok(Event::Apply(request)) => Some(Trigger::Request(Key::of(&request))),
            Ok(Event::InitDone) => {
                if !is_filled.send_replace(true) {
                    info!("caches are filled");
                }
                Some(Trigger::All)
            }
            Ok(Event::Delete(request)) => {
                context.turns.forget(&Key::of(&request));
                None
            }
            Ok(Event::Init | Event::InitApply(_)) => None,
            Err(error) => {
                watch::interrupted(&context, "JobRequests", &error);
                None
            }
        };
        futures::future::ready(trigger)
    })
}

/// Runs passes.
pub(super) struct Dispatcher {
    context: Arc<Context>,
    requests: Store<CompactRequest>,
    queue: WorkQueue,
    passes: JoinSet<(Key, Option<Duration>)>,
}

impl Dispatcher {
    /// At most `concurrency` passes at once, each over the newest object that `requests` has then.
    pub(super) fn new(context: Arc<Context>, requests: Store<CompactRequest>, concurrency: u16) -> Self {
        Self { context, requests, queue: WorkQueue::new(concurrency.into()), passes: JoinSet::new() }
    }

    /// Runs what `triggers` ask for, until they end. None of them is lost while a pass is under way.
    pub(super) async fn run(&mut self, mut triggers: BoxStream<'_, Trigger>) {
        loop {
            while let Some(key) = self.queue.begin(Instant::now()) {
                self.begin(key);
            }
            self.measure();
            let next = self.queue.next_at();
            let pause = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                trigger = triggers.next() => match trigger {
                    Some(trigger) => self.trigger(trigger),
                    None => return,
                },
                Some(ended) = self.passes.join_next() => self.ended(ended),
                () = pause => {}
            }
        }
    }

    /// Begins no pass any more, and returns when those under way have ended.
    pub(super) async fn drain(&mut self) {
        while let Some(ended) = self.passes.join_next().await {
            self.ended(ended);
        }
    }

    fn trigger(&mut self, trigger: Trigger) {
        match trigger {
            Trigger::Request(key) => self.queue.trigger(key),
            Trigger::Namespace(namespace) => self.trigger_all(|other| other == namespace),
            Trigger::All => self.trigger_all(|_| true),
        }
    }

    /// All requests of these namespaces are due.
    fn trigger_all(&mut self, is_in_scope: impl Fn(&str) -> bool) {
        for request in self.requests.state() {
            if is_in_scope(request.namespace()) {
                self.queue.trigger(Key::of(&request));
            }
        }
    }

    fn begin(&mut self, key: Key) {
        let Some(request) = self.requests.get(&key.reference()) else {
            // Deleted in the meantime: nothing is left to do.
            self.context.turns.forget(&key);
            return self.queue.end(key, None);
        };
        let context = Arc::clone(&self.context);
        self.passes.spawn(async move {
            // A pass that panics takes no other one with it, and is tried again.
            let pass = AssertUnwindSafe(reconcile(&request, &context)).catch_unwind();
            let again = match pass.await {
                Ok(again) => again,
                Err(_) => Some(context.pause_after_failure(request.uid())),
            };
            (key, again)
        });
    }

    fn ended(&mut self, ended: Result<(Key, Option<Duration>), tokio::task::JoinError>) {
        // Passes neither panic nor are they aborted while somebody waits for them.
        if let Ok((key, again)) = ended {
            self.queue.end(key, again.map(|pause| Instant::now() + pause));
        }
    }

    fn measure(&self) {
        self.context.metrics.reconciles_waiting.set(i64::try_from(self.queue.waiting()).unwrap_or(i64::MAX));
    }
}
