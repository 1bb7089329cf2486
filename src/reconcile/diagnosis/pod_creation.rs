//! Why a Job cannot create pods, which only its events say; and why the API server refuses the Job itself.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::cause::{Cause, MAX_MESSAGE_BYTES, blank};
use super::event_query::EventQuery;
use super::{hint, refusal};
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::format::bounded_to;
use crate::reconcile::observed::{ContainerView, EventView, EventsOf, JobView, Pause, PodView, Refusal};

/// How long a Job may take to create pods before events are queried.
const QUERY_DELAY: Duration = Duration::from_secs(5);
/// Twice the pause which the Job controller makes after failed pods, but no longer: it also waits for the pod to be gone.
const BACKOFF: Pause = Pause { first: Duration::from_secs(20), longest: Duration::from_secs(600) };

/// `job`, which controls `pods`, has fewer than it wants.
pub(super) fn query(job: &JobView, pods: &[&PodView]) -> Option<EventQuery> {
    let since = since(job, pods).filter(|_| lacks_pods(job, pods))?;
    Some(EventQuery { events: events_of(job), since, delay: QUERY_DELAY })
}

/// Since when `job` may be expected to have created its pods: since its start, or the last end of a pod and the pause that
/// the Job controller makes after those which have failed.
pub(super) fn since(job: &JobView, pods: &[&PodView]) -> Option<Timestamp> {
    let start = job.status.start_time.as_ref()?.0;
    let ends = pods.iter().flat_map(|pod| &pod.containers).filter_map(ContainerView::ended_at);
    let last = ends.max().map_or(start, |end| end.max(start));
    let failed = u32::try_from(job.status.failed.unwrap_or_default()).unwrap_or_default();
    let pause = failed.checked_sub(1).map_or(Duration::ZERO, |before| BACKOFF.after(before));
    last.checked_add(pause).ok()
}

/// The Job wants more pods than there are.
pub(super) fn lacks_pods(job: &JobView, pods: &[&PodView]) -> bool {
    let status = &job.status;
    let count = |count: Option<i32>| count.unwrap_or_default().max(0);
    let (active, succeeded) = (count(status.active), count(status.succeeded));
    let is_idle =
        job.spec.suspend == Some(true) || job.is_ending() || job.is_terminal() || job.is_terminating();
    let parallelism = job.spec.parallelism.unwrap_or(1);
    let wanted = match job.spec.completions {
        // Which of the indexes that have failed are still wanted is not known.
        Some(_) if status.failed_indexes.is_some() => 0,
        Some(completions) => parallelism.min(completions.saturating_sub(succeeded)),
        // Of a work queue no pod is replaced once one has succeeded.
        None if succeeded > 0 => 0,
        None => parallelism,
    };
    // One that is terminating is replaced when it has gone, or is replaced already: the Job knows.
    let there = i32::try_from(pods.iter().filter(|pod| !pod.is_failed).count()).unwrap_or(i32::MAX);
    !is_idle && active.max(there.saturating_sub(succeeded)) < wanted
}

/// The events that say what refuses the pods of `job`.
pub(super) fn events_of(job: &JobView) -> EventsOf {
    EventsOf::Job(job.uid().to_owned())
}

/// The cause these events give: the newest one counts, of those which were reported `since` then.
pub(super) fn cause_of(events: &[EventView], since: Option<Timestamp>) -> Option<Cause> {
    let is_current = |event: &&EventView| event.at.zip(since).is_none_or(|(at, since)| at >= since);
    events.iter().filter(is_current).max_by_key(|event| (event.at, &event.message)).map(of_event)
}

fn of_event(event: &EventView) -> Cause {
    // The name of the pod that was not created is another one each time.
    let message = event.message.split_once(" is forbidden: ").map_or(&*event.message, |(_, why)| why);
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let obstacle = refusal::obstacle_of(message);
    let category = match obstacle {
        Obstacle::ServiceAccountMissing => FailureCategory::ConfigMissing,
        _ => FailureCategory::PodsForbidden,
    };
    let failure = refused(category, obstacle, "FailedCreate", message);
    Cause { reason: Reason::PodsForbidden, failure }
}

/// Why the API server refuses the Job itself, with its own reason and message.
pub(in crate::reconcile) fn of_job(refusal: &Refusal) -> Failure {
    let Refusal { reason, message, .. } = refusal;
    refused(FailureCategory::JobForbidden, refusal::obstacle_of(message), reason, message)
}

fn refused(category: FailureCategory, obstacle: Obstacle, reason: &str, message: &str) -> Failure {
    Failure {
        obstacle: Some(obstacle),
        reason: Some(reason.to_owned()),
        message: Some(bounded_to(message, MAX_MESSAGE_BYTES)),
        hint: Some(hint::of(obstacle)),
        ..blank(category)
    }
}
