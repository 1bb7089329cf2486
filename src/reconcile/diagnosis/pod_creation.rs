//! A Job that makes no pods -> what refuses them. Only events tell.

use std::time::Duration;

use super::event_query::Puzzle;
use super::{Cause, blank, hint};
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{EventView, EventsOf, JobView, Observed, Refusal};
use crate::reconcile::format::bounded_to;

/// How long a Job may take to make its first pod before anybody is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest message, in bytes.
const MESSAGE: usize = 1024;

/// `job` makes no pods though it wants some.
pub(super) fn puzzle(observed: &Observed, job: &JobView) -> Option<Puzzle> {
    let start = job.status.start_time.as_ref().filter(|_| makes_none(observed, job))?;
    Some(Puzzle { events: events_of(job), since: start.0, patience: PATIENCE })
}

/// The Job wants pods and never had one.
pub(super) fn makes_none(observed: &Observed, job: &JobView) -> bool {
    let status = &job.status;
    let counted = [status.active, status.ready, status.succeeded, status.failed];
    let is_idle = job.spec.suspend == Some(true)
        || job.spec.parallelism == Some(0)
        || job.is_ending()
        || job.is_terminal()
        || job.is_terminating();
    !is_idle
        && counted.iter().all(|count| count.is_none_or(|count| count <= 0))
        && !observed.pods.iter().any(|pod| pod.is_controlled_by(job.uid()))
}

/// The events that tell what refuses the pods of `job`.
pub(super) fn events_of(job: &JobView) -> EventsOf {
    EventsOf::Job(job.uid().to_owned())
}

/// What they tell.
pub(super) fn told_by(events: &[EventView]) -> Option<Cause> {
    events.iter().max_by_key(|event| (event.at, &event.message)).map(of_event)
}

fn of_event(event: &EventView) -> Cause {
    // The name of the pod that was not made is another one each time.
    let message = event.message.split_once(" is forbidden: ").map_or(&*event.message, |(_, why)| why);
    let message = message.strip_prefix("Error creating: ").unwrap_or(message);
    let obstacle = obstacle_of(message);
    let category = match obstacle {
        Obstacle::ServiceAccountMissing => FailureCategory::ConfigMissing,
        _ => FailureCategory::PodsForbidden,
    };
    let failure = refused(category, obstacle, "FailedCreate", message);
    Cause { reason: Reason::PodsForbidden, failure }
}

/// Why the API server does not take the Job itself, with its own reason and message.
pub(in crate::reconcile) fn of_job(refusal: &Refusal) -> Failure {
    let Refusal { reason, message, .. } = refusal;
    refused(FailureCategory::JobForbidden, obstacle_of(message), reason, message)
}

fn refused(category: FailureCategory, obstacle: Obstacle, reason: &str, message: &str) -> Failure {
    Failure {
        obstacle: Some(obstacle),
        reason: Some(reason.to_owned()),
        message: Some(bounded_to(message, MESSAGE)),
        hint: Some(hint::of(obstacle).to_owned()),
        ..blank(category)
    }
}

/// What refuses a Job or its pods, as the API server words it.
fn obstacle_of(message: &str) -> Obstacle {
    let has = |word: &str| message.contains(word);
    if has("exceeded quota") || has("failed quota") {
        Obstacle::Quota
    } else if has("violates PodSecurity") {
        Obstacle::PodSecurity
    } else if has("error looking up service account") {
        Obstacle::ServiceAccountMissing
    } else if has("webhook") || has("ValidatingAdmissionPolicy") {
        Obstacle::Admission
    } else {
        Obstacle::Refused
    }
}
