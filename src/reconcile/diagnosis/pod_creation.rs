//! Why a Job cannot create pods, which only its events say; and why the API server refuses the Job itself.

use std::time::Duration;

use super::cause::{Cause, MAX_MESSAGE_BYTES, blank};
use super::event_query::EventQuery;
use super::hint;
use crate::api::condition::{FailureCategory, Obstacle, Reason};
use crate::api::failure::Failure;
use crate::reconcile::format::bounded_to;
use crate::reconcile::observed::{EventView, EventsOf, JobView, Observed, Refusal};

/// How long a Job may take to create its first pod before events are queried.
const QUERY_DELAY: Duration = Duration::from_secs(5);

/// `job` has no pods though it wants some.
pub(super) fn query(observed: &Observed, job: &JobView) -> Option<EventQuery> {
    let start = job.status.start_time.as_ref().filter(|_| has_no_pods(observed, job))?;
    Some(EventQuery { events: events_of(job), since: start.0, delay: QUERY_DELAY })
}

/// The Job wants pods and never had one.
pub(super) fn has_no_pods(observed: &Observed, job: &JobView) -> bool {
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

/// The events that say what refuses the pods of `job`.
pub(super) fn events_of(job: &JobView) -> EventsOf {
    EventsOf::Job(job.uid().to_owned())
}

/// The cause these events give: the newest one counts.
pub(super) fn cause_of(events: &[EventView]) -> Option<Cause> {
    events.iter().max_by_key(|event| (event.at, &event.message)).map(of_event)
}

fn of_event(event: &EventView) -> Cause {
    // The name of the pod that was not created is another one each time.
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

/// Why the API server refuses the Job itself, with its own reason and message.
pub(in crate::reconcile) fn of_job(refusal: &Refusal) -> Failure {
    let Refusal { reason, message, .. } = refusal;
    refused(FailureCategory::JobForbidden, obstacle_of(message), reason, message)
}

fn refused(category: FailureCategory, obstacle: Obstacle, reason: &str, message: &str) -> Failure {
    Failure {
        obstacle: Some(obstacle),
        reason: Some(reason.to_owned()),
        message: Some(bounded_to(message, MAX_MESSAGE_BYTES)),
        hint: Some(hint::of(obstacle).to_owned()),
        ..blank(category)
    }
}

/// What refuses a Job or its pods, by the API server's message.
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
