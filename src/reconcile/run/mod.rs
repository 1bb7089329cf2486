//! The life of a run: reserve, create, record.
//!
//! The rules are numbered in the comments as in the run protocol (docs/run-protocol.md). Where the plain reading of
//! "reserve, create, record" fails, a rule says what is done instead: caches are stale, processes die between two
//! writes, answers get lost, two operators act at once, and people delete things.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::trigger::{self, Want};
use super::clean_up::is_ours_to_change;
use super::state::{Course, Inputs, Move, Standing, attempt};
use super::diagnosis::{self, inquiry};
use super::event::Event;
use super::acceptance::Sound;
use super::observed::{ChangeKey, Clock, Creation, JobView, Observed, StoredRequest};
use super::plan::{Change, Next, Plan, Read};
use super::history::{self, Records, Reservation, record_progress};
use super::stop::{Stopping, stop};
use crate::api::condition::{EventReason, Reason, RunResult, Stop, Trigger};
use crate::api::failure::Failure;
use crate::api::status::{Run, TemplatePin};

/// How old an answer may be when a create that rests on it is sent. Rule 6.
const PERMIT: Duration = Duration::from_secs(10);
/// How long the answer of a create stands in for the cache: a silent watch is noticed within this time.
const CACHE_LAG: Duration = Duration::from_secs(65);
/// When to look again at a Job which the cache does not show, but a GET does. Rule 8.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// When to try again while a name is held by a Job that is going.
const NAME_HELD: Duration = Duration::from_secs(5);
/// When to look again at templates which the cache shows older than the reservation has them. Rule 4.
const TEMPLATE_LAG: Duration = Duration::from_secs(1);

/// Looks at the newest run.
pub(super) fn course(inputs: &Inputs<'_>) -> Move {
    match inputs.records.runs.first() {
        Some(newest) if newest.is_open() => match &newest.job_uid {
            Some(uid) => recorded(inputs, newest, uid),
            None => reserved(inputs, newest),
        },
        _ => ended(inputs),
    }
}

/// No run is open. Rules 3, 11, 12, 13: one is reserved if it is asked for and nothing holds it back.
fn ended(inputs: &Inputs<'_>) -> Move {
    let at_rest = if inputs.records.runs.is_empty() { Standing::NoRun } else { Standing::Ended };
    next_run(inputs, inputs.records).unwrap_or_else(|| Move::stay(inputs, at_rest, Next::AwaitChange))
}

/// The run after the newest of `records`, which has ended; `None`: none is asked for.
fn next_run(inputs: &Inputs<'_>, records: &Records) -> Option<Move> {
    let (trigger, token) = match inputs.want_after(records) {
        Want::Run(trigger, token) => (trigger, token),
        Want::Ask(read) => return Some(Move::Act(Plan::ask(read))),
        Want::Nothing | Want::HeldBack => return None,
    };
    let Ok(Sound { spec, compiled }) = inputs.judged else {
        return None;
    };
    if inputs.request.is_suspended() {
        return Some(Move::record(inputs, records.clone(), Standing::Held, Next::AwaitChange));
    }
    let reservation = Reservation {
        number: records.runs.first().map_or(1, |run| run.number.saturating_add(1)),
        trigger,
        token,
        templates: compiled.as_ref().map(|compiled| compiled.templates.clone()).unwrap_or_default(),
    };
    let run = reservation.on(inputs.request, spec);
    let records = records.reserve(inputs.request, run, false);
    Some(Move::record(inputs, records, Standing::Due, Next::Again))
}

/// A run is reserved, its Job is not recorded. Rules 4, 5, 6: created only on a fresh answer about the request.
fn reserved(inputs: &Inputs<'_>, newest: &Run) -> Move {
    let Inputs { observed, request, judged, clock, .. } = *inputs;
    match observed.answers.creation_of(&newest.job_name) {
        Some(Creation::Created(job)) => return record(inputs, job, Some(created_event(newest, job))),
        Some(Creation::NameTaken) => return name_taken(inputs, newest),
        Some(Creation::Refused(_)) | None => {}
    }
    if let Some(course) = unrecorded(inputs, newest) {
        return course;
    }
    let Ok(Sound { compiled: Some(compiled), .. }) = judged else {
        return Move::stay(inputs, Standing::NoRun, Next::AwaitChange);
    };
    if request.is_suspended() {
        return Move::stay(inputs, Standing::Held, Next::AwaitChange);
    }
    if is_older(&compiled.templates, &newest.templates) {
        return Move::stay(inputs, Standing::Due, Next::After(TEMPLATE_LAG));
    }
    let refused = observed.memory.refused.get(&ChangeKey::Create(newest.job_name.clone()));
    if let Some(refused) = refused.filter(|refused| clock.uptime < refused.until) {
        let standing = forbidden(diagnosis::job_forbidden(&refused.refusal));
        return Move::stay(inputs, standing, Next::After(refused.until.saturating_sub(clock.uptime)));
    }
    match observed.answers.request_at.map(|at| at.saturating_add(PERMIT)) {
        Some(before) if clock.uptime < before => {
            Move::Act(Plan::change(Change::Create { job: Box::new(compiled.job.clone()), before }))
        }
        _ => Move::Act(Plan::ask(Read::Request)),
    }
}

/// The cache shows a template older than it was when the run was reserved. Rule 4: a limit that has been tightened since
/// must not be missed.
fn is_older(cached: &[TemplatePin], pinned: &[TemplatePin]) -> bool {
    cached.iter().any(|now| pinned.iter().any(|then| then.uid == now.uid && then.generation > now.generation))
}

/// The cache shows the Job of a run that is only reserved: the answer of its create was lost. It is adopted also while
/// the request is suspended or rejected, or nothing would tell of it or suspend it. Rule 7: from a GET, not the cache.
fn unrecorded(inputs: &Inputs<'_>, newest: &Run) -> Option<Move> {
    let Inputs { observed, request, .. } = *inputs;
    let name = &newest.job_name;
    observed.jobs.iter().find(|job| is_of_run(job, request, newest))?;
    match observed.answers.job.as_ref().filter(|(asked, _)| asked == name) {
        None => Some(Move::Act(Plan::ask(Read::Job(name.clone())))),
        Some((_, Some(job))) if is_of_run(job, request, newest) => Some(record(inputs, job, None)),
        Some(_) => None,
    }
}

/// Rule 2: what the Job says it is, whoever owns it by now.
fn is_of_run(job: &JobView, request: &StoredRequest, run: &Run) -> bool {
    job.is_of(request.uid()) && job.run() == Some(run.number)
}

/// The name of the run's Job is taken. Rule 5: by whom decides.
fn name_taken(inputs: &Inputs<'_>, newest: &Run) -> Move {
    let Inputs { observed, request, records, judged, .. } = *inputs;
    let held = |message: String| {
        let standing = Standing::Waiting { reason: Reason::PredecessorTerminating, message, failure: None };
        Move::stay(inputs, standing, Next::After(NAME_HELD))
    };
    let name = &newest.job_name;
    let Some((_, holder)) = observed.answers.job.as_ref().filter(|(asked, _)| asked == name) else {
        return Move::Act(Plan::ask(Read::Job(name.clone())));
    };
    let Some(job) = holder else {
        return held(format!("Job {name} was in the way and has just gone; trying again"));
    };
    if is_of_run(job, request, newest) {
        return record(inputs, job, None);
    }
    if job.is_of_predecessor(request.name(), request.uid()) {
        return held(format!(
            "Job {name} of a deleted JobRequest of this name is still going; the run starts when it is gone"
        ));
    }
    if job.is_terminating() {
        return held(format!(
            "Job {name}, which is not ours, is being deleted and has not gone yet; the run starts when it is gone"
        ));
    }
    let Ok(Sound { spec, .. }) = judged else {
        return Move::stay(inputs, Standing::NoRun, Next::AwaitChange);
    };
    // Rule 3: the next number, too, is reserved only when about to create.
    if request.is_suspended() {
        return Move::stay(inputs, Standing::Held, Next::AwaitChange);
    }
    let next = Reservation {
        number: newest.number.saturating_add(1),
        trigger: newest.trigger,
        token: newest.token.clone(),
        templates: newest.templates.clone(),
    };
    let note = format!(
        "Job {name} exists and is not ours; run {} is skipped, run {} takes its place",
        newest.number, next.number
    );
    let run = next.on(request, spec);
    let records = records.reserve(request, run, true);
    Move::record(inputs, records, Standing::Due, Next::Again)
        .with_events(|events| events.push(Event::new(EventReason::NameTaken, &note)))
}

/// The uid of the run's Job is recorded. Rules 7, 8: mirrored while it lives, recorded when it has ended, lost when it
/// is gone.
fn recorded(inputs: &Inputs<'_>, newest: &Run, uid: &str) -> Move {
    let Inputs { observed, request, judged, clock, .. } = *inputs;
    let (job, next) = match find(observed, newest, uid, clock) {
        Found::Job(job, next) => (job, next),
        Found::Ask(read) => return Move::Act(Plan::ask(read)),
        Found::Gone => return gone(inputs, newest, clock.now),
    };
    if job.is_terminal() {
        return record(inputs, job, None);
    }
    let is_ours = is_ours_to_change(job, request);
    let mut next = next;
    let mut blocked = Vec::new();
    match diagnosis::look(inputs, newest, job) {
        event_query::Look::Ask(of) => return Move::Act(Plan::ask(Read::Events(of))),
        event_query::Look::Later(pause) => next = next.sooner(Next::After(pause)),
        event_query::Look::No => {}
    }
    if is_ours {
        match stop(inputs, newest, job) {
            Stopping::Act(plan) => return Move::Act(*plan),
            Stopping::Record(records, next) => return live(inputs, &records, job, next),
            Stopping::Blocked(refused) => blocked.push(refused),
            Stopping::No(due) => next = next.sooner(due),
        }
        if let Ok(Sound { spec, compiled: Some(compiled) }) = judged
            && let Some(patch) = change::in_place_patch(job, newest, spec, compiled)
        {
            match attempt(observed, Change::Patch { name: newest.job_name.clone(), patch }, clock) {
                Ok(plan) => return Move::Act(plan),
                Err(refused) => blocked.push(refused),
            }
        }
    }
    live(inputs, inputs.records, job, next).with_blocked(blocked)
}

/// The Job exists and has not ended; nothing is to be done about it.
fn live(inputs: &Inputs<'_>, records: &Records, job: &JobView, next: Next) -> Move {
    let records = records.with_newest(|newest| {
        record_progress(newest, job);
        diagnosis::capture(inputs, newest, job);
        diagnosis::record_start(inputs, newest, job);
    });
    Move::record(inputs, records, Standing::Live(Box::new(job.clone())), next)
}

/// Records the uid of `job`, and its result if it has ended, in the newest run.
fn record(inputs: &Inputs<'_>, job: &JobView, created: Option<Event>) -> Move {
    let is_recorded = inputs.records.runs.first().is_some_and(|newest| newest.job_uid.is_some());
    let known = if is_recorded { inputs.records.clone() } else { inputs.records.with_job(job) };
    let mut has_ended = false;
    let records = known.with_newest(|newest| {
        has_ended = history::record_result(newest, job);
        if has_ended {
            diagnosis::conclude(inputs, newest, job);
        }
    });
    let moved = if has_ended {
        ended_with(inputs, records, Some(job))
    } else {
        live(inputs, &known, job, Next::AwaitChange)
    };
    moved.with_events(|events| events.splice(..0, created).for_each(drop))
}

/// The Job is gone, by a GET. Rules 8, 14.
fn gone(inputs: &Inputs<'_>, newest: &Run, now: Timestamp) -> Move {
    let records = inputs.records.with_newest(|run| match newest.stop {
        Some(Stop::Replace) => history::record_replaced(run, now),
        Some(Stop::StartDeadline) | None => {
            history::record_lost(run, now);
            run.failure = Some(diagnosis::lost(run));
        }
    });
    ended_with(inputs, records, None)
}

/// The newest run has its result. What has waited for this end is reserved in the same write: a status between the two
/// would tell the end of the old run as that of the new spec.
fn ended_with(inputs: &Inputs<'_>, records: Records, job: Option<&JobView>) -> Move {
    let event = records.runs.first().and_then(ended_event);
    let moved = next_run(inputs, &records).unwrap_or_else(|| {
        match Move::record(inputs, records, Standing::Ended, Next::AwaitChange) {
            Move::Stay(course) => Move::Stay(Course { ended_as: job.cloned().map(Box::new), ..course }),
            act @ Move::Act(_) => act,
        }
    });
    moved.with_events(|events| events.extend(event))
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
        Some((_, Some(job))) if job.uid() == uid => Found::Job(job, Next::After(LOOK_AGAIN)),
        Some(_) => Found::Gone,
        None => match listed.chain(stand_in).find(is_it) {
            Some(job) => Found::Job(job, Next::After(LOOK_AGAIN)),
            None => Found::Ask(Read::Job(run.job_name.clone())),
        },
    }
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

/// A run that was replaced is told by the start of its successor.
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
        RunResult::Replaced => return None,
    };
    Some(Event::new(reason, &note).about(name, run.job_uid.as_deref()))
}

/// The API server refuses the Job; the run waits, and it is tried again.
fn forbidden(failure: Failure) -> Standing {
    Standing::Waiting {
        reason: Reason::JobForbidden,
        message: diagnosis::sentence(&failure),
        failure: Some(Box::new(failure)),
    }
}
