//! The uid of the run's Job is recorded. Rules 7, 8: mirrored while it lives, recorded when it has ended, lost when it
//! is gone.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::next;
use super::stop::{StopDecision, stop};
use crate::api::condition::{EventReason, RunResult, Stop};
use crate::api::status::Run;
use crate::compile::in_place::Field;
use crate::reconcile::acceptance::AcceptedSpec;
use crate::reconcile::clean_up::is_ours_to_change;
use crate::reconcile::diagnosis::{self, Diagnosis, QueryDecision};
use crate::reconcile::event::Event;
use crate::reconcile::history::{self, RunHistory, record_progress};
use crate::reconcile::observed::{Clock, Creation, JobView, Observed};
use crate::reconcile::patch;
use crate::reconcile::plan::{Change, Next, Plan, Read};
use crate::reconcile::rescale;
use crate::reconcile::state::{Blocked, Decision, Facts, RunOutcome, RunState, attempt};
use crate::reconcile::trigger::Pending;

/// How long the answer of a create stands in for the cache: a silent watch is noticed within this time.
const CACHE_LAG: Duration = Duration::from_secs(65);
/// When to look again at a Job which the cache does not show, but a GET does. Rule 8.
const UNCACHED_PAUSE: Duration = Duration::from_secs(30);

/// Decides what to do about `newest`, whose Job has this uid.
pub(super) fn decide(facts: &Facts<'_>, newest: &Run, uid: &str) -> Decision {
    let Facts { observed, request, clock, .. } = *facts;
    let (job, mut next) = match find(observed, newest, uid, clock) {
        Found::Job(job, next) => (job, next),
        Found::Ask(read) => return Decision::Act(Plan::ask(read)),
        Found::Gone => return gone(facts, newest, clock.now),
    };
    if request.spec.0.as_ref().is_ok_and(|spec| rescale::is_unclear(newest, job, spec)) {
        return Decision::Act(Plan::ask(Read::Request));
    }
    if job.is_terminal() {
        return record(facts, job, None);
    }
    let diagnosis = Diagnosis::of(facts, newest, job);
    match diagnosis.question() {
        QueryDecision::Ask(of) => return Decision::Act(Plan::ask(Read::Events(of))),
        QueryDecision::Later(pause) => next = next.sooner(Next::After(pause)),
        QueryDecision::No => {}
    }
    next = next.sooner(diagnosis.next());
    let wanted = facts.wanted_next(facts.history);
    let mut blocked = Vec::new();
    if is_ours_to_change(job, request) {
        match stop(facts, newest, job, &wanted, &diagnosis) {
            StopDecision::Act(plan) => return Decision::Act(*plan),
            StopDecision::Record(history, next) => {
                return live(facts, &history, wanted, job, &diagnosis, next);
            }
            StopDecision::Blocked(refused) => blocked.push(refused),
            StopDecision::Continue(due) => next = next.sooner(due),
        }
        match patch_in_place(facts, newest, job) {
            Ok(plan) => return Decision::Act(plan),
            Err(refused) => blocked.extend(refused),
        }
    }
    live(facts, facts.history, wanted, job, &diagnosis, next).with_blocked(blocked)
}

/// The next patch of the live `job`: `suspend` first, also of a request that is rejected, then everything else at once, and
/// field by field what is refused together.
///
/// # Errors
/// What is refused for now; nothing else is due.
fn patch_in_place(facts: &Facts<'_>, newest: &Run, job: &JobView) -> Result<Plan, Vec<Blocked>> {
    let Facts { observed, request, acceptance, clock, .. } = *facts;
    let mut blocked = Vec::new();
    let attempt = |patch: Value, field: Option<&'static str>| {
        let change = Change::Patch { name: newest.job_name.clone(), patch };
        attempt(observed, change, clock).map_err(|refused| Blocked { field, ..refused })
    };
    if let Some(patch) = patch::suspend_patch(job, request.is_suspended()) {
        match attempt(patch, Some(Field::Suspend.name())) {
            Ok(plan) => return Ok(plan),
            Err(refused) => blocked.push(refused),
        }
    }
    let Ok(AcceptedSpec { spec, compiled: Some(compiled) }) = acceptance else { return Err(blocked) };
    let Some(spec) = spec.whole() else { return Err(blocked) };
    let patches = patch::in_place_patches(job, newest, spec, compiled);
    if let Some(joint) = patches.joint {
        let only = match patches.single.as_slice() {
            [(field, _)] => Some(*field),
            _ => None,
        };
        match attempt(joint, only) {
            Ok(plan) => return Ok(plan),
            Err(refused) if patches.single.len() < 2 => blocked.push(refused),
            Err(_) => {
                for (field, patch) in patches.single {
                    match attempt(patch, Some(field)) {
                        Ok(plan) => return Ok(plan),
                        Err(refused) => blocked.push(refused),
                    }
                }
            }
        }
    }
    blocked.extend(patches.exceeded);
    Err(blocked)
}

/// The Job exists and has not ended; nothing is to be done about it. The `diagnosis` is of the newest run of `history`.
fn live(
    facts: &Facts<'_>,
    history: &RunHistory,
    wanted: Pending,
    job: &JobView,
    diagnosis: &Diagnosis<'_>,
    next: Next,
) -> Decision {
    let mut progress = None;
    let history = history.with_newest(|newest| {
        if let Ok(spec) = &facts.request.spec.0 {
            rescale::record(newest, job, spec);
        }
        record_progress(newest, job);
        newest.failure = diagnosis.failure(newest.failure.take());
        newest.containers_started = diagnosis.containers_started(newest.containers_started);
        progress = (job.spec.suspend != Some(true)).then(|| diagnosis.progress(newest.failure.as_ref()));
    });
    let state = RunState::Live { job: Box::new(job.clone()), progress };
    Decision::describe(history, state, wanted, next)
}

/// Records the uid of `job`, and its result if it has ended, in the newest run.
pub(super) fn record(facts: &Facts<'_>, job: &JobView, created: Option<Event>) -> Decision {
    let is_recorded = facts.history.runs.first().is_some_and(|newest| newest.job_uid.is_some());
    let known = if is_recorded {
        facts.history.clone()
    } else {
        let known = facts.history.with_job(job);
        stop_if_it_exceeds_limits(facts, &known, job).unwrap_or(known)
    };
    let Some(diagnosis) = known.runs.first().map(|newest| Diagnosis::of(facts, newest, job)) else {
        return Decision::stay(facts, RunState::NoRun, Next::AwaitChange);
    };
    let mut has_ended = false;
    let history = known.with_newest(|newest| {
        if let Ok(spec) = &facts.request.spec.0 {
            rescale::record(newest, job, spec);
        }
        has_ended = history::record_result(newest, job);
        if has_ended {
            diagnosis.conclude(newest);
        }
    });
    let decision = if has_ended {
        ended_with(facts, history, Some(job))
    } else {
        let stops = known.runs.first().is_some_and(|newest| newest.stop.is_some());
        let next = if stops { Next::Again } else { Next::AwaitChange };
        live(facts, &known, facts.wanted_next(&known), job, &diagnosis, next)
    };
    decision.with_events(|events| events.splice(..0, created).for_each(drop))
}

/// The decision to stop the newest run, in the same write as its Job's uid: what the API server has stored breaks limits
/// that the compiled Job met. `None`: it breaks none, or other templates apply by now.
fn stop_if_it_exceeds_limits(facts: &Facts<'_>, known: &RunHistory, job: &JobView) -> Option<RunHistory> {
    let compiled = facts.acceptance.as_ref().ok()?.compiled.as_ref()?;
    if job.is_terminal() || known.runs.first()?.templates != compiled.templates {
        return None;
    }
    let parallelism = job.spec.parallelism.unwrap_or(1);
    let problems = compiled.live_limits.judge_stored(&job.spec.amounts, parallelism);
    let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if found.is_empty() {
        return None;
    }
    let message = format!("Job {} was not stored as it was compiled: {}", job.name(), found.join("; "));
    let failure = diagnosis::limits_exceeded(&message);
    Some(known.with_newest(|newest| {
        newest.stop = Some(Stop::LimitsExceeded);
        (newest.message, newest.failure) = (failure.message.clone(), Some(failure));
    }))
}

/// The Job is gone, by a GET. Rules 8, 14.
fn gone(facts: &Facts<'_>, newest: &Run, now: Timestamp) -> Decision {
    let history = facts.history.with_newest(|run| match newest.stop {
        Some(stop @ (Stop::Replace | Stop::NeverStarted)) => {
            let cause = run.failure.as_ref().map(diagnosis::sentence);
            history::record_replaced(run, stop, cause, now);
        }
        Some(Stop::LimitsExceeded) => history::record_limits_exceeded(run, now),
        Some(Stop::Cancel) => history::record_cancelled(run, now),
        Some(Stop::StartDeadline) | None => {
            history::record_lost(run, now);
            run.failure = Some(diagnosis::lost(run));
        }
    });
    ended_with(facts, history, None)
}

/// The newest run has its result. What has waited for this end is reserved in the same write: a status between the two
/// would show the end of the old run as that of the new spec.
fn ended_with(facts: &Facts<'_>, history: RunHistory, job: Option<&JobView>) -> Decision {
    let event = history.runs.first().and_then(ended_event);
    let wanted = facts.wanted_next(&history);
    let decision = next::start(facts, &history, &wanted).unwrap_or_else(|| {
        match Decision::describe(history, RunState::Ended, wanted, Next::AwaitChange) {
            Decision::Describe(outcome) => {
                Decision::Describe(Box::new(RunOutcome { ended_as: job.cloned().map(Box::new), ..*outcome }))
            }
            act @ Decision::Act(_) => act,
        }
    });
    decision.with_events(|events| events.extend(event))
}

/// Where the Job of a recorded run is.
enum Found<'a> {
    Job(&'a JobView, Next),
    Ask(Read),
    Gone,
}

/// Finds the Job with `uid`. Rule 8: a cache that does not show it proves nothing, a GET does.
fn find<'a>(observed: &'a Observed, run: &Run, uid: &str, clock: Clock) -> Found<'a> {
    let is_it = |job: &&JobView| job.uid() == uid;
    let memory = &observed.memory;
    let created_now = match observed.answers.creation_of(&run.job_name) {
        Some(Creation::Created(job)) => Some(job.as_ref()),
        _ => None,
    };
    let stand_in = memory
        .created
        .as_ref()
        .filter(|(at, _)| clock.uptime.saturating_sub(*at) < CACHE_LAG)
        .map(|(_, job)| job.as_ref());
    let listed = observed.answers.jobs.iter().flatten();
    if let Some(job) = observed.jobs.iter().chain(created_now).find(is_it) {
        return Found::Job(job, Next::AwaitChange);
    }
    if let Some(job) = memory.last_words.get(uid) {
        return Found::Job(job, Next::AwaitChange);
    }
    match observed.answers.job.as_ref().filter(|(name, _)| *name == run.job_name) {
        Some((_, Some(job))) if job.uid() == uid => Found::Job(job, Next::After(UNCACHED_PAUSE)),
        Some(_) => Found::Gone,
        None => match listed.chain(stand_in).find(is_it) {
            Some(job) => Found::Job(job, Next::After(UNCACHED_PAUSE)),
            None => Found::Ask(Read::Job(run.job_name.clone())),
        },
    }
}

/// A replaced run gets no event of its own; its successor's start implies it.
fn ended_event(run: &Run) -> Option<Event> {
    let cause = run.message.as_deref().or(run.reason.as_deref()).unwrap_or_default();
    let (number, name) = (run.number, &run.job_name);
    let (reason, note) = match run.result? {
        RunResult::Succeeded => (EventReason::Completed, format!("run {number} (Job {name}) has completed")),
        RunResult::Failed => {
            let reason = run.reason.as_deref().unwrap_or_default();
            (EventReason::Failed, format!("run {number} (Job {name}) has failed: {reason}: {cause}"))
        }
        RunResult::Lost => (EventReason::Lost, format!("run {number} is lost: {cause}")),
        RunResult::Cancelled => {
            (EventReason::Cancelled, format!("run {number} (Job {name}) was cancelled: {cause}"))
        }
        RunResult::Replaced => return None,
    };
    let hint = run.failure.as_ref().and_then(|failure| failure.hint.as_deref());
    Some(Event::with_hint(reason, &note, hint).about(name, run.job_uid.as_deref()))
}
