//! Performs one pass over one JobRequest.
//!
//! Takes the request as it is cached; returns after which pause the next pass is due, if not only on a change.

use std::time::Duration;

use tracing::{Instrument, debug, info_span, warn};

use super::apply;
use super::compact::CompactRequest;
use super::context::Context;
use super::error::{Error, chain};
use super::metrics::{Metrics, ReasonLabel};
use crate::reconcile::{Answer, Call, Next, Reconciler, Step, StoredRequest};

/// Shortest pause between two passes over one request.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// When to try again while there is no room to work on a request that is not kept in memory.
const NO_ROOM: Duration = Duration::from_millis(200);

/// Reconciles `compact`; returns after which pause to do so again, `None`: on a change.
pub(super) async fn reconcile(compact: &CompactRequest, context: &Context) -> Option<Duration> {
    if !context.leadership.leads() {
        // All are looked at when this process begins to lead.
        return None;
    }
    let Some(_room) = context.room_for(compact) else {
        return Some(NO_ROOM);
    };
    // Not `name`: in JSON that is the name of the span.
    let span = info_span!("reconcile", namespace = compact.namespace(), request = compact.name());
    let outcome = run_on(compact, context).instrument(span).await;
    match outcome {
        Ok(Next::Again) => Some(SHORTEST_PAUSE),
        Ok(Next::After(pause)) => Some(pause.max(SHORTEST_PAUSE)),
        // What was interrupted is looked at again when the next term begins.
        Ok(Next::AwaitChange) | Err(Error::NotLeading) => None,
        Err(error) => Some(failed(compact, context, &error)),
    }
}

/// Runs a pass on `compact`, or, if that is not all kept, on what the API server answers.
async fn run_on(compact: &CompactRequest, context: &Context) -> Result<Next, Error> {
    if let Some(request) = compact.expand() {
        return run(&request, context).await;
    }
    match apply::get_request(context, compact.namespace(), compact.name()).await? {
        Some(request) if request.uid() == compact.uid() => run(&request, context).await,
        // Deleted, or another one by now: its own events bring it here.
        _ => Ok(Next::AwaitChange),
    }
}

async fn run(request: &StoredRequest, context: &Context) -> Result<Next, Error> {
    let _underway = context.metrics.time_reconcile();
    let mut pass =
        Reconciler::new(context.observe(request), context.templates.layers_of(request), context.clock());
    let outcome = loop {
        let call = match pass.step(context.clock()) {
            Step::Call(call) => call,
            Step::Rest(rest) => break Ok(rest),
        };
        if !context.leadership.leads() {
            break Err(Error::NotLeading);
        }
        let run = run_of(&call, &pass);
        match apply::perform(context, request, &call).instrument(info_span!("call", run)).await {
            Ok(answer) => {
                count(&context.metrics, &pass, &call, &answer);
                pass.answer(&call, answer, context.clock());
            }
            Err(error) => break Err(error),
        }
    };
    if let (Ok(_), Some(request)) = (&outcome, pass.request()) {
        context.turns.settle(request, pass.turn());
    }
    context.remember(request.uid(), pass.into_memory(), outcome.is_ok());
    debug!("reconciled");
    outcome
}

/// The run that a call is about, for the log.
fn run_of(call: &Call, pass: &Reconciler) -> Option<i32> {
    match call {
        Call::WriteStatus { status, .. } => status.run,
        _ => pass.request()?.status.0.as_ref().ok()?.run,
    }
}

/// Counts the runs whose end a status write has recorded.
fn count(metrics: &Metrics, pass: &Reconciler, call: &Call, answer: &Answer) {
    if let (Call::WriteStatus { status, .. }, Answer::Written(_), Some(request)) =
        (call, answer, pass.request())
    {
        metrics.count_ended_runs(request.namespace(), &request.known_status(), status);
    }
}

/// Logs and counts a pass that failed; returns the pause before it is tried again.
fn failed(compact: &CompactRequest, context: &Context, error: &Error) -> Duration {
    let pause = context.pause_after_failure(compact.uid());
    let reason = error.reason();
    context.metrics.reconcile_errors.get_or_create(&ReasonLabel { reason }).inc();
    warn!(
        namespace = compact.namespace(),
        request = compact.name(),
        run = compact.run(),
        reason,
        error = %chain(error),
        again_in = ?pause,
        "could not reconcile"
    );
    pause
}
