//! The edge towards the cluster: watches, performs, and decides nothing.
//!
//! [`run`] takes a client and [`Settings`]; it returns when `shutdown` is done and the work under way has ended. What
//! to do is decided by [`crate::reconcile::Pass`]; this room keeps caches, performs calls with a deadline, and tells
//! the answers.

mod apply;
mod cache;
mod context;
mod error;
mod start;
mod templates;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use kube::runtime::Controller;
use kube::runtime::controller::{Action, Config};
use tracing::{Instrument, debug, info, info_span, warn};

pub use context::Settings;
pub use error::Error;

use crate::reconcile::{Pass, Rest, Step, StoredRequest};
use context::Context;

/// Runs the operator until `shutdown` is done.
///
/// # Errors
/// Only what makes every further work impossible. An API server that is away, or CRDs that are missing, are waited for.
pub async fn run(
    client: Client,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + Sync + 'static,
) -> Result<(), Error> {
    let shutdown = futures::FutureExt::shared(shutdown);
    tokio::select! {
        () = start::wait_for_crds(&client, &settings) => {}
        () = shutdown.clone() => return Ok(()),
    }
    let (context, changed) = Context::new(client.clone(), &settings);
    let mut caches = watch::spawn(&client, &settings, &context);
    tokio::select! {
        () = context.caches_are_filled() => {}
        () = shutdown.clone() => return Ok(()),
    }
    info!("caches are filled, reconciling");
    let controller = Controller::new(settings.api::<StoredRequest>(&client), watch::config())
        .with_config(Config::default().concurrency(settings.concurrency))
        .reconcile_on(changed)
        .reconcile_all_on(context.templates.changed())
        .graceful_shutdown_on(shutdown);
    let forget = context.forget_deleted(controller.store());
    let statuses =
        templates::keep_statuses(Arc::clone(&context), controller.store(), settings.namespace.is_none());
    let work = controller.run(reconcile, error_policy, Arc::clone(&context)).for_each(|outcome| async move {
        match outcome {
            Ok((request, _)) => debug!(request = %request, "reconciled"),
            // Deleted in the meantime: nothing is left to do.
            Err(kube::runtime::controller::Error::ObjectNotFound(_)) => {}
            Err(kube::runtime::controller::Error::QueueError(error)) => {
                watch::broke_off("JobRequests", &error);
            }
            Err(error) => debug!(%error, "reconcile ended with an error"),
        }
    });
    tokio::select! {
        () = work => {}
        () = forget => {}
        () = statuses => {}
    }
    caches.abort_all();
    info!("stopped");
    Ok(())
}

/// Performs one pass over one JobRequest.
async fn reconcile(request: Arc<StoredRequest>, context: Arc<Context>) -> Result<Action, Error> {
    let span = info_span!("reconcile", namespace = request.namespace(), name = request.name());
    async {
        let mut pass =
            Pass::new(context.observe(&request), context.templates.layers_of(&request), context.clock());
        let outcome = loop {
            let call = match pass.step(context.clock()) {
                Step::Call(call) => call,
                Step::Rest(rest) => break Ok(rest),
            };
            match apply::perform(&context, &request, &call).await {
                Ok(answer) => pass.answer(&call, answer, context.clock()),
                Err(error) => break Err(error),
            }
        };
        context.remember(request.uid(), pass.into_memory(), outcome.is_ok());
        outcome
    }
    .instrument(span)
    .await
    .map(|rest| match rest {
        Rest::After(pause) => Action::requeue(pause.max(Duration::from_millis(100))),
        Rest::AwaitChange => Action::await_change(),
    })
}

#[allow(clippy::needless_pass_by_value)] // the signature that the runtime asks for
fn error_policy(request: Arc<StoredRequest>, error: &Error, context: Arc<Context>) -> Action {
    let pause = context.pause_after_failure(request.uid());
    warn!(
        namespace = request.namespace(),
        name = request.name(),
        reason = error.reason(),
        error = %error::chain(error),
        again_in = ?pause,
        "could not reconcile"
    );
    Action::requeue(pause)
}
