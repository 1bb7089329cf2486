//! A Job that makes no pods -> what refuses them. Only events tell.

use std::time::Duration;

use super::inquiry::Puzzle;
use super::{Cause, blank};
use crate::api::condition::{FailureCategory, Reason};
use crate::api::failure::Failure;
use crate::reconcile::observed::{EventView, EventsOf, JobView, Observed};
use crate::reconcile::text::bounded_to;

/// How long a Job may take to make its first pod before anybody is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest message, in bytes.
const MESSAGE: usize = 1024;

const QUOTA: &str = "the namespace's ResourceQuota is used up: wait, ask for less, or have it raised; the Job controller tries again by itself";
const SECURITY: &str = "the namespace's Pod Security level forbids this pod: set podSecurity: restricted, or change what it names";
const ACCOUNT: &str =
    "create the ServiceAccount in the namespace of the JobRequest, or correct serviceAccountName";
const ADMISSION: &str =
    "a webhook or admission policy of the cluster refuses the pod: do what it says, or ask who runs it";
const OTHER: &str =
    "the API server refuses the Job's pods: do what it says; the Job controller tries again by itself";

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
    let has = |word: &str| message.contains(word);
    let (category, hint) = if has("exceeded quota") || has("failed quota") {
        (FailureCategory::PodsForbidden, QUOTA)
    } else if has("violates PodSecurity") {
        (FailureCategory::PodsForbidden, SECURITY)
    } else if has("error looking up service account") {
        (FailureCategory::ConfigMissing, ACCOUNT)
    } else if has("webhook") || has("ValidatingAdmissionPolicy") {
        (FailureCategory::PodsForbidden, ADMISSION)
    } else {
        (FailureCategory::PodsForbidden, OTHER)
    };
    let failure = Failure {
        reason: Some("FailedCreate".to_owned()),
        message: Some(bounded_to(message, MESSAGE)),
        hint: Some(hint.to_owned()),
        ..blank(category)
    };
    Cause { reason: Reason::PodsForbidden, failure }
}
