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
        if let (Pending::HeldBack, true, Ok(AcceptedSpec { spec, .. })) =
            (&wanted, facts.history.is_new(), facts.acceptance)
        {
            let held = facts.history.hold(facts.request, spec);
            return Decision::describe(held, RunState::OnHold, Pending::Nothing, Next::AwaitChange);
        }
        let at_rest = RunState::at_rest(facts.history);
        Decision::describe(facts.history.clone(), at_rest, wanted, Next::AwaitChange)
    })
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
