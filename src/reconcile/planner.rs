//! One round: from everything observed to what is done next.
//!
//! A plan asks one question, or makes changes, or writes the status once; `next` says whether to look again at once.
//! It is deterministic and a fixed point: what it does, once observed, is not planned again.

use std::time::Duration;

use super::acceptance::{Acceptance, AcceptedSpec, accept, effective_policy};
use super::event::Event;
use super::observed::{Clock, Observed};
use super::plan::{Next, Plan};
use super::state::{Decision, Facts};
use super::{clean_up, history, run, status};
use crate::api::JobRequestStatus;
use crate::api::condition::{ConditionType, EventReason, Reason};
use crate::api::status::Run;
use crate::compile::Layers;

/// Minimum time between writes that only bring counts up to date.
const PROGRESS_PAUSE: Duration = Duration::from_secs(30);

/// Plans the next round for one JobRequest.
#[must_use]
pub fn plan(observed: &Observed, layers: &Layers, clock: Clock) -> Plan {
    let Some(request) = observed.request.as_ref().filter(|request| !request.is_deleting()) else {
        return Plan::rest();
    };
    let wiped = JobRequestStatus::unwritten();
    let stored = request.status.0.as_ref().unwrap_or(&wiped);
    let history = match history::known(observed, request, stored, clock) {
        Ok(history) => history,
        Err(read) => return Plan::ask(read),
    };
    let acceptance = match accept(observed, request, stored, &history, layers, clock) {
        Ok(acceptance) => acceptance,
        Err(read) => return Plan::ask(read),
    };
    let policy = effective_policy(&acceptance, stored);
    let facts = Facts {
        observed,
        request,
        stored,
        history: &history,
        acceptance: &acceptance,
        policy: &policy,
        layers,
        clock,
    };
    let outcome = match run::decide(&facts) {
        Decision::Act(plan) => return plan,
        Decision::Describe(outcome) => *outcome,
    };
    let clean_up = clean_up::clean_up(&facts);
    if let (Some(act), true) = (&clean_up.act, outcome.next != Next::Again) {
        return act.clone();
    }

    let described = status::describe(&facts, &outcome, &clean_up);
    let mut plan =
        Plan { next: outcome.next.sooner(clean_up.next), events: outcome.events.clone(), ..Plan::rest() };
    if status::differs_in_what_can_wait(stored, &described) {
        plan.events.clear();
        return plan;
    }
    if status::differs_in_progress_only(stored, &described) {
        let since = observed.memory.written_at.map(|at| clock.uptime.saturating_sub(at));
        if let Some(pause) =
            since.and_then(|since| PROGRESS_PAUSE.checked_sub(since)).filter(|pause| !pause.is_zero())
        {
            plan.next = plan.next.sooner(Next::After(pause));
            plan.events.clear();
            return plan;
        }
    }
    let newest = outcome.newest();
    plan.events.extend(verdict_event(stored, &acceptance, request.generation(), newest));
    plan.events.extend(status::events(&facts, &outcome, &described));
    plan.status = Some(Box::new(described));
    plan
}

/// The event of a verdict about the spec, once for each reason and generation; `newest` is the run that it is about.
fn verdict_event(
    stored: &JobRequestStatus,
    acceptance: &Acceptance<'_>,
    generation: i64,
    newest: Option<&Run>,
) -> Option<Event> {
    let (reason, message, event) = match acceptance {
        Err(rejection) => (rejection.reason, rejection.message.clone(), EventReason::Rejected),
        Ok(AcceptedSpec { compiled: Some(compiled), .. }) => {
            let (reason, message) = status::accepted(compiled, newest);
            let event = match reason {
                Reason::Clamped => EventReason::Clamped,
                Reason::PolicyWarning => EventReason::PolicyWarning,
                _ => return None,
            };
            (reason, message, event)
        }
        Ok(AcceptedSpec { compiled: None, .. }) => return None,
    };
    let is_recorded = stored.condition(ConditionType::Accepted).is_some_and(|accepted| {
        accepted.reason == reason.as_str() && accepted.observed_generation == Some(generation)
    });
    (!is_recorded).then(|| Event::new(event, &message))
}
