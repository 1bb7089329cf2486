//! No run is open. Rules 3, 11, 12, 13: one is reserved if it is asked for and nothing holds it back.

use crate::reconcile::acceptance::AcceptedSpec;
use crate::reconcile::history::{Reservation, RunHistory};
use crate::reconcile::plan::{Next, Plan};
use crate::reconcile::state::{Decision, Facts, RunState};
use crate::reconcile::trigger::Pending;

/// Decides whether the next run starts.
pub(super) fn decide(facts: &Facts<'_>) -> Decision {
    let wanted = facts.wanted_next(facts.history);
    start(facts, facts.history, &wanted).unwrap_or_else(|| {
        let history = hold(facts).unwrap_or_else(|| facts.history.clone());
        let at_rest = RunState::at_rest(&history);
        let wanted = facts.wanted_next(&history);
        Decision::describe(history, at_rest, wanted, Next::AwaitChange)
    })
}

/// The history of a request whose creation is to start no run; `None`: there is nothing to note.
fn hold(facts: &Facts<'_>) -> Option<RunHistory> {
    let AcceptedSpec { spec, .. } = facts.acceptance.as_ref().ok()?;
    let is_new = facts.history.runs.is_empty() && facts.history.held.is_none();
    (is_new && facts.policy.holds_creation()).then(|| facts.history.hold(facts.request, spec))
}

/// Starts the run after the newest of `history`, which has ended, if that is `wanted`; `None`: it is not.
pub(super) fn start(facts: &Facts<'_>, history: &RunHistory, wanted: &Pending) -> Option<Decision> {
    let (trigger, token) = match wanted {
        Pending::Run(trigger, token) => (*trigger, token.clone()),
        Pending::Ask(read) => return Some(Decision::Act(Plan::ask(read.clone()))),
        Pending::Nothing | Pending::HeldBack | Pending::AwaitTurn => return None,
    };
    let Ok(AcceptedSpec { spec, compiled }) = facts.acceptance else {
        return None;
    };
    if facts.request.is_suspended() {
        let (history, wanted) = (history.clone(), wanted.clone());
        return Some(Decision::describe(history, RunState::Held, wanted, Next::AwaitChange));
    }
    // After the last number there is none; the spec is rejected then.
    let number = history.runs.first().map_or(Some(1), |run| run.number.checked_add(1))?;
    let reservation = Reservation {
        number,
        trigger,
        token,
        templates: compiled.as_ref().map(|compiled| compiled.templates.clone()).unwrap_or_default(),
    };
    let run = reservation.on(facts.request, spec);
    let history = history.reserve(facts.request, run, false, &facts.observed.jobs);
    // Just reserved for all that is asked for.
    Some(Decision::describe(history, RunState::Due, Pending::Nothing, Next::Again))
}
