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
    let own = Arc::clone(context);
    let take = move |event: Event<JobView>| {
        if let Event::Delete(job) = &event
            && job.is_terminal()
        {
            own.remember_last_words(job.clone());
        }
        own.jobs.take(event);
    };
    watches.spawn(follow(Arc::clone(context), settings.api::<JobView>(client), ours.clone(), "Jobs", take));
    let own = Arc::clone(context);
    let take = move |event| own.pods.take(event);
    watches.spawn(follow(Arc::clone(context), settings.api::<PodView>(client), ours, "pods", take));
    let own = Arc::clone(context);
    let take = move |event| own.templates.take(TemplateKind::JobTemplate, event);
    let api = settings.api::<JobTemplateView>(client);
    watches.spawn(follow(Arc::clone(context), api, config(), "JobTemplates", take));
    let own = Arc::clone(context);
    let take = move |event| own.templates.take(TemplateKind::ClusterJobTemplate, event);
    let api = Api::<ClusterJobTemplateView>::all(client.clone());
    watches.spawn(follow(Arc::clone(context), api, config(), "ClusterJobTemplates", take));
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
            Err(error) => interrupted(&context, what, &error),
        }
    }
}

/// Counts and logs it: caches may be out of date until the watch is back.
pub(super) fn interrupted(context: &Context, what: &'static str, error: &(dyn std::error::Error + 'static)) {
    context.metrics.count_interruption(what);
    warn!(error = %chain(error), "the watch of {what} was interrupted; it is being restarted");
}
