//! Runs that the operator itself stops: for a newer one (rule 14), if it replaces them or they are stuck at the start;
//! because no container of the work started in time; because the stored Job exceeds limits; or because somebody asks for
//! it (rule 16).
//!
//! All are decided in the record first, and done after that was written: anyone who finds the Job gone, or failed by a
//! deadline, knows why. Takes a live Job of our own that has not ended.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use crate::api::condition::Stop;
use crate::api::status::Run;
use crate::reconcile::cancel;
use crate::reconcile::clean_up::{delete, grace};
use crate::reconcile::diagnosis::Diagnosis;
use crate::reconcile::history::RunHistory;
use crate::reconcile::observed::JobView;
use crate::reconcile::patch;
use crate::reconcile::plan::{Change, Next, Plan, Propagation};
use crate::reconcile::state::{Blocked, Facts, attempt};
use crate::reconcile::trigger::Pending;

/// The shortest deadline of a Job that Kubernetes takes, in seconds.
const SHORTEST_DEADLINE: i64 = 1;

/// Whether a run is stopped.
pub(super) enum StopDecision {
    /// Read or change something first.
    Act(Box<Plan>),
    /// Record the decision; when to look again.
    Record(RunHistory, Next),
    /// What stops it is refused for now.
    Blocked(Blocked),
    /// The run continues; when to look again.
    Continue(Next),
}

impl StopDecision {
    fn act(plan: Plan) -> Self {
        Self::Act(Box::new(plan))
    }

    fn attempt(facts: &Facts<'_>, change: Change) -> Self {
        attempt(facts.observed, change, facts.clock).map_or_else(Self::Blocked, Self::act)
    }
}

/// Decides whether `newest`, whose `job` lives and is ours to change, is stopped; `wanted` comes after it.
pub(super) fn stop(
    facts: &Facts<'_>,
    newest: &Run,
    job: &JobView,
    wanted: &Pending,
    diagnosis: &Diagnosis<'_>,
) -> StopDecision {
    match newest.stop {
        // A container that has started since wins.
        Some(Stop::NeverStarted) if diagnosis.has_begun_work() && !job.is_terminating() => {
            let history = facts.history.with_newest(|newest| (newest.stop, newest.failure) = (None, None));
            StopDecision::Record(history, Next::Again)
        }
        // Final, even if the spec has returned since.
        Some(Stop::Replace | Stop::LimitsExceeded | Stop::NeverStarted | Stop::Cancel) => replace(facts, job),
        Some(Stop::StartDeadline) => start_deadline(facts, newest, job, diagnosis),
        None => decide_to_cancel(facts, job).unwrap_or_else(|| {
            match decide_to_replace(facts, newest, job, wanted, diagnosis) {
                StopDecision::Continue(Next::AwaitChange) => start_deadline(facts, newest, job, diagnosis),
                decided => decided,
            }
        }),
    }
}

/// Rule 14 (a): the decision is written, if a run is asked for that does not wait: because it replaces the active one, or
/// because that one is stuck before any of its work has begun. A fix would wait indefinitely behind the run that it fixes.
fn decide_to_replace(
    facts: &Facts<'_>,
    newest: &Run,
    job: &JobView,
    wanted: &Pending,
    diagnosis: &Diagnosis<'_>,
) -> StopDecision {
    let why = if facts.policy.replaces() { Stop::Replace } else { Stop::NeverStarted };
    // A Job that is about to end has its result already; it would be lost.
    if facts.request.is_suspended() || job.is_ending() {
        return StopDecision::Continue(Next::AwaitChange);
    }
    match wanted {
        Pending::Nothing | Pending::HeldBack | Pending::AwaitTurn => {
            StopDecision::Continue(Next::AwaitChange)
        }
        _ if why == Stop::NeverStarted && !diagnosis.is_stuck_at_the_start(newest) => {
            StopDecision::Continue(Next::AwaitChange)
        }
        Pending::Run(..) => {
            let history = facts.history.with_newest(|newest| {
                newest.stop = Some(why);
                if why == Stop::NeverStarted {
                    newest.failure = diagnosis.stuck_on();
                }
            });
            StopDecision::Record(history, Next::Again)
        }
        Pending::Ask(read) => StopDecision::act(Plan::ask(read.clone())),
    }
}

/// Rule 16: the decision is written, with who asked for it, before the Job is deleted: it would be `Lost` otherwise. A Job
/// that is about to end has its result already.
fn decide_to_cancel(facts: &Facts<'_>, job: &JobView) -> Option<StopDecision> {
    let why = cancel::asked_for(facts.request, job.uid()).filter(|_| !job.is_ending())?;
    let history = facts.history.with_newest(|newest| {
        newest.stop = Some(Stop::Cancel);
        (newest.message, newest.failure) = (Some(why), None);
    });
    Some(StopDecision::Record(history, Next::Again))
}

/// Rule 14 (b): deleted in the foreground, so that it is gone only when its pods are.
fn replace(facts: &Facts<'_>, job: &JobView) -> StopDecision {
    if job.is_ending() {
        return StopDecision::Continue(Next::AwaitChange);
    }
    let grace = grace(facts.observed, job, facts.clock);
    if grace.is_zero() {
        StopDecision::attempt(facts, delete(job, Propagation::Foreground))
    } else {
        StopDecision::Continue(Next::After(grace))
    }
}

/// `settings.startDeadlineSeconds`, with what the templates say.
fn start_deadline_seconds(facts: &Facts<'_>) -> Option<i64> {
    let compiled = facts.acceptance.as_ref().ok().and_then(|accepted| accepted.compiled.as_ref());
    let settings = compiled.map(|compiled| &compiled.settings).or(facts.stored.settings.as_ref());
    settings.and_then(|settings| settings.start_deadline_seconds)
}

/// Counted from the Job's start, so never while it is suspended. The cause is recorded with the decision, while the
/// pods are there; then the live Job's own deadline is lowered to one that has passed, and the Job controller ends it. It
/// is the same one each time, so that a patch which is refused is known again. A container that started meanwhile wins.
fn start_deadline(facts: &Facts<'_>, newest: &Run, job: &JobView, diagnosis: &Diagnosis<'_>) -> StopDecision {
    let no = StopDecision::Continue(Next::AwaitChange);
    let is_done = patch::last_written(job).is_none_or(|last| last.stopped);
    let is_paused = job.spec.suspend == Some(true) || job.is_ending();
    let (Some(start), false) = (job.status.start_time.as_ref(), is_done || is_paused) else {
        return no;
    };
    if newest.stop == Some(Stop::StartDeadline) {
        if diagnosis.has_begun_work() {
            let history = facts.history.with_newest(|newest| {
                (newest.stop, newest.message, newest.failure) = (None, None, None);
            });
            return StopDecision::Record(history, Next::AwaitChange);
        }
        let passed = facts.clock.now.duration_since(start.0).as_secs();
        // It has passed since it was decided; one that was raised meanwhile has perhaps not.
        let deadline = start_deadline_seconds(facts).filter(|seconds| *seconds <= passed);
        return patch::stop_patch(job, deadline.unwrap_or(SHORTEST_DEADLINE)).map_or(no, |patch| {
            StopDecision::attempt(facts, Change::Patch { name: job.name().to_owned(), patch })
        });
    }
    let Some(seconds) = start_deadline_seconds(facts) else {
        return no;
    };
    if diagnosis.has_begun_work() {
        return no;
    }
    let due = start.0.checked_add(SignedDuration::from_secs(seconds));
    let left = due.map_or(SignedDuration::MAX, |due| due.duration_since(facts.clock.now));
    if left.is_positive() {
        return StopDecision::Continue(Next::After(Duration::try_from(left).unwrap_or(Duration::MAX)));
    }
    let (failure, message) = diagnosis.late_start(seconds);
    let history = facts.history.with_newest(|newest| {
        newest.stop = Some(Stop::StartDeadline);
        (newest.message, newest.failure) = (Some(message), Some(failure));
    });
    StopDecision::Record(history, Next::Again)
}
