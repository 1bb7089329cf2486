//! Why pods have failed, and which of several failures counts.

use k8s_openapi::jiff::Timestamp;

use super::cause::{blank, in_pod};
use super::hint;
use crate::api::condition::{FailureCategory, Obstacle};
use crate::api::failure::Failure;
use crate::reconcile::observed::{ContainerRole, ContainerState, ContainerView, EndView, PodView};

/// Why the newest failed pod failed. Terminating pods count last: the Job controller stops the others when a run fails.
pub(super) fn newest(pods: &[&PodView]) -> Option<Failure> {
    let failed = pods.iter().filter_map(|pod| Some((of_pod(pod)?, pod)));
    failed
        .max_by_key(|((at, _), pod)| (!pod.is_terminating(), *at, pod.name()))
        .map(|((_, failure), _)| failure)
}

/// Why this pod failed, or why a container of it was started again, and when.
pub(super) fn of_pod(pod: &PodView) -> Option<(Option<Timestamp>, Failure)> {
    let end = first_to_fail(pod);
    let at = end.and_then(|(_, end)| end.finished_at).or(pod.waits_since);
    let is_over = pod.is_failed || pod.is_terminating();
    if is_over && let Some(failure) = disrupted(pod) {
        return Some((at, with_end(failure, end)));
    }
    // The deletion ended it before anything had run: what it was stuck with counts as long as it is not replaced.
    if pod.is_terminating() && end.is_none_or(|(_, end)| end.was_not_found()) {
        return None;
    }
    if pod.is_failed && !pod.reason.is_empty() {
        let (category, hint) = match &*pod.reason {
            "DeadlineExceeded" => (FailureCategory::Deadline, hint::POD_DEADLINE),
            // What a kubelet answers that does not take a pod.
            _ if end.is_none() => (FailureCategory::Unschedulable, hint::REFUSED_BY_NODE),
            _ => (FailureCategory::Unknown, hint::END_UNKNOWN),
        };
        let failure = in_pod(category, pod, &pod.reason, &pod.message, hint);
        return Some((at, with_end(failure, end)));
    }
    if let Some((container, end)) = end {
        return Some((at, of_end(pod, container, end)));
    }
    pod.is_failed
        .then(|| (at, in_pod(FailureCategory::Unknown, pod, "Failed", &pod.message, hint::END_UNKNOWN)))
}

/// The pod was taken away: the condition says so, or, under older kubelets, its reason.
fn disrupted(pod: &PodView) -> Option<Failure> {
    let condition = pod.disruption.as_deref();
    let by = condition.map(|condition| &*condition.reason).unwrap_or_default();
    let category = match (&*pod.reason, by) {
        ("NodeLost" | "NodeShutdown" | "Terminated" | "Shutdown", _)
        | (_, "DeletionByTaintManager" | "DeletionByPodGC") => FailureCategory::NodeLost,
        ("Evicted" | "Preempting", _) => FailureCategory::Evicted,
        _ if condition.is_some() => FailureCategory::Evicted,
        _ => return None,
    };
    let hint = match (category, &*pod.reason, by) {
        (FailureCategory::NodeLost, ..) => hint::NODE_LOST,
        (_, "Preempting", _) | (_, _, "PreemptionByScheduler") => hint::PREEMPTED,
        (_, _, "EvictionByEvictionAPI") => hint::DRAINED,
        _ => hint::EVICTED,
    };
    let reason = if pod.reason.is_empty() { by } else { &*pod.reason };
    let message = match condition {
        Some(condition) if pod.message.is_empty() => &*condition.message,
        _ => &*pod.message,
    };
    Some(in_pod(category, pod, reason, message, hint))
}

/// The container that failed first, sidecars last; of one that was started again, how it ended before.
fn first_to_fail(pod: &PodView) -> Option<(&ContainerView, &EndView)> {
    let ends = pod.containers.iter().filter_map(|container| {
        let now = match &container.state {
            ContainerState::Ended(end) => Some(&**end),
            _ => None,
        };
        let before = container.last_end.as_deref();
        // The end that a deletion makes hides why the pod was started again and again.
        let end = if pod.is_terminating() && before.is_some() { before } else { now.or(before) };
        Some((container, end.filter(|end| end.exit_code != 0)?))
    });
    ends.min_by_key(|(container, end)| (container.role == ContainerRole::Sidecar, end.finished_at))
}

fn of_end(pod: &PodView, container: &ContainerView, end: &EndView) -> Failure {
    let is_kill = matches!(end.exit_code, 137 | 143);
    // Programs that handle SIGTERM end with whatever code they like. Within the second of the deletion nobody knows which was
    // first: the Job controller deletes a pod that has failed too often.
    let ended_by_deletion = pod.deleted_at().zip(end.finished_at).is_some_and(|(at, end)| end > at);
    let (category, hint) = match &*end.reason {
        "OOMKilled" => {
            let limit = container.limit_range_memory.as_deref();
            (FailureCategory::OOMKilled, hint::out_of_memory(limit))
        }
        _ if end.could_not_start() => (FailureCategory::AppError, hint::of(Obstacle::Command)),
        "ContainerStatusUnknown" if !pod.is_terminating() => {
            (FailureCategory::Unknown, hint::END_UNKNOWN.to_owned())
        }
        _ if pod.is_terminating() && (is_kill || ended_by_deletion) => {
            (FailureCategory::Evicted, hint::POD_DELETED.to_owned())
        }
        _ if is_kill => (FailureCategory::AppError, hint::KILLED.to_owned()),
        _ if matches!(end.exit_code, 126 | 127) => (FailureCategory::AppError, hint::of(Obstacle::Command)),
        _ => {
            let hint = hint::program_failed(pod, container, !end.message.is_empty());
            (FailureCategory::AppError, hint)
        }
    };
    let reason = if category == FailureCategory::Evicted { "Deleted" } else { &*end.reason };
    let failure = in_pod(category, pod, reason, &end.message, &hint);
    with_end(failure, Some((container, end)))
}

/// Adds which container it was and how that ended.
fn with_end(failure: Failure, end: Option<(&ContainerView, &EndView)>) -> Failure {
    let Some((container, end)) = end else {
        return failure;
    };
    // A shell and most runtimes report a signal as 128 plus its number.
    let signal = end.signal.or((129..=159).contains(&end.exit_code).then(|| end.exit_code - 128));
    Failure {
        container: Some(container.name.to_string()),
        is_init: (container.role == ContainerRole::Init).then_some(true),
        exit_code: Some(end.exit_code),
        signal: signal.filter(|_| !end.could_not_start()),
        ..failure
    }
}

/// Nothing is left that shows why a run in this namespace failed.
pub(super) fn unknown(native: &str, namespace: Option<&str>) -> Failure {
    Failure {
        reason: Some(native.to_owned()),
        message: Some("the pods were gone before their failure could be read".to_owned()),
        hint: Some(hint::pods_gone(namespace)),
        ..blank(FailureCategory::Unknown)
    }
}
