//! Events about what is new in a status: each is sent once, after the write that says so.

use crate::api::JobRequestStatus;
use crate::api::condition::{ConditionType, EventReason, Reason, Trigger};
use crate::api::failure::Failure;
use crate::reconcile::diagnosis;
use crate::reconcile::event::Event;
use crate::reconcile::observed::Announced;
use crate::reconcile::state::{Facts, RunOutcome, RunState};

/// What `described` shows that the stored status does not, as events.
pub(in crate::reconcile) fn events(
    facts: &Facts<'_>,
    outcome: &RunOutcome,
    described: &JobRequestStatus,
) -> Vec<Event> {
    let all = [
        rerun(facts.stored, described),
        cause(facts, outcome),
        refused_change(facts.stored, described),
        hook(facts.stored, described),
    ];
    all.into_iter().flatten().collect()
}

/// A rerun that was asked for has to wait. A run that is being replaced starts its successor soon enough.
fn rerun(stored: &JobRequestStatus, described: &JobRequestStatus) -> Option<Event> {
    let waits = |status: &JobRequestStatus| status.pending_trigger == Some(Trigger::Rerun);
    let ready = described.condition(ConditionType::Ready)?;
    let is_replaced = ready.reason == Reason::Replacing.as_str();
    (waits(described) && !waits(stored) && !is_replaced)
        .then(|| Event::new(EventReason::RerunRequested, &ready.message))
}

/// It is a hook of a Helm chart.
fn hook(stored: &JobRequestStatus, described: &JobRequestStatus) -> Option<Event> {
    let now = described.condition(ConditionType::NotAwaited)?;
    let is_news = stored.condition(ConditionType::NotAwaited).is_none();
    is_news.then(|| Event::new(EventReason::NotAwaited, &now.message))
}

/// What holds the newest run up, or a pod of it that has failed: once for each cause, with the hint. How the run ends has an
/// event of its own.
fn cause(facts: &Facts<'_>, outcome: &RunOutcome) -> Option<Event> {
    // What is stopped has its reason already.
    let run = outcome.newest().filter(|run| run.stop.is_none())?;
    let (reason, failure) = held_up(&outcome.state)?;
    let announced = Announced::new(&run.job_name, failure);
    let stored = facts.stored.failure.as_ref().filter(|_| facts.stored.run == Some(run.number));
    let stored = stored.map(|stored| Announced::new(&run.job_name, stored));
    if !facts.observed.memory.is_news(&announced, stored.as_ref()) {
        return None;
    }
    let note = format!("run {}: {}", run.number, diagnosis::sentence(failure));
    let event = Event::with_hint(reason, &note, failure.hint.as_deref());
    let uid = run.job_uid.as_deref();
    Some(Event { announced: Some(announced), ..event.about(&run.job_name, uid) })
}

/// The reason of the event about a run that is held up, or of which a pod has failed.
fn held_up(state: &RunState) -> Option<(EventReason, &Failure)> {
    match state {
        RunState::Waiting { failure: Some(failure), .. } => Some((EventReason::JobForbidden, failure)),
        RunState::Live { job, progress: Some(progress) } if !job.is_ending() && !job.is_terminating() => {
            let failure = progress.failure.as_ref()?;
            let reason = match progress.reason {
                Reason::PodsForbidden => EventReason::PodsForbidden,
                Reason::Unschedulable => EventReason::Unschedulable,
                Reason::ImagePullFailed => EventReason::ImagePullFailed,
                Reason::ContainerConfigError => EventReason::ContainerConfigError,
                Reason::ContainerCreateFailed => EventReason::ContainerCreateFailed,
                Reason::Running | Reason::Starting => EventReason::PodFailed,
                _ => return None,
            };
            Some((reason, failure))
        }
        RunState::Waiting { .. }
        | RunState::Live { .. }
        | RunState::NoRun
        | RunState::Due
        | RunState::Held
        | RunState::Ended
        | RunState::OnHold => None,
    }
}

/// A change that the API server refuses, once for each kind of change.
fn refused_change(stored: &JobRequestStatus, described: &JobRequestStatus) -> Option<Event> {
    let refused = described.condition(ConditionType::ChangeRefused)?;
    let was = stored.condition(ConditionType::ChangeRefused);
    was.is_none_or(|was| was.reason != refused.reason)
        .then(|| Event::new(EventReason::ChangeRefused, &refused.message))
}
