//! The edge towards the cluster: watches, performs, and decides nothing.
//!
//! [`Operator::new`] takes the configuration of a client, [`Settings`] and a registry for its metrics;
//! [`Operator::run`] returns when `shutdown` is done and the work under way has ended. What to do is decided by
//! [`crate::reconcile::Reconciler`]; this room keeps caches, performs calls with a deadline, and tells the answers.
//!
//! Of several replicas one leads ([`lease`]); the others keep their caches filled and reconcile nothing.

mod apply;
mod cache;
mod calls;
mod context;
mod error;
mod lease;
mod meter;
mod metrics;
mod packed;
mod start;
mod templates;
mod watch;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt};
use kube::client::ClientBuilder;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::Store;
use kube::{Client, Config as ClientConfig};
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch as channel};
use tracing::{Instrument, debug, info, info_span, warn};

pub use context::Settings;
pub use error::Error;
pub use lease::{Election, Times};

use crate::reconcile::{Call, Next, Reconciler, Step};
use context::Context;
use lease::{Candidate, Leadership, Term};
use meter::MeterLayer;
use metrics::{Metrics, ReasonLabel};
use packed::PackedRequest;

/// How long passes may go on after the end was asked for: less than the 30 s after which Kubernetes kills a pod.
const GRACE: Duration = Duration::from_secs(20);

/// The operator, before it runs.
pub struct Operator {
    settings: Settings,
    client: Client,
    /// For the lease only: it never repeats a call, and waits for no other one.
    lease_client: Client,
    metrics: Metrics,
    leadership: Leadership,
    term: channel::Sender<Option<Term>>,
    ready: channel::Sender<bool>,
    /// The cache of JobRequests, once there is one.
    requests: Arc<OnceLock<Store<PackedRequest>>>,
}

impl Operator {
    /// Makes its clients and registers its metrics; calls nobody yet.
    ///
    /// # Errors
    /// The configuration makes no client.
    pub fn new(
        config: ClientConfig,
        settings: Settings,
        registry: &mut Registry,
    ) -> Result<Self, kube::Error> {
        let (term, leadership) = Leadership::elected();
        let requests = Arc::default();
        let metrics =
            Metrics::register(registry, leadership.clone(), settings.concurrency, Arc::clone(&requests));
        let meter = MeterLayer(metrics.clone());
        let mut plain = config.clone();
        plain.default_retry = false;
        Ok(Self {
            settings,
            client: ClientBuilder::try_from(config)?.with_layer(&meter).build(),
            lease_client: ClientBuilder::try_from(plain)?.with_layer(&meter).build(),
            metrics,
            leadership,
            term,
            ready: channel::Sender::new(false),
            requests,
        })
    }

    /// Whether its caches are filled. One that stands by is ready, too.
    #[must_use]
    pub fn ready(&self) -> channel::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Runs until `shutdown` is done, then ends the passes under way and gives the lease back. An API server that is
    /// away, or CRDs that are missing, are waited for.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + Sync + 'static) {
        let Self { settings, client, lease_client, metrics, leadership, term, ready, requests } = self;
        let shutdown = shutdown.shared();
        tokio::select! {
            () = start::wait_for_crds(&client, &settings) => {}
            () = shutdown.clone() => return,
        }
        let (context, changed) = Context::new(client.clone(), leadership, metrics);
        let mut caches = watch::spawn(&client, &settings, &context);
        tokio::select! {
            () = context.caches_are_filled() => {}
            () = shutdown.clone() => return,
        }
        let controller = Controller::new(settings.api::<PackedRequest>(&client), watch::config())
            .with_config(Config::default().concurrency(settings.concurrency))
            .reconcile_on(changed)
            .reconcile_all_on(context.templates.changed())
            .reconcile_all_on(context.leadership.beginnings())
            .graceful_shutdown_on(shutdown.clone());
        let store = controller.store();
        let _ = requests.set(store.clone());
        let forget = context.forget_deleted(store.clone());
        let counts_all = settings.namespace.is_none();
        let statuses = templates::keep_statuses(Arc::clone(&context), store.clone(), counts_all);
        let work = controller.run(reconcile, error_policy, Arc::clone(&context)).for_each(|outcome| async {
            match outcome {
                Ok((request, _)) => debug!(request = %request, "reconciled"),
                // Deleted in the meantime: nothing is left to do.
                Err(kube::runtime::controller::Error::ObjectNotFound(_)) => {}
                Err(kube::runtime::controller::Error::QueueError(error)) => {
                    watch::broke_off(&context, "JobRequests", &error);
                }
                Err(error) => debug!(%error, "reconcile ended with an error"),
            }
        });
        // In one task with the controller: the store wakes only one of those who wait for it.
        let announce = async {
            // It fails only when the store is gone.
            let _ = store.wait_until_ready().await;
            info!("caches are filled");
            ready.send_replace(true);
            std::future::pending::<()>().await;
        };
        let (step_down, stepping_down) = oneshot::channel::<()>();
        let stepping_down = stepping_down.map(drop);
        let mut is_ready = ready.subscribe();
        let has_begun = ready.subscribe();
        let campaign = tokio::spawn(async move {
            let mut stepping_down = std::pin::pin!(stepping_down);
            tokio::select! {
                _ = is_ready.wait_for(|is_ready| *is_ready) => {}
                () = &mut stepping_down => return,
            }
            if let Some(election) = settings.election {
                Candidate::new(lease_client, election, term).campaign(stepping_down).await;
            } else {
                term.send_replace(Some(Term::without_lease(Instant::now())));
                stepping_down.await;
            }
        });
        let overtime = async {
            shutdown.await;
            // Before the caches are filled no pass is under way, and the runtime would wait for them for ever.
            if *has_begun.borrow() {
                tokio::time::sleep(GRACE).await;
                warn!("gave up on passes which did not end within {} s", GRACE.as_secs());
            }
        };
        tokio::select! {
            () = work => {}
            () = forget => {}
            () = statuses => {}
            () = announce => {}
            () = overtime => {}
        }
        // Only now: until here passes were under way.
        let _ = step_down.send(());
        if let Err(error) = campaign.await {
            warn!(%error, "the election broke off");
        }
        caches.abort_all();
        info!("stopped");
    }
}

/// Performs one pass over one JobRequest.
async fn reconcile(packed: Arc<PackedRequest>, context: Arc<Context>) -> Result<Action, Error> {
    if !context.leadership.leads() {
        // All are looked at when this process begins to lead.
        return Ok(Action::await_change());
    }
    let request = packed.unpack();
    // Not `name`: in JSON that is the name of the span.
    let span = info_span!("reconcile", namespace = request.namespace(), request = request.name());
    let _underway = context.metrics.time_reconcile();
    let outcome = async {
        let mut pass = Reconciler::new(
            context.observe(&request),
            context.templates.layers_of(&request),
            context.clock(),
        );
        let outcome = loop {
            let call = match pass.step(context.clock()) {
                Step::Call(call) => call,
                Step::Rest(rest) => break Ok(rest),
            };
            if !context.leadership.leads() {
                break Err(Error::NotLeading);
            }
            let run = run_of(&call, &pass);
            match apply::perform(&context, &request, &call).instrument(info_span!("call", run)).await {
                Ok(answer) => {
                    count(&context.metrics, &pass, &call, &answer);
                    pass.answer(&call, answer, context.clock());
                }
                Err(error) => break Err(error),
            }
        };
        context.remember(request.uid(), pass.into_memory(), outcome.is_ok());
        outcome
    }
    .instrument(span)
    .await;
    match outcome {
        Ok(Next::Again) => Ok(Action::requeue(Duration::from_millis(100))),
        Ok(Next::After(pause)) => Ok(Action::requeue(pause.max(Duration::from_millis(100)))),
        Ok(Next::AwaitChange) | Err(Error::NotLeading) => Ok(Action::await_change()),
        Err(error) => Err(error),
    }
}

/// The run that a call is about, for the log.
fn run_of(call: &Call, pass: &Reconciler) -> Option<i32> {
    match call {
        Call::WriteStatus { status, .. } => status.run,
        _ => pass.request()?.status.0.as_ref().ok()?.run,
    }
}

/// Counts the runs whose end a status write has recorded.
fn count(metrics: &Metrics, pass: &Reconciler, call: &Call, answer: &crate::reconcile::Answer) {
    if let (Call::WriteStatus { status, .. }, crate::reconcile::Answer::Written(_), Some(request)) =
        (call, answer, pass.request())
    {
        metrics.count_ended_runs(&request.known_status(), status);
    }
}

#[allow(clippy::needless_pass_by_value)] // the signature that the runtime asks for
fn error_policy(packed: Arc<PackedRequest>, error: &Error, context: Arc<Context>) -> Action {
    let request = packed.unpack();
    let pause = context.pause_after_failure(request.uid());
    let reason = error.reason();
    context.metrics.reconcile_errors.get_or_create(&ReasonLabel { reason }).inc();
    warn!(
        namespace = request.namespace(),
        request = request.name(),
        run = request.status.0.as_ref().ok().and_then(|status| status.run),
        reason,
        error = %error::chain(error),
        again_in = ?pause,
        "could not reconcile"
    );
    Action::requeue(pause)
}
