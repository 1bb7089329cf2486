//! What a deadline interrupted.
//!
//! The pods may be gone by then: what the status recorded of the run stands in for them.

use k8s_openapi::jiff::Timestamp;

use super::cause::{MAX_MESSAGE_BYTES, blank, in_pod};
use super::evidence::{Evidence, is_of_terminated_pod};
use super::{hint, pending, pod_setup, summary, terminated};
use crate::api::condition::FailureCategory;
use crate::api::failure::Failure;
use crate::reconcile::format::bounded_to;
use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, PodView};

/// The native reason of a container that is being created.
const CONTAINER_CREATING: &str = "ContainerCreating";

/// What the deadline of this category interrupted at the time `at`.
pub(super) fn interrupted(evidence: &Evidence<'_>, category: FailureCategory, at: Timestamp) -> Failure {
    let of_category = |failure: Failure| {
        let hint = failure.obstacle.map(hint::after_the_end).or(failure.hint);
        Failure { category, attempts: None, hint, ..failure }
    };
    let start = evidence.job.status.start_time.as_ref().map(|time| time.0);
    if let Some((cause, pod)) = pending::stuck(&evidence.pods).or_else(|| evidence.pod_setup()) {
        let created = || pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let since = pod.waits_since.or_else(created).or(start);
        return of_category(waited(cause.failure, since, at));
    }
    if let Some(cause) = evidence.pod_creation() {
        return of_category(waited(cause.failure, start, at));
    }
    // Of another pod, which may be gone: it is more specific than that this one was being created.
    let of_setup = evidence.before.filter(|before| pod_setup::is_about_setup(before));
    if let Some(failure) = of_setup.filter(|_| !evidence.has_begun_work) {
        return of_category(waited(failure.clone(), start, at));
    }
    if let Some(failure) = at_work(&evidence.pods, at) {
        return of_category(failure);
    }
    if let Some(failure) = evidence.before.filter(|failure| !is_of_terminated_pod(failure)) {
        return of_category(waited(failure.clone(), start, at));
    }
    if let Some(failed) = terminated::newest(&evidence.pods).or_else(|| evidence.failed_before()) {
        let message = format!("the last pod had failed: {}", summary::sentence(&failed, MAX_MESSAGE_BYTES));
        return of_category(Failure { message: Some(bounded_to(&message, MAX_MESSAGE_BYTES)), ..failed });
    }
    let message = if evidence.has_begun_work {
        format!("containers had been running{}", lasting(start, at))
    } else {
        format!("no main container had started{}", lasting(start, at))
    };
    Failure { message: Some(message), hint: Some(hint::DEADLINE.to_owned()), ..blank(category) }
}

/// "ImagePullBackOff for 280 s on pod x: ..."
fn waited(failure: Failure, since: Option<Timestamp>, at: Timestamp) -> Failure {
    // The cause recorded earlier belongs to a different deadline.
    if matches!(failure.category, FailureCategory::Deadline | FailureCategory::StartDeadline) {
        return failure;
    }
    let what = failure.reason.as_deref().unwrap_or("waiting");
    let pod = failure.pod.as_deref().map(|pod| format!(" on pod {pod}")).unwrap_or_default();
    let said = failure.message.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
    let message = format!("{what}{}{pod}{said}", lasting(since, at));
    Failure { message: Some(bounded_to(&message, MAX_MESSAGE_BYTES)), ..failure }
}

/// The first pod, by name, that had something to do.
fn at_work(pods: &[&PodView], at: Timestamp) -> Option<Failure> {
    let mut pods = pods.to_vec();
    pods.sort_by(|a, b| a.name().cmp(b.name()));
    let find = |is: fn(&PodView, &ContainerView) -> bool| {
        pods.iter().find_map(|pod| {
            pod.containers.iter().find(|container| is(pod, container)).map(|container| (*pod, container))
        })
    };
    let named = |container: &ContainerView, failure: Failure| Failure {
        container: Some(container.name.to_string()),
        is_init: (container.role == ContainerRole::Init).then_some(true),
        ..failure
    };
    if let Some((pod, container)) = find(is_running) {
        let lasting = lasting(running_since(container), at);
        let message = format!("container {} of pod {} had been running{lasting}", container.name, pod.name());
        let failure = in_pod(FailureCategory::Deadline, pod, "DeadlineExceeded", &message, hint::DEADLINE);
        return Some(named(container, failure));
    }
    let (pod, container) = find(is_creating)?;
    let failure = in_pod(FailureCategory::Unknown, pod, CONTAINER_CREATING, "", &hint::still_creating(pod));
    Some(named(container, waited(failure, pod.waits_since, at)))
}

/// Runs, or ran until the deadline ended it. Sidecars run as long as the others.
fn is_running(pod: &PodView, container: &ContainerView) -> bool {
    match &container.state {
        _ if container.role == ContainerRole::Sidecar => false,
        ContainerState::Running { .. } => true,
        ContainerState::Ended(end) => {
            pod.is_terminating() && !end.was_not_found() && matches!(end.exit_code, 137 | 143)
        }
        ContainerState::Unknown | ContainerState::Waiting { .. } => false,
    }
}

fn running_since(container: &ContainerView) -> Option<Timestamp> {
    match &container.state {
        ContainerState::Running { since } => *since,
        ContainerState::Ended(end) => end.started_at,
        ContainerState::Unknown | ContainerState::Waiting { .. } => None,
    }
}

/// Waits for its image or volumes.
fn is_creating(_: &PodView, container: &ContainerView) -> bool {
    matches!(&container.state, ContainerState::Waiting { reason, .. } if &**reason == CONTAINER_CREATING)
}

fn lasting(since: Option<Timestamp>, at: Timestamp) -> String {
    since.map(|since| format!(" for {} s", at.duration_since(since).as_secs().max(0))).unwrap_or_default()
}
