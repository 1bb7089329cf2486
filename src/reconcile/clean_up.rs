//! What is deleted because nothing needs it any more: strays, and Jobs of recorded runs whose time to live has passed
//! or which the history limits do not keep. Never a record.
//!
//! Takes the facts, with the stored status, in which a result must stand before its Job goes; returns the next delete,
//! or when one falls due.

use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use super::observed::{Clock, JobView, Observed, StoredRequest};
use super::plan::{Change, Next, Plan, Propagation, Read};
use super::state::{Blocked, Facts, attempt};
use crate::api::condition::RunResult;
use crate::api::run_policy::RunPolicy;
use crate::api::status::Run;

/// Minimum time between first seeing the recorded uid and deleting the Job, because a late create may still be in
/// flight. Rule 6.
const GRACE: Duration = Duration::from_secs(120);

/// What there is to clean up.
pub(super) struct CleanUp {
    /// Read or delete something first.
    pub act: Option<Plan>,
    /// Deletes that are due and refused.
    pub blocked: Vec<Blocked>,
    /// A delete is due, but waits for creates that may still be in flight.
    pub is_in_grace: bool,
    /// When something falls due.
    pub next: Next,
}

/// Looks for what may go.
pub(super) fn clean_up(facts: &Facts<'_>) -> CleanUp {
    let Facts { observed, request, stored, policy, clock, .. } = *facts;
    let mut clean_up =
        CleanUp { act: None, blocked: Vec::new(), is_in_grace: false, next: Next::AwaitChange };
    for job in observed.jobs.iter().filter(|job| is_ours_to_change(job, request)) {
        if is_stray(job, &stored.runs) {
            if observed.answers.request_at.is_none() {
                clean_up.act = Some(Plan::ask(Read::Request));
                return clean_up;
            }
            if clean_up.attempt(facts, job) {
                return clean_up;
            }
            continue;
        }
        let Some(run) = stored.runs.iter().find(|run| run.job_uid.as_deref() == Some(job.uid())) else {
            continue;
        };
        let lives =
            if is_kept(run, &stored.runs, policy) { time_to_live(facts, run) } else { Some(Duration::ZERO) };
        let Some(lives) = lives else { continue };
        let left = lives.max(grace(observed, job, clock));
        if !left.is_zero() {
            clean_up.is_in_grace |= lives.is_zero();
            clean_up.next = clean_up.next.sooner(Next::After(left));
        } else if clean_up.attempt(facts, job) {
            return clean_up;
        }
    }
    clean_up
}

impl CleanUp {
    /// Deletes `job`; false: that is refused for now, and nothing else waits for it.
    fn attempt(&mut self, facts: &Facts<'_>, job: &JobView) -> bool {
        match attempt(facts.observed, delete(job, Propagation::Background), facts.clock) {
            Ok(plan) => self.act = Some(plan),
            Err(blocked) => {
                self.next = blocked.pause.map_or(self.next, |pause| self.next.sooner(Next::After(pause)));
                self.blocked.push(blocked);
            }
        }
        self.act.is_some()
    }
}

/// Rule 2: only what is marked as our own and controlled by this very request is patched or deleted.
pub(super) fn is_ours_to_change(job: &JobView, request: &StoredRequest) -> bool {
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

/// Time until the Job of `run` may be deleted because of its age; `None`: never.
fn time_to_live(facts: &Facts<'_>, run: &Run) -> Option<Duration> {
    let compiled = facts.acceptance.as_ref().ok().and_then(|accepted| accepted.compiled.as_ref());
    let settings = compiled.map(|compiled| &compiled.settings).or(facts.stored.settings.as_ref())?;
    let seconds = match run.result? {
        RunResult::Succeeded => settings.ttl_seconds_after_finished?,
        RunResult::Failed => settings.ttl_seconds_after_failed?,
        RunResult::Lost | RunResult::Replaced | RunResult::Cancelled => return None,
    };
    let due = run.end_time.as_ref()?.0.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()?;
    Some(Duration::try_from(due.duration_since(facts.clock.now)).unwrap_or_default())
}

/// The history limits keep the Job of `run`: it is open, or among the newest of those which ended in the same way.
fn is_kept(run: &Run, runs: &[Run], policy: &RunPolicy) -> bool {
    let limit = match run.result {
        Some(RunResult::Succeeded) => policy.successful_runs_history_limit,
        Some(RunResult::Failed) => policy.failed_runs_history_limit,
        Some(RunResult::Lost | RunResult::Replaced | RunResult::Cancelled) | None => None,
    };
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else {
        return true;
    };
    let newer = runs.iter().filter(|other| other.result == run.result && other.number > run.number);
    newer.count() < limit
}

/// How long the delete of `job` has to wait for creates which may still be in flight. Rule 6: none are, when this
/// process has held the lease since before it reserved the run, and its only create was answered.
pub(super) fn grace(observed: &Observed, job: &JobView, clock: Clock) -> Duration {
    let memory = &observed.memory;
    let is_sole = memory
        .only_creates
        .get(job.uid())
        .zip(observed.sole_since)
        .is_some_and(|(reserved_at, since)| since <= *reserved_at);
    if is_sole {
        return Duration::ZERO;
    }
    let seen = memory.recorded_since.get(job.uid()).copied().unwrap_or(clock.uptime);
    seen.saturating_add(GRACE).saturating_sub(clock.uptime)
}

/// Deletes `job`, if it is still as it was judged. Rule 1.
pub(super) fn delete(job: &JobView, propagation: Propagation) -> Change {
    Change::Delete {
        name: job.name().to_owned(),
        uid: job.uid().to_owned(),
        resource_version: job.resource_version().to_owned(),
        propagation,
    }
}
