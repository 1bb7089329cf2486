//! The life of a run: reserve, create, record, and clean up.
//!
//! The rules are numbered in the comments as in the run protocol (docs/run-protocol.md). Where the plain reading of
//! "reserve, create, record" fails, a rule says what is done instead: caches are stale, processes die between two
//! writes, answers get lost, two operators act at once, and people delete things.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::change;
use super::event::Event;
use super::observed::{Clock, Creation, JobView, Observed, StoredRequest};
use super::plan::{Change, Judged, Next, Plan, Read, Sound};
use super::status::{bounded_to, duration_text, whole_seconds};
use crate::api::condition::{EventReason, Reason, RunResult, Trigger};
use crate::api::status::{MAX_RUNS, Run, TemplatePin};
use crate::api::{JobRequestStatus, labels};
use crate::compile::digest::digest;
use crate::compile::names::job_name;

/// How old an answer may be when a create that rests on it is sent. Rule 6.
const PERMIT: Duration = Duration::from_secs(10);
/// No delete before this time after the uid was first seen recorded: a late create may be in flight. Rule 6.
const GRACE: Duration = Duration::from_secs(120);
/// How long the answer of a create stands in for the cache: a silent watch is noticed within this time.
const CACHE_LAG: Duration = Duration::from_secs(65);
/// When to look again at a Job which the cache does not show, but a GET does. Rule 8.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// When to try again while a name is held by a Job that is going.
const NAME_HELD: Duration = Duration::from_secs(5);
/// When to look again at templates which the cache shows older than the reservation has them. Rule 4.
const TEMPLATE_LAG: Duration = Duration::from_secs(1);
/// A request younger than this, at its first generation, cannot have been wiped. Rule 10.
const BRAND_NEW: SignedDuration = SignedDuration::from_secs(60);
/// First and longest pause after a forbidden create; it doubles.
const FORBIDDEN_PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// Where the newest run stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    /// No run, and none can be made: the spec is rejected.
    NoRun,
    /// A run is due or reserved, and on its way.
    Due,
    /// A run is due or reserved, and held by `suspend`.
    Held,
    /// A run is reserved, and something outside is in the way.
    Waiting(Reason, String),
    /// The Job exists and has not ended.
    Live(Box<JobView>),
    /// The newest run has ended, and no other is due.
    Ended,
}

/// The records as they are to be, and where the newest run stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Course {
    /// Newest first.
    pub runs: Vec<Run>,
    /// Of the newest run.
    pub standing: Standing,
    /// The Job, in the round in which the newest run's result is recorded.
    pub ended_as: Option<Box<JobView>>,
    /// Of what changed in the records.
    pub events: Vec<Event>,
    /// When to look again.
    pub next: Next,
}

/// What a look at the newest run comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Move {
    /// Ask or change first.
    Act(Plan),
    /// Describe how things stand.
    Stay(Course),
}

impl Move {
    fn stay(runs: &[Run], standing: Standing, next: Next) -> Self {
        Self::Stay(Course { runs: runs.to_vec(), standing, ended_as: None, events: Vec::new(), next })
    }
}

/// The records to go by: those of the status, or, when it was wiped, those which the Jobs themselves tell. Rule 10.
///
/// # Errors
/// The read that is needed first.
pub(super) fn records(
    observed: &Observed,
    request: &StoredRequest,
    stored: &JobRequestStatus,
    clock: Clock,
) -> Result<Vec<Run>, Read> {
    if !stored.is_unwritten() {
        return Ok(stored.runs.clone());
    }
    let Some(jobs) = &observed.answers.jobs else {
        let age =
            request.metadata.creation_timestamp.as_ref().map(|created| clock.now.duration_since(created.0));
        let is_brand_new = request.generation() <= 1
            && age.is_some_and(|age| age < BRAND_NEW)
            && observed.memory.recorded_since.is_empty()
            && !observed.jobs.iter().any(|job| job.is_of(request.uid()));
        return if is_brand_new { Ok(Vec::new()) } else { Err(Read::Jobs) };
    };
    let mut runs: Vec<Run> = jobs
        .iter()
        .filter(|job| job.is_of(request.uid()))
        .filter_map(|job| {
            let number = job.run().filter(|number| *number > 0)?;
            let mut run = reservation(request, number, Trigger::Created, String::new(), Vec::new());
            job.name().clone_into(&mut run.job_name);
            record_uid(&mut run, job);
            record_result(&mut run, job);
            Some(run)
        })
        .collect();
    // People copy Jobs, annotations and all: the one that bears the name of the run is that run.
    let is_renamed = |run: &Run| run.job_name != job_name(request.name(), run.number);
    runs.sort_by_key(|run| (std::cmp::Reverse(run.number), is_renamed(run)));
    runs.dedup_by_key(|run| run.number);
    runs.truncate(MAX_RUNS);
    Ok(runs)
}

/// Looks at the newest run.
pub(super) fn course(
    observed: &Observed,
    request: &StoredRequest,
    runs: &[Run],
    judged: &Judged<'_>,
    clock: Clock,
) -> Move {
    match runs.split_first() {
        Some((newest, _)) if newest.is_open() => match &newest.job_uid {
            Some(uid) => recorded(observed, request, runs, newest, uid, judged, clock),
            None => reserved(observed, request, runs, newest, judged, clock),
        },
        _ => ended(request, runs, judged),
    }
}

/// No run is open. Rules 3, 11, 13: one is reserved if the spec asks for it and nothing holds it back.
fn ended(request: &StoredRequest, runs: &[Run], judged: &Judged<'_>) -> Move {
    let at_rest = || if runs.is_empty() { Standing::NoRun } else { Standing::Ended };
    let Ok(Sound { spec, compiled }) = judged else {
        return Move::stay(runs, at_rest(), Next::AwaitChange);
    };
    let (number, trigger) = match runs.first() {
        None => (1, Trigger::Created),
        Some(newest) if change::asks_for_run(newest, request, spec) => {
            (newest.number.saturating_add(1), Trigger::SpecChange)
        }
        Some(_) => return Move::stay(runs, Standing::Ended, Next::AwaitChange),
    };
    if request.is_suspended() {
        return Move::stay(runs, Standing::Held, Next::AwaitChange);
    }
    let pins = compiled.as_ref().map(|compiled| compiled.templates.clone()).unwrap_or_default();
    let mut reserved = vec![reservation(request, number, trigger, digest(spec), pins)];
    reserved.extend(runs.iter().take(MAX_RUNS - 1).cloned().map(shorten));
    Move::Stay(Course {
        runs: reserved,
        standing: Standing::Due,
        ended_as: None,
        events: Vec::new(),
        next: Next::Again,
    })
}

/// A run is reserved, its Job is not recorded. Rules 4, 5, 6: created only on a fresh answer about the request.
fn reserved(
    observed: &Observed,
    request: &StoredRequest,
    runs: &[Run],
    newest: &Run,
    judged: &Judged<'_>,
    clock: Clock,
) -> Move {
    match observed.answers.creation_of(&newest.job_name) {
        Some(Creation::Created(job)) => {
            return record(request, runs, job, judged, Some(created_event(newest)));
        }
        Some(Creation::NameTaken) => return name_taken(observed, request, runs, newest, judged),
        Some(Creation::Forbidden(message)) => {
            let pause = forbidden_pause(observed.memory.forbidden.map_or(0, |(count, _)| count));
            return Move::stay(
                runs,
                Standing::Waiting(Reason::JobForbidden, message.clone()),
                Next::After(pause),
            );
        }
        Some(Creation::Invalid(_)) | None => {}
    }
    if let Some(course) = unrecorded(observed, request, runs, newest, judged) {
        return course;
    }
    let Ok(Sound { compiled: Some(compiled), .. }) = judged else {
        return Move::stay(runs, Standing::NoRun, Next::AwaitChange);
    };
    if request.is_suspended() {
        return Move::stay(runs, Standing::Held, Next::AwaitChange);
    }
    if is_older(&compiled.templates, &newest.templates) {
        return Move::stay(runs, Standing::Due, Next::After(TEMPLATE_LAG));
    }
    if let Some((_, until)) = observed.memory.forbidden.filter(|(_, until)| clock.uptime < *until) {
        let standing = waiting_as_before(request, newest.number);
        return Move::stay(runs, standing, Next::After(until.saturating_sub(clock.uptime)));
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
fn unrecorded(
    observed: &Observed,
    request: &StoredRequest,
    runs: &[Run],
    newest: &Run,
    judged: &Judged<'_>,
) -> Option<Move> {
    let name = &newest.job_name;
    observed.jobs.iter().find(|job| is_of_run(job, request, newest))?;
    match observed.answers.job.as_ref().filter(|(asked, _)| asked == name) {
        None => Some(Move::Act(Plan::ask(Read::Job(name.clone())))),
        Some((_, Some(job))) if is_of_run(job, request, newest) => {
            Some(record(request, runs, job, judged, None))
        }
        Some(_) => None,
    }
}

/// Rule 2: what the Job says it is, whoever owns it by now.
fn is_of_run(job: &JobView, request: &StoredRequest, run: &Run) -> bool {
    job.is_of(request.uid()) && job.run() == Some(run.number)
}

/// The name of the run's Job is taken. Rule 5: by whom decides.
fn name_taken(
    observed: &Observed,
    request: &StoredRequest,
    runs: &[Run],
    newest: &Run,
    judged: &Judged<'_>,
) -> Move {
    let held = |message: String| {
        Move::stay(runs, Standing::Waiting(Reason::PredecessorGoing, message), Next::After(NAME_HELD))
    };
    let name = &newest.job_name;
    let Some((_, holder)) = observed.answers.job.as_ref().filter(|(asked, _)| asked == name) else {
        return Move::Act(Plan::ask(Read::Job(name.clone())));
    };
    let Some(job) = holder else {
        return held(format!("Job {name} was in the way and has just gone; trying again"));
    };
    if is_of_run(job, request, newest) {
        return record(request, runs, job, judged, None);
    }
    if job.is_terminating() || job.is_of_predecessor(request.name(), request.uid()) {
        return held(format!(
            "Job {name} of a deleted JobRequest of this name is still going; the run starts when it is gone"
        ));
    }
    let Ok(Sound { spec, .. }) = judged else {
        return Move::stay(runs, Standing::NoRun, Next::AwaitChange);
    };
    // Rule 3: the next number, too, is reserved only when about to create.
    if request.is_suspended() {
        return Move::stay(runs, Standing::Held, Next::AwaitChange);
    }
    let number = newest.number.saturating_add(1);
    let next = reservation(request, number, newest.trigger, digest(spec), newest.templates.clone());
    let note = format!(
        "Job {name} exists and is not ours; run {} is skipped, run {} takes its place",
        newest.number, next.number
    );
    let mut moved = runs.to_vec();
    if let Some(first) = moved.first_mut() {
        *first = next;
    }
    Move::Stay(Course {
        runs: moved,
        standing: Standing::Due,
        ended_as: None,
        events: vec![Event::new(EventReason::NameTaken, &note)],
        next: Next::Again,
    })
}

/// The uid of the run's Job is recorded. Rules 7, 8: mirrored while it lives, recorded when it has ended, lost when it
/// is gone.
fn recorded(
    observed: &Observed,
    request: &StoredRequest,
    runs: &[Run],
    newest: &Run,
    uid: &str,
    judged: &Judged<'_>,
    clock: Clock,
) -> Move {
    let (job, next) = match find(observed, newest, uid, clock) {
        Found::Job(job, next) => (job, next),
        Found::Ask(read) => return Move::Act(Plan::ask(read)),
        Found::Gone => return lost(runs, clock.now),
    };
    if job.is_terminal() {
        return record(request, runs, job, judged, None);
    }
    if let (Ok(Sound { spec, compiled: Some(compiled) }), true) = (judged, is_ours_to_change(job, request))
        && let Some(patch) = change::in_place_patch(job, newest, spec, compiled)
    {
        return Move::Act(Plan::change(Change::Patch { name: newest.job_name.clone(), patch }));
    }
    let mut runs = runs.to_vec();
    if let Some(newest) = runs.first_mut() {
        record_progress(newest, job);
    }
    Move::Stay(Course {
        runs,
        standing: Standing::Live(Box::new(job.clone())),
        ended_as: None,
        events: Vec::new(),
        next,
    })
}

/// Records the uid of `job`, and its result if it has ended, in the newest run. Rule 7: digest and generation are the
/// Job's own.
fn record(
    request: &StoredRequest,
    runs: &[Run],
    job: &JobView,
    judged: &Judged<'_>,
    created: Option<Event>,
) -> Move {
    let mut runs = runs.to_vec();
    let mut events: Vec<Event> = created.into_iter().collect();
    let Some(newest) = runs.first_mut() else {
        return Move::stay(&runs, Standing::NoRun, Next::AwaitChange);
    };
    if newest.job_uid.is_none() {
        record_uid(newest, job);
    }
    record_progress(newest, job);
    if !record_result(newest, job) {
        let standing = Standing::Live(Box::new(job.clone()));
        return Move::Stay(Course { runs, standing, ended_as: None, events, next: Next::AwaitChange });
    }
    events.push(ended_event(newest));
    // A newer spec may have waited for this end: look again, once the result is written.
    let is_due = judged.as_ref().is_ok_and(|sound| change::asks_for_run(newest, request, sound.spec))
        && !request.is_suspended();
    let next = if is_due { Next::Again } else { Next::AwaitChange };
    let ended_as = Some(Box::new(job.clone()));
    Move::Stay(Course { runs, standing: Standing::Ended, ended_as, events, next })
}

fn lost(runs: &[Run], now: Timestamp) -> Move {
    let mut runs = runs.to_vec();
    let mut events = Vec::new();
    if let Some(newest) = runs.first_mut() {
        newest.result = Some(RunResult::Lost);
        newest.reason = Some(Reason::Lost.as_str().to_owned());
        newest.message = Some(format!(
            "Job {} was deleted before its result was seen; whether it did its work is unknown",
            newest.job_name
        ));
        set_end(newest, whole_seconds(now));
        events.push(ended_event(newest));
    }
    Move::Stay(Course { runs, standing: Standing::Ended, ended_as: None, events, next: Next::AwaitChange })
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

/// What clean-up comes to.
pub(super) struct CleanUp {
    /// Ask or delete first.
    pub act: Option<Plan>,
    /// When something falls due.
    pub next: Next,
}

/// Deletes what nothing needs any more: strays (rule 9) and Jobs whose TTL has passed. A result that is not in the
/// stored status yet keeps its Job.
pub(super) fn clean_up(
    observed: &Observed,
    request: &StoredRequest,
    stored: &JobRequestStatus,
    judged: &Judged<'_>,
    clock: Clock,
) -> CleanUp {
    let mut next = Next::AwaitChange;
    for job in observed.jobs.iter().filter(|job| is_ours_to_change(job, request)) {
        if is_stray(job, &stored.runs) {
            let act = match observed.answers.request_at {
                Some(_) => delete(job),
                None => Plan::ask(Read::Request),
            };
            return CleanUp { act: Some(act), next };
        }
        match time_to_live(observed, job, stored, judged, clock) {
            Some(left) if left.is_zero() => return CleanUp { act: Some(delete(job)), next },
            Some(left) => next = next.sooner(Next::After(left)),
            None => {}
        }
    }
    CleanUp { act: None, next }
}

/// Rule 2: only what is marked as ours and controlled by this very request is patched or deleted.
fn is_ours_to_change(job: &JobView, request: &StoredRequest) -> bool {
    job.is_of(request.uid()) && job.is_controlled_by(request.uid()) && !job.is_terminating()
}

/// Rule 9. A number above the newest means that the view of the request is stale.
fn is_stray(job: &JobView, runs: &[Run]) -> bool {
    let (Some(number), Some(newest)) = (job.run(), runs.first()) else {
        return false;
    };
    match runs.iter().find(|run| run.number == number) {
        Some(run) => match &run.job_uid {
            Some(uid) => uid != job.uid(),
            None => !run.is_open(),
        },
        None => number < newest.number,
    }
}

/// Time until `job` may be deleted because its run has ended; `None`: never.
fn time_to_live(
    observed: &Observed,
    job: &JobView,
    stored: &JobRequestStatus,
    judged: &Judged<'_>,
    clock: Clock,
) -> Option<Duration> {
    let run = stored.runs.iter().find(|run| run.job_uid.as_deref() == Some(job.uid()))?;
    let compiled = judged.as_ref().ok().and_then(|sound| sound.compiled.as_ref());
    let settings = compiled.map(|compiled| &compiled.settings).or(stored.settings.as_ref())?;
    let seconds = match run.result? {
        RunResult::Succeeded => settings.ttl_seconds_after_finished?,
        RunResult::Failed => settings.ttl_seconds_after_failed?,
        RunResult::Lost => return None,
    };
    let due = run.end_time.as_ref()?.0.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()?;
    let left = Duration::try_from(due.duration_since(clock.now)).unwrap_or_default();
    let seen = observed.memory.recorded_since.get(job.uid()).copied().unwrap_or(clock.uptime);
    let grace = seen.saturating_add(GRACE).saturating_sub(clock.uptime);
    Some(left.max(grace))
}

fn delete(job: &JobView) -> Plan {
    Plan::change(Change::Delete {
        name: job.name().to_owned(),
        uid: job.uid().to_owned(),
        resource_version: job.resource_version().to_owned(),
    })
}

fn reservation(
    request: &StoredRequest,
    number: i32,
    trigger: Trigger,
    digest: String,
    templates: Vec<TemplatePin>,
) -> Run {
    Run {
        number,
        job_name: job_name(request.name(), number),
        job_uid: None,
        trigger,
        digest,
        generation: request.generation(),
        templates,
        start_time: None,
        end_time: None,
        duration: None,
        desired: None,
        succeeded: None,
        failed: None,
        result: None,
        reason: None,
        message: None,
    }
}

fn record_uid(run: &mut Run, job: &JobView) {
    run.job_uid = Some(job.uid().to_owned());
    if let Some(digest) = job.annotation(labels::DIGEST) {
        digest.clone_into(&mut run.digest);
    }
    if let Some(generation) = job.annotation(labels::GENERATION).and_then(|text| text.parse().ok()) {
        run.generation = generation;
    }
    let pins = job.annotation(labels::TEMPLATES).and_then(|text| serde_json::from_str(text).ok());
    run.templates = pins.unwrap_or_default();
}

fn record_progress(run: &mut Run, job: &JobView) {
    run.start_time = job.status.start_time.clone().or(run.start_time.take());
    run.desired = job.spec.completions;
    run.succeeded = Some(job.status.succeeded.unwrap_or_default());
    run.failed = Some(job.status.failed.unwrap_or_default());
}

/// Records the result, if the Job has ended. Written once: a run with a result is never looked at again.
fn record_result(run: &mut Run, job: &JobView) -> bool {
    let (result, condition) = match (job.true_condition("Complete"), job.true_condition("Failed")) {
        (Some(complete), _) => (RunResult::Succeeded, complete),
        (None, Some(failed)) => (RunResult::Failed, failed),
        (None, None) => return false,
    };
    record_progress(run, job);
    run.result = Some(result);
    let reason = if condition.reason.is_empty() { &condition.type_ } else { &condition.reason };
    run.reason = Some(bounded_to(reason, 1024));
    run.message = (!condition.message.is_empty()).then(|| bounded_to(&condition.message, 1024));
    let end = job.status.completion_time.as_ref().or(condition.last_transition_time.as_ref());
    if let Some(Time(end)) = end {
        set_end(run, *end);
    }
    true
}

fn set_end(run: &mut Run, end: Timestamp) {
    run.end_time = Some(Time(end));
    run.duration = run.start_time.as_ref().map(|start| duration_text(end.duration_since(start.0)));
}

/// An older record keeps less of its message.
fn shorten(mut run: Run) -> Run {
    run.message = run.message.map(|message| bounded_to(&message, 256));
    run
}

fn created_event(run: &Run) -> Event {
    Event::new(EventReason::RunCreated, &format!("run {} started as Job {}", run.number, run.job_name))
}

fn ended_event(run: &Run) -> Event {
    let cause = run.message.as_deref().or(run.reason.as_deref()).unwrap_or_default();
    let (number, name) = (run.number, &run.job_name);
    match run.result {
        Some(RunResult::Succeeded) | None => {
            Event::new(EventReason::Completed, &format!("run {number} (Job {name}) has completed"))
        }
        Some(RunResult::Failed) => {
            let reason = run.reason.as_deref().unwrap_or_default();
            Event::new(
                EventReason::Failed,
                &format!("run {number} (Job {name}) has failed: {reason}: {cause}"),
            )
        }
        Some(RunResult::Lost) => Event::new(EventReason::Lost, &format!("run {number} is lost: {cause}")),
    }
}

/// The pause after `count` forbidden creates in a row.
pub(super) fn forbidden_pause(count: u32) -> Duration {
    let (first, longest) = FORBIDDEN_PAUSE;
    first.saturating_mul(2_u32.saturating_pow(count.saturating_sub(1))).min(longest)
}

/// What the status says that run `number` waits for, while the pause lasts. Told without the words that the status
/// puts before it, or they would be put there again with each look.
fn waiting_as_before(request: &StoredRequest, number: i32) -> Standing {
    let status = request.known_status();
    let ready =
        status.conditions.iter().find(|c| c.type_ == "Ready" && c.reason == Reason::JobForbidden.as_str());
    let told = ready.and_then(|ready| ready.message.strip_prefix(&waits_prefix(number)));
    told.map_or(Standing::Due, |told| Standing::Waiting(Reason::JobForbidden, told.to_owned()))
}

/// How the status begins to tell what run `number` waits for.
pub(super) fn waits_prefix(number: i32) -> String {
    format!("run {number} waits: ")
}
