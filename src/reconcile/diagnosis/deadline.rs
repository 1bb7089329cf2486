//! A deadline has passed -> what it interrupted.
//!
//! The pods may be gone by then: what the status said of the run stands in for them.

use k8s_openapi::jiff::Timestamp;

use super::{Scene, blank, ended, hint, in_pod, is_of_ended_pod, setup, waiting, words};
use crate::api::condition::FailureCategory;
use crate::api::failure::Failure;
use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, PodView};
use crate::reconcile::format::bounded_to;

/// What a container waits with that is being made.
const CONTAINER_CREATING: &str = "ContainerCreating";
/// Longest message, in bytes.
const MESSAGE: usize = 1024;

/// What the deadline of this category interrupted at the time `at`.
pub(super) fn interrupted(scene: &Scene<'_>, category: FailureCategory, at: Timestamp) -> Failure {
    let of_category = |failure: Failure| Failure { category, attempts: None, ..failure };
    let start = scene.job.status.start_time.as_ref().map(|time| time.0);
    if let Some((cause, pod)) = pending::stuck(&scene.pods).or_else(|| scene.setup()) {
        let created = || pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let since = pod.waits_since.or_else(created).or(start);
        return of_category(waited(cause.failure, since, at));
    }
    if let Some(cause) = scene.refusal() {
        return of_category(waited(cause.failure, start, at));
    }
    // Of another pod, which may be gone: it tells more than that this one was being created.
    let of_setup = scene.before.filter(|before| pod_setup::is_told_by(before));
    if let Some(failure) = of_setup.filter(|_| !scene.has_started) {
        return of_category(waited(failure.clone(), start, at));
    }
    if let Some(failure) = at_work(&scene.pods, at) {
        return of_category(failure);
    }
    if let Some(failure) = scene.before.filter(|failure| !is_of_ended_pod(failure)) {
        return of_category(waited(failure.clone(), start, at));
    }
    if let Some(failed) = terminated::newest(&scene.pods).or_else(|| scene.failed_before()) {
        let message = format!("the last pod had failed: {}", summary::sentence(&failed, MESSAGE));
        return of_category(Failure { message: Some(bounded_to(&message, MESSAGE)), ..failed });
    }
    let message = if scene.was_running {
        format!("containers had been running{}", lasting(start, at))
    } else {
        format!("no container had started{}", lasting(start, at))
    };
    Failure { message: Some(message), hint: Some(hint::DEADLINE.to_owned()), ..blank(category) }
}

/// "ImagePullBackOff for 280 s on pod x: ..."
fn waited(failure: Failure, since: Option<Timestamp>, at: Timestamp) -> Failure {
    // What is told already was told when another deadline was at hand.
    if matches!(failure.category, FailureCategory::Deadline | FailureCategory::StartDeadline) {
        return failure;
    }
    let what = failure.reason.as_deref().unwrap_or("waiting");
    let pod = failure.pod.as_deref().map(|pod| format!(" on pod {pod}")).unwrap_or_default();
    let said = failure.message.as_deref().map(|said| format!(": {said}")).unwrap_or_default();
    let message = format!("{what}{}{pod}{said}", lasting(since, at));
    Failure { message: Some(bounded_to(&message, MESSAGE)), ..failure }
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
    let failure = in_pod(FailureCategory::Unknown, pod, CONTAINER_CREATING, "", hint::STILL_CREATING);
    Some(named(container, waited(failure, pod.waits_since, at)))
}

/// Runs, or ran until the deadline ended it. Sidecars run as long as the others.
fn is_running(pod: &PodView, container: &ContainerView) -> bool {
    match &container.state {
        _ if container.role == ContainerRole::Sidecar => false,
        ContainerState::Running { .. } => true,
        ContainerState::Ended(end) => {
            pod.is_terminating() && !end.never_ran() && matches!(end.exit_code, 137 | 143)
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
