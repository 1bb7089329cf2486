//! Runs that the operator itself stops: for a newer one (rule 14), or because no container started in time.
//!
//! Both are decided in the record first, and done after that was written: whoever finds the Job gone, or failed by a
//! deadline, knows why. Takes a live Job of ours that has not ended.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::trigger::{self, Want};
use super::clean_up::{delete, grace};
use super::state::{Blocked, Inputs, attempt};
use super::diagnosis;
use super::observed::JobView;
use super::plan::{Change, Next, Plan, Propagation};
use super::history::Records;
use crate::api::condition::Stop;
use crate::api::status::Run;

/// What stopping comes to.
pub(super) enum Stopping {
    /// Ask or change first.
    Act(Box<Plan>),
    /// Record the decision; when to look again.
    Record(Records, Next),
    /// What stops it is refused for now.
    Blocked(Blocked),
    /// The run goes on; when to look again.
    No(Next),
}

impl Stopping {
    fn act(plan: Plan) -> Self {
        Self::Act(Box::new(plan))
    }

    fn attempt(inputs: &Inputs<'_>, change: Change) -> Self {
        attempt(inputs.observed, change, inputs.clock).map_or_else(Self::Blocked, Self::act)
    }
}

/// Looks whether `newest`, whose `job` lives and is ours to change, is to be stopped.
pub(super) fn stop(inputs: &Inputs<'_>, newest: &Run, job: &JobView) -> Stopping {
    match newest.stop {
        // Final, even if the spec has returned since.
        Some(Stop::Replace) => replace(inputs, job),
        Some(Stop::StartDeadline) => start_deadline(inputs, newest, job),
        None => match decide_to_replace(inputs, job) {
            Stopping::No(Next::AwaitChange) => start_deadline(inputs, newest, job),
            decided => decided,
        },
    }
}

/// Rule 14 (a): the decision is written, if a run is asked for that does not wait.
fn decide_to_replace(inputs: &Inputs<'_>, job: &JobView) -> Stopping {
    // A Job that is about to end has its result already; it would be lost.
    if !inputs.policy.replaces() || inputs.request.is_suspended() || job.is_ending() {
        return Stopping::No(Next::AwaitChange);
    }
    match inputs.want_after(inputs.records) {
        Want::Run(..) => {
            let records = inputs.records.with_newest(|newest| newest.stop = Some(Stop::Replace));
            Stopping::Record(records, Next::Again)
        }
        Want::Ask(read) => Stopping::act(Plan::ask(read)),
        Want::Nothing | Want::HeldBack => Stopping::No(Next::AwaitChange),
    }
}

/// Rule 14 (b): deleted in the foreground, so that it is gone only when its pods are.
fn replace(inputs: &Inputs<'_>, job: &JobView) -> Stopping {
    if job.is_ending() {
        return Stopping::No(Next::AwaitChange);
    }
    let grace = grace(inputs.observed, job, inputs.clock);
    if grace.is_zero() {
        Stopping::attempt(inputs, delete(job, Propagation::Foreground))
    } else {
        Stopping::No(Next::After(grace))
    }
}

/// Counted from the Job's start, so never while it is suspended. The cause is recorded with the decision, while the
/// pods are there; then the live Job's own deadline is lowered to the time that has passed, and the Job controller ends
/// it. A container that started meanwhile wins.
fn start_deadline(inputs: &Inputs<'_>, newest: &Run, job: &JobView) -> Stopping {
    let no = Stopping::No(Next::AwaitChange);
    let is_done = change::last_written(job).is_none_or(|last| last.stopped);
    let is_paused = job.spec.suspend == Some(true) || job.is_ending();
    let (Some(start), false) = (job.status.start_time.as_ref(), is_done || is_paused) else {
        return no;
    };
    let own_pods = inputs.observed.pods.iter().filter(|pod| pod.is_controlled_by(job.uid()));
    let has_started = diagnosis::run_has_started(newest, job, own_pods);
    if newest.stop == Some(Stop::StartDeadline) {
        if has_started {
            let records = inputs.records.with_newest(|newest| {
                (newest.stop, newest.message, newest.failure) = (None, None, None);
            });
            return Stopping::Record(records, Next::AwaitChange);
        }
        let passed = inputs.clock.now.duration_since(start.0).as_secs().max(1);
        return change::stop_patch(job, passed).map_or(no, |patch| {
            Stopping::attempt(inputs, Change::Patch { name: job.name().to_owned(), patch })
        });
    }
    let compiled = inputs.judged.as_ref().ok().and_then(|sound| sound.compiled.as_ref());
    let settings = compiled.map(|compiled| &compiled.settings).or(inputs.stored.settings.as_ref());
    let Some(seconds) = settings.and_then(|settings| settings.start_deadline_seconds) else {
        return no;
    };
    let due = start.0.checked_add(SignedDuration::from_secs(seconds));
    let left = due.map_or(SignedDuration::MAX, |due| due.duration_since(inputs.clock.now));
    if has_started {
        return no;
    }
    if left.is_positive() {
        return Stopping::No(Next::After(Duration::try_from(left).unwrap_or(Duration::MAX)));
    }
    let (failure, message) = diagnosis::late_start(inputs, newest, job, seconds);
    let records = inputs.records.with_newest(|newest| {
        newest.stop = Some(Stop::StartDeadline);
        (newest.message, newest.failure) = (Some(message), Some(failure));
    });
    Stopping::Record(records, Next::Again)
}
