//! The whole status: phase, conditions, counts.
//!
//! Takes the facts, the outcome of the newest run and the stored status; returns the whole new status. [`verdict`] decides
//! the phase, Ready, Reconciling and Stalled, [`conditions`] writes all conditions, [`events`] says what is new.

mod conditions;
mod events;
mod limit_range;
mod verdict;

use super::clean_up::CleanUp;
use super::state::{Facts, RunOutcome, RunState};
use super::trigger::Pending;
use crate::api::JobRequestStatus;
use crate::api::condition::{ConditionType, Reason, Trigger};
use crate::api::status::HandledRerun;
use crate::compile::Compiled;
use verdict::Verdict;

pub(super) use conditions::accepted;
pub use conditions::outdated;
pub(super) use events::events;

/// Describes the state of the request.
pub(super) fn describe(facts: &Facts<'_>, outcome: &RunOutcome, clean_up: &CleanUp) -> JobRequestStatus {
    let stored = facts.stored;
    let newest = outcome.newest();
    // What a run was created with stays with it: a template edited since is for the next one.
    let compiled =
        facts.acceptance.as_ref().ok().and_then(|accepted| accepted.compiled.as_ref()).filter(|compiled| {
            newest.is_none_or(|run| run.job_uid.is_none() || run.templates == compiled.templates)
        });
    let verdict = Verdict::of(facts, outcome);
    let defaulted = compiled.map_or_else(|| stored.defaulted.clone(), Compiled::defaulted);
    let defaulted = limit_range::with(defaulted, facts, outcome);
    // Of a rejected spec nothing has run: figures of an older run would look like its own, unless that is still active.
    let is_only_rejected =
        matches!(verdict, Verdict::Rejected(_)) && !matches!(outcome.state, RunState::Live { .. });
    let ran = newest.filter(|_| !is_only_rejected);
    let handled = &outcome.history.handled;
    let mut status = JobRequestStatus {
        observed_generation: facts.request.generation(),
        phase: Some(verdict.phase()),
        conditions: conditions::conditions(facts, outcome, clean_up, &verdict, &defaulted),
        run: newest.map(|run| run.number),
        job_name: newest.map(|run| run.job_name.clone()),
        start_time: ran.and_then(|run| run.start_time.clone()),
        end_time: ran.and_then(|run| run.end_time.clone()),
        duration: ran.and_then(|run| run.duration.clone()),
        settings: compiled.map(|compiled| compiled.settings.clone()).or(stored.settings.clone()),
        run_policy: compiled.map(|compiled| compiled.run_policy.clone()).or(stored.run_policy.clone()),
        last_handled_rerun: (*handled != HandledRerun::default()).then(|| handled.clone()),
        held: outcome.history.held.clone(),
        pending_trigger: pending_trigger(outcome),
        failure: match &outcome.state {
            RunState::Ended => newest.and_then(|run| run.failure.clone()),
            RunState::Waiting { failure, .. } => failure.as_deref().cloned(),
            RunState::Live { progress, .. } => {
                progress.as_ref().and_then(|progress| progress.failure.clone())
            }
            RunState::NoRun | RunState::Due | RunState::Held | RunState::OnHold => None,
        },
        defaulted,
        runs: outcome.history.runs.clone(),
        ..JobRequestStatus::default()
    };
    if !is_only_rejected {
        count(&mut status, facts, outcome);
    }
    status.reason = reason(&status, &verdict);
    status
}

/// Why it stands as it does, in one word: the kind of the failure, where there is one; that changes are held back; or else the
/// reason of Ready. Of a rejected request, the failure is that of an older spec.
fn reason(status: &JobRequestStatus, verdict: &Verdict<'_>) -> Option<String> {
    let failure = status.failure.as_ref().filter(|_| !matches!(verdict, Verdict::Rejected(_)));
    let category = failure.map(|failure| failure.category.to_string());
    let held = || status.condition(ConditionType::PendingChanges).map(|held| held.type_.clone());
    category.or_else(held).or_else(|| Some(status.condition(ConditionType::Ready)?.reason.clone()))
}

/// The two statuses differ at most in what templates, edited since, would do to the next run, or in what the release that
/// wrote the stored one did not know. That is shown by the next write: an edit of a template alone, or an upgrade, writes
/// nothing.
pub(super) fn differs_in_what_can_wait(stored: &JobRequestStatus, described: &JobRequestStatus) -> bool {
    let conditions = |status: &JobRequestStatus| {
        let mut conditions = status.conditions.clone();
        let can_wait =
            [ConditionType::TemplateOutdated, ConditionType::NotAwaited].map(ConditionType::as_str);
        conditions.retain(|condition| !can_wait.contains(&condition.type_.as_str()));
        conditions
    };
    // The first releases wrote none: an upgrade writes nothing to requests at rest.
    let reason = stored.reason.is_some().then(|| described.reason.clone()).flatten();
    stored == described
        || (conditions(stored) == conditions(described)
            && *stored
                == JobRequestStatus { conditions: stored.conditions.clone(), reason, ..described.clone() })
}

/// The two statuses differ at most in how far a run has come: counts, start, the newest pod that failed, and the
/// announcement of its success.
pub(super) fn differs_in_progress_only(stored: &JobRequestStatus, described: &JobRequestStatus) -> bool {
    without_progress(stored) == without_progress(described)
}

fn without_progress(status: &JobRequestStatus) -> JobRequestStatus {
    let mut status = status.clone();
    (status.active, status.ready, status.succeeded, status.failed) = (None, None, None, None);
    // While pods fail and are replaced; whatever keeps a run from starting changes Ready, too.
    (status.completions, status.start_time, status.failure) = (None, None, None);
    status.reason = None;
    limit_range::without(&mut status);
    status.conditions.retain(|condition| condition.type_ != ConditionType::SuccessCriteriaMet.as_str());
    // What a LimitRange set in the pods that there are by now.
    for condition in &mut status.conditions {
        if condition.type_ == ConditionType::Accepted.as_str() && condition.reason == Reason::Valid.as_str() {
            condition.message.clear();
        }
    }
    // How many pods have failed, and how the last one did.
    if status.condition(ConditionType::Ready).is_some_and(|ready| ready.reason == Reason::Running.as_str()) {
        for type_ in [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Finished] {
            let shown = status.conditions.iter_mut().find(|condition| condition.type_ == type_.as_str());
            if let Some(condition) = shown {
                condition.message.clear();
            }
        }
    }
    if let Some(run) = status.runs.first_mut().filter(|run| run.is_open()) {
        (run.start_time, run.desired, run.succeeded, run.failed) = (None, None, None, None);
    }
    status
}

/// What asked for the run that waits: the newest one has a Job and has not ended, or `suspend` holds the next one back.
fn pending_trigger(outcome: &RunOutcome) -> Option<Trigger> {
    let is_next = match outcome.state {
        RunState::Live { .. } => true,
        RunState::Held => outcome.newest().is_none_or(|newest| !newest.is_open()),
        RunState::NoRun | RunState::Due | RunState::Waiting { .. } | RunState::Ended | RunState::OnHold => {
            false
        }
    };
    match outcome.wanted {
        Pending::Run(trigger, _) if is_next => Some(trigger),
        _ => None,
    }
}

fn count(status: &mut JobRequestStatus, facts: &Facts<'_>, outcome: &RunOutcome) {
    let compiled = facts.acceptance.as_ref().ok().and_then(|accepted| accepted.compiled.as_ref());
    let of_spec = compiled.and_then(|compiled| compiled.settings.completions);
    match (&outcome.state, outcome.newest()) {
        (RunState::Live { job, .. }, _) => {
            status.desired = job.spec.completions;
            status.active = Some(job.status.active.unwrap_or_default());
            status.ready = Some(job.status.ready.unwrap_or_default());
            status.succeeded = Some(job.status.succeeded.unwrap_or_default());
            status.failed = Some(job.status.failed.unwrap_or_default());
        }
        // The Job may be gone by now: a finished run is described from its record.
        (RunState::Ended, Some(run)) => {
            status.desired = run.desired;
            (status.active, status.ready) = (Some(0), Some(0));
            status.succeeded = run.succeeded;
            status.failed = run.failed;
        }
        // It is not compiled again at rest.
        (RunState::OnHold, _) => {
            status.desired = status.settings.as_ref().and_then(|settings| settings.completions);
        }
        (
            RunState::Ended | RunState::NoRun | RunState::Due | RunState::Held | RunState::Waiting { .. },
            _,
        ) => {
            status.desired = of_spec;
        }
    }
    let succeeded = status.succeeded.unwrap_or_default();
    status.completions = match status.desired {
        Some(desired) => Some(format!("{succeeded}/{desired}")),
        None => status.succeeded.map(|succeeded| succeeded.to_string()),
    };
}
