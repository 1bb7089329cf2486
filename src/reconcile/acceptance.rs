//! Whether the spec is accepted: it can be compiled with what applies to it, and the API server has not refused the Job.
//!
//! Takes what is observed; returns the [`Acceptance`], which nothing else makes, and the effective run policy.

use super::history::RunHistory;
use super::observed::{Clock, Creation, Observed, SpecView, StoredRequest};
use super::plan::Read;
use super::rerun;
use super::trigger::{Pending, wanted_now};
use crate::api::JobRequestStatus;
use crate::api::condition::{ConditionType, Reason};
use crate::api::run_policy::RunPolicy;
use crate::compile::{Compiled, Identity, Layers, compile};

/// Why no run follows the one with the last number.
pub(super) const NO_NUMBER_LEFT: &str = "run 2147483647 has the last number that there is; to run it again, delete the JobRequest and create it anew";

/// Why a request cannot become a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    /// In one word.
    pub reason: Reason,
    /// Every problem, in a sentence each.
    pub message: String,
}

/// A spec without problems.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AcceptedSpec<'a> {
    /// The spec.
    pub spec: &'a SpecView,
    /// What it compiles to; absent when it was accepted before and asks for nothing new: then a template that changed
    /// since does not concern it.
    pub compiled: Option<Compiled>,
}

/// The spec and its Job, or why there is none.
pub(super) type Acceptance<'a> = Result<AcceptedSpec<'a>, Rejection>;

/// The effective run policy: of the spec as it is now, or, when that asks for nothing new, as it was compiled last. A
/// status written by an older release lacks it; nothing is cleaned up until the spec has been compiled again.
pub(super) fn effective_policy(acceptance: &Acceptance<'_>, stored: &JobRequestStatus) -> RunPolicy {
    let compiled = acceptance.as_ref().ok().and_then(|accepted| accepted.compiled.as_ref());
    compiled.map(|compiled| &compiled.run_policy).or(stored.run_policy.as_ref()).cloned().unwrap_or_default()
}

/// Compiles the request for its newest run, or the next one.
///
/// # Errors
/// The read that is needed first: only a whole spec can be compiled.
pub(super) fn accept<'a>(
    observed: &Observed,
    request: &'a StoredRequest,
    stored: &JobRequestStatus,
    history: &RunHistory,
    layers: &Layers,
    clock: Clock,
) -> Result<Acceptance<'a>, Read> {
    let spec = match &request.spec.0 {
        Ok(spec) => spec,
        Err(error) => {
            let message = format!("the stored spec {error}; fix that field and apply it again");
            return Ok(Err(Rejection { reason: Reason::Unreadable, message }));
        }
    };
    let newest = history.runs.first();
    let wanted = wanted_now(request, spec, stored, history, layers, observed);
    let ran = history.ran();
    let was_accepted = (ran.is_some() || history.held.is_some())
        && matches!(wanted, Pending::Nothing | Pending::HeldBack | Pending::AwaitTurn)
        && was_accepted(request, stored);
    if was_accepted && ran.is_none_or(|run| !run.is_open()) {
        return Ok(Ok(AcceptedSpec { spec, compiled: None }));
    }
    let Some(whole) = spec.whole() else {
        return Err(Read::Request);
    };
    let number = match newest {
        None => Some(1),
        Some(run) if run.is_open() => Some(run.number),
        Some(run) => run.number.checked_add(1),
    };
    let Some(number) = number else {
        return Ok(Err(Rejection { reason: Reason::RunNumbersUsedUp, message: NO_NUMBER_LEFT.to_owned() }));
    };
    let identity = Identity { handled: Some(&history.handled), ..request.identity() };
    let compiled = match compile(&identity, whole, layers, number) {
        Ok(compiled) => compiled,
        Err(_) if was_accepted => return Ok(Ok(AcceptedSpec { spec, compiled: None })),
        Err(problems) => {
            return Ok(Err(Rejection { reason: Reason::InvalidSpec, message: problems.to_string() }));
        }
    };
    if let Some(message) = found_invalid(observed, request, history, &compiled, clock) {
        return Ok(Err(Rejection { reason: Reason::JobInvalid, message }));
    }
    Ok(Ok(AcceptedSpec { spec, compiled: Some(compiled) }))
}

/// The status has accepted this very spec.
fn was_accepted(request: &StoredRequest, stored: &JobRequestStatus) -> bool {
    let accepted = stored.condition(ConditionType::Accepted);
    stored.observed_generation == request.generation()
        && accepted.is_some_and(|accepted| {
            accepted.status == "True" && accepted.observed_generation == Some(request.generation())
        })
}

/// The API server's message about a Job of the run that is reserved, which it found invalid: from this pass, or from the
/// status. That verdict holds until what was judged changes (the spec, its templates), until a rerun is asked for, and in
/// any case for a while only: a webhook or a policy may have had a part in it, and nobody says when that is gone.
fn found_invalid(
    observed: &Observed,
    request: &StoredRequest,
    history: &RunHistory,
    compiled: &Compiled,
    clock: Clock,
) -> Option<String> {
    let reserved = history.reserved()?;
    match observed.answers.creation_of(&reserved.job_name) {
        Some(Creation::Refused(refusal)) if refusal.is_invalid() => return Some(refusal.message.clone()),
        // It was tried again, and the answer is another one: the verdict in the status is over.
        Some(_) => return None,
        None => {}
    }
    let message = request.found_invalid()?;
    let is_judged_anew =
        reserved.templates != compiled.templates || rerun::requested(request, &history.handled).is_some();
    let is_due = observed
        .memory
        .refused_create(&reserved.job_name)
        .is_some_and(|refused| refused.until <= clock.uptime);
    (!is_judged_anew && !is_due).then(|| message.to_owned())
}
