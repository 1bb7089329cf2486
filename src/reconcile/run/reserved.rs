//! A run is reserved, its Job is not recorded. Rules 4, 5, 6: created only on a fresh answer about the request.

use std::time::Duration;

use super::recorded::record;
use crate::api::condition::{EventReason, Reason, Trigger};
use crate::api::failure::Failure;
use crate::api::status::{Run, TemplatePin};
use crate::reconcile::acceptance::{AcceptedSpec, NO_NUMBER_LEFT};
use crate::reconcile::diagnosis;
use crate::reconcile::event::Event;
use crate::reconcile::history::Reservation;
use crate::reconcile::observed::{Creation, JobView, Refused, StoredRequest};
use crate::reconcile::plan::{Change, Next, Plan, Read};
use crate::reconcile::state::{Decision, Facts, RunState};
use crate::reconcile::trigger::Pending;

/// Maximum age of an answer when a create that rests on it is sent. Rule 6.
const MAX_ANSWER_AGE: Duration = Duration::from_secs(10);
/// When to try again while a terminating Job holds the name.
const NAME_HELD_PAUSE: Duration = Duration::from_secs(5);
/// When to look again at templates which the cache shows older than the reservation has them. Rule 4.
const TEMPLATE_LAG: Duration = Duration::from_secs(1);

/// Decides whether the Job of `newest` is created.
pub(super) fn decide(facts: &Facts<'_>, newest: &Run) -> Decision {
    let Facts { observed, request, acceptance, clock, .. } = *facts;
    match observed.answers.creation_of(&newest.job_name) {
        Some(Creation::Created(job)) => return record(facts, job, Some(created_event(newest, job))),
        Some(Creation::NameTaken) => return name_taken(facts, newest),
        Some(Creation::Refused(_)) | None => {}
    }
    if let Some(decision) = unrecorded(facts, newest) {
        return decision;
    }
    let Ok(AcceptedSpec { spec, compiled }) = acceptance else {
        return Decision::stay(facts, RunState::NoRun, judged_again(facts, newest));
    };
    let (trigger, token, compiled) = match (facts.wanted_next(facts.history), compiled) {
        (Pending::Run(trigger, token), Some(compiled)) => (trigger, token, compiled),
        (Pending::Ask(read), _) => return Decision::Act(Plan::ask(read)),
        // What it was reserved for was taken back, or is held back. The record stays: a create may still be in flight,
        // and has to find its name taken.
        (wanted, _) => {
            let at_rest = RunState::at_rest(facts.history);
            return Decision::describe(facts.history.clone(), at_rest, wanted, Next::AwaitChange);
        }
    };
    if request.is_suspended() {
        return Decision::stay(facts, RunState::Held, Next::AwaitChange);
    }
    if is_older(&compiled.templates, &newest.templates) {
        return Decision::stay(facts, RunState::Due, Next::After(TEMPLATE_LAG));
    }
    // Rule 3: the record says what the Job is created for, and which tokens are handled with it.
    let reservation =
        Reservation { number: newest.number, trigger, token, templates: compiled.templates.clone() };
    let renewed = facts.history.renew(request, reservation.on(request, spec));
    if renewed != *facts.history {
        return Decision::describe(renewed, RunState::Due, Pending::Nothing, Next::Again);
    }
    let refused = observed.memory.refused_create(&newest.job_name);
    let waits = |refused: &&Refused| !refused.refusal.is_invalid() && clock.uptime < refused.until;
    if let Some(refused) = refused.filter(waits) {
        let state = forbidden(diagnosis::job_forbidden(&refused.refusal));
        return Decision::stay(facts, state, Next::After(refused.until.saturating_sub(clock.uptime)));
    }
    // Where the cache and a list that was asked for differ, one of them is too old: it waits until neither shows one.
    let listed = observed.answers.jobs.iter().flatten();
    let active = |job: &&JobView| job.is_of_another(request.uid()) && !job.is_terminal();
    if let Some(job) = observed.jobs.iter().chain(listed).find(active) {
        return Decision::stay(facts, predecessor(job, request), Next::AwaitChange);
    }
    match observed.answers.request_at.map(|at| at.saturating_add(MAX_ANSWER_AGE)) {
        Some(before) if clock.uptime < before => {
            Decision::Act(Plan::change(Change::Create { job: Box::new(compiled.job.clone()), before }))
        }
        _ => Decision::Act(Plan::ask(Read::Request)),
    }
}

/// When the Job of `newest`, which was found invalid, is judged again.
fn judged_again(facts: &Facts<'_>, newest: &Run) -> Next {
    let refused = facts.observed.memory.refused_create(&newest.job_name);
    refused
        .filter(|refused| refused.refusal.is_invalid())
        .map_or(Next::AwaitChange, |refused| Next::After(refused.until.saturating_sub(facts.clock.uptime)))
}

/// The API server refuses the Job; the run waits, and it is tried again.
fn forbidden(failure: Failure) -> RunState {
    RunState::Waiting {
        reason: Reason::JobForbidden,
        message: diagnosis::sentence(&failure),
        failure: Some(Box::new(failure)),
    }
}

/// The cache shows a template older than it was when the run was reserved. Rule 4: a limit that has been tightened since
/// must not be missed.
fn is_older(cached: &[TemplatePin], pinned: &[TemplatePin]) -> bool {
    cached.iter().any(|now| pinned.iter().any(|then| then.uid == now.uid && then.generation > now.generation))
}

/// The cache shows the Job of a run that is only reserved: the answer of its create was lost. It is adopted also while
/// the request is suspended or rejected, or nothing would describe or suspend it. Rule 7: from a GET, not the cache.
fn unrecorded(facts: &Facts<'_>, newest: &Run) -> Option<Decision> {
    let Facts { observed, request, .. } = *facts;
    let name = &newest.job_name;
    observed.jobs.iter().find(|job| is_of_run(job, request, newest))?;
    match observed.answers.job.as_ref().filter(|(asked, _)| asked == name) {
        None => Some(Decision::Act(Plan::ask(Read::Job(name.clone())))),
        Some((_, Some(job))) if is_of_run(job, request, newest) => Some(record(facts, job, None)),
        Some(_) => None,
    }
}

/// Rule 2: what the Job says it is, no matter who owns it by now.
fn is_of_run(job: &JobView, request: &StoredRequest, run: &Run) -> bool {
    job.is_of(request.uid()) && job.run() == Some(run.number)
}

/// The name of the run's Job is taken. Rule 5: by whom decides.
fn name_taken(facts: &Facts<'_>, newest: &Run) -> Decision {
    let Facts { observed, request, history, acceptance, .. } = *facts;
    let held = |message: String| {
        let state = RunState::Waiting { reason: Reason::PredecessorTerminating, message, failure: None };
        Decision::stay(facts, state, Next::After(NAME_HELD_PAUSE))
    };
    let name = &newest.job_name;
    let Some((_, holder)) = observed.answers.job.as_ref().filter(|(asked, _)| asked == name) else {
        return Decision::Act(Plan::ask(Read::Job(name.clone())));
    };
    let Some(job) = holder else {
        return held(format!("Job {name} was blocking the name and has just gone; trying again"));
    };
    if is_of_run(job, request, newest) {
        return record(facts, job, None);
    }
    if job.is_of_predecessor(request.name(), request.uid())
        || (job.is_of_another(request.uid()) && !job.is_terminal())
    {
        return Decision::stay(facts, predecessor(job, request), Next::After(NAME_HELD_PAUSE));
    }
    if job.is_terminating() {
        return held(format!(
            "Job {name}, which is not our own, is still terminating; the run starts when it is gone"
        ));
    }
    let Ok(AcceptedSpec { spec, .. }) = acceptance else {
        return Decision::stay(facts, RunState::NoRun, Next::AwaitChange);
    };
    // Rule 3: the next number, too, is reserved only when about to create.
    if request.is_suspended() {
        return Decision::stay(facts, RunState::Held, Next::AwaitChange);
    }
    let Some(number) = newest.number.checked_add(1) else {
        let message = format!("Job {name} exists and is not our own; {NO_NUMBER_LEFT}");
        let state = RunState::Waiting { reason: Reason::RunNumbersUsedUp, message, failure: None };
        return Decision::stay(facts, state, Next::AwaitChange);
    };
    let next = Reservation {
        number,
        trigger: newest.trigger,
        token: newest.token.clone(),
        templates: newest.templates.clone(),
    };
    let note = format!(
        "Job {name} exists and is not our own; run {} is skipped, run {} takes its place",
        newest.number, next.number
    );
    let history = history.reserve(request, next.on(request, spec), true, &observed.jobs);
    let wanted = facts.wanted_next(&history);
    Decision::describe(history, RunState::Due, wanted, Next::Again)
        .with_events(|events| events.push(Event::new(EventReason::NameTaken, &note)))
}

/// A deleted JobRequest of this name has left `job`, which has not ended: two would do the same work at once.
fn predecessor(job: &JobView, request: &StoredRequest) -> RunState {
    let name = job.name();
    let (reason, message) = if job.is_terminating() || job.is_of_predecessor(request.name(), request.uid()) {
        let message = format!(
            "Job {name} of a deleted JobRequest of this name is still terminating; the run starts when it is gone"
        );
        (Reason::PredecessorTerminating, message)
    } else {
        let message = format!(
            "Job {name} of a JobRequest of this name, which was deleted without its Jobs, has not ended; the run starts when it has ended or is deleted"
        );
        (Reason::PredecessorActive, message)
    };
    RunState::Waiting { reason, message, failure: None }
}

fn created_event(run: &Run, job: &JobView) -> Event {
    let why = match (run.trigger, &run.token) {
        (Trigger::Rerun, Some(token)) => format!(": rerun {token:?}"),
        (Trigger::Rerun, None) => ": a rerun was asked for".to_owned(),
        (Trigger::SpecChange, _) => ": the spec has changed".to_owned(),
        (Trigger::TemplateChange, _) => ": a template has changed".to_owned(),
        (Trigger::Created, _) => String::new(),
    };
    Event::new(EventReason::RunCreated, &format!("run {} started as Job {}{why}", run.number, run.job_name))
        .about(job.name(), Some(job.uid()))
}
