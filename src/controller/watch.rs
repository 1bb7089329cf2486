//! The watches on Jobs and pods, each into its cache.

use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use kube::core::NamespaceResourceScope;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as start_watch};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::warn;

use super::context::{Context, Settings};
use super::error::chain;
use crate::api::labels;
use crate::reconcile::{JobView, PodView};

/// How a watch is made: the API server ends it after a minute, so that a silent one is noticed soon after. Lists are
/// consistent reads, the default: an older state would look like lost Jobs.
pub(super) fn config() -> watcher::Config {
    watcher::Config::default().timeout(60)
}

/// Starts the watches; they end with the returned set.
pub(super) fn spawn(client: &Client, settings: &Settings, context: &Arc<Context>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let jobs = Arc::clone(context);
    watches.spawn(follow::<JobView>(client.clone(), settings.clone(), "Jobs", move |event| {
        if let Event::Delete(job) = &event
            && job.is_terminal()
        {
            jobs.remember_last_words(job.clone());
        }
        jobs.jobs.take(event);
    }));
    let pods = Arc::clone(context);
    watches.spawn(follow::<PodView>(client.clone(), settings.clone(), "pods", move |event| {
        pods.pods.take(event);
    }));
    watches
}

async fn follow<V>(client: Client, settings: Settings, what: &'static str, take: impl Fn(Event<V>) + Send)
where
    V: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let ours = config().labels(&format!("{}={}", labels::MANAGED_BY, labels::FIELD_MANAGER));
    let mut events = start_watch(settings.api::<V>(&client), ours).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => take(event),
            Err(error) => broke_off(what, &error),
        }
    }
}

/// Says so: caches may be out of date until it is back.
pub(super) fn broke_off(what: &str, error: &dyn std::error::Error) {
    warn!(error = %chain(error), "the watch on {what} broke off; it is taken up again");
}
