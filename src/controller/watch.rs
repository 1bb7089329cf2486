//! The watches on Jobs, pods and templates, each into its cache.

use std::fmt::Debug;
use std::sync::Arc;

use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as start_watch};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::warn;

use super::context::{Context, Settings};
use super::error::chain;
use crate::api::labels;
use crate::api::template_ref::TemplateKind;
use crate::reconcile::template_status::{ClusterJobTemplateView, JobTemplateView};
use crate::reconcile::{JobView, PodView};

/// How many objects a page of a list holds. Each may have one and a half mebibyte, and five lists are read at once.
const PAGE: u32 = 10;

/// How a watch is made: the API server ends it after a minute, so that a silent one is noticed soon after. Lists are
/// consistent reads, the default: an older state would look like lost Jobs.
pub(super) fn config() -> watcher::Config {
    watcher::Config::default().timeout(60).page_size(PAGE)
}

/// Starts the watches; they end with the returned set.
pub(super) fn spawn(client: &Client, settings: &Settings, context: &Arc<Context>) -> JoinSet<()> {
    let mut watches = JoinSet::new();
    let ours = config().labels(&format!("{}={}", labels::MANAGED_BY, labels::FIELD_MANAGER));
    let jobs = Arc::clone(context);
    let told = Arc::clone(context);
    watches.spawn(follow(told, settings.api::<JobView>(client), ours.clone(), "Jobs", move |event| {
        if let Event::Delete(job) = &event
            && job.is_terminal()
        {
            jobs.remember_last_words(job.clone());
        }
        jobs.jobs.take(event);
    }));
    let pods = Arc::clone(context);
    let told = Arc::clone(context);
    watches.spawn(follow(told, settings.api::<PodView>(client), ours, "pods", move |event| {
        pods.pods.take(event);
    }));
    let own = Arc::clone(context);
    let (told, api) = (Arc::clone(context), settings.api::<JobTemplateView>(client));
    watches.spawn(follow(told, api, config(), "JobTemplates", move |event| {
        own.templates.take(TemplateKind::JobTemplate, event);
    }));
    let clusters = Arc::clone(context);
    let (told, api) = (Arc::clone(context), Api::<ClusterJobTemplateView>::all(client.clone()));
    watches.spawn(follow(told, api, config(), "ClusterJobTemplates", move |event| {
        clusters.templates.take(TemplateKind::ClusterJobTemplate, event);
    }));
    watches
}

async fn follow<V>(
    context: Arc<Context>,
    api: Api<V>,
    config: watcher::Config,
    what: &'static str,
    take: impl Fn(Event<V>) + Send,
) where
    V: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut events = start_watch(api, config).default_backoff().boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => take(event),
            Err(error) => broke_off(&context, what, &error),
        }
    }
}

/// Says so: caches may be out of date until it is back.
pub(super) fn broke_off(context: &Context, what: &'static str, error: &(dyn std::error::Error + 'static)) {
    context.metrics.count_interruption(what);
    warn!(error = %chain(error), "the watch on {what} broke off; it is taken up again");
}
