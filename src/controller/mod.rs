//! The edge towards the cluster: watches, performs, and decides nothing.
//!
//! [`Operator::new`] takes the configuration of a client, [`Settings`] and a registry for its metrics;
//! [`Operator::run`] returns when `shutdown` is done and the work under way has ended. What to do is decided by
//! [`crate::reconcile::Reconciler`]; this room keeps caches, queues what they touch, performs calls with a deadline, and
//! passes on the answers.
//!
//! Of several replicas one leads ([`lease`]); the others keep their caches filled and reconcile nothing.

mod apply;
mod bounded;
mod cache;
mod calls;
mod compact;
mod context;
mod error;
mod event_lists;
mod lease;
mod metrics;
mod pass;
mod queue;
mod request_metrics;
mod rollouts;
mod template_status;
mod templates;
mod trigger;
mod violations;
mod wait_for_crds;
mod watch;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::stream::{self, BoxStream, StreamExt};
use futures::{FutureExt, TryFutureExt};
use kube::client::ClientBuilder;
use kube::runtime::reflector::{self, Store};
use kube::{Client, Config as ClientConfig};
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch as channel};
use tokio::task::{JoinHandle, JoinSet};
use tracing::{info, warn};

pub use context::Settings;
pub use error::Error;
pub use lease::{Election, Times};

use compact::CompactRequest;
use context::Context;
use lease::{Candidate, Leadership, Term};
use metrics::Metrics;
use queue::Dispatcher;
use request_metrics::RequestMetricsLayer;
use trigger::Trigger;

/// How long nothing may come over a connection on which something is awaited, a little longer than the API server lets a
/// watch be silent. Calls of passes have shorter deadlines; the lists that fill the caches have only this one.
const SILENCE: Duration = Duration::from_secs(70);
/// How long passes may take to end after the end was asked for: less than the 30 s after which Kubernetes kills a pod.
const GRACE: Duration = Duration::from_secs(20);

/// The operator, before it runs.
pub struct Operator {
    settings: Settings,
    client: Client,
    /// For creates of Jobs only: it never repeats a call.
    create_client: Client,
    /// For the lease only: it never repeats a call, and waits for no other one.
    lease_client: Client,
    metrics: Metrics,
    leadership: Leadership,
    term: channel::Sender<Option<Term>>,
    ready: channel::Sender<bool>,
    /// The cache of JobRequests, once there is one.
    requests: Arc<OnceLock<Store<CompactRequest>>>,
}

impl Operator {
    /// Makes its clients and registers its metrics; calls nobody yet.
    ///
    /// # Errors
    /// The configuration makes no client.
    pub fn new(
        mut config: ClientConfig,
        settings: Settings,
        registry: &mut Registry,
    ) -> Result<Self, kube::Error> {
        let (term, leadership) = Leadership::elected();
        let requests = Arc::default();
        let metrics =
            Metrics::register(registry, leadership.clone(), settings.concurrency, Arc::clone(&requests));
        let request_metrics = RequestMetricsLayer(metrics.clone());
        config.read_timeout = Some(SILENCE);
        // The time that a connection was idle does not count.
        config.reset_reader_on_write = true;
        let mut plain = config.clone();
        plain.default_retry = false;
        Ok(Self {
            settings,
            client: ClientBuilder::try_from(config)?.with_layer(&request_metrics).build(),
            create_client: ClientBuilder::try_from(plain.clone())?.with_layer(&request_metrics).build(),
            lease_client: ClientBuilder::try_from(plain)?.with_layer(&request_metrics).build(),
            metrics,
            leadership,
            term,
            ready: channel::Sender::new(false),
            requests,
        })
    }

    /// Whether its caches are filled. A replica on standby is ready, too.
    #[must_use]
    pub fn ready(&self) -> channel::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Runs until `shutdown` is done, then ends the passes under way and gives the lease back. An API server that is
    /// away, or CRDs that are missing, are waited for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + Sync + 'static) {
        let shutdown = shutdown.shared();
        let mut running = tokio::select! {
            running = self.prepare() => running,
            () = shutdown.clone() => return,
        };
        running.lead(shutdown).await;
        running.drain().await;
    }

    /// Waits for the CRDs, starts the watches, fills the caches that passes need, and stands for leadership.
    async fn prepare(self) -> Running {
        let Self {
            settings,
            client,
            create_client,
            lease_client,
            metrics,
            leadership,
            term,
            ready,
            requests,
        } = self;
        wait_for_crds::wait_for_crds(&client, &settings).await;
        let (context, touched) = Context::new(
            client.clone(),
            create_client,
            leadership,
            metrics,
            settings.template_reruns,
            Arc::clone(&requests),
        );
        let caches = watch::spawn(&client, &settings, &context);
        context.caches_are_filled().await;
        let (store, writer) = reflector::store();
        let _ = requests.set(store.clone());
        let api = settings.api::<CompactRequest>(&client);
        let (step_down, stepping_down) = oneshot::channel();
        let is_ready = ready.subscribe();
        let watched = queue::watch_requests(api, watch::config(), writer, Arc::clone(&context), ready);
        let beginnings = context.leadership.beginnings().map(|()| Trigger::All);
        let triggers = stream::select_all([watched.boxed(), touched.boxed(), beginnings.boxed()]).boxed();
        let candidate = Candidacy { lease_client, election: settings.election.clone(), term, is_ready };
        Running {
            dispatcher: Dispatcher::new(Arc::clone(&context), store.clone(), settings.concurrency),
            triggers: Some(triggers),
            counts_all: settings.namespace.is_none(),
            context,
            store,
            caches,
            step_down,
            campaign: tokio::spawn(candidate.campaign(stepping_down.unwrap_or_else(drop))),
        }
    }
}

/// The operator while it runs.
struct Running {
    context: Arc<Context>,
    store: Store<CompactRequest>,
    caches: JoinSet<()>,
    dispatcher: Dispatcher,
    /// What is to be reconciled; taken when that begins.
    triggers: Option<BoxStream<'static, Trigger>>,
    /// The requests of all namespaces are known.
    counts_all: bool,
    step_down: oneshot::Sender<()>,
    campaign: JoinHandle<()>,
}

impl Running {
    /// Reconciles, whenever it leads, until `shutdown` is done.
    async fn lead(&mut self, shutdown: impl Future<Output = ()>) {
        let Some(triggers) = self.triggers.take() else { return };
        tokio::select! {
            () = self.dispatcher.run(triggers) => {}
            () = self.context.forget_deleted(&self.store) => {}
            () = template_status::keep(&self.context, &self.store, self.counts_all) => {}
            () = shutdown => {}
        }
    }

    /// Ends the passes under way, then gives the lease back.
    async fn drain(mut self) {
        if tokio::time::timeout(GRACE, self.dispatcher.drain()).await.is_err() {
            warn!("gave up on passes which did not end within {} s", GRACE.as_secs());
        }
        // Those which did not end are aborted: from here on nothing is sent any more.
        drop(self.dispatcher);
        let _ = self.step_down.send(());
        if let Err(error) = self.campaign.await {
            warn!(%error, "the election was interrupted");
        }
        self.caches.abort_all();
        info!("stopped");
    }
}

/// What it takes to stand for leadership.
struct Candidacy {
    lease_client: Client,
    election: Option<Election>,
    term: channel::Sender<Option<Term>>,
    is_ready: channel::Receiver<bool>,
}

impl Candidacy {
    /// Leads, or stands for leadership, once the caches are filled and until `stop` is done.
    async fn campaign(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        tokio::select! {
            _ = self.is_ready.wait_for(|is_ready| *is_ready) => {}
            () = &mut stop => return,
        }
        if let Some(election) = self.election {
            Candidate::new(self.lease_client, election, self.term).campaign(stop).await;
        } else {
            self.term.send_replace(Some(Term::without_lease(Instant::now())));
            stop.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers 503 to everything; how often it did.
    async fn unavailable() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let answer =
                    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url, answered)
    }

    /// How many of them may still arrive decides when a Job may be deleted.
    #[tokio::test]
    async fn a_create_is_sent_once() {
        let (url, answered) = unavailable().await;
        let settings = Settings { namespace: None, concurrency: 1, template_reruns: 10, election: None };
        let config = ClientConfig::new(url.parse().unwrap());
        assert!(config.default_retry, "or there is nothing to switch off");
        let operator = Operator::new(config, settings, &mut Registry::default()).unwrap();
        let request = http::Request::post("/apis/batch/v1/namespaces/a/jobs").body(Vec::new()).unwrap();
        let refused = operator.create_client.request_text(request).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(answered.load(Ordering::SeqCst), 1);
    }
}
